"""Random cycles over real V2, V3, weighted and stable pools, in native memory."""

from __future__ import annotations

import math
import random
from typing import Final, NamedTuple

import numpy as np
from tallyio_protocol_balancer import layout as balancer
from tallyio_protocol_uniswap_v2.layout import pack_row as pack_v2
from tallyio_strategy_arbitrage import layout
from tallyio_strategy_arbitrage.strategy import Arbitrage

from tallyio.hooks.interfaces import CompiledProtocol
from tallyio.market.abi import MAX_LEGS, POOL, POOL_ENABLED
from tallyio.market.concentrated import changes
from tallyio.market.concentrated.reference import Pool
from tallyio.market.concentrated.reference_math import MAX_TICK, get_sqrt_ratio_at_tick
from tallyio.market.fusion import Fused, fuse
from tallyio.model.units import ZERO_ADDRESS, Address, checksum
from tallyio.native.memory import Region

V2: Final = 0
V3: Final = 1
BALANCER: Final = 2
WEIGHTED: Final = 3
STABLE: Final = 4
"""What a leg may be; the first three are numbers of protocols as fused as well."""
_MODULES: Final = ("uniswap_v2", "uniswap_v3", "balancer")
_ROW_BYTES: Final = 1 << 19
"""Liquidity over all ticks has many ends of bitmap words, each with a stop in either direction."""
_SCALED: Final = 1e42
"""What a rate makes of each balance of a stable pool: 10**24, by the precision of 10**18."""
_SPACING: Final = {500: 10, 3000: 60, 10_000: 200}


class Leg(NamedTuple):
    """One pool of a cycle, and the direction."""

    kind: int
    row: bytes
    i: int


def fuse_with(protocol_count: int) -> Fused:
    """Fuse the first protocols and the strategy."""
    names = _MODULES[:protocol_count]
    protocols = [(name, CompiledProtocol(module=f"tallyio_protocol_{name}.hot")) for name in names]
    strategy = Arbitrage({"base_tokens": [checksum(ZERO_ADDRESS)]})
    return fuse(protocols, [("arbitrage", strategy.compiled)])


class Cycle:
    """Room for one cycle at a time: rows, records, edges."""

    def __init__(self) -> None:
        self.memory = Region(MAX_LEGS * (_ROW_BYTES + 512) + 8192)
        self._rows = self.memory.address
        records = self.memory.view(POOL, MAX_LEGS, MAX_LEGS * _ROW_BYTES)
        start = MAX_LEGS * (_ROW_BYTES + POOL.itemsize)
        edges = self.memory.view(layout.EDGE, MAX_LEGS, start)
        start += MAX_LEGS * layout.EDGE.itemsize
        self.records, self.edges = records, edges
        self.cycle = self.memory.view(layout.CYCLE, 1, start)
        self.legs = self.memory.view("i8", 3 * MAX_LEGS, start + 64)
        self.scratch = self.memory.view("u1", layout.SEARCH.itemsize, start + 256)
        self.best = self.memory.view("u1", 64, start + 2048)

    def set(self, legs: list[Leg]) -> None:
        """Put a cycle there."""
        self.cycle["legs"] = 0
        for k, leg in enumerate(legs):
            row = self._rows + k * _ROW_BYTES
            self.memory.view("u1", len(leg.row), k * _ROW_BYTES)[:] = np.frombuffer(leg.row, "u1")
            if leg.kind == V3:
                assert changes.rebuild(row)
            self.records[k] = (leg.kind, row, 2, POOL_ENABLED, [0] * 8)
            record = int(self.records[k : k + 1].ctypes.data)
            edge = self.edges[k]
            edge["record"], edge["i"], edge["j"], edge["pool"] = record, leg.i, 1 - leg.i, k
            self.cycle["legs"][0, k] = self.edges[k : k + 1].ctypes.data
            self.legs[3 * k : 3 * k + 3] = record, leg.i, 1 - leg.i
        self.cycle["leg_count"] = len(legs)

    @property
    def address(self) -> int:
        """Where the CYCLE record is."""
        return int(self.cycle.ctypes.data)

    @property
    def scratch_address(self) -> int:
        """Where a SEARCH record has room."""
        return int(self.scratch.ctypes.data)

    @property
    def legs_address(self) -> int:
        """Where the legs are, as `exhaustive` reads them."""
        return int(self.legs.ctypes.data)

    def amounts(self, chain: int, count: int) -> tuple[int, ...]:
        """Return the amounts of a chain of `count` legs in the scratch."""
        first = chain - self.scratch_address
        raw = self.scratch[first : first + 32 * (count + 1)].tobytes()
        return tuple(int.from_bytes(raw[k : k + 32], "little") for k in range(0, len(raw), 32))

    def remember(self, amount_in: int, amount_out: int) -> int:
        """Set what is to be beaten, and return its address."""
        raw = amount_in.to_bytes(32, "little") + amount_out.to_bytes(32, "little")
        self.best[:] = np.frombuffer(raw, "u1")
        return int(self.best.ctypes.data)

    def best_gain(self) -> int:
        """Return what the best input known gains."""
        raw = self.best.tobytes()
        return int.from_bytes(raw[32:], "little") - int.from_bytes(raw[:32], "little")


