"""Names and decimals of tokens, for people. Nothing is decided by them.

Layer: engine. A token may answer anything: names are cleaned, and a token that answers nothing
useful is shown by its address.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.market import Token
from tallyio.model.units import Address, Hash, checksum

_SYMBOL: Final = selector("symbol()")
_DECIMALS: Final = selector("decimals()")
_WORD: Final = 32
_LONGEST: Final = 12
_MOST_DECIMALS: Final = 77
"""10**77 is the last power of ten below 2**256."""


async def read_tokens(
    chain: ChainReader, addresses: Sequence[Address], *, block: Hash
) -> dict[Address, Token]:
    """Return the display record of each token, as of `block`."""
    calls = [Call(to=each, data=data) for each in addresses for data in (_SYMBOL, _DECIMALS)]
    answers = await chain.call(calls, block=block)
    return {
        each: Token(
            address=each,
            symbol=clean_symbol(answers[2 * index]) or short(each),
            decimals=clean_decimals(answers[2 * index + 1]),
        )
        for index, each in enumerate(addresses)
    }


def clean_symbol(answer: bytes | None) -> str:
    """Return a printable symbol of at most 12 characters, or nothing.

    Accepts what contracts in use return: an ABI string, or bytes32 padded with zeros.
    """
    if answer is None or len(answer) < _WORD:
        return ""
    raw = answer[:_WORD]
    if int.from_bytes(raw) == _WORD and len(answer) >= 2 * _WORD:
        length = int.from_bytes(answer[_WORD : 2 * _WORD])
        raw = answer[2 * _WORD : 2 * _WORD + min(length, 4 * _LONGEST)]
    text = raw.rstrip(b"\0").decode("utf-8", errors="ignore")
    return "".join(char for char in text if char.isascii() and char.isprintable())[:_LONGEST].strip()


def clean_decimals(answer: bytes | None) -> int:
    """Return the token's decimals, or 0 where it says nothing sensible: then amounts show in units."""
    if answer is None or len(answer) < _WORD:
        return 0
    value = int.from_bytes(answer[:_WORD])
    return value if value <= _MOST_DECIMALS else 0


def short(value: Address) -> str:
    """Return an address short enough for a line of text."""
    text = checksum(value)
    return f"{text[:6]}…{text[-4:]}"


def decimal_text(amount: int, decimals: int) -> str:
    """Return `amount` smallest units as an exact decimal number, e.g. (1500000, 6) -> "1.5"."""
    sign = "-" if amount < 0 else ""
    digits = str(abs(amount)).rjust(decimals + 1, "0")
    whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :].rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
