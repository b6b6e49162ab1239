"""The best input of a pair and a concentrated pool, from two logs on that change the pool."""

from __future__ import annotations

import functools
import itertools
import random
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from tallyio_protocol_uniswap_v2.layout import pack_row
from tallyio_protocol_uniswap_v3.hot import BURN, MINT, SWAP
from tallyio_strategy_arbitrage import layout
from tallyio_strategy_arbitrage.reference_sizing import ROUNDING
from tallyio_strategy_arbitrage.strategy import Arbitrage

from perf.market.row import Case, Differs, require_equal, row
from perf.optimum_layout import LOG
from perf.peers.session import Peers
from tallyio.bench.rounds import Timer, timed
from tallyio.hooks.interfaces import CompiledProtocol
from tallyio.market.abi import POOL, POOL_ENABLED
from tallyio.market.concentrated import reference
from tallyio.market.concentrated.changes import rebuild
from tallyio.market.concentrated.reference_math import get_sqrt_ratio_at_tick
from tallyio.market.fusion import fuse
from tallyio.model.hashing import event_topic
from tallyio.model.units import Address, checksum
from tallyio.native.columns import from_column
from tallyio.native.jit import entry
from tallyio.native.memory import Region

PATHS: Final = 64
SPACING: Final = 60
TICKS: Final = 300
FEE_PIPS: Final = 3_000
PRICES: Final = (17, 18)
"""Ticks between which swaps move the price to and fro."""
POSITION: Final = (-300, 360)
"""Comes and goes with each swap; over eleven ranges, so a swap and it leave as many to be computed anew."""
ADDED: Final = 10**20
_LOGS_EACH: Final = 2
_MODULES: Final = ("uniswap_v2", "uniswap_v3")
_OWNER: Final = 0xCAFE
_ANSWER: Final = 64
_SIGNATURES: Final = {
    SWAP: "Swap(address,address,int256,int256,uint160,uint128,int24)",
    MINT: "Mint(address,address,int24,int24,uint128,uint256,uint256)",
    BURN: "Burn(address,int24,int24,uint128,uint256,uint256)",
}


class Log(NamedTuple):
    """A log of a concentrated pool, in words."""

    event: int
    topics: tuple[int, ...]
    """After the first."""
    data: tuple[int, ...]

    def record(self) -> Any:
        """Return what the compiled loop reads."""
        made = np.zeros(1, LOG)
        topics, data = _raw(self.topics), _raw(self.data)
        made["event"], made["data_bytes"] = self.event, len(data)
        made["topics"][0, : len(topics)] = np.frombuffer(topics, "u1")
        made["data"][0, : len(data)] = np.frombuffer(data, "u1")
        return made

    def for_degenbot(self) -> tuple[list[str], str]:
        """Return topics and data as a node sends them."""
        topics = [f"0x{event_topic(_SIGNATURES[self.event]).hex()}"]
        return topics + [f"0x{_raw([topic]).hex()}" for topic in self.topics], f"0x{_raw(self.data).hex()}"


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Cycles of a pair and a concentrated pool in native memory, and turns of logs that undo each other."""

    reserves: list[tuple[int, int]]
    pools: list[reference.Pool]
    turns: list[list[list[Log]]]
    """Per turn, per path: the logs of its pool."""
    compiled: Any
    arguments: list[tuple[int, ...]]
    """Of the compiled loop, per turn."""
    answers: Region
    keeps: tuple[object, ...]

    def found(self) -> list[tuple[int, int]]:
        """Return input and profit of each, as the last loop wrote them."""
        words = from_column(self.answers.view("<u8", 8 * PATHS).reshape(2 * PATHS, 4))
        return [(words[2 * k], words[2 * k + 1] - words[2 * k]) for k in range(PATHS)]

    def timer(self) -> Timer:
        """Return a timer that takes the turns one after the other."""
        turns = itertools.cycle(self.arguments)
        return timed(lambda: self.compiled(*next(turns)), operations=PATHS)


def _raw(words: tuple[int, ...] | list[int]) -> bytes:
    return b"".join((word % 2**256).to_bytes(32) for word in words)


def _pool(draw: random.Random) -> reference.Pool:
    pool = reference.Pool((FEE_PIPS, FEE_PIPS), SPACING, tick=PRICES[0])
    pool.sqrt_price_x96 = get_sqrt_ratio_at_tick(PRICES[0]) + 12_345
    for k in range(-TICKS // 2, TICKS // 2):
        pool.modify_liquidity(k * SPACING, (k + 1) * SPACING, draw.randrange(10**19, 10**22))
    return pool


def _reserves(draw: random.Random) -> tuple[int, int]:
    """Return reserves such that selling token 0 here and buying it back there gains up to two percent."""
    depth = 10 ** draw.uniform(21, 23)
    return int(depth), int(depth * (1.01 + draw.uniform(0.0, 0.02)))


def _turns(pool: reference.Pool) -> list[list[Log]]:
    """Return a swap to the other price and a new position; then a swap back and that position's end."""
    first, second = (get_sqrt_ratio_at_tick(tick) + 12_345 for tick in PRICES)
    owned, liquidity = (_OWNER, *POSITION), pool.liquidity
    return [
        [
            Log(SWAP, (_OWNER, _OWNER), (0, 0, second, liquidity, PRICES[1])),
            Log(MINT, owned, (_OWNER, ADDED, 0, 0)),
        ],
        [
            Log(SWAP, (_OWNER, _OWNER), (0, 0, first, liquidity + ADDED, PRICES[0])),
            Log(BURN, owned, (ADDED, 0, 0)),
        ],
    ]


