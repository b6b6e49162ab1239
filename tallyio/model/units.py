"""Units and identities that every layer shares.

Layer: model. Amounts are Python integers in a token's smallest unit; an address is 20 raw
bytes and a hash 32 raw bytes. Hex text exists at the edges only.
"""

from __future__ import annotations

from typing import NewType

from tallyio.model.hashing import keccak256

Address = NewType("Address", bytes)
"""20 raw bytes."""

Hash = NewType("Hash", bytes)
"""32 raw bytes."""

Wei = NewType("Wei", int)
"""1e-18 of a chain's native currency."""

ZERO_ADDRESS = Address(bytes(20))
ADDRESS_BYTES = 20
HASH_BYTES = 32


def address(text: str) -> Address:
    """Return the address written as `text` ("0x" and 40 hex digits, any case).

    Mixed-case text must carry the right EIP-55 checksum.
    Raises: ValueError: not an address, or its checksum is wrong.
    """
    raw = _fixed(text, ADDRESS_BYTES, "an address")
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and text != checksum(Address(raw)):
        raise ValueError(
            f"address {text!r} has a wrong EIP-55 checksum; it should read {checksum(Address(raw))}"
        )
    return Address(raw)


def block_hash(text: str) -> Hash:
    """Return the 32-byte hash written as `text`. Raises: ValueError: not 32 bytes of hex."""
    return Hash(_fixed(text, HASH_BYTES, "a hash"))


def checksum(value: Address) -> str:
    """Return `value` as EIP-55 text. Source: https://eips.ethereum.org/EIPS/eip-55."""
    digits = value.hex()
    nibbles = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit  # noqa: PLR2004 - the EIP's own 8
        for digit, nibble in zip(digits, nibbles, strict=False)
    )


def hex_text(value: bytes) -> str:
    """Return `value` as lower-case "0x…" text."""
    return "0x" + value.hex()


def _fixed(text: str, size: int, what: str) -> bytes:
    expected = f"{what} is '0x' and {2 * size} hex digits, not {text!r}"
    if len(text) != 2 + 2 * size or not text.startswith("0x"):
        raise ValueError(expected)
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise ValueError(expected) from None
