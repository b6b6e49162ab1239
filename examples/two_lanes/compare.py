"""The same strategy in two lanes, on the same world: equal answers, another speed.

    python compare.py [BLOCKS]

The world is the lab's on an EVM inside this process. After each block both look for the best trip; the
script checks that they agree to the unit, and prints what each took. It needs tallyio[evm].
"""

from __future__ import annotations

import statistics
import sys
from time import perf_counter_ns
from typing import Any

import trio
from fast import FastTrips
from slow import SlowTrips
from trips import Found

from tallyio.engine.books import Books, Loans
from tallyio.engine.markets import load_market
from tallyio.engine.slow_lane import SlowLane
from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.lending.fusion import fuse_lending
from tallyio.market.abi import FOUND
from tallyio.market.market import Market
from tallyio.model.execution import Leg
from tallyio.model.units import Address
from tallyio.native.memory import Region
from tallyio.testing import RevmChain

GAS_PRICE_WEI = 10**9
MAX_GAS = 1_500_000
WARM_BLOCKS = 1
"""Not counted: whatever loads on first use."""


class FastLane:
    """The compiled strategy as the market's lane calls it."""

    def __init__(self, market: Market, strategy: FastTrips) -> None:
        """Index the market, and make room for one record."""
        self._market = market
        self._index = strategy.index(market.shape)
        self._detect = market.fused.function("detect")
        self._found = Region(FOUND.itemsize)

    def search(self) -> Found | None:
        """Return the best trip."""
        if not self._detect(0, self._market.address, self._index.address, self._found.address, 1):
            return None
        record: Any = self._found.view("u1", FOUND.itemsize).view(FOUND)[0]
        amounts = [int.from_bytes(each.tobytes(), "little") for each in record["amounts"]]
        return Found(int(record["pool"][0]), int(record["pool"][1]), amounts[0], amounts[2])


def slow_search(lane: SlowLane, chain: RevmChain) -> Found | None:
    """Return the best trip, as the slow lane has it."""
    for each in lane.search(chain.latest, GAS_PRICE_WEI).proposals:
        pools = [leg.pool for leg in each.legs if isinstance(leg, Leg)]
        return Found(pools[0], pools[1], each.amount_in, each.amount_out)
    return None


async def open_lanes(chain: RevmChain, base: Address) -> tuple[Market, FastLane, SlowLane]:
    """Load the world's pools with the compiled strategy, and put the one in Python beside it."""
    host, fee = PluginHost(Catalog.scan()), {"fee_numerator": 997, "fee_denominator": 1000}
    v2 = [
        {"name": name, "factory": "0x" + made.factory.hex(), **fee} for name, made in chain.world.v2.items()
    ]
    v3 = [{"name": "v3", "factory": "0x" + chain.world.v3.factory.hex()}]
    tables: dict[str, dict[str, Any]] = {"uniswap_v2": {"venues": v2}, "uniswap_v3": {"venues": v3}}
    fast = FastTrips(base)
    market, _ = await load_market(
        chain,
        [(name, host.protocol(name, table)) for name, table in tables.items()],
        head=chain.latest,
        native=base,
        strategies=[("trips", fast.compiled)],
    )
    books, loans = Books(chain, fuse_lending([]), []), Loans(chain, [], [])
    return (
        market,
        FastLane(market, fast),
        SlowLane(market, books, loans, [("trips", SlowTrips(base))], max_gas={"trips": MAX_GAS}),
    )


def main(blocks: int) -> int:
    """Compare the two over some blocks; return 1 if they ever disagree."""
    chain = RevmChain()
    market, fast, slow = trio.run(open_lanes, chain, chain.world.weth)
    times: dict[str, list[int]] = {"compiled": [], "in Python": []}
    with market:
        for number in range(WARM_BLOCKS + blocks):
            market.apply(chain.step(seed=7), gas_price_wei=GAS_PRICE_WEI)
            market.refresh_prices()
            began = perf_counter_ns()
            compiled = fast.search()
            between = perf_counter_ns()
            plain = slow_search(slow, chain)
            ended = perf_counter_ns()
            market.settle()
            if compiled != plain:
                print(f"block {chain.latest.number}: {compiled} is not {plain}")
                return 1
            if number >= WARM_BLOCKS:
                times["compiled"].append(between - began)
                times["in Python"].append(ended - between)
                said = (
                    f"gains {compiled.amount_out - compiled.amount_in} wei" if compiled else "nothing gains"
                )
                print(f"block {chain.latest.number}: {said}")
    medians = {name: statistics.median(each) / 1_000 for name, each in times.items()}
    for name, microseconds in medians.items():
        print(f"{name}: {microseconds:,.1f} us a block (median of {blocks})")
    print(f"equal answers, {medians['in Python'] / medians['compiled']:,.0f} times as fast")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
