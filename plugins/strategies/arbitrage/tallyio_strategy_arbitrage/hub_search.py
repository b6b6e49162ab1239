"""Every cycle through a dirty pool that may be among the best, found through the hub index; compiled.

The dirty edge leads from `start` to `middle`; what is looked for are the walks of one, two or three legs
from `middle` back to `start`. Which way to look depends on which ends are tails, for a tail has few
links and a hub many:

    a tail at an end       its links, one by one; the bounds say which hubs are worth going through
    two hubs, one between  their rows, sixty-four tokens at a time, if `two` lets it through
    two hubs, two tails    the links between tails, if `three` lets it through

The index sees walks, and a walk may come back to a token or use a pool twice: `offer_path` leaves those out,
and what they raised a bound to costs one look in vain. In turn nothing that may pay is missed: every
pair of legs is looked at from one end or the other, unless a bound, never below the truth, is too low.
A cycle through several dirty edges is offered by the first of them.

What the rates of a cycle must add up to follows from the dirty edge (`sieve`): enough to beat the gas, and,
once the shortlist is full, its last entry.
"""

from __future__ import annotations

from typing import Final

from tallyio.market import abi
from tallyio.market.abi import word
from tallyio.native.atomics import load, load_f64, store
from tallyio.native.jit import hot
from tallyio.native.vector import load_f32, lowest_bit, store_f32, sums_above_16, sums_above_64
from tallyio_strategy_arbitrage import layout, sieve
from tallyio_strategy_arbitrage.hub_path import logs_to_list, offer_path, set_least, set_leg, still_needed
from tallyio_strategy_arbitrage.hub_rates import from_hub, line_of, link_address, row_of, run_rate, to_hub

_DIRTY: Final = word(abi.MARKET, "dirty")
_DIRTY_COUNT: Final = word(abi.MARKET, "dirty_count")

_MARKET: Final = word(layout.INDEX, "market")
_POOL_EDGES_AT: Final = word(layout.INDEX, "pool_edges_at")
_POOL_EDGES: Final = word(layout.INDEX, "pool_edges")
_HUBS: Final = word(layout.INDEX, "hubs")
_MAX_LEGS: Final = word(layout.INDEX, "max_legs")
_PATH: Final = word(layout.INDEX, "path")

_NUMBER: Final = word(layout.EDGE, "number")

_LEG_COUNT: Final = word(layout.CYCLE, "leg_count")

_HUB_COUNT: Final = word(layout.HUBS, "hub_count")
_LINE: Final = word(layout.HUBS, "line")
_PLACES: Final = word(layout.HUBS, "places")
_LINKS_AT: Final = word(layout.HUBS, "links_at")
_TAILS_AT: Final = word(layout.HUBS, "tails_at")
_TAIL_LINKS: Final = word(layout.HUBS, "tail_links")
_TAIL_LINK_COUNT: Final = word(layout.HUBS, "tail_link_count")
_TO_HUB: Final = word(layout.HUBS, "to_hub")
_FROM_HUB: Final = word(layout.HUBS, "from_hub")
_OUT_ROWS: Final = word(layout.HUBS, "out_rows")
_IN_ROWS: Final = word(layout.HUBS, "in_rows")
_TWO: Final = word(layout.HUBS, "two")
_TWO_BACK: Final = word(layout.HUBS, "two_back")
_THREE: Final = word(layout.HUBS, "three")
_SCANS: Final = word(layout.HUBS, "scans")

_BOUGHT: Final = word(layout.LINK, "bought")
_TWIN: Final = word(layout.LINK, "twin")
_RUN: Final = word(layout.LINK, "run")
_RATE: Final = word(layout.LINK, "rate")
_BACK: Final = word(layout.LINK, "back")

_LANES: Final = 16
_ROW_LANES: Final = 64
_SLACK: Final = sieve.SLACK
_CLOSED: Final = layout.CLOSED
_NOTHING: Final = 0.5 * layout.CLOSED
_NOBODY: Final = -1


