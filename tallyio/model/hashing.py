"""Keccak-256 as Ethereum uses it (`hashlib.sha3_256` is a different function).

Layer: model.
"""

from __future__ import annotations

from sha3 import keccak_256


def keccak256(data: bytes) -> bytes:
    """Return the 32-byte Keccak-256 digest of `data`."""
    digest: bytes = keccak_256(data).digest()
    return digest


def selector(signature: str) -> bytes:
    """Return the 4-byte function selector of a canonical `signature`, e.g. "transfer(address,uint256)"."""
    return keccak256(signature.encode())[:4]


def event_topic(signature: str) -> bytes:
    """Return the 32-byte topic 0 of a canonical event `signature`."""
    return keccak256(signature.encode())
