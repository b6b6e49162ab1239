"""Tokens say what they like; people see something sensible."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from tallyio.engine.tokens import clean_decimals, clean_symbol, decimal_text


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (encode(["string"], ["WETH"]), "WETH"),
        (b"MKR".ljust(32, b"\0"), "MKR"),
        (None, ""),
        (b"", ""),
        (encode(["string"], ["A" * 500]), "A" * 12),
        (encode(["string"], ["US\u202eDC\n"]), "USDC"),
        ((32).to_bytes(32) + (2**255).to_bytes(32), ""),
    ],
)
def test_symbols_are_cleaned(answer: bytes | None, shown: str) -> None:
    assert clean_symbol(answer) == shown


@given(st.binary(max_size=200))
def test_no_answer_breaks_the_display(answer: bytes) -> None:
    assert len(clean_symbol(answer)) <= 12
    assert 0 <= clean_decimals(answer) <= 77


@pytest.mark.parametrize(
    ("units", "decimals", "text"),
    [(0, 18, "0"), (1, 18, "0.000000000000000001"), (1_500_000, 6, "1.5"), (-25, 1, "-2.5"), (7, 0, "7")],
)
def test_amounts_are_exact_decimal_text(units: int, decimals: int, text: str) -> None:
    assert decimal_text(units, decimals) == text
