"""Exact output: a plugin's own, and the search that stands in for it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tallyio.market.fusion import Fused, fuse
from tallyio.market.inverse import least_input_reference
from tallyio.market.market import Market
from tests.market import toys

Toy = tuple[Fused, toys.Compiled]

AMOUNT: Final = 10**9

OPTIONAL: Final = """
from tallyio.market.abi import ADVANCE_SIGNATURE, LOG_APPLIED, QUOTE_EXACT_OUT_SIGNATURE
from tallyio.native.atomics import store

@hot(QUOTE_EXACT_OUT_SIGNATURE)
def quote_exact_out(row, i, j, amount_out):
    return amount_out + THOUSAND

@hot(ADVANCE_SIGNATURE)
def advance(row, timestamp):
    store(row, 5, timestamp)
    return LOG_APPLIED
"""


def test_a_plugin_may_bring_its_own_exact_output(tmp_path: Path) -> None:
    own = toys.Compiled(toys.write_module(tmp_path, toys.SOURCE.replace("{bonus}", "0") + OPTIONAL))
    fused = fuse([("own", own), ("plain", toys.toy(tmp_path))])
    assert fused.function("quote_exact_out").py_func.__name__ == "quote_exact_out"
    row = toys.row(10**12, 10**12)
    held = [
        toys.holding(own, [toys.pool(0, 1, 2)], [row], "own"),
        toys.holding(toys.Compiled(own.module), [toys.pool(1, 1, 2)], [row], "plain"),
    ]
    with Market(fused, held, toys.GENESIS) as market:
        assert market.quote_exact_out(0, 0, 1, AMOUNT) == AMOUNT + 1000
        needed = market.quote_exact_out(1, 0, 1, AMOUNT)
        assert market.quote(1, 0, 1, needed) >= AMOUNT > market.quote(1, 0, 1, needed - 1)


@pytest.mark.parametrize("largest", [0, 1, 2, 1000, 2**100 + 17])
def test_the_least_input_is_found_below_the_largest_that_a_pool_takes(largest: int) -> None:
    def quote(amount_in: int) -> int:
        return amount_in * 7 // 9 if amount_in <= largest else 0

    for wanted in {1, 2, quote(largest) - 1, quote(largest), quote(largest) + 1, 10**40}:
        found = least_input_reference(quote, wanted) if wanted > 0 else 0
        if 0 < wanted <= quote(largest):
            assert quote(found) >= wanted > quote(found - 1)
        else:
            assert found == 0


amounts = st.integers(1, 2**112 - 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(reserve0=10**12, reserve1=10**12, wanted=0)
@example(reserve0=1, reserve1=2, wanted=1)
@given(amounts, amounts, st.integers(0, 2**113))
def test_the_compiled_search_equals_its_reference(
    toy: Toy, reserve0: int, reserve1: int, wanted: int
) -> None:
    with toys.market(*toy, [toys.pool(0, 1, 2)], [toys.row(reserve0, reserve1)]) as market:
        expected = least_input_reference(lambda amount: market.quote(0, 0, 1, amount), wanted)
        assert market.quote_exact_out(0, 0, 1, wanted) == expected
