"""The compiled executor, as committed beside its source.

Layer: engine.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from tallyio.model.units import ADDRESS_BYTES, Address
from tallyio.model.words import address_word

SOURCE = Path(__file__).with_name("Executor.vy")
ARTIFACT = Path(__file__).with_name("Executor.json")


class ExecutorArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """What the compiler made of the source."""

    compiler: str
    """Name and version."""
    source_sha256: str
    abi: tuple[dict[str, Any], ...]
    bytecode: str
    """Creation code as hex text, without constructor arguments."""


@cache
def artifact() -> ExecutorArtifact:
    """Return the committed artifact."""
    return msgspec.json.decode(ARTIFACT.read_bytes(), type=ExecutorArtifact)


def deployment(owner: Address) -> bytes:
    """Return the creation code of an executor that obeys `owner` alone."""
    if len(owner) != ADDRESS_BYTES:
        raise ValueError(f"owner is {len(owner)} bytes, not {ADDRESS_BYTES}")
    return bytes.fromhex(artifact().bytecode) + address_word(owner)
