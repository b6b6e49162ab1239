"""The path of legs that a search through the hub index fills, and what it must add up to; compiled."""

from __future__ import annotations

import math
from typing import Final

from tallyio.market import abi
from tallyio.market.abi import word
from tallyio.native.atomics import load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio_strategy_arbitrage import layout, sieve
from tallyio_strategy_arbitrage.measure import gas_of, needed_for
from tallyio_strategy_arbitrage.shortlist import least_net, offer

_GAS_PRICE: Final = word(abi.MARKET, "gas_price_wei")
_MARKET: Final = word(layout.INDEX, "market")
_EDGES: Final = word(layout.INDEX, "edges")
_ROUND: Final = word(layout.INDEX, "round")
_HUBS: Final = word(layout.INDEX, "hubs")
_BASES: Final = word(layout.INDEX, "bases")
_BASE_COUNT: Final = word(layout.INDEX, "base_count")
_PATH: Final = word(layout.INDEX, "path")
_PLAN_GAS: Final = word(layout.INDEX, "plan_gas")
_LEAST: Final = word(layout.INDEX, "least")
_GAIN_MORE: Final = word(layout.INDEX, "gain_more_wei")
_EDGE_BYTES: Final = layout.EDGE.itemsize
_POOL: Final = word(layout.EDGE, "pool")
_SOLD: Final = word(layout.EDGE, "sold")
_EDGE_DIRTY: Final = word(layout.EDGE, "dirty")
_CAN_FLASH: Final = word(layout.EDGE, "can_flash")
_NUMBER: Final = word(layout.EDGE, "number")
_LEG_COUNT: Final = word(layout.CYCLE, "leg_count")
_CYCLE_BYTES: Final = layout.CYCLE.itemsize
_LOGS: Final = word(layout.HUBS, "logs")
_LOGS_MORE: Final = word(layout.HUBS, "logs_more")
_SLACK: Final = sieve.SLACK
_MOST_TAKEN: Final = sieve.MOST_TAKEN
_NOBODY: Final = -1


@hot("void(int64, int64, int64)", inline=True)
def set_leg(index: int, leg: int, number: int) -> None:
    """Put edge `number` at place `leg` of the path."""
    store(load(index, _PATH), leg, load(index, _EDGES) + number * _EDGE_BYTES)


@hot("void(int64)")
def set_least(index: int) -> None:
    """Note what the rates of a cycle through the dirty edge must add up to, if it is to be listed."""
    edge, market = load(load(index, _PATH), 0), load(index, _MARKET)
    spent = float(load(index, _PLAN_GAS) + gas_of(edge)) * load_f64(market, _GAS_PRICE)
    needed = needed_for(edge, least_net(index) + spent)
    store_f64(index, _LEAST, min(math.log(needed), _MOST_TAKEN) - _SLACK)


@hot("float64(int64, float64)", inline=True)
def still_needed(index: int, so_far: float) -> float:
    """Return what the open legs' rates must exceed, the others adding up to `so_far`."""
    return load_f64(index, _LEAST) - so_far


@hot("int64(int64)")
def logs_to_list(index: int) -> int:
    """Return per place what a cycle through it needs to be listed, as far as that was computed."""
    more = least_net(index) >= load_f64(index, _GAIN_MORE)
    return load(load(index, _HUBS), _LOGS_MORE if more else _LOGS)


@hot("void(int64)")
def offer_path(index: int) -> None:
    """Offer the path as a cycle from its best base token on, unless another dirty edge does."""
    path = load(index, _PATH)
    cycle, count, present = path + _CYCLE_BYTES, load(path, _LEG_COUNT), load(index, _ROUND)
    ranks, best, begin = load(index, _BASES), load(index, _BASE_COUNT), _NOBODY
    for k in range(count):
        edge = load(path, k)
        if (
            k > 0
            and load(edge, _EDGE_DIRTY) == present
            and load(edge, _NUMBER) < load(load(path, 0), _NUMBER)
        ):
            return
        for n in range(k):
            if load(load(path, n), _POOL) == load(edge, _POOL):
                return
        rank = load(ranks, load(edge, _SOLD))
        if rank < best and load(edge, _CAN_FLASH) != 0:
            best, begin = rank, k
    if begin == _NOBODY:
        return
    for k in range(count):
        store(cycle, k, load(path, begin + k if begin + k < count else begin + k - count))
    store(cycle, _LEG_COUNT, count)
    before = least_net(index)
    offer(load(index, _MARKET), index, cycle)
    if least_net(index) > before:
        set_least(index)
