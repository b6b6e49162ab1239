"""The real Balancer as a chain, and rows that follow it as the market lets them."""

from __future__ import annotations

from collections.abc import Sequence

from tallyio_protocol_balancer import hot
from tallyio_protocol_balancer.adapter import Balancer
from tallyio_protocol_balancer.layout import (
    AMP,
    AMP_START,
    CLOCK,
    HEAD_BYTES,
    INVARIANT,
    LIVE_RATE,
    TOKEN_BYTES,
)

from tallyio.lab.revm import RevmBackend
from tallyio.lab.steps import BLOCK_SECONDS
from tallyio.lab.world import CHAIN_ID
from tallyio.market.abi import LOG_IGNORED
from tallyio.model.chain import Block
from tallyio.model.market import PoolSpec
from tallyio.native.memory import Region
from tallyio.testing import RevmChain
from tests.balancer_world import World


class Chain(RevmChain):
    """A chain with the real Balancer on it instead of the lab's exchanges."""

    def __init__(self, world: World) -> None:
        """Stand on the EVM of `world`."""
        self.balancer = world
        self.asked_at = []

    @property
    def backend(self) -> RevmBackend:
        """The EVM."""
        return self.balancer.backend

    @property
    def chain_id(self) -> int:
        """The lab's."""
        return CHAIN_ID


class Rows:
    """Rows in native memory that follow blocks as the market lets them."""

    def __init__(
        self, chain: Chain, adapter: Balancer, pools: Sequence[PoolSpec], rows: Sequence[bytes]
    ) -> None:
        self.chain, self.adapter, self.pools = chain, adapter, list(pools)
        self.sizes = [len(row) for row in rows]
        self.memory = Region(sum(self.sizes) + 8192)
        self.log = self.memory.address + sum(self.sizes)
        self.addresses = [self.memory.address + sum(self.sizes[:k]) for k in range(len(rows))]
        self.memory.view("u1", sum(self.sizes))[:] = bytearray(b"".join(rows))
        for k in range(len(rows)):
            self.advance(k, chain.latest.timestamp + BLOCK_SECONDS)

    def raw(self, k: int) -> bytes:
        """Return the row of pool `k`."""
        return self.memory.view("u1", self.sizes[k], self.addresses[k] - self.memory.address).tobytes()

    def advance(self, k: int, timestamp: int) -> int:
        """Bring the row of pool `k` to a time, if it ages."""
        return hot.advance(self.addresses[k], timestamp) if self.pools[k].ages else LOG_IGNORED

    def follow(self, block: Block) -> list[set[int]]:
        """Apply a block: its time, its logs, and the time of the next. Return the statuses per pool."""
        seen: list[set[int]] = []
        for k, pool in enumerate(self.pools):
            statuses = {self.advance(k, block.head.timestamp)}
            for log in block.logs:
                if log.topics[0] in self.adapter.topics and any(
                    log.address == source.address and source.topic1 in {b"", *log.topics[1:2]}
                    for source in pool.sources
                ):
                    statuses.add(self._apply(k, log.topics, log.data))
            statuses.add(self.advance(k, block.head.timestamp + BLOCK_SECONDS))
            seen.append(statuses)
        return seen

    def _apply(self, k: int, topics: Sequence[bytes], data: bytes) -> int:
        raw = b"".join(topics[1:]) + data
        self.memory.view("u1", len(raw), self.log - self.memory.address)[:] = bytearray(raw)
        event = self.adapter.topics.index(topics[0])
        start = self.log + 32 * (len(topics) - 1)
        return hot.apply_log(self.addresses[k], event, self.log, start, len(data))

    async def equal_a_fresh_load(self) -> bool:
        """Whether each row is what a load of the latest block gives, brought to the next block."""
        fresh = await self.adapter.load(self.chain, self.pools, block=self.chain.latest)
        other = Rows(self.chain, self.adapter, self.pools, fresh)
        same = all(timeless(self.raw(k)) == timeless(other.raw(k)) for k in range(len(self.pools)))
        other.memory.close()
        return same


def timeless(row: bytes) -> bytes:
    """Return a row without when it was read and what the providers said then, and how the ramp came about."""
    tokens = [row[k : k + TOKEN_BYTES] for k in range(HEAD_BYTES, len(row), TOKEN_BYTES)]
    tokens = [token[:LIVE_RATE] + token[LIVE_RATE + 16 :] for token in tokens]
    return row[:CLOCK] + row[AMP:AMP_START] + row[INVARIANT:HEAD_BYTES] + b"".join(tokens)