@hot("void(int64)")
def search_hubs(index: int) -> None:
    """Offer every cycle through dirty edges that may be among the best.

    Pools between hubs come first: they are the deepest, and what they gain is what the rest must beat.
    """
    market, hubs = load(index, _MARKET), load(index, _HUBS)
    store(hubs, _SCANS, 0)
    at, edges, dirty = load(index, _POOL_EDGES_AT), load(index, _POOL_EDGES), load(market, _DIRTY)
    for turn in range(2):
        for k in range(load(market, _DIRTY_COUNT)):
            pool = load(dirty, k)
            for n in range(load(at, pool), load(at, pool + 1)):
                number = load(load(edges, n), _NUMBER)
                if _is_between_hubs(hubs, number) == (turn == 0):
                    search_edge(index, number)


@hot("boolean(int64, int64)", inline=True)
def _is_between_hubs(hubs: int, number: int) -> bool:
    link, count = link_address(hubs, number), load(hubs, _HUB_COUNT)
    return load(link, _BOUGHT) < count and load(link_address(hubs, load(link, _TWIN)), _BOUGHT) < count


@hot("void(int64, int64)")
def search_edge(index: int, number: int) -> None:
    """Offer every cycle through one edge that may be among the best, but for those of an earlier one."""
    hubs, max_legs = load(index, _HUBS), load(index, _MAX_LEGS)
    link = link_address(hubs, number)
    rate = load_f64(link, _RATE)
    if rate < _NOTHING:
        return
    start, middle = load(link_address(hubs, load(link, _TWIN)), _BOUGHT), load(link, _BOUGHT)
    set_leg(index, 0, number)
    set_least(index)
    for legs in range(2, max_legs + 1):
        store(load(index, _PATH), _LEG_COUNT, legs)
        if legs == 2:  # noqa: PLR2004 - legs
            _one_leg(index, middle, start, 1, rate)
        elif legs == 3:  # noqa: PLR2004 - legs
            _two_legs(index, middle, start, _NOBODY, 1, rate)
        else:
            _three_legs(index, middle, start, rate)


@hot("int64(int64, int64, int64)")
def find_run(hubs: int, sold: int, bought: int) -> int:
    """Return the number of the first link from `sold` to `bought`, or -1, by halving the shorter list."""
    at = load(hubs, _LINKS_AT)
    swapped = load(at, sold + 1) - load(at, sold) > load(at, bought + 1) - load(at, bought)
    here, there = (bought, sold) if swapped else (sold, bought)
    low, high = load(at, here), load(at, here + 1)
    end = high
    while low < high:
        half = (low + high) >> 1
        if load(link_address(hubs, half), _BOUGHT) < there:
            low = half + 1
        else:
            high = half
    if low == end or load(link_address(hubs, low), _BOUGHT) != there:
        return _NOBODY
    # Both lists have the pools of a pair in the same order, so the first is the twin of the first.
    return load(link_address(hubs, low), _TWIN) if swapped else low


@hot("float64(int64, int64, int64)")
def _pair_rate(hubs: int, sold: int, bought: int) -> float:
    """Return the best rate between two places, or `CLOSED`."""
    count = load(hubs, _HUB_COUNT)
    if bought < count:
        return to_hub(hubs, sold, bought)
    if sold < count:
        return from_hub(hubs, bought, sold)
    run = find_run(hubs, sold, bought)
    return _CLOSED if run == _NOBODY else run_rate(hubs, run)


@hot("void(int64, int64, int64, int64, float64)")
def _one_leg(index: int, sold: int, bought: int, leg: int, so_far: float) -> None:
    """Offer the path with each pool from `sold` to `bought` whose rate adds up as its last open leg."""
    hubs = load(index, _HUBS)
    run = find_run(hubs, sold, bought)
    number = run
    while run != _NOBODY and load(link_address(hubs, number), _RUN) == run:
        if load_f64(link_address(hubs, number), _RATE) > still_needed(index, so_far):
            set_leg(index, leg, number)
            offer_path(index)
        number += 1


