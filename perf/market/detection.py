"""Finding cycles: the best input of one, what a single change leads to, and a whole block."""

from __future__ import annotations

import functools
import random
import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from tallyio_protocol_uniswap_v2.layout import pack_row
from tallyio_strategy_arbitrage import generate, layout
from tallyio_strategy_arbitrage.bench import GAS_PRICE_WEI
from tallyio_strategy_arbitrage.bench_large import LOGS, Large
from tallyio_strategy_arbitrage.reference_sizing import ROUNDING
from tallyio_strategy_arbitrage.strategy import Arbitrage

from perf.market.row import Case, Differs, require_equal, row
from perf.peers.session import Peers
from tallyio.bench.rounds import Timer, timed
from tallyio.hooks.interfaces import CompiledProtocol
from tallyio.market.fusion import fuse
from tallyio.market.market import Head, Market
from tallyio.market.shape import Holding
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash, checksum
from tallyio.native.columns import from_column
from tallyio.native.jit import entry
from tallyio.native.memory import Region

PATHS: Final = 256
POOLS: Final = 100_000
MAX_LEGS: Final = 4
EDGES: Final = 256
BLOCKS: Final = 20
_ANSWER: Final = 64
_FEES: Final = (997, 997)
_COMPILED: Final = CompiledProtocol(module="tallyio_protocol_uniswap_v2.hot")
_TOKENS: Final = (Address((1).to_bytes(20)), Address((2).to_bytes(20)))

type Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Cycles of two pairs each, the first sold into by token 0, and where their answers go."""

    reserves: list[tuple[Pair, Pair]]
    fused: Any
    cycles: Any
    answers: Region
    search: Any
    keeps: tuple[object, ...]

    @property
    def arguments(self) -> tuple[int, ...]:
        """What the compiled loop takes."""
        return self.cycles.ctypes.data, PATHS, self.search.ctypes.data, self.answers.address

    def found(self) -> list[tuple[int, int]]:
        """Return input and profit of each, as the last loop wrote them."""
        words = from_column(self.answers.view("<u8", 8 * PATHS).reshape(2 * PATHS, 4))
        return [(words[2 * k], words[2 * k + 1] - words[2 * k]) for k in range(PATHS)]


@functools.cache
def make_paths() -> Paths:
    """Return cycles that gain one to four percent before the fees, from a seed."""
    draw = random.Random(9)
    reserves = [(_reserves(draw), _reserves(draw)[::-1]) for _ in range(PATHS)]
    flat = [each for both in reserves for each in both]
    rows = [pack_row(each, fee_numerators=_FEES, fee_denominator=1000, gas=80_000) for each in flat]
    specs = [
        PoolSpec(
            address=Address((10**6 + k).to_bytes(20)),
            tokens=_TOKENS,
            venue="bench",
            fee_pips=3_000,
            can_flash=True,
        )
        for k in range(len(rows))
    ]
    strategy = Arbitrage({"base_tokens": [checksum(_TOKENS[0])]})
    fused = fuse([("uniswap_v2", _COMPILED)], [("arbitrage", strategy.compiled)])
    held = Holding(protocol="uniswap_v2", compiled=_COMPILED, topics=(), pools=tuple(specs), rows=tuple(rows))
    market = Market(fused, [held], Head(Hash(bytes(32)), 0))
    edges, cycles = np.zeros(2 * PATHS, layout.EDGE), np.zeros(PATHS, layout.CYCLE)
    for k in range(2 * PATHS):
        edges[k]["record"], edges[k]["i"], edges[k]["j"] = market.pool_address(k), k & 1, 1 - (k & 1)
        cycles[k // 2]["legs"][k & 1] = edges[k : k + 1].ctypes.data
    cycles["leg_count"] = 2
    return Paths(
        reserves=reserves,
        fused=fused,
        cycles=cycles,
        answers=Region(_ANSWER * PATHS),
        search=np.zeros(1, layout.SEARCH),
        keeps=(market, edges),
    )


def _reserves(draw: random.Random) -> Pair:
    """Return reserves whose price is off by half a percent to two, such that selling token 0 first gains."""
    depth = 10 ** draw.uniform(20, 24)
    return int(depth), int(depth * (1.0 + draw.uniform(0.006, 0.02)))


@row("optimum.v2_v2", goal_ns=280.0, degenbot=1 / 50)
def two_pairs(peers: Peers) -> Case:
    """The best input of two pairs from their reserves on, with its amounts and the proof of its gap."""
    paths = make_paths()
    compiled: Any = entry(paths.fused.load("perf.optimum_loop").optimum_all)
    require_equal(compiled(*paths.arguments), PATHS, "the number that gain")
    found, absent = _beside_degenbot(peers, paths)
    return Case(
        ours=timed(compiled, *paths.arguments, operations=PATHS),
        peers=found,
        absent=absent,
        counted=lambda count: compiled(paths.arguments[0], count, *paths.arguments[2:]),
        keeps=paths,
    )


def _beside_degenbot(peers: Peers, paths: Paths) -> tuple[dict[str, Timer], dict[str, str]]:
    if (peer := peers.degenbot) is None:
        return {}, {"degenbot": peers.degenbot_absent}
    # Its second pool is sold into by token 1: reserves are given as the pool has them.
    theirs = peer.ask("optimum", paths.reserves)
    for (amount, profit), other in zip(paths.found(), theirs, strict=True):
        if other and other[1] - profit > amount * ROUNDING:
            raise Differs(f"degenbot gains {other[1]} with {other[0]}, ours {profit} with {amount}")
    return {"degenbot": lambda: float(peer.ask("optimum_ns"))}, {}


@functools.cache
def make_large() -> Large:
    """Return a hundred thousand pools around sixteen hubs, with their index."""
    return Large(POOLS, MAX_LEGS)


def _update(*, both_hubs: bool) -> Case:
    large = make_large()
    edges = large.index.edges
    hubs = np.array([large.index.is_hub(token) for token in range(len(large.market.shape.tokens))])
    sold, bought = hubs[edges["sold"]], hubs[edges["bought"]]
    chosen = np.flatnonzero(sold & bought if both_hubs else sold != bought)
    numbers = np.random.default_rng(3).choice(chosen, EDGES)
    compiled: Any = entry(large.loops.update_and_search)
    arguments = large.index.address, numbers.ctypes.data, EDGES
    return Case(ours=timed(compiled, *arguments, operations=EDGES), keeps=(large, numbers))


@row("detect.update_of_a_tail", goal_ns=20.0)
def tail(_: Peers) -> Case:
    """One price changes between a hub and a tail: is there a cycle that gains?"""
    return _update(both_hubs=False)


@row("detect.update_of_two_hubs", goal_ns=8_000.0)
def two_hubs(_: Peers) -> Case:
    """The same between two hubs."""
    return _update(both_hubs=True)


@row("detect.block_of_300.3_legs", goal_ns=2e6)
def block_of_three(_: Peers) -> Case:
    """A block decoded, applied, and its best fifty cycles found, exactly: the slowest of twenty blocks.

    The time is the processor's, so that what others do on a busy machine does not count.
    """
    return Case(ours=_Blocks(Large(POOLS, 3)).slowest)


@row("detect.block_of_300.4_legs", goal_ns=2e6)
def block_of_four(_: Peers) -> Case:
    """The same with cycles of up to four legs."""
    return Case(ours=_Blocks(Large(POOLS, 4)).slowest)


class _Blocks:
    """Blocks that follow each other: thirty pools are pushed off their price, those of before come back."""

    def __init__(self, large: Large) -> None:
        self._large = large
        self._draw, self._pushed, self._found = random.Random(1), list[int](), 0
        self.slowest()  # loads the code

    def slowest(self) -> float:
        """Return what the slowest of the next `BLOCKS` blocks takes, in ns."""
        self._found = 0
        spent = max(self._next() for _ in range(BLOCKS))
        require_equal(self._found > 0, True, "the search of twenty blocks")
        return float(spent)

    def _next(self) -> int:
        large, head = self._large, self._large.market.head
        fresh = self._draw.sample(range(POOLS), LOGS - len(self._pushed))
        number = head.number + 1
        block = generate.make_block(large.world, number, head.hash, fresh + self._pushed, seed=number)
        self._pushed = fresh[: int(generate.PUSHED * LOGS)]
        where = large.market.pack(block, GAS_PRICE_WEI)
        start = time.thread_time_ns()
        large.apply.apply_batch(large.market.state, where)
        self._found += large.detect()
        spent = time.thread_time_ns() - start
        large.market.settle()
        return spent
