"""Counts, profit and their words."""

from __future__ import annotations

from tallyio.engine.report import RECENT, Report, Trade
from tallyio.model.market import Token
from tallyio.model.stages import Gate
from tallyio.model.units import Address, Hash, Wei, checksum

USD = Address(bytes([1]) * 20)
FAKE_USD = Address(bytes([2]) * 20)


def report() -> Report:
    """Return a report of two tokens with one name."""
    made = Report()
    made.tokens = {
        USD: Token(address=USD, symbol="USD", decimals=6),
        FAKE_USD: Token(address=FAKE_USD, symbol="USD", decimals=18),
    }
    return made


def trade(number: int, token: Address, amount: int) -> Trade:
    """Return a trade that earned `amount`."""
    return Trade(
        opportunity=number,
        block_number=1,
        path="a > b",
        token=token,
        predicted=amount,
        simulated=amount,
        realised=amount,
        gas_cost_wei=Wei(1),
        transaction=Hash(bytes([number]) * 32),
    )


def test_profit_is_exact_decimal_text_per_token_and_names_are_told_apart() -> None:
    """A token may call itself as it likes, so equal symbols carry their addresses."""
    made = report()
    made.trade(trade(1, USD, 2_000_001), None)
    made.trade(trade(2, USD, 1), None)
    assert made.profit_text() == {
        "USD": {"predicted": "2.000002", "simulated": "2.000002", "realised": "2.000002"}
    }
    made.trade(trade(3, FAKE_USD, 10**18), None)
    assert set(made.profit_text()) == {f"USD {checksum(USD)}", f"USD {checksum(FAKE_USD)}"}


def test_a_trade_that_is_taken_back_leaves_nothing() -> None:
    made = report()
    made.trade(trade(1, USD, 5), None)
    made.trade(trade(2, USD, 7), None)
    made.take_back(Hash(bytes([1]) * 32))
    made.take_back(Hash(bytes([9]) * 32))  # nobody's: it had reverted
    assert made.landed == 1
    line = made.profit[USD]
    assert (line.predicted, line.simulated, line.realised, line.trades) == (7, 7, 7, 1)


def test_a_later_gate_replaces_an_earlier_one() -> None:
    made = report()
    made.death(1, Gate.NOT_INCLUDED, "no block took it")
    made.death(2, Gate.NOT_INCLUDED, "no block took it")
    made.death(1, Gate.REVERTED, "it reverted", instead=Gate.NOT_INCLUDED)
    assert made.died == {Gate.NOT_INCLUDED: 1, Gate.REVERTED: 1}
    made.death(2, Gate.REVERTED, "it reverted", instead=Gate.NOT_INCLUDED)
    assert made.opportunities()["died"] == {"reverted": 2}


def test_what_was_lost_is_listed_with_who_was_first_until_another_gate_has_it() -> None:
    made = report()
    made.death(1, Gate.LOST, "transaction 0x07 was there first")
    made.death(2, Gate.LOST, "transaction 0x08 was there first")
    listed = [
        {"opportunity": 1, "reason": "transaction 0x07 was there first"},
        {"opportunity": 2, "reason": "transaction 0x08 was there first"},
    ]
    assert made.opportunities()["lost"] == listed
    made.death(1, Gate.REORGED, "its block left the chain", instead=Gate.LOST)
    assert made.opportunities()["lost"] == listed[1:]
    assert made.opportunities()["died"] == {"lost": 1, "reorged": 1}


def test_recent_events_are_bounded_and_leave_out_what_was_merely_outbid() -> None:
    made = report()
    made.death(1, Gate.NOT_CHOSEN, "outbid")
    assert list(made.recent) == []
    for number in range(RECENT + 5):
        made.death(number, Gate.GAS, "gas")
    assert len(made.recent) == RECENT
    assert made.recent[-1] == f"#{RECENT + 4} died at gas: gas"