@hot("void(int64, int64, int64, int64, int64, float64)")
def _two_legs(index: int, sold: int, bought: int, other: int, leg: int, so_far: float) -> None:
    """Offer the path with each way of two legs from `sold` to `bought` that adds up, around `other`."""
    hubs = load(index, _HUBS)
    count, at = load(hubs, _HUB_COUNT), load(hubs, _LINKS_AT)
    if sold >= count:
        for number in range(load(at, sold), load(at, sold + 1)):
            link = link_address(hubs, number)
            between, rate = load(link, _BOUGHT), load_f64(link, _RATE)
            fits = between != bought and between != other  # noqa: PLR1714 - compiled functions have no `in`
            if fits and rate + _pair_rate(hubs, between, bought) > still_needed(index, so_far):
                set_leg(index, leg, number)
                _one_leg(index, between, bought, leg + 1, so_far + rate)
    elif bought >= count:
        for number in range(load(at, bought), load(at, bought + 1)):
            link = link_address(hubs, number)
            between, rate = load(link, _BOUGHT), load_f64(link, _BACK)
            fits = between != sold and between != other  # noqa: PLR1714 - compiled functions have no `in`
            if fits and rate + _pair_rate(hubs, sold, between) > still_needed(index, so_far):
                set_leg(index, leg + 1, load(link, _TWIN))
                _one_leg(index, sold, between, leg, so_far + rate)
    else:
        _between_hubs(index, sold, bought, other, leg, so_far, 0)


@hot("void(int64, int64, int64, int64, int64, float64, int64)")
def _between_hubs(  # noqa: PLR0913, PLR0917 - the ends, the place in the path and the bounds
    index: int, sold: int, bought: int, other: int, leg: int, so_far: float, lowest: int
) -> None:
    """Do what `_two_legs` does where both ends are hubs, through places from `lowest` on."""
    hubs = load(index, _HUBS)
    if not load_f32(line_of(hubs, load(hubs, _TWO), sold), bought) > still_needed(index, so_far):
        return
    store(hubs, _SCANS, load(hubs, _SCANS) + 1)
    ways_in, ways_out = row_of(hubs, load(hubs, _OUT_ROWS), sold), row_of(hubs, load(hubs, _IN_ROWS), bought)
    highest, logs = _CLOSED, logs_to_list(index)
    for first in range(0, load(hubs, _PLACES), _ROW_LANES):
        above = sums_above_64(ways_in, ways_out, first, still_needed(index, so_far))
        while above != 0:
            between = first + lowest_bit(above)
            above &= above - 1
            rate = load_f32(ways_in, between)
            highest = max(highest, rate + load_f32(ways_out, between))
            worthwhile = so_far + rate + load_f32(ways_out, between) > load_f64(logs, between) - _SLACK
            if worthwhile and between >= lowest and between != other:
                _through(index, sold, between, bought, leg, so_far)
    # What was passed over is at most what had to be exceeded, and that only rises.
    highest = max(highest, still_needed(index, so_far))
    store_f32(line_of(hubs, load(hubs, _TWO), sold), bought, highest)
    store_f32(line_of(hubs, load(hubs, _TWO_BACK), bought), sold, highest)


@hot("void(int64, int64, int64, int64, int64, float64)")
def _through(index: int, sold: int, between: int, bought: int, leg: int, so_far: float) -> None:
    """Offer the path with each two pools from `sold` through `between` to `bought`."""
    hubs = load(index, _HUBS)
    run = find_run(hubs, sold, between)
    number = run
    while run != _NOBODY and load(link_address(hubs, number), _RUN) == run:
        set_leg(index, leg, number)
        rate = load_f64(link_address(hubs, number), _RATE)
        _one_leg(index, between, bought, leg + 1, so_far + rate)
        number += 1


@hot("void(int64, int64, int64, float64)")
def _three_legs(index: int, sold: int, bought: int, so_far: float) -> None:
    """Offer the path with each way of three legs from `sold` to `bought` that adds up."""
    hubs = load(index, _HUBS)
    count = load(hubs, _HUB_COUNT)
    if sold >= count:
        if bought < count:
            _first_to_hub(index, sold, bought, so_far)
            begin = load(load(hubs, _TAILS_AT), sold)
        else:
            begin = load(load(hubs, _LINKS_AT), sold)
        for number in range(begin, load(load(hubs, _LINKS_AT), sold + 1)):
            link = link_address(hubs, number)
            if load(link, _BOUGHT) != bought:
                set_leg(index, 1, number)
                _two_legs(index, load(link, _BOUGHT), bought, sold, 2, so_far + load_f64(link, _RATE))
        return
    if bought < count:
        _first_to_hub(index, sold, bought, so_far)
        _last_from_hub(index, sold, bought, so_far, count)
        _between_tails(index, sold, bought, so_far)
        return
    _last_from_hub(index, sold, bought, so_far, 0)
    for number in range(load(load(hubs, _TAILS_AT), bought), load(load(hubs, _LINKS_AT), bought + 1)):
        link = link_address(hubs, number)
        set_leg(index, 3, load(link, _TWIN))
        _two_legs(index, sold, load(link, _BOUGHT), bought, 1, so_far + load_f64(link, _BACK))


