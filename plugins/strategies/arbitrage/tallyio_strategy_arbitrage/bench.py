"""How fast detection is with every pool dirty, beside the same search in plain Python.

Run with `python bench.py`, or `tallyio bench arbitrage`. Both search the same twelve pools over five
tokens with 6, 8 and 18 decimals; the quotes that the plain search asks for are the compiled ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

import pyperf

from tallyio.market.abi import FOUND
from tallyio.market.fusion import Fused, fuse
from tallyio.market.market import Market
from tallyio.market.shape import Holding
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.native.memory import Region
from tallyio_strategy_arbitrage import generate, reference
from tallyio_strategy_arbitrage.bench_pools import RESERVES_TOPIC, pack_row
from tallyio_strategy_arbitrage.cycles import NO_LEG, find_cycles
from tallyio_strategy_arbitrage.reference_walk import Leg
from tallyio_strategy_arbitrage.strategy import Arbitrage, ArbitrageIndex

POOLS: Final = 12
TOP_K: Final = 8
MAX_LEGS: Final = 3
GAS_PRICE_WEI: Final = 1e9
NATIVE: Final = Address((1).to_bytes(20))
_UNIT: Final = 10**18
_WORTH: Final = {1: 1.0, 2: 3e-9, 3: 6e-13, 4: 0.5, 5: 2.0}
"""Smallest units of each token for one wei: ether, two of 18 decimals, one of 6 and one of 8."""


def make_market() -> tuple[Fused, Market, ArbitrageIndex]:
    """Return twelve pools whose prices were pulled apart by up to two percent, the same every time."""
    draw = random.Random(7)
    specs, rows = [], []
    for number in range(POOLS):
        one, other = (1, number + 2) if number < 4 else draw.sample(sorted(_WORTH), 2)  # noqa: PLR2004 - one of each first
        depth = _UNIT * 10 ** draw.uniform(2, 5)
        reserves = (int(depth * _WORTH[one] * draw.uniform(0.98, 1.02)), int(depth * _WORTH[other]))
        specs.append(_spec(number, one, other))
        rows.append(pack_row(*reserves))
    name, compiled = generate.protocol()
    held = Holding(
        protocol=name, compiled=compiled, topics=(RESERVES_TOPIC,), pools=tuple(specs), rows=tuple(rows)
    )
    strategy = Arbitrage({"base_tokens": [checksum(NATIVE)], "top_k": TOP_K, "max_legs": MAX_LEGS})
    fused, market = open_market(held, strategy)
    return fused, market, strategy.index(market.shape)


def open_market(held: Holding, strategy: Arbitrage) -> tuple[Fused, Market]:
    """Return a market of these pools, priced, with every pool dirty."""
    fused = fuse([generate.protocol()], [("arbitrage", strategy.compiled)])
    market = Market(fused, [held], generate.START, native=NATIVE)
    apply = fused.load("tallyio.market.apply")
    for pool in range(len(held.pools)):
        apply.mark_dirty(market.state, pool)
    fused.load("tallyio.market.prices").refresh_prices(market.state)
    market.set_gas_price(GAS_PRICE_WEI)
    return fused, market


def _spec(number: int, one: int, other: int) -> PoolSpec:
    tokens = (Address(one.to_bytes(20)), Address(other.to_bytes(20)))
    address = Address((1000 + number).to_bytes(20))
    return PoolSpec(address=address, tokens=tokens, venue="bench", fee_pips=3000, can_flash=True)


class FusedVenue:
    """The fused functions as the plain search asks for them."""

    def __init__(self, fused: Fused, market: Market) -> None:
        self._pool = market.pool_address
        self._quote, self._curve, self._gas = (fused.function(name) for name in ("quote", "curve", "gas"))

    def quote(self, leg: Leg, amount_in: int) -> int:
        """Return the exact output."""
        answer: int = self._quote(self._pool(leg.pool), leg.i, leg.j, amount_in)
        return answer

    def curve(self, leg: Leg, amount_in: float) -> tuple[float, float]:
        """Return output and slope."""
        answer: tuple[float, float] = self._curve(self._pool(leg.pool), leg.i, leg.j, amount_in)
        return answer

    def gas(self, leg: Leg, amount_in: int) -> int:
        """Return the gas."""
        answer: int = self._gas(self._pool(leg.pool), leg.i, leg.j, amount_in)
        return answer


def reference_search(
    fused: Fused, market: Market, *, max_legs: int = MAX_LEGS, top_k: int = TOP_K
) -> Callable[[], list[reference.Found]]:
    """Return the plain search over the same market."""
    cycles = find_cycles(market.shape, [market.shape.token_ids[NATIVE]], max_legs)
    edges = cycles.edges
    paths = [
        [Leg(int(edges.pool[e]), int(edges.i[e]), int(edges.j[e])) for e in row if e != NO_LEG]
        for row in cycles.legs
    ]
    prices = market.prices.native_per_unit
    tokens = market.shape.pool_tokens
    terms = reference.Terms(
        worth=lambda leg: prices[tokens[leg.pool][leg.i]],
        gas_price_wei=GAS_PRICE_WEI,
        plan_gas=80_000,
        top_k=top_k,
    )
    venue = FusedVenue(fused, market)
    return lambda: reference.detect(venue, paths, terms)


def main() -> None:
    """Run both benchmarks with pyperf."""
    fused, market, index = make_market()
    memory = Region(TOP_K * FOUND.itemsize)
    detect: Any = fused.function("detect")
    plain = reference_search(fused, market)
    arguments = (0, market.address, index.address, memory.address, TOP_K)
    found = memory.view(FOUND, TOP_K)[: detect(*arguments)]
    if [float(net) for net in found["net"]] != [one.net for one in plain()]:
        raise SystemExit("compiled and reference searches differ")

    runner = pyperf.Runner()
    runner.bench_func("arbitrage.detect", detect, *arguments)
    runner.bench_func("arbitrage.detect.reference", plain)


if __name__ == "__main__":
    main()