def random_path(draw: random.Random, shape: tuple[int, ...]) -> list[Leg]:
    """Return a cycle whose first units gain about half a percent to five."""
    count = len(shape)
    decimals = [draw.choice((6, 8, 18)) for _ in shape]
    # Smallest units of each token for one unit of account, whose price is anything.
    units = [10.0**places * 10 ** draw.uniform(-4, 3) for places in decimals]
    gap = 10 ** draw.uniform(-2.5, -1.3)
    legs = []
    for k, kind in enumerate(shape):
        depth = 10 ** draw.uniform(-2, 7)
        fee = draw.choice((500, 3000, 10_000))
        better = math.exp(gap / count) / (1 - fee / 1e6) * math.exp(draw.gauss(0, 1e-4))
        sold, bought = depth * units[k], depth * units[(k + 1) % count] * better
        if kind == V2:
            legs.append(_v2(draw, sold, bought, fee))
        elif kind == V3:
            legs.append(_v3(draw, sold, bought, fee))
        else:
            legs.append(_balancer(draw, kind, (sold, bought), fee))
    return legs


def _v2(draw: random.Random, sold: float, bought: float, fee: int) -> Leg:
    i = draw.randrange(2)
    pair = [min((1 << 111) - 1, max(2, int(each))) for each in (sold, bought)]
    reserves = (pair[0], pair[1]) if i == 0 else (pair[1], pair[0])
    kept = (1_000_000 - fee,) * 2
    return Leg(V2, pack_v2(reserves, fee_numerators=kept, fee_denominator=1_000_000, gas=100_000), i)


def _v3(draw: random.Random, sold: float, bought: float, fee: int) -> Leg:
    i, spacing = draw.randrange(2), _SPACING[fee]
    zero, one = (sold, bought) if i == 0 else (bought, sold)
    tick = max(-800_000, min(800_000, math.floor(math.log(one / zero) / math.log(1.0001))))
    low, high = get_sqrt_ratio_at_tick(tick), get_sqrt_ratio_at_tick(tick + 1)
    price = min(high - 1, max(low, int(math.sqrt(one / zero) * 2**96)))
    pool = Pool((fee, fee), spacing, sqrt_price_x96=price, tick=tick)
    liquidity = max(1000.0, math.sqrt(zero * one))
    end = MAX_TICK // spacing * spacing
    pool.modify_liquidity(-end, end, int(liquidity * draw.uniform(0.05, 1)) + 1)
    for _ in range(draw.randrange(0, 10)):
        width = draw.choice((1, 2, 5, 20)) * spacing
        lower = (tick + draw.randrange(-600, 600)) // spacing * spacing - width // 2 // spacing * spacing
        pool.modify_liquidity(lower, lower + width, int(liquidity * 10 ** draw.uniform(-1, 1)) + 1)
    return Leg(V3, pool.row(gas=(110_000, 20_000, 3_000)), i)


def _balancer(draw: random.Random, kind: int, depths: tuple[float, float], fee: int) -> Leg:
    """Return a pool with that price: balances in proportion to weights, or rates that make them even."""
    share = draw.randrange(20, 81) * 10**16
    i, weights = draw.randrange(2), (share, 10**18 - share)
    tokens = []
    for k, depth in enumerate(depths):
        part = weights[k] * 2e-18 if kind == WEIGHTED else 1.0
        cash = min(balancer.UINT112_MAX, int(depth * part) + 2)
        rate = min(balancer.UINT128_MAX, int(_SCALED / cash))
        made = balancer.TokenState(
            address=Address(bytes([k + 1] * 20)),
            cash=cash,
            weight=weights[k] if kind == WEIGHTED else 0,
            rate=None
            if kind == WEIGHTED
            else balancer.Rate(cached=rate, live=rate, expires=1 << 40, duration=0),
        )
        tokens.append(made)
    state = balancer.PoolState(
        kind=balancer.WEIGHTED if kind == WEIGHTED else balancer.STABLE_TRUNCATED,
        tokens=tuple(tokens if i == 0 else tokens[::-1]),
        fee=fee * 10**12,
        amp=balancer.Amp(start_value=200_000, end_value=200_000),
    )
    return Leg(BALANCER, balancer.pack_row(state), i)
