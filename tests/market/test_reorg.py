"""Whatever way a market took, through blocks, rollbacks and gaps, it ends where a fresh load starts."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Final

import pytest
import trio
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from tallyio_protocol_uniswap_v2.adapter import UniswapV2
from tallyio_protocol_uniswap_v3.adapter import UniswapV3

from tallyio.hooks.interfaces import ExchangeProtocol
from tallyio.market.fusion import Fused, fuse
from tallyio.market.market import Head, Market
from tallyio.market.shape import Holding
from tallyio.model.chain import Block
from tallyio.model.chain import Head as ChainHead
from tallyio.testing import RevmChain, head_at
from tests.demo_tables import protocol_tables

Step = tuple[str, int]

steps: Final = st.lists(
    st.one_of(
        st.tuples(st.just("block"), st.integers(0, 9)),
        st.tuples(st.just("undo"), st.integers(1, 3)),
        st.tuples(st.just("gap"), st.integers(2, 4)),
        st.tuples(st.just("empty"), st.just(0)),
    ),
    max_size=14,
)


class Story:
    """The lab's chain with forks, and a market that is told of it."""

    def __init__(self, chain: RevmChain, market: Market) -> None:
        self.chain, self.market = chain, market
        self.heads: list[ChainHead] = [chain.latest]
        self._undo: list[AbstractContextManager[None]] = []

    def block(self, seed: int | None, label: int) -> Block:
        """Let the chain make a block on its head: the traders' of `seed`, or an empty one."""
        undo = self.chain.backend.undone()
        undo.__enter__()
        self._undo.append(undo)
        made = self.chain.block_of() if seed is None else self.chain.step(seed=seed)
        parent = self.heads[-1].hash
        # A sibling of a dropped block has the same number and another hash.
        head = head_at(made.head.number, parent=parent, fork=f" {label}")
        self.heads.append(head)
        return Block(head=head, logs=made.logs, bytes_in_ns=0, decoded_ns=0)

    def undo(self) -> None:
        """Drop the chain's head and tell the market, if there is one to drop."""
        if self._undo:
            self._undo.pop().__exit__(None, None, None)
            self.market.roll_back(self.heads.pop().hash)

    def tell(self, step: Step, label: int) -> None:
        """Let one step happen."""
        action, number = step
        if action == "undo":
            for _ in range(number):
                self.undo()
            return
        count = number if action == "gap" else 1
        # A gap is back-filled by the chain plugin: its blocks come late and in order.
        made = [self.block(None if action == "empty" else number + k, 100 * label + k) for k in range(count)]
        for block in made:
            self.market.apply(block)

    def close(self) -> None:
        """Put the chain back to where it started."""
        while self._undo:
            self._undo.pop().__exit__(None, None, None)


@pytest.fixture(scope="module")
def chain() -> RevmChain:
    return RevmChain()


@pytest.fixture(scope="module")
def adapters(chain: RevmChain) -> list[tuple[str, ExchangeProtocol]]:
    tables = protocol_tables(chain.world)
    return [
        ("uniswap_v2", UniswapV2(tables["uniswap_v2"])),
        ("uniswap_v3", UniswapV3(tables["uniswap_v3"])),
    ]


@pytest.fixture(scope="module")
def fused(adapters: list[tuple[str, ExchangeProtocol]]) -> Fused:
    return fuse([(name, adapter.compiled) for name, adapter in adapters])


async def load(chain: RevmChain, adapters: list[tuple[str, ExchangeProtocol]]) -> list[Holding]:
    """Read every pool afresh at the chain's head."""
    found = []
    for name, adapter in adapters:
        pools = await adapter.discover(chain, block=chain.latest)
        rows = await adapter.load(chain, pools, block=chain.latest)
        found.append(
            Holding(
                protocol=name,
                compiled=adapter.compiled,
                topics=adapter.topics,
                pools=tuple(pools),
                rows=tuple(rows),
            )
        )
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(done=steps)
def test_any_interleaving_ends_where_a_fresh_load_starts(
    chain: RevmChain, adapters: list[tuple[str, ExchangeProtocol]], fused: Fused, done: list[Step]
) -> None:
    start = trio.run(load, chain, adapters)
    head = Head(chain.latest.hash, chain.latest.number)
    with Market(fused, start, head) as market:
        story = Story(chain, market)
        try:
            for label, step in enumerate(done):
                story.tell(step, label)
                note(f"{step}: at block {market.head.number}")
            assert market.head == Head(story.heads[-1].hash, story.heads[-1].number)
            fresh = trio.run(load, chain, adapters)
            rows = [row for holding in fresh for row in holding.rows]
            assert [market.row(pool) for pool in range(len(rows))] == rows
            while len(story.heads) > 1:
                story.undo()
            first = [row for holding in start for row in holding.rows]
            assert [market.row(pool) for pool in range(len(first))] == first
        finally:
            story.close()
