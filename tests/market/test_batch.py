"""Packed logs."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tallyio.market.batch import DATA_OFFSET, LOG, TOPIC_SLOTS, pack_logs, routes
from tallyio.market.shape import Shape
from tallyio.model.chain import Log
from tests.market import toys

POOLS: Final = (toys.pool(0, 1, 2), toys.pool(1, 2, 3))
ROUTES: Final = routes(Shape([toys.holding(toys.Compiled("nowhere"), POOLS, [toys.row(1, 1)] * len(POOLS))]))

word = st.binary(min_size=32, max_size=32)
log = st.builds(
    lambda pool, event, topics, data: msgspec.structs.replace(
        toys.event_log(pool, event), topics=(toys.TOPICS[event], *topics), data=data
    ),
    st.sampled_from(POOLS),
    st.integers(0, 2),
    st.lists(word, max_size=5),
    st.binary(max_size=300),
)


def unpack(data: bytes) -> list[tuple[int, int, bytes, bytes]]:
    """Walk the records as compiled code does."""
    found, at = [], 0
    while at < len(data):
        header = np.frombuffer(data, LOG, 1, at)[0]
        body = data[at + LOG.itemsize : at + int(header["size"])]
        topics, rest = body[: DATA_OFFSET - LOG.itemsize], body[DATA_OFFSET - LOG.itemsize :]
        found.append((int(header["pool"]), int(header["event"]), topics, rest[: int(header["data_bytes"])]))
        assert at % 8 == 0
        at += int(header["size"])
    assert at == len(data)
    return found


@given(st.lists(log, max_size=6))
def test_packed_logs_are_read_back_whatever_their_topics_and_data(logs: list[Log]) -> None:
    """Even a fifth topic, which no chain has, leaves the layout as it is."""
    batch = pack_logs(logs, ROUTES)
    size = 32 * TOPIC_SLOTS
    expected = [
        (
            ROUTES[each.address][0].pool,
            toys.TOPICS.index(each.topics[0]),
            b"".join(each.topics[1:])[:size].ljust(size, b"\0"),
            each.data,
        )
        for each in logs
    ]
    assert unpack(batch.data) == expected
    assert batch.count == len(logs)


def test_logs_of_others_and_unknown_events_are_left_out() -> None:
    known = toys.event_log(POOLS[1], 1)
    others = [
        toys.event_log(toys.pool(7, 1, 2), 0),
        msgspec.structs.replace(known, topics=()),
        msgspec.structs.replace(known, topics=(bytes(32),)),
    ]
    assert pack_logs([*others, known], ROUTES) == pack_logs([known], ROUTES)
