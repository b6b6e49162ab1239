"""A market on disk: pools, rows and the block that they stand for.

Layer: market. Reading a hundred thousand pools from a node takes minutes; reading them from a file takes
seconds, and the blocks since are a matter of a back-fill. A file is written beside its place and put
there whole, so a crash leaves the old one. It carries a checksum, and says which protocols it holds.

    write(market, path)
    snapshot = read(path)
    market = Market(fused, snapshot.holdings(adapters), snapshot.head, void=snapshot.void)

| bytes | what |
|---|---|
| 8 | `TALLYMKT` |
| 8 | length of the header, little-endian |
| | header, JSON: parameters of pools are integers of any size, which MessagePack does not hold |
| | rows of all pools, in order |
| 32 | BLAKE2b of everything before |
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tallyio.market.shape import Compiled, Holding
from tallyio.model.errors import ConfigError, EnvironmentFault
from tallyio.model.market import PoolSpec
from tallyio.model.units import Hash

if TYPE_CHECKING:
    from tallyio.market.market import Head, Market

MAGIC: Final = b"TALLYMKT"
VERSION: Final = 2
_LENGTH_BYTES: Final = 8
_DIGEST_BYTES: Final = 32
_START: Final = len(MAGIC) + _LENGTH_BYTES


class SnapshotFault(EnvironmentFault):
    """A file that is no snapshot, not of this version, or damaged."""

    code = "snapshot"


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What one protocol has in a snapshot."""

    protocol: str
    pools: tuple[PoolSpec, ...]
    row_bytes: tuple[int, ...]


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot says before its rows."""

    version: int
    block_hash: bytes
    block_number: int
    held: tuple[Held, ...]
    void: tuple[int, ...]
    """Pool ids whose row waits for a fresh one."""


class Snapshot:
    """A snapshot that was read: `head`, and what `Market` is built from."""

    def __init__(self, header: Header, rows: memoryview) -> None:
        from tallyio.market.market import Head  # noqa: PLC0415 - the market imports this module

        self.head: Final[Head] = Head(Hash(header.block_hash), header.block_number)
        self.void: Final = header.void
        self._held = header.held
        self._rows = rows

    @property
    def protocols(self) -> tuple[str, ...]:
        """Names of the plugins whose pools it holds, in order."""
        return tuple(held.protocol for held in self._held)

    def holdings(self, plugins: Mapping[str, tuple[Compiled, tuple[bytes, ...]]]) -> list[Holding]:
        """Return the holdings for a market; `plugins` gives each protocol's compiled module and topics.

        Raises: ConfigError: a protocol is missing.
        """
        found, place = [], 0
        for held in self._held:
            if held.protocol not in plugins:
                raise ConfigError(
                    f"the snapshot holds {len(held.pools)} pools of {held.protocol!r}, which is not enabled",
                    way_out="enable it, or load the pools from the chain",
                )
            compiled, topics = plugins[held.protocol]
            rows = []
            for size in held.row_bytes:
                rows.append(bytes(self._rows[place : place + size]))
                place += size
            found.append(
                Holding(
                    protocol=held.protocol,
                    compiled=compiled,
                    topics=topics,
                    pools=held.pools,
                    rows=tuple(rows),
                )
            )
        return found


def write(market: Market, path: Path) -> None:
    """Write `market` to `path`. No lane may work on it meanwhile.

    Raises: OSError: the file cannot be written; what was there before still is.
    """
    rows = [market.row(pool) for pool in range(len(market.shape.pools))]
    header = msgspec.json.encode(
        Header(
            version=VERSION,
            block_hash=market.head.hash,
            block_number=market.head.number,
            held=tuple(_held(market, rows)),
            void=tuple(pool for pool in range(len(rows)) if not market.is_enabled(pool)),
        )
    )
    parts = [MAGIC, len(header).to_bytes(_LENGTH_BYTES, "little"), header, *rows]
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".new")
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                digest.update(part)
                file.write(part)
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def read(path: Path) -> Snapshot:
    """Read a snapshot. Raises: OSError; SnapshotFault: it is none, of another version, or damaged."""
    raw = path.read_bytes()
    way_out = "delete it; the pools are then loaded from the chain"
    if raw[: len(MAGIC)] != MAGIC:
        raise SnapshotFault(f"{path} is no snapshot of a market", way_out=way_out)
    body, digest = raw[:-_DIGEST_BYTES], raw[-_DIGEST_BYTES:]
    if hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() != digest:
        raise SnapshotFault(f"{path} is damaged: its checksum does not match", way_out=way_out)
    end = _START + int.from_bytes(raw[len(MAGIC) : _START], "little")
    try:
        header = msgspec.json.decode(body[_START:end], type=Header)
    except msgspec.DecodeError as error:
        raise SnapshotFault(f"{path} has an unknown header: {error}", way_out=way_out) from None
    if header.version != VERSION:
        raise SnapshotFault(
            f"{path} is of version {header.version}, and this is version {VERSION}", way_out=way_out
        )
    return Snapshot(header, memoryview(body)[end:])


def _held(market: Market, rows: list[bytes]) -> Iterator[Held]:
    place = 0
    for holding in market.shape.holdings:
        end = place + len(holding.pools)
        sizes = tuple(len(row) for row in rows[place:end])
        yield Held(protocol=holding.protocol, pools=holding.pools, row_bytes=sizes)
        place = end
