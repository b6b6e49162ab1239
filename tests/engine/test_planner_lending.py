"""Plans that liquidate and borrow: every shape that is planned, and every one that is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tallyio.engine.executor import CallPacker, encode_calls
from tallyio.engine.planner import plan
from tallyio.engine.trades import Lending
from tallyio.lending.loans import own_offer
from tallyio.model.erc20 import approve, transfer, transfer_from
from tallyio.model.errors import UnsafeRefused
from tallyio.model.execution import Borrowing, Call, Leg, Liquidation, Opportunity, Plan
from tallyio.model.lending import BookSpec, LoanOffer, PositionKey, ReserveSpec
from tallyio.model.market import LogSource, PoolSpec
from tallyio.model.units import Address, Hash
from tallyio.model.words import unsigned

USD, ETH, DAI = (Address(bytes([letter]) * 20) for letter in b"ued")
EXECUTOR, OWNER, BANK, BOOK, SINGLETON = (Address(bytes([digit]) * 20) for digit in range(1, 6))
KEY, OTHER_KEY = PositionKey(Address(b"k" * 20)), PositionKey(Address(b"k" * 20), 1)


class Writer:
    """Protocols of every kind that write their facts instead of call data, so that nesting can be read."""

    def __init__(self, *, calls_back: bool = False) -> None:
        self.calls_back = calls_back

    def swap(self, pool: PoolSpec, **facts: Any) -> tuple[Call, ...]:
        """See `ExchangeProtocol.swap`."""
        return (self._call(pool.address, "swap", facts["amount_in"], facts),)

    def liquidate(self, book: BookSpec, key: PositionKey, **facts: Any) -> tuple[Call, ...]:
        """See `LendingProtocol.liquidate`: pull the debt by an allowance."""
        token = book.reserves[facts["debt"]].debt
        assert token is not None
        assert facts["recipient"] == EXECUTOR
        given, taken = (approve(token, book.address, amount) for amount in (facts["repay"], 0))
        if facts["inner"]:
            facts["inner"] = (*facts["inner"], given)
        call = self._call(book.address, f"liquidate {key.part}", facts["repay"], facts)
        return (call, taken) if facts["inner"] else (given, call, taken)

    def can_call_back(self, book: BookSpec) -> bool:
        """See `LendingProtocol.can_call_back`."""
        return self.calls_back

    def borrow(self, offer: LoanOffer, **facts: Any) -> tuple[Call, ...]:
        """See `FlashLender.borrow`."""
        assert facts["recipient"] == EXECUTOR
        pay = transfer(offer.token, offer.lender, facts["amount"] + offer.fee(facts["amount"]))
        facts["inner"] = (*facts["inner"], pay)
        return (self._call(offer.lender, "borrow", facts["amount"], facts),)

    @staticmethod
    def _call(to: Address, name: str, amount: int, facts: dict[str, Any]) -> Call:
        nested = facts["encode"](facts["inner"]) if facts["inner"] else b""
        return Call(to=to, data=f"{name} {amount} ".encode() + nested)


def pool(index: int, *tokens: Address, can_flash: bool = True, source: Address | None = None) -> PoolSpec:
    return PoolSpec(
        address=Address(bytes([0x70 + index]) * 20),
        tokens=tokens,
        venue="v",
        fee_pips=3_000,
        can_flash=can_flash,
        log_sources=(LogSource(source),) if source else (),
    )


POOLS = [
    pool(0, ETH, USD, can_flash=False),
    pool(1, ETH, DAI, can_flash=False),
    pool(2, DAI, USD, can_flash=False, source=SINGLETON),
    pool(3, USD, ETH),
]
BOOKS = [
    BookSpec(
        address=BOOK,
        venue="bank",
        reserves=(
            ReserveSpec(symbol="USD", collateral=USD, debt=USD),
            ReserveSpec(symbol="ETH", collateral=ETH, debt=ETH),
            ReserveSpec(symbol="no debt", collateral=DAI, debt=None),
            ReserveSpec(symbol="no collateral", collateral=None, debt=DAI),
        ),
        log_sources=(),
    )
]
OFFER = LoanOffer(
    lender=BANK,
    venue="bank",
    token=USD,
    available=1_500,
    fee_numerator=1,
    fee_denominator=100,
    fee_rounds="up",
    gas=1,
)


def liquidation(paid: int, got: int, *, debt: int = 0, collateral: int = 1, part: int = 0) -> Liquidation:
    key = OTHER_KEY if part else KEY
    return Liquidation(book=0, key=key, collateral=collateral, debt=debt, amount_in=paid, amount_out=got)


def sale(paid: int, got: int, *, number: int = 0) -> Leg:
    return Leg(pool=number, token_in=0, token_out=1, amount_in=paid, amount_out=got)


SEIZE, SELL = liquidation(1_000, 5), sale(5, 1_100)
"""The cycle of all tests: repay 1,000, get 5, sell them for 1,100."""


def loan(amount: int = 1_000, offer: LoanOffer = OFFER, **fields: Any) -> Borrowing:
    return msgspec.structs.replace(
        Borrowing(offer=offer, amount=amount, fee=offer.fee(amount)),
        **fields,
    )


OWN = loan(offer=own_offer(OWNER, USD, 10**6))


def opportunity(*legs: Leg | Liquidation, **fields: Any) -> Opportunity:
    facts: dict[str, Any] = {"amount_in": 1_000, "amount_out": 1_100, "loan": None, "token": USD}
    return Opportunity(
        id=5,
        strategy="s",
        block_hash=Hash(bytes(32)),
        block_number=7,
        legs=legs or (SEIZE, SELL),
        gas=1,
        net_wei=1.0,
        **(facts | fields),
    )


def make(found: Opportunity, *, calls_back: bool = False, lends: bool = True) -> Plan:
    writer: Any = Writer(calls_back=calls_back)
    lending = Lending(
        books=BOOKS, protocols=[writer], lenders={BANK: writer, SINGLETON: writer} if lends else {}
    )
    return plan(
        found,
        POOLS,
        [writer] * len(POOLS),
        executor=EXECUTOR,
        sender=OWNER,
        deadline_block=9,
        lending=lending,
    )


def demanded(made: Plan) -> int:
    """Return the gain without which `run` reverts."""
    return unsigned(made.call.data[4:], 2)


def repaid(amount: int, part: int = 0) -> tuple[Call, ...]:
    """Return what `Writer` writes for a liquidation without nested calls."""
    call = Call(to=BOOK, data=f"liquidate {part} {amount} ".encode())
    return approve(USD, BOOK, amount), call, approve(USD, BOOK, 0)


def sold(amount: int, number: int = 0) -> Call:
    return Call(to=POOLS[number].address, data=f"swap {amount} ".encode())


# --- who pays first --------------------------------------------------------------------------


def test_within_a_loan_the_legs_follow_each_other_and_the_payback() -> None:
    made = make(opportunity(loan=loan()))
    packer = CallPacker()
    inner = packer.pack((*repaid(1_000), sold(5), transfer(USD, BANK, 1_010)))
    assert packer.pack((Call(to=BANK, data=b"borrow 1000 " + inner),)) in made.call.data
    assert (made.min_profit, demanded(made), made.own_funds) == (90, 90, 0)


def test_a_liquidation_that_calls_back_pays_for_itself() -> None:
    made = make(opportunity(), calls_back=True)
    packer = CallPacker()
    inner = packer.pack((sold(5), approve(USD, BOOK, 1_000)))
    calls = (Call(to=BOOK, data=b"liquidate 0 1000 " + inner), approve(USD, BOOK, 0))
    assert packer.pack(calls) in made.call.data
    assert (made.min_profit, demanded(made)) == (100, 100)


def test_a_pool_that_can_flash_pays_for_a_liquidation_within_it() -> None:
    legs = (sale(1_000, 4, number=3), liquidation(4, 1_100, debt=1, collateral=0))
    made = make(opportunity(*legs))
    calls = (approve(ETH, BOOK, 4), Call(to=BOOK, data=b"liquidate 0 4 "), approve(ETH, BOOK, 0))
    assert b"swap 1000 " + encode_calls(calls) in made.call.data


def test_what_the_owner_lends_is_taken_first_and_demanded_back() -> None:
    made = make(opportunity(loan=OWN), lends=False)
    taken = transfer_from(USD, OWNER, EXECUTOR, 1_000)
    assert encode_calls((taken, *repaid(1_000), sold(5))) in made.call.data
    assert (made.min_profit, made.own_funds, demanded(made)) == (100, 1_000, 1_100)


def test_the_owner_may_lend_to_a_cycle_of_pools_that_cannot_flash() -> None:
    legs = (sale(7, 9, number=1), sale(9, 11, number=2), sale(11, 8, number=3))
    own = loan(7, own_offer(OWNER, ETH, 7))
    made = make(opportunity(*legs, token=ETH, amount_in=7, amount_out=8, loan=own))
    calls = (transfer_from(ETH, OWNER, EXECUTOR, 7), sold(7, 1), sold(9, 2), sold(11, 3))
    assert encode_calls(calls) in made.call.data


def test_collateral_in_the_token_of_the_debt_needs_no_sale() -> None:
    made = make(opportunity(liquidation(1_000, 1_100, collateral=0), loan=loan()))
    assert made.call.data[-32:] == bytes(32)  # nothing to sweep
    assert made.min_profit == 90


def test_the_middle_tokens_of_every_cycle_are_swept_once() -> None:
    legs = (SEIZE, sale(5, 9, number=1), sale(9, 1_100, number=2), liquidation(10, 6, part=1), sale(6, 11))
    made = make(opportunity(*legs, amount_in=1_010, amount_out=1_111, loan=loan()))
    assert made.call.data[-96:] == b"".join(((2).to_bytes(32), ETH.rjust(32, b"\0"), DAI.rjust(32, b"\0")))


# --- several cycles --------------------------------------------------------------------------

BATCH = (SEIZE, SELL, liquidation(1_050, 6, part=1), sale(6, 1_300))


def test_several_liquidations_share_a_loan_that_the_first_ones_refill() -> None:
    made = make(opportunity(*BATCH, amount_in=2_050, amount_out=2_400, loan=loan()))
    packer = CallPacker()
    calls = (*repaid(1_000), sold(5), *repaid(1_050, 1), sold(6), transfer(USD, BANK, 1_010))
    assert packer.pack(calls) in made.call.data
    assert made.min_profit == 340


def test_several_liquidations_that_call_back_follow_each_other() -> None:
    made = make(opportunity(*BATCH, amount_in=2_050, amount_out=2_400), calls_back=True)
    assert made.call.data.count(b"liquidate") == 2
    assert made.min_profit == 350


def test_a_batch_that_its_loan_does_not_carry_is_refused() -> None:
    batch = (SEIZE, SELL, liquidation(1_101, 6, part=1), sale(6, 1_300))
    with pytest.raises(UnsafeRefused, match="needs 1101 where 1100 are left of its loan"):
        make(opportunity(*batch, amount_in=2_101, amount_out=2_400, loan=loan()))


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (opportunity(), "starts at book 0x04.*, which cannot flash, without a loan"),
        (opportunity(loan=loan(fee=9)), "expects fee 9 of a loan that costs 10"),
        (opportunity(loan=loan(1_501)), "borrows 1501 from bank, which has no such loan"),
        (opportunity(loan=loan(0)), "borrows 0 from bank, which has no such loan"),
        (opportunity(loan=loan(999)), "needs 1000 where 999 are left of its loan"),
        (
            opportunity(loan=loan(offer=msgspec.structs.replace(OFFER, token=ETH))),
            "borrows 1000 from bank, which has no such loan",
        ),
        (
            opportunity(loan=loan(offer=msgspec.structs.replace(OFFER, lender=EXECUTOR))),
            "borrows from 0x01.*, which no plugin knows",
        ),
        (
            opportunity(
                SEIZE,
                sale(5, 9, number=1),
                sale(9, 1_100, number=2),
                loan=loan(offer=msgspec.structs.replace(OFFER, lender=SINGLETON)),
            ),
            "trades at 0x05.* while it lends, which it refuses",
        ),
        (opportunity(amount_out=1_010, loan=loan()), "gains 0 over 2 legs"),
        (opportunity(amount_in=999, loan=loan()), "amounts that do not join"),
        (opportunity(SEIZE, sale(4, 1_100), loan=loan()), "amounts that do not join"),
        (opportunity(SEIZE, loan=loan()), "tokens that do not join"),
        (opportunity(liquidation(1_000, 5, debt=2), SELL, loan=loan()), "tokens that do not join"),
        (
            opportunity(
                liquidation(1_000, 5, collateral=3),
                liquidation(5, 1_100, debt=2, collateral=0, part=1),
                loan=loan(),
            ),
            "tokens that do not join",
        ),
        (
            opportunity(SEIZE, liquidation(5, 1_100, debt=1, collateral=0), loan=loan()),
            "uses a pool twice, or a position",
        ),
    ],
)
def test_what_cannot_pay_or_cannot_be_paid_is_refused(found: Opportunity, fault: str) -> None:
    with pytest.raises(UnsafeRefused, match=fault) as caught:
        make(found)
    assert "opportunity 5 of strategy 's'" in str(caught.value)


def test_a_second_cycle_that_cannot_pay_first_is_refused_without_a_loan() -> None:
    legs = (sale(10, 4, number=3), sale(4, 12), SEIZE, SELL)
    with pytest.raises(UnsafeRefused, match="starts at book 0x04"):
        make(opportunity(*legs, amount_in=1_010, amount_out=1_112))


def test_four_liquidations_in_one_loan_are_the_most_that_fit() -> None:
    """Each takes an allowance and is sold over two pools; the facts here are shorter than real calls."""
    cycle = (SEIZE, sale(5, 9, number=1), sale(9, 1_100, number=2))
    made = make(opportunity(*cycle * 4, amount_in=4_000, amount_out=4_400, loan=loan()))
    assert made.call.data.count(b"liquidate") == 4
    with pytest.raises(UnsafeRefused, match="more than the executor's"):
        make(opportunity(*cycle * 8, amount_in=8_000, amount_out=8_800, loan=loan()))


# --- one sale of what several seize ----------------------------------------------------------


def elsewhere(paid: int, got: int) -> Leg:
    """Return a sale in another pool of the same tokens."""
    return Leg(pool=3, token_in=1, token_out=0, amount_in=paid, amount_out=got)


def test_liquidations_of_the_same_two_tokens_come_first_and_their_sale_is_divided() -> None:
    """Two positions bring 5 and 3; 6 of it are sold in one pool and 2 in another."""
    legs = (liquidation(600, 5), liquidation(400, 3, part=1), sale(6, 800), elsewhere(2, 300))
    made = make(opportunity(*legs, loan=OWN))
    assert demanded(made) == 1_000 + 100
    text = made.call.data.decode("latin-1")
    order = [text.index(each) for each in ("liquidate 0 600", "liquidate 1 400", "swap 6 ", "swap 2 ")]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("legs", "fault"),
    [
        ((liquidation(600, 5), liquidation(400, 3, part=1), sale(7, 1_100)), "amounts that do not join"),
        ((liquidation(1_000, 5), sale(3, 600), elsewhere(3, 500)), "amounts that do not join"),
        ((liquidation(1_000, 5), sale(3, 600), sale(2, 500)), "uses a pool twice"),
        ((liquidation(600, 5), liquidation(400, 3), sale(8, 1_100)), "uses a pool twice, or a position"),
        ((sale(5, 1_100), liquidation(1_000, 5)), "do not join into a cycle"),
    ],
)
def test_what_does_not_add_up_to_one_sale_is_refused(legs: tuple[Leg | Liquidation, ...], fault: str) -> None:
    with pytest.raises(UnsafeRefused, match=fault):
        make(opportunity(*legs, loan=OWN))


def test_several_liquidations_together_want_a_loan() -> None:
    legs = (liquidation(600, 5), liquidation(400, 3, part=1), sale(8, 1_100))
    with pytest.raises(UnsafeRefused, match="several liquidations together without a loan"):
        make(opportunity(*legs), calls_back=True)
