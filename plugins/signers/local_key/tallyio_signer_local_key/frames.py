"""The messages between the engine and the signer process.

Each is a JSON object after its length in four big-endian bytes. JSON, because amounts may pass 64 bits.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks.interfaces import Limits
from tallyio.model.execution import UnsignedTransaction
from tallyio.model.units import Address

LENGTH_BYTES: Final = 4
LARGEST: Final = 1 << 24
"""Bytes of one message: far above what the transactions of one block take."""


class Setup(msgspec.Struct, frozen=True, kw_only=True, tag="setup", forbid_unknown_fields=True):
    """The first message: which key, under which policy. The password itself never passes here."""

    keystore: str
    password_file: str
    limits: Limits


class Sign(msgspec.Struct, frozen=True, kw_only=True, tag="sign", forbid_unknown_fields=True):
    """Ask for signatures, in order."""

    transactions: tuple[UnsignedTransaction, ...]


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The answer to `Setup`."""

    account: Address


class Signed(msgspec.Struct, frozen=True, kw_only=True, tag="signed"):
    """The answer to `Sign`: r, s and the parity of y, 65 bytes each; who asked has the transactions."""

    signatures: tuple[bytes, ...]
    """Of all, or of those before the first that the policy forbids."""
    refused: str = ""
    """Why the next one was not signed, in words, and none after it; empty if all were."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The signer cannot work: wrong password, bad file, a second instance."""

    reason: str
    unsafe: bool = False


Request = Setup | Sign
Answer = Ready | Signed | Failed


def pack(message: Request | Answer) -> bytes:
    """Return `message` with its length in front."""
    body = msgspec.json.encode(message)
    return len(body).to_bytes(LENGTH_BYTES) + body


def body_length(prefix: bytes) -> int:
    """Return the length that follows `prefix`. Raises: ValueError: too long to be ours."""
    length = int.from_bytes(prefix)
    if length > LARGEST:
        raise ValueError(f"a message of {length} bytes is above the limit of {LARGEST}")
    return length
