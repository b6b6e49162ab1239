"""The next base fee, as EIP-1559 writes it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tallyio_chain_evm.fees import fees_after, next_base_fee
from tallyio_chain_evm.settings import EvmSettings

from tallyio.model.chain import Head
from tallyio.model.units import Hash, Wei

BASE_FEE_MAX_CHANGE_DENOMINATOR = 8
ELASTICITY_MULTIPLIER = 2


def head(*, fee: int, used: int, limit: int) -> Head:
    return Head(
        number=1,
        hash=Hash(bytes(32)),
        parent_hash=Hash(bytes(32)),
        timestamp=0,
        base_fee_wei=Wei(fee),
        gas_used=used,
        gas_limit=limit,
        logs_bloom=b"",
    )


def eip_1559(parent_base_fee_per_gas: int, parent_gas_used: int, parent_gas_limit: int) -> int:
    """The pseudocode of the EIP, line by line."""
    parent_gas_target = parent_gas_limit // ELASTICITY_MULTIPLIER
    if parent_gas_used == parent_gas_target:
        return parent_base_fee_per_gas
    if parent_gas_used > parent_gas_target:
        gas_used_delta = parent_gas_used - parent_gas_target
        return parent_base_fee_per_gas + max(
            parent_base_fee_per_gas * gas_used_delta // parent_gas_target // BASE_FEE_MAX_CHANGE_DENOMINATOR,
            1,
        )
    gas_used_delta = parent_gas_target - parent_gas_used
    return parent_base_fee_per_gas - (
        parent_base_fee_per_gas * gas_used_delta // parent_gas_target // BASE_FEE_MAX_CHANGE_DENOMINATOR
    )


@given(
    st.integers(0, 10**13),
    st.integers(10_000, 10**9).flatmap(lambda g: st.tuples(st.integers(0, g), st.just(g))),
)
def test_the_next_base_fee_equals_the_eip(fee: int, gas: tuple[int, int]) -> None:
    used, limit = gas
    parent = head(fee=fee, used=used, limit=limit)
    assert next_base_fee(parent, elasticity=2, denominator=8) == eip_1559(fee, used, limit)


def test_above_the_target_the_fee_grows_by_at_least_one() -> None:
    parent = head(fee=7, used=15_000_001, limit=30_000_000)
    assert next_base_fee(parent, elasticity=2, denominator=8) == 8


def test_a_block_without_gas_limit_keeps_its_fee() -> None:
    assert next_base_fee(head(fee=7, used=0, limit=0), elasticity=2, denominator=8) == 7


def test_a_chain_may_have_its_own_parameters() -> None:
    settings = EvmSettings(
        url="ws://localhost:1",
        chain_id=10,
        elasticity=6,
        base_fee_denominator=250,
        min_base_fee_wei=100,
        priority_fee_wei=5,
    )
    fees = fees_after(head(fee=10**9, used=60_000_000, limit=60_000_000), settings)
    assert fees.base_fee_wei == 10**9 + 10**9 * 50_000_000 // 10_000_000 // 250
    assert fees.priority_fee_wei == 5
    assert fees_after(head(fee=1, used=0, limit=60_000_000), settings).base_fee_wei == 100
