"""The logs of a block, packed into bytes that compiled code walks.

Layer: market. Each log of a known pool with a known event becomes one record, in order: a `LOG`
header, the topics after topic 0 (always `TOPIC_SLOTS` of 32 bytes, absent ones zero, so that
`apply_log` may read any of them), then the data, zero-padded to a multiple of 8 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import numpy as np

from tallyio.market.shape import Shape
from tallyio.model.chain import Log
from tallyio.model.units import Address

LOG: Final = np.dtype(
    [
        ("pool", "i8"),
        ("event", "i8"),
        ("data_bytes", "i8"),
        ("size", "i8"),  # bytes of the whole record, this header included
    ]
)
"""Header of one packed log."""

TOPIC_BYTES: Final = 32
TOPIC_SLOTS: Final = 3
_TOPICS_SIZE: Final = TOPIC_SLOTS * TOPIC_BYTES
DATA_OFFSET: Final = LOG.itemsize + _TOPICS_SIZE
_HEADER: Final = struct.Struct("<4q")

Routes = Mapping[Address, tuple[int, Mapping[bytes, int]]]
"""Per pool address its pool id, and the event number by topic 0."""


class Batch(msgspec.Struct, frozen=True):
    """Packed logs."""

    data: bytes
    count: int


def routes(shape: Shape) -> Routes:
    """Return where the logs of each pool of `shape` belong."""
    events = [{topic: number for number, topic in enumerate(held.topics)} for held in shape.holdings]
    return {address: (pool, events[shape.kinds[pool]]) for address, pool in shape.pool_ids.items()}


def pack_logs(logs: Iterable[Log], known: Routes) -> Batch:
    """Return the records of those `logs` that `known` routes, in their order; others change no row."""
    parts: list[bytes] = []
    count = 0
    for log in logs:
        route = known.get(log.address)
        if route is None or not log.topics:
            continue
        event = route[1].get(log.topics[0])
        if event is not None:
            parts.append(_record(log, route[0], event))
            count += 1
    return Batch(b"".join(parts), count)


def _record(log: Log, pool: int, event: int) -> bytes:
    data = log.data
    padding = -len(data) % 8
    # Exactly so many bytes whatever the node said: compiled code believes the layout.
    topics = b"".join(log.topics[1:])[:_TOPICS_SIZE].ljust(_TOPICS_SIZE, b"\0")
    header = _HEADER.pack(pool, event, len(data), DATA_OFFSET + len(data) + padding)
    return b"".join((header, topics, data, bytes(padding)))