@functools.cache
def make_paths() -> Paths:
    """Return paths from a seed."""
    draw = random.Random(13)
    pools, reserves = [_pool(draw) for _ in range(PATHS)], [_reserves(draw) for _ in range(PATHS)]
    turns = [list(each) for each in zip(*map(_turns, pools), strict=True)]
    cycles, kept = _cycles(reserves, pools)
    strategy = Arbitrage({"base_tokens": [checksum(Address((1).to_bytes(20)))]})
    protocols = [(name, CompiledProtocol(module=f"tallyio_protocol_{name}.hot")) for name in _MODULES]
    fused = fuse(protocols, [("arbitrage", strategy.compiled)])
    logs = [np.concatenate([log.record() for path in turn for log in path]) for turn in turns]
    answers, search = Region(_ANSWER * PATHS), np.zeros(1, layout.SEARCH)
    rest = _LOGS_EACH, cycles.ctypes.data, PATHS, search.ctypes.data, answers.address
    return Paths(
        reserves=reserves,
        pools=pools,
        turns=turns,
        compiled=entry(fused.load("perf.optimum_loop").changed_optimum_all),
        arguments=[(each.ctypes.data, *rest) for each in logs],
        answers=answers,
        keeps=(fused, cycles, search, logs, *kept),
    )


def _cycles(reserves: list[tuple[int, int]], pools: list[reference.Pool]) -> tuple[Any, tuple[object, ...]]:
    """Return CYCLE records that sell token 0 in a pair and buy it back in a pool, and what they point to."""
    rows = []
    for pair, pool in zip(reserves, pools, strict=True):
        raw = pack_row(pair, fee_numerators=(997, 997), fee_denominator=1000, gas=80_000)
        rows += [raw, pool.row(gas=(110_000, 20_000, 3_000))]
    memory = [Region(len(raw)) for raw in rows]
    records, edges = np.zeros(len(rows), POOL), np.zeros(len(rows), layout.EDGE)
    cycles = np.zeros(len(rows) // 2, layout.CYCLE)
    for k, (raw, place) in enumerate(zip(rows, memory, strict=True)):
        place.view("u1", len(raw))[:] = np.frombuffer(raw, "u1")
        kind = k & 1
        if kind:
            rebuild(place.address)
        records[k] = (kind, place.address, 2, POOL_ENABLED, [0] * 8)
        edges[k]["record"], edges[k]["pool"] = records[k : k + 1].ctypes.data, k
        edges[k]["i"], edges[k]["j"] = kind, 1 - kind
        cycles[k // 2]["legs"][kind] = edges[k : k + 1].ctypes.data
    cycles["leg_count"] = 2
    return cycles, (memory, records, edges)


@row("optimum.v2_v3", degenbot=1 / 10)
def pair_and_pool(peers: Peers) -> Case:
    """A swap and a position applied to the pool, all that hangs on them, and the path's best input anew."""
    paths = make_paths()
    found = []
    for arguments in paths.arguments:
        require_equal(paths.compiled(*arguments), PATHS, "the number that gain")
        found.append(paths.found())
    beside, absent = _beside_degenbot(peers, paths, found)
    return Case(ours=paths.timer(), peers=beside, absent=absent, keeps=paths)


def _beside_degenbot(
    peers: Peers, paths: Paths, found: list[list[tuple[int, int]]]
) -> tuple[dict[str, Timer], dict[str, str]]:
    if (peer := peers.degenbot) is None:
        return {}, {"degenbot": peers.degenbot_absent}
    facts = ("tick_spacing", "sqrt_price_x96", "liquidity", "tick")
    pools = [
        {name: getattr(pool, name) for name in facts}
        | {
            "fee_pips": FEE_PIPS,
            "ticks": [(at, tick.liquidity_gross, tick.liquidity_net) for at, tick in pool.ticks.items()],
        }
        for pool in paths.pools
    ]
    turns = [[[log.for_degenbot() for log in path] for path in turn] for turn in paths.turns]
    for ours, theirs in zip(found, peer.ask("optimum_v3", paths.reserves, pools, turns), strict=True):
        for (amount, profit), other in zip(ours, theirs, strict=True):
            if not other or other[1] - profit > amount * ROUNDING:
                raise Differs(f"degenbot answers {other} (input, profit), ours {amount}, {profit}")
    return {"degenbot": lambda: float(peer.ask("optimum_v3_ns"))}, {}
