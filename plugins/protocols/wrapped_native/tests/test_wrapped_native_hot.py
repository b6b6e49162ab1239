"""The compiled functions against the reference, and both against their promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallyio_protocol_wrapped_native import hot, reference
from tallyio_protocol_wrapped_native.layout import MOST, ROW_BYTES, pack_row

from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.market.abi import LOG_RELOAD
from tallyio.model.errors import ConfigError
from tallyio.native.jit import warm_all
from tallyio.native.memory import Region

AMOUNT = st.one_of(
    st.integers(0, 2**256 - 1),
    st.integers(0, 2**97),
    st.integers(0, 256).map(lambda bits: min(1 << bits, 2**256 - 1)),
    st.integers(MOST - 2, MOST + 2),
)
GAS = (34_000, 20_000)


@pytest.fixture(scope="module")
def row() -> Iterator[int]:
    warm_all([hot.quote, hot.quote_exact_out, hot.curve, hot.gas, hot.apply_log])
    with Region(ROW_BYTES) as memory:
        memory.view("u1", ROW_BYTES)[:] = bytearray(pack_row(gas=GAS))
        yield memory.address


@given(i=st.integers(0, 1), amount=AMOUNT)
def test_quotes_equal_the_reference(row: int, i: int, amount: int) -> None:
    assert hot.quote(row, i, 1 - i, amount) == reference.quote(amount)
    assert hot.quote_exact_out(row, i, 1 - i, amount) == reference.quote_exact_out(amount)


@given(amount=st.floats(0, 1e30))
def test_the_curve_is_the_diagonal_up_to_the_largest_amount(row: int, amount: float) -> None:
    expected = (amount, 1.0) if amount <= float(MOST) else (0.0, 0.0)
    assert hot.curve(row, 0, 1, amount) == hot.curve(row, 1, 0, amount) == expected


@pytest.mark.parametrize("amount", [-1.0, float("nan"), float("inf")])
def test_no_amount_at_all_has_no_curve(row: int, amount: float) -> None:
    assert hot.curve(row, 0, 1, amount) == (0.0, 0.0)


@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 1), (0, 2), (2, 0), (-1, 0), (2, 3)])
def test_a_direction_that_is_none_pays_nothing(row: int, i: int, j: int) -> None:
    assert hot.quote(row, i, j, 1000) == hot.quote_exact_out(row, i, j, 1000) == hot.gas(row, i, j, 1000) == 0
    assert hot.curve(row, i, j, 1000.0) == (0.0, 0.0)


def test_gas_is_what_the_row_says_of_the_direction(row: int) -> None:
    assert (hot.gas(row, 0, 1, 5), hot.gas(row, 1, 0, 5)) == GAS


def test_an_event_asks_for_a_reload_since_none_is_expected(row: int) -> None:
    assert hot.apply_log(row, 0, 0, 0, 0) == LOG_RELOAD


def test_negative_gas_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        pack_row(gas=(1, -1))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "token"),
        ({"token": "WETH"}, r"\[protocols.wrapped_native.token\]"),
        ({"token": "0x" + "00" * 20}, "is the zero address, which means native currency itself"),
        ({"token": "0x" + "11" * 20, "gas_unwrap": -1}, "has a negative gas"),
        ({"token": "0x" + "11" * 20, "gas": 1}, r"unknown key 'gas'"),
    ],
)
def test_a_wrong_table_is_refused_by_key(table: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PluginHost(Catalog.scan()).protocol("wrapped_native", table)