@hot("void(int64, int64, int64, float64)")
def _first_to_hub(index: int, sold: int, bought: int, so_far: float) -> None:
    """Take the first of three legs to each hub that `two` lets through; `bought` is a hub."""
    hubs = load(index, _HUBS)
    first, rest = line_of(hubs, load(hubs, _TO_HUB), sold), line_of(hubs, load(hubs, _TWO_BACK), bought)
    for start in range(0, load(hubs, _LINE), _LANES):
        above = sums_above_16(first, rest, start, still_needed(index, so_far))
        while above != 0:
            hub = start + lowest_bit(above)
            above &= above - 1
            run = find_run(hubs, sold, hub) if hub != bought else _NOBODY
            number = run
            while run != _NOBODY and load(link_address(hubs, number), _RUN) == run:
                set_leg(index, 1, number)
                now = so_far + load_f64(link_address(hubs, number), _RATE)
                _two_legs(index, hub, bought, sold, 2, now)
                number += 1


@hot("void(int64, int64, int64, float64, int64)")
def _last_from_hub(index: int, sold: int, bought: int, so_far: float, lowest: int) -> None:
    """Take the last of three legs from each hub that `two` lets through; `sold` is a hub.

    The token between the first two legs has a place from `lowest` on.
    """
    hubs = load(index, _HUBS)
    first, rest = line_of(hubs, load(hubs, _TWO), sold), line_of(hubs, load(hubs, _FROM_HUB), bought)
    for start in range(0, load(hubs, _LINE), _LANES):
        above = sums_above_16(first, rest, start, still_needed(index, so_far))
        while above != 0:
            hub = start + lowest_bit(above)
            above &= above - 1
            run = find_run(hubs, hub, bought) if hub != sold else _NOBODY
            number = run
            while run != _NOBODY and load(link_address(hubs, number), _RUN) == run:
                set_leg(index, 3, number)
                now = so_far + load_f64(link_address(hubs, number), _RATE)
                _between_hubs(index, sold, hub, bought, 1, now, lowest)
                number += 1


@hot("void(int64, int64, int64, float64)")
def _between_tails(index: int, sold: int, bought: int, so_far: float) -> None:
    """Take three legs between two hubs through two tails."""
    hubs = load(index, _HUBS)
    if not load_f32(line_of(hubs, load(hubs, _THREE), sold), bought) > still_needed(index, so_far):
        return
    store(hubs, _SCANS, load(hubs, _SCANS) + 1)
    tail_links = load(hubs, _TAIL_LINKS)
    ways_in, ways_out = row_of(hubs, load(hubs, _OUT_ROWS), sold), row_of(hubs, load(hubs, _IN_ROWS), bought)
    highest = _CLOSED
    for k in range(load(hubs, _TAIL_LINK_COUNT)):
        number = load(tail_links, k)
        link = link_address(hubs, number)
        one, other = load(link_address(hubs, load(link, _TWIN)), _BOUGHT), load(link, _BOUGHT)
        first, last = load_f32(ways_in, one), load_f32(ways_out, other)
        rate = load_f64(link, _RATE)
        if first + rate + last > still_needed(index, so_far):
            highest = max(highest, first + rate + last)
            set_leg(index, 2, number)
            run = find_run(hubs, sold, one)
            begin = run
            while run != _NOBODY and load(link_address(hubs, begin), _RUN) == run:
                set_leg(index, 1, begin)
                now = so_far + rate + load_f64(link_address(hubs, begin), _RATE)
                _one_leg(index, other, bought, 3, now)
                begin += 1
    highest = max(highest, still_needed(index, so_far))
    store_f32(line_of(hubs, load(hubs, _THREE), sold), bought, highest)
