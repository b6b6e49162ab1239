"""Words are what an independent encoder of the ABI writes and reads."""

from __future__ import annotations

import pytest
from eth_abi.abi import decode, encode
from hypothesis import given
from hypothesis import strategies as st

from tallyio.model import words
from tallyio.model.errors import ChainError
from tallyio.model.units import Address, hex_text

ADDRESSES = st.binary(min_size=20, max_size=20).map(Address)
INTEGERS = st.integers(-(2**255), 2**256 - 1)


@given(INTEGERS, ADDRESSES, st.binary(max_size=100))
def test_a_call_is_written_as_the_abi_says(value: int, account: Address, data: bytes) -> None:
    integer = "int256" if value < 0 else "uint256"
    written = words.word(value) + words.address_word(account) + words.word(3 * words.WORD)
    expected = encode([integer, "address", "bytes"], [value, hex_text(account), data])
    assert written + words.bytes_words(data) == expected


@given(st.integers(-(2**255), 2**255 - 1), st.integers(0, 2**256 - 1), ADDRESSES)
def test_an_answer_is_read_as_the_abi_says(signed: int, unsigned: int, account: Address) -> None:
    answer = encode(["int256", "uint256", "address"], [signed, unsigned, hex_text(account)])
    read = (words.signed(answer, 0), words.unsigned(answer, 1), words.address_at(answer, 2))
    assert read == (signed, unsigned, account)
    assert decode(["int256", "uint256", "address"], answer) == (*read[:2], hex_text(account))


@pytest.mark.parametrize("value", [2**256, -(2**255) - 1])
def test_an_integer_that_does_not_fit_is_no_word(value: int) -> None:
    with pytest.raises(OverflowError):
        words.word(value)


def test_an_answer_that_is_long_enough_is_itself() -> None:
    answer = bytes(64)
    said = words.require_words(answer, 2, contract=Address(bytes(20)), kind="a pool", way_out="none")
    assert said is answer


@pytest.mark.parametrize("answer", [None, b"", bytes(63)])
def test_an_answer_that_is_missing_or_short_names_the_contract(answer: bytes | None) -> None:
    contract = Address(bytes(19) + b"\1")
    with pytest.raises(ChainError, match=r"contract 0x0+1 does not answer as a pool does; look there"):
        words.require_words(answer, 2, contract=contract, kind="a pool", way_out="look there")
