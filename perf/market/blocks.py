"""Whole blocks over 100,000 pools: applied, undone and applied again."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from tallyio_strategy_arbitrage import generate

from perf.market.row import Case, require_equal, row
from perf.peers.session import Peers
from tallyio.bench.rounds import timed
from tallyio.market import layout
from tallyio.market.batch import Routes, pack_logs, routes
from tallyio.market.fusion import fuse
from tallyio.market.market import Market
from tallyio.market.memory import address_of
from tallyio.model.chain import Block
from tallyio.native.jit import entry
from tallyio.native.memory import Region

POOLS: Final = 100_000
LOGS: Final = 300
DEPTH: Final = 3


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A block where compiled code reads it."""

    record: Any
    logs: Region

    @property
    def address(self) -> int:
        """Where the BLOCK record is."""
        return address_of(self.record)

    @property
    def hash(self) -> int:
        """Where the block's hash is: first in its record."""
        return self.address


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A market, and blocks that follow its head."""

    market: Market
    blocks: list[Block]
    packed: list[Packed]


def _pack(block: Block, known: Routes) -> Packed:
    batch = pack_logs(block.logs, known)
    logs, record = Region(len(batch.data)), np.zeros(1, layout.BLOCK)
    logs.view("u1", len(batch.data))[:] = np.frombuffer(batch.data, "u1")
    for name, digest in (("hash", block.head.hash), ("parent", block.head.parent_hash)):
        record[name] = np.frombuffer(digest, "i8")
    record["number"], record["logs"], record["log_count"] = block.head.number, logs.address, batch.count
    record["timestamp"] = record["next_timestamp"] = block.head.timestamp
    return Packed(record=record, logs=logs)


@functools.cache
def make_chain() -> Chain:
    """Return a large market and blocks of `LOGS` logs of as many pools, from a seed."""
    world, draw = generate.make_world(POOLS, seed=5), random.Random(1)
    market = Market(fuse([generate.protocol()]), [generate.holding(world, 5)], generate.START)
    blocks, parent = list[Block](), market.head.hash
    for number in range(1, DEPTH + 1):
        chosen = draw.sample(range(POOLS), LOGS)
        blocks.append(generate.make_block(world, number, parent, chosen, seed=number))
        parent = blocks[-1].head.hash
    known = routes(market.shape)
    return Chain(market=market, blocks=blocks, packed=[_pack(block, known) for block in blocks])


@row("blocks.3_undone_and_redone", goal_ns=1e6)
def redo(_: Peers) -> Case:
    """Three blocks of 300 logs each, rolled back and applied again."""
    chain = make_chain()
    market, state = chain.market, chain.market.state
    compiled: Any = market.fused.load("tallyio.market.apply")
    apply: Any = entry(compiled.apply_batch)
    roll_back: Any = entry(compiled.roll_back)
    rows = [market.row(pool) for pool in range(POOLS)]

    def undo() -> None:
        for packed in reversed(chain.packed):
            roll_back(state, packed.hash)

    def apply_all() -> None:
        for packed in chain.packed:
            apply(state, packed.address)

    def both() -> None:
        undo()
        apply_all()
        market.settle()

    apply_all()
    require_equal(market.head.hash, chain.blocks[-1].head.hash, "the last block")
    after = [market.row(pool) for pool in range(POOLS)]
    undo()
    require_equal([market.row(pool) for pool in range(POOLS)], rows, "the market before")
    apply_all()
    require_equal([market.row(pool) for pool in range(POOLS)], after, "the market after")
    return Case(ours=timed(both, operations=1), keeps=chain)
