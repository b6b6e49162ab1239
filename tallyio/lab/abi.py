"""Contract arguments and results as bytes, by eth-abi.

Layer: lab. Source of the encoding: https://docs.soliditylang.org/en/latest/abi-spec.html. eth-abi takes a
quarter of a second to import: who encodes waits for it, and nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def encode(types: Iterable[str], values: Iterable[Any]) -> bytes:
    """Return `values` of `types` as a contract takes them. Raises: eth-abi's errors, of what does not fit."""
    from eth_abi.abi import encode as eth_encode  # noqa: PLC0415 - see above

    return eth_encode(tuple(types), tuple(values))


def decode(types: Iterable[str], data: bytes) -> tuple[Any, ...]:
    """Return the values of `types` in `data`. Raises: eth-abi's errors, of what does not fit."""
    from eth_abi.abi import decode as eth_decode  # noqa: PLC0415 - see above

    return eth_decode(tuple(types), data)
