"""`detect`: from dirty pools to the best cycles, compiled.

The edges of dirty pools are measured anew (`measure`). Then every cycle through them is offered to
the shortlist (`shortlist`): a small market keeps a list of all its cycles, in a large one they are
found through its hubs (`hub_search`). What is on the shortlist at the end is sized exactly.
"""

from __future__ import annotations

from typing import Final

from tallyio.market import abi
from tallyio.market.abi import DETECT_SIGNATURE, word
from tallyio.native.atomics import copy_bytes, load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import load256, to_f64
from tallyio_strategy_arbitrage import layout, reference
from tallyio_strategy_arbitrage.hub_search import search_hubs
from tallyio_strategy_arbitrage.measure import measure_dirty
from tallyio_strategy_arbitrage.shortlist import offer, worth_of
from tallyio_strategy_arbitrage.sizing import size
from tallyio_strategy_arbitrage.walking import gas_of_chain

_DIRTY: Final = word(abi.MARKET, "dirty")
_DIRTY_COUNT: Final = word(abi.MARKET, "dirty_count")
_GAS_PRICE: Final = word(abi.MARKET, "gas_price_wei")

_MARKET: Final = word(layout.INDEX, "market")
_HUBS: Final = word(layout.INDEX, "hubs")
_CYCLES: Final = word(layout.INDEX, "cycles")
_POOL_CYCLES_AT: Final = word(layout.INDEX, "pool_cycles_at")
_POOL_CYCLES: Final = word(layout.INDEX, "pool_cycles")
_STAMPS: Final = word(layout.INDEX, "stamps")
_ROUND: Final = word(layout.INDEX, "round")
_SHORTLIST: Final = word(layout.INDEX, "shortlist")
_LISTED: Final = word(layout.INDEX, "listed")
_SEARCH: Final = word(layout.INDEX, "search")
_WITHIN: Final = word(layout.INDEX, "within")
_PLAN_GAS: Final = word(layout.INDEX, "plan_gas")
_MIN_NET: Final = word(layout.INDEX, "min_net")
_LOOKED_AT: Final = word(layout.INDEX, "looked_at")
_PROMISING: Final = word(layout.INDEX, "promising")
_SOLVED: Final = word(layout.INDEX, "solved")
_SIZED: Final = word(layout.INDEX, "sized")

_POOL: Final = word(layout.EDGE, "pool")
_I: Final = word(layout.EDGE, "i")
_J: Final = word(layout.EDGE, "j")
_SOLD: Final = word(layout.EDGE, "sold")

_CYCLE_BYTES: Final = layout.CYCLE.itemsize
_LEG_COUNT: Final = word(layout.CYCLE, "leg_count")
_CANDIDATE_BYTES: Final = layout.CANDIDATE.itemsize
_INPUT: Final = word(layout.CANDIDATE, "input")

_FOUND_BYTES: Final = abi.FOUND.itemsize
_FOUND_LEG_COUNT: Final = word(abi.FOUND, "leg_count")
_FOUND_TOKEN: Final = word(abi.FOUND, "token")
_FOUND_GAS: Final = word(abi.FOUND, "gas")
_FOUND_NET: Final = word(abi.FOUND, "net")
_FOUND_POOL: Final = word(abi.FOUND, "pool")
_FOUND_IN: Final = word(abi.FOUND, "token_in")
_FOUND_OUT: Final = word(abi.FOUND, "token_out")
_FOUND_AMOUNTS: Final = 8 * word(abi.FOUND, "amounts")
_AMOUNT: Final = layout.AMOUNT_BYTES
_BUDGET: Final = reference.BUDGET


@hot(DETECT_SIGNATURE)
def detect(market: int, index: int, found: int, capacity: int) -> int:
    """Write the best cycles through dirty pools to `found`, best net first, and return how many."""
    store(index, _MARKET, market)
    measure_dirty(market, index)
    store(index, _LISTED, 0)
    store(index, _LOOKED_AT, 0)
    store(index, _PROMISING, 0)
    store(index, _SOLVED, 0)
    if load(index, _HUBS) == 0:
        _offer_enumerated(market, index)
    else:
        search_hubs(index)
    listed, gas_price = load(index, _LISTED), load_f64(market, _GAS_PRICE)
    store(index, _SIZED, listed)
    count = 0
    for k in range(listed):
        cycle = load(index, _SHORTLIST) + k * _CANDIDATE_BYTES
        worth = worth_of(market, cycle)
        tolerance = load_f64(index, _WITHIN) * gas_price / worth
        amounts, _ = size(cycle, load(index, _SEARCH), load_f64(cycle, _INPUT), tolerance, _BUDGET)
        if amounts != 0 and count < capacity:
            spent = load(index, _PLAN_GAS) + gas_of_chain(cycle, amounts)
            net = _profit(cycle, amounts) * worth - float(spent) * gas_price
            if net >= load_f64(index, _MIN_NET):
                _record(cycle, amounts, spent, net, _open_place(found, count, net))
                count += 1
    return count


@hot("void(int64, int64)")
def _offer_enumerated(market: int, index: int) -> None:
    """Offer the listed cycles through dirty pools, each once."""
    at, numbers, dirty = load(index, _POOL_CYCLES_AT), load(index, _POOL_CYCLES), load(market, _DIRTY)
    stamps, present = load(index, _STAMPS), load(index, _ROUND)
    for k in range(load(market, _DIRTY_COUNT)):
        pool = load(dirty, k)
        for n in range(load(at, pool), load(at, pool + 1)):
            number = load(numbers, n)
            if load(stamps, number) != present:
                store(stamps, number, present)
                offer(market, index, load(index, _CYCLES) + number * _CYCLE_BYTES)


@hot("float64(int64, int64)")
def _profit(cycle: int, amounts: int) -> float:
    """Return output less input, which is above zero, in units of the start token."""
    return to_f64(load256(amounts + load(cycle, _LEG_COUNT) * _AMOUNT) - load256(amounts))


@hot("int64(int64, int64, float64)")
def _open_place(found: int, count: int, net: float) -> int:
    """Move those of `count` records that are worse down by one, and return the place before them."""
    place = found + count * _FOUND_BYTES
    while place > found and load_f64(place - _FOUND_BYTES, _FOUND_NET) < net:
        copy_bytes(place, place - _FOUND_BYTES, _FOUND_BYTES)
        place -= _FOUND_BYTES
    return place


@hot("void(int64, int64, int64, float64, int64)")
def _record(cycle: int, amounts: int, spent_gas: int, net: float, found: int) -> None:
    """Write the FOUND record of a sized cycle."""
    legs = load(cycle, _LEG_COUNT)
    store(found, _FOUND_LEG_COUNT, legs)
    store(found, _FOUND_TOKEN, load(load(cycle, 0), _SOLD))
    store(found, _FOUND_GAS, spent_gas)
    store_f64(found, _FOUND_NET, net)
    for k in range(legs):
        edge = load(cycle, k)
        store(found, _FOUND_POOL + k, load(edge, _POOL))
        store(found, _FOUND_IN + k, load(edge, _I))
        store(found, _FOUND_OUT + k, load(edge, _J))
    copy_bytes(found + _FOUND_AMOUNTS, amounts, (legs + 1) * _AMOUNT)
