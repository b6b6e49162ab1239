"""ABI words: how contracts write integers, addresses and bytes in calls and answers.

Layer: model. A head of words of 32 bytes, big-endian; what has no fixed size lies behind it, and its
word in the head says where. For the few plain types that pools and tokens use, this is all.
Source: https://docs.soliditylang.org/en/latest/abi-spec.html.
"""

from __future__ import annotations

from typing import Final

from tallyio.model.errors import ChainError
from tallyio.model.units import ADDRESS_BYTES, Address, checksum

WORD: Final = 32


def word(value: int) -> bytes:
    """Return `value` as one word, in two's complement if negative. Raises: OverflowError: it does not fit."""
    return value.to_bytes(WORD, signed=value < 0)


def address_word(value: Address) -> bytes:
    """Return an address as one word."""
    return value.rjust(WORD, b"\0")


def bytes_words(data: bytes) -> bytes:
    """Return what stands behind the head for an argument of type `bytes`: length, data, zeros to a word."""
    return word(len(data)) + data + bytes(-len(data) % WORD)


def unsigned(data: bytes, index: int) -> int:
    """Return word `index` of `data` as an unsigned integer."""
    return int.from_bytes(_at(data, index))


def signed(data: bytes, index: int) -> int:
    """Return word `index` of `data` as a signed integer."""
    return int.from_bytes(_at(data, index), signed=True)


def address_at(data: bytes, index: int) -> Address:
    """Return word `index` of `data` as an address."""
    return Address(_at(data, index)[-ADDRESS_BYTES:])


def require_words(answer: bytes | None, count: int, *, contract: Address, kind: str, way_out: str) -> bytes:
    """Return the `answer` of a call if it has at least `count` words.

    Raises: ChainError: `contract` does not answer as `kind`, such as "an ERC-20 token", does.
    """
    if answer is None or len(answer) < count * WORD:
        raise ChainError(
            f"contract {checksum(contract)} does not answer as {kind} does",
            way_out=way_out,
        )
    return answer


def _at(data: bytes, index: int) -> bytes:
    return data[index * WORD : (index + 1) * WORD]
