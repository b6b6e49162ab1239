"""The policy, decided on the transaction itself."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallyio_signer_local_key.policy import refusal

from tallyio.hooks.interfaces import Limits
from tallyio.model.execution import UnsignedTransaction
from tallyio.model.units import Address, Wei

LIMITS = Limits(
    chain_id=31337,
    executor=Address(b"\x11" * 20),
    selectors=(b"\x01\x02\x03\x04",),
    max_value_wei=Wei(5),
    max_fee_wei=Wei(1_000),
    max_gas=100_000,
)
GOOD = UnsignedTransaction(
    chain_id=31337,
    nonce=0,
    max_priority_fee_wei=Wei(1),
    max_fee_wei=Wei(1_000),
    gas_limit=100_000,
    to=LIMITS.executor,
    value_wei=Wei(5),
    data=b"\x01\x02\x03\x04rest",
)


def test_a_transaction_within_the_policy_passes() -> None:
    assert refusal(LIMITS, GOOD) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"chain_id": 1}, "chain id 1 is not 31337"),
        ({"to": Address(bytes(20))}, "is not the executor"),
        ({"data": b""}, "function 0x is not on the list"),
        ({"data": b"\x01\x02\x03"}, "function 0x010203 is not on the list"),
        ({"data": b"\x09\x5e\xa7\xb3" + bytes(64)}, "function 0x095ea7b3 is not on the list"),
        ({"value_wei": Wei(6)}, "value 6 wei is above 5"),
        ({"value_wei": Wei(-1)}, "value -1 wei"),
        ({"max_fee_wei": Wei(1_001)}, "max fee 1001"),
        ({"max_priority_fee_wei": Wei(1_001)}, "priority fee is above"),
        ({"gas_limit": 100_001}, "gas 100001 is above 100000"),
        ({"gas_limit": 0}, "gas 0"),
        ({"nonce": -1}, "nonce -1 is negative"),
    ],
)
def test_each_rule_refuses_in_words(change: dict[str, object], says: str) -> None:
    assert says in str(refusal(LIMITS, msgspec.structs.replace(GOOD, **change)))


amounts = st.integers(min_value=-1, max_value=2_000)


@given(st.binary(max_size=8), st.binary(min_size=20, max_size=20), amounts, amounts, amounts)
def test_nothing_outside_the_policy_passes(
    data: bytes, target: bytes, value: int, fee: int, tip: int
) -> None:
    asked = msgspec.structs.replace(
        GOOD,
        data=data,
        to=Address(target),
        value_wei=Wei(value),
        max_fee_wei=Wei(fee),
        max_priority_fee_wei=Wei(tip),
    )
    inside = (
        target == LIMITS.executor
        and data[:4] == b"\x01\x02\x03\x04"
        and 0 <= value <= 5
        and 0 <= fee <= 1_000
        and 0 <= tip <= fee
    )
    assert (refusal(LIMITS, asked) is None) == inside
