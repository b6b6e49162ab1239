"""What is paid and paid out inside an unlocked manager, call by call."""

from __future__ import annotations

from tallyio_protocol_uniswap_v4 import abi
from tallyio_protocol_uniswap_v4.settling import Amount, Trade, Unlock, payment, settled

from tallyio.model.erc20 import transfer
from tallyio.model.execution import Call
from tallyio.model.units import ZERO_ADDRESS, Address

A, B, C = (Address(bytes([letter]) * 20) for letter in b"abc")
MANAGER, OTHER, ME = (Address(bytes([digit]) * 20) for digit in (1, 2, 3))


def trade(name: str, sold: Address, amount_in: int, bought: Address, amount_out: int) -> Trade:
    return Trade(
        call=Call(to=MANAGER, data=name.encode()),
        sold=Amount(sold, amount_in),
        bought=Amount(bought, amount_out),
    )


def unlock(made: Trade, manager: Address = MANAGER) -> Unlock:
    return Unlock(to=manager, data=b"unlock", trade=made)


def take(currency: Address, units: int) -> Call:
    return abi.take(MANAGER, currency, ME, units)


AB, BC, CA, BA = (
    trade("ab", A, 10, B, 20),
    trade("bc", B, 20, C, 30),
    trade("ca", C, 30, A, 11),
    trade("ba", B, 20, A, 10),
)
ELSEWHERE = Call(to=OTHER, data=b"elsewhere")


def test_one_trade_is_paid_out_and_then_paid() -> None:
    assert settled(MANAGER, ME, AB, ()) == [AB.call, take(B, 20), *payment(MANAGER, AB.sold)]


def test_a_payment_is_a_transfer_between_sync_and_settle() -> None:
    sync, settle = abi.sync(MANAGER, A), abi.settle(MANAGER)
    assert payment(MANAGER, Amount(A, 5)) == [sync, transfer(A, MANAGER, 5), settle]


def test_native_currency_comes_with_the_settlement() -> None:
    """`sync` all the same: somebody may have left a token there, and then a value is refused."""
    paid = payment(MANAGER, Amount(ZERO_ADDRESS, 5))
    assert paid == [abi.sync(MANAGER, ZERO_ADDRESS), abi.settle(MANAGER, 5)]
    assert [call.value_wei for call in paid] == [0, 5]


def test_calls_elsewhere_run_with_what_was_paid_out() -> None:
    pay = payment(MANAGER, AB.sold)
    assert settled(MANAGER, ME, AB, (ELSEWHERE,)) == [AB.call, take(B, 20), ELSEWHERE, *pay]


def test_what_the_next_trade_takes_in_stays() -> None:
    calls = settled(MANAGER, ME, AB, (unlock(BC), ELSEWHERE))
    assert calls == [AB.call, BC.call, take(C, 30), ELSEWHERE, *payment(MANAGER, AB.sold)]


def test_a_cycle_at_one_manager_pays_out_its_gain_alone() -> None:
    assert settled(MANAGER, ME, AB, (unlock(BC), unlock(CA))) == [AB.call, BC.call, CA.call, take(A, 1)]


def test_a_cycle_that_gains_nothing_moves_nothing() -> None:
    assert settled(MANAGER, ME, AB, (unlock(BA),)) == [AB.call, BA.call]


def test_a_later_trade_is_paid_at_once() -> None:
    calls = settled(MANAGER, ME, AB, (ELSEWHERE, unlock(CA)))
    assert calls == [
        AB.call,
        take(B, 20),
        ELSEWHERE,
        CA.call,
        take(A, 1),
        *payment(MANAGER, CA.sold),
    ]


def test_a_loss_is_paid_in_full() -> None:
    """The executor would revert, but what is owed is settled all the same."""
    less = trade("ba", B, 20, A, 9)
    pay = payment(MANAGER, AB.sold)
    assert settled(MANAGER, ME, AB, (unlock(less),)) == [AB.call, less.call, take(A, 9), *pay]


def test_another_amount_does_not_stay() -> None:
    more = trade("bc", B, 21, C, 30)
    calls = settled(MANAGER, ME, AB, (unlock(more),))
    assert calls == [
        AB.call,
        take(B, 20),
        more.call,
        take(C, 30),
        *payment(MANAGER, more.sold),
        *payment(MANAGER, AB.sold),
    ]


def test_another_manager_unlocks_for_itself() -> None:
    other = unlock(BC, OTHER)
    assert settled(MANAGER, ME, AB, (other,)) == [
        AB.call,
        take(B, 20),
        other,
        *payment(MANAGER, AB.sold),
    ]
