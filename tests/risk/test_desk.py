"""The last word before a signature."""

from __future__ import annotations

import pytest

from tallyio.model.units import Hash, Wei
from tallyio.risk.desk import RiskDesk, RiskLimits

LIMITS = RiskLimits(
    max_pending=2,
    max_gas=500_000,
    max_fee_wei=Wei(100),
    max_gas_spend_wei=Wei(1_000),
    max_reverts=3,
    min_net_wei=10,
)


def ask(desk: RiskDesk, *, net: float = 50, fee: int = 50, pending: int = 0) -> str | None:
    return desk.refuse(net_wei=net, base_fee_wei=Wei(fee), pending=pending)


def transaction(number: int) -> Hash:
    return Hash(number.to_bytes(32))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pending": 2}, "2 transactions are under way, the limit is 2"),
        ({"fee": 101}, "base fee 101 wei is above max_fee 100 wei"),
        ({"net": 9}, "net 9 wei is below min_net_wei 10"),
    ],
)
def test_each_limit_refuses_in_words(change: dict[str, int], says: str) -> None:
    assert ask(RiskDesk(LIMITS)) is None
    assert ask(RiskDesk(LIMITS), **change) == says


def test_gas_above_the_limit_is_refused() -> None:
    desk = RiskDesk(LIMITS)
    assert desk.refuse_gas(500_000) is None
    assert desk.refuse_gas(500_001) == "gas limit 500001 is above max_gas 500000"


def test_reverts_in_a_row_halt_and_a_success_between_them_does_not() -> None:
    desk = RiskDesk(LIMITS)
    for number, success in enumerate((False, False, True, False, False)):
        desk.landed(transaction(number), success=success, gas_cost_wei=1)
    assert ask(desk) is None
    desk.landed(transaction(5), success=False, gas_cost_wei=1)
    assert desk.halted == "3 transactions in a row reverted on the chain"
    assert ask(desk) == "trading is halted: 3 transactions in a row reverted on the chain"


def test_the_gas_budget_counts_only_what_was_burnt() -> None:
    desk = RiskDesk(LIMITS)
    desk.landed(transaction(1), success=True, gas_cost_wei=10**9)
    assert desk.halted is None
    desk.landed(transaction(2), success=False, gas_cost_wei=1_001)
    assert "burnt 1001 wei" in str(desk.halted)


def test_a_revert_that_is_taken_back_counts_nothing() -> None:
    desk = RiskDesk(LIMITS)
    for number in range(10):
        desk.landed(transaction(number), success=False, gas_cost_wei=600)
        desk.take_back(transaction(number))
    assert desk.halted is None


def test_a_success_that_is_taken_back_ends_no_row_of_reverts() -> None:
    desk = RiskDesk(LIMITS)
    for number, success in enumerate((False, False, True)):
        desk.landed(transaction(number), success=success, gas_cost_wei=1)
    desk.take_back(transaction(2))
    desk.landed(transaction(2), success=False, gas_cost_wei=1)
    assert desk.halted == "3 transactions in a row reverted on the chain"


def test_what_the_desk_was_not_told_of_may_be_taken_back() -> None:
    desk = RiskDesk(LIMITS)
    desk.take_back(transaction(1))
    assert desk.halted is None


def test_the_first_reason_of_a_halt_stays() -> None:
    desk = RiskDesk(LIMITS)
    desk.halt("first")
    desk.halt("second")
    assert desk.halted == "first"
