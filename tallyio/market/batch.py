"""The logs of a block, packed into bytes that compiled code walks.

Layer: market. Each log of a known pool with a known event becomes one record, in order: a `LOG`
header, the topics after topic 0 (always `TOPIC_SLOTS` of 32 bytes, absent ones zero, so that
`apply_log` may read any of them), then the data, zero-padded to a multiple of 8 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec
import numpy as np

from tallyio.market.shape import Holding, Shape
from tallyio.model.chain import Log

LOG: Final = np.dtype(
    [
        ("pool", "i8"),
        ("event", "i8"),
        ("data_bytes", "i8"),
        ("size", "i8"),  # bytes of the whole record, this header included
        ("changes", "i8"),  # how many bytes from the row's start the event may change; 0 = all
    ]
)
"""Header of one packed log."""

TOPIC_BYTES: Final = 32
TOPIC_SLOTS: Final = 3
_TOPICS_SIZE: Final = TOPIC_SLOTS * TOPIC_BYTES
DATA_OFFSET: Final = LOG.itemsize + _TOPICS_SIZE
_HEADER: Final = struct.Struct("<5q")


class Event(NamedTuple):
    """One event of a protocol."""

    number: int
    changes: int
    """How many bytes from the row's start it may change; 0 means all."""


class Route(NamedTuple):
    """Where a log goes."""

    pool: int
    events: Mapping[bytes, Event]
    """By topic 0."""


Routes = Mapping[bytes, tuple[Route, ...]]
"""By the emitting contract's address, and by the address followed by topic 1 where that decides."""


class Batch(msgspec.Struct, frozen=True):
    """Packed logs."""

    data: bytes
    count: int


def routes(shape: Shape) -> Routes:
    """Return where the logs of all pools of `shape` belong."""
    events = [_events(holding) for holding in shape.holdings]
    found: dict[bytes, tuple[Route, ...]] = {}
    for number, (kind, pool) in enumerate(zip(shape.kinds, shape.pools, strict=True)):
        route = Route(number, events[kind])
        for source in pool.sources:
            key = source.address + source.topic1
            found[key] = (*found.get(key, ()), route)
    return found


def pack_logs(logs: Iterable[Log], known: Routes) -> Batch:
    """Return the records of those `logs` that `known` routes, in their order; others change no row."""
    parts = [
        _record(log, route.pool, event)
        for log in logs
        for route in _routed(log, known)
        if (event := route.events.get(log.topics[0])) is not None
    ]
    return Batch(b"".join(parts), len(parts))


def _events(holding: Holding) -> dict[bytes, Event]:
    changes = holding.compiled.event_bytes
    return {
        topic: Event(number, changes[number] if number < len(changes) else 0)
        for number, topic in enumerate(holding.topics)
    }


def _routed(log: Log, known: Routes) -> Iterator[Route]:
    if log.topics:
        yield from known.get(log.address, ())
    if len(log.topics) > 1:
        yield from known.get(log.address + log.topics[1], ())


def _record(log: Log, pool: int, event: Event) -> bytes:
    data = log.data
    padding = -len(data) % 8
    # Exactly so many bytes whatever the node said: compiled code believes the layout.
    topics = b"".join(log.topics[1:])[:_TOPICS_SIZE].ljust(_TOPICS_SIZE, b"\0")
    size = DATA_OFFSET + len(data) + padding
    header = _HEADER.pack(pool, event.number, len(data), size, event.changes)
    return b"".join((header, topics, data, bytes(padding)))
