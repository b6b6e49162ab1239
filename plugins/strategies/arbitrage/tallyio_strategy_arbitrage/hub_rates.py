"""The hub index, kept as pools change; compiled, and of plain numbers: it asks no pool.

Rates add up along a walk; only a cycle whose rates add up to more than 0 can pay (`sieve`). Between
two places the best rate of all pools counts. For every place the rates to and from each hub stand in
one line of lanes, so that a hub for the next leg is found by one addition and comparison of lines;
the same numbers with the axes swapped stand in a row per hub, to look through all tokens at once.

`two` bounds the rates hub, any token, hub, and `three` those of hub, tail, tail, hub. Both are bounds:
a rise of a rate raises them at once, a fall leaves them, and a search that a bound let through in
vain lowers it to what it found. So a bound is never below the truth, and being above costs one scan.
"""

from __future__ import annotations

import math
from typing import Final

from tallyio.market.abi import word
from tallyio.native.atomics import load, load_f64, store_f64
from tallyio.native.jit import hot
from tallyio.native.vector import load_f32, lowest_bit, raise_16, store_f32
from tallyio_strategy_arbitrage import layout, sieve

_HUB_COUNT: Final = word(layout.HUBS, "hub_count")
_LINE: Final = word(layout.HUBS, "line")
_PLACES: Final = word(layout.HUBS, "places")
_TOKEN_COUNT: Final = word(layout.HUBS, "token_count")
_LINKS: Final = word(layout.HUBS, "links")
_LINKS_AT: Final = word(layout.HUBS, "links_at")
_TAILS_AT: Final = word(layout.HUBS, "tails_at")
_TO_HUB: Final = word(layout.HUBS, "to_hub")
_FROM_HUB: Final = word(layout.HUBS, "from_hub")
_OUT_ROWS: Final = word(layout.HUBS, "out_rows")
_IN_ROWS: Final = word(layout.HUBS, "in_rows")
_TWO: Final = word(layout.HUBS, "two")
_TWO_BACK: Final = word(layout.HUBS, "two_back")
_THREE: Final = word(layout.HUBS, "three")
_LOGS: Final = word(layout.HUBS, "logs")
_LOGS_MORE: Final = word(layout.HUBS, "logs_more")

_LINK_BYTES: Final = layout.LINK.itemsize
_BOUGHT: Final = word(layout.LINK, "bought")
_TWIN: Final = word(layout.LINK, "twin")
_RUN: Final = word(layout.LINK, "run")
_LINK_RATE: Final = word(layout.LINK, "rate")
_BACK: Final = word(layout.LINK, "back")

_EDGE_BYTES: Final = layout.EDGE.itemsize
_EDGE_RATE: Final = word(layout.EDGE, "rate")
_NEEDED: Final = word(layout.EDGE, "needed")
_NEEDED_MORE: Final = word(layout.EDGE, "needed_more")
_MOST_TAKEN: Final = sieve.MOST_TAKEN
_CLOSED: Final = layout.CLOSED
_NOTHING: Final = 0.5 * layout.CLOSED
_LANE_BYTES: Final = 4
_LANES: Final = 16


@hot("int64(int64, int64)", inline=True)
def link_address(hubs: int, number: int) -> int:
    """Return where link `number` is."""
    return load(hubs, _LINKS) + number * _LINK_BYTES


@hot("int64(int64, int64, int64)", inline=True)
def line_of(hubs: int, table: int, place: int) -> int:
    """Return the line of `place` in a table of lines, such as `to_hub` or `two`."""
    return table + place * load(hubs, _LINE) * _LANE_BYTES


@hot("int64(int64, int64, int64)", inline=True)
def row_of(hubs: int, table: int, hub: int) -> int:
    """Return the row of `hub` in `out_rows` or `in_rows`."""
    return table + hub * load(hubs, _PLACES) * _LANE_BYTES


@hot("float64(int64, int64, int64)", inline=True)
def to_hub(hubs: int, place: int, hub: int) -> float:
    """Return the best rate from `place` to `hub`."""
    return load_f32(line_of(hubs, load(hubs, _TO_HUB), place), hub)


@hot("float64(int64, int64, int64)", inline=True)
def from_hub(hubs: int, place: int, hub: int) -> float:
    """Return the best rate from `hub` to `place`."""
    return load_f32(line_of(hubs, load(hubs, _FROM_HUB), place), hub)


@hot("float64(int64, int64)")
def run_rate(hubs: int, number: int) -> float:
    """Return the best rate of the links between the same two places as link `number`."""
    run = load(link_address(hubs, number), _RUN)
    link, best = link_address(hubs, run), _CLOSED
    while load(link, _RUN) == run:
        best = max(best, load_f64(link, _LINK_RATE))
        link += _LINK_BYTES
    return best


@hot("void(int64, int64)")
def rebuild_hubs(hubs: int, edges: int) -> None:
    """Take the rates of all EDGE records and compute every bound anew."""
    line, places, count = load(hubs, _LINE), load(hubs, _PLACES), load(hubs, _HUB_COUNT)
    _close(load(hubs, _TO_HUB), places * line)
    _close(load(hubs, _FROM_HUB), places * line)
    _close(load(hubs, _OUT_ROWS), places * count)
    _close(load(hubs, _IN_ROWS), places * count)
    _close(load(hubs, _TWO), line * line)
    _close(load(hubs, _TWO_BACK), line * line)
    _close(load(hubs, _THREE), line * line)
    links = load(load(hubs, _LINKS_AT), load(hubs, _TOKEN_COUNT))
    for number in range(links):
        _set_link(hubs, number, load_f64(edges + number * _EDGE_BYTES, _EDGE_RATE))
    for place in range(load(hubs, _TOKEN_COUNT)):
        _set_logs(hubs, edges, place)
    for number in range(links):
        link = link_address(hubs, number)
        if load(link, _RUN) == number:
            best = run_rate(hubs, number)
            _set_pair(hubs, _place_of(hubs, link), load(link, _BOUGHT), best)
    for number in range(links):
        link = link_address(hubs, number)
        if load(link, _RUN) == number:
            _raise_bounds(hubs, _place_of(hubs, link), load(link, _BOUGHT), run_rate(hubs, number))


@hot("void(int64, int64, int64)")
def _set_logs(hubs: int, edges: int, place: int) -> None:
    """Note what any cycle through a tail needs, from either direction of its links."""
    if place < load(hubs, _HUB_COUNT):
        return
    low, more = math.inf, math.inf
    for number in range(load(load(hubs, _LINKS_AT), place), load(load(hubs, _LINKS_AT), place + 1)):
        edge = edges + number * _EDGE_BYTES
        low, more = min(low, load_f64(edge, _NEEDED)), min(more, load_f64(edge, _NEEDED_MORE))
    store_f64(load(hubs, _LOGS), place, min(math.log(low), _MOST_TAKEN))
    store_f64(load(hubs, _LOGS_MORE), place, min(math.log(more), _MOST_TAKEN))


@hot("void(int64, int64)")
def _close(row: int, lanes: int) -> None:
    for lane in range(lanes):
        store_f32(row, lane, _CLOSED)


@hot("int64(int64, int64)", inline=True)
def _place_of(hubs: int, link: int) -> int:
    return load(link_address(hubs, load(link, _TWIN)), _BOUGHT)


@hot("void(int64, int64, float64)")
def _set_link(hubs: int, number: int, rate: float) -> None:
    link = link_address(hubs, number)
    store_f64(link, _LINK_RATE, rate)
    store_f64(link_address(hubs, load(link, _TWIN)), _BACK, rate)


@hot("void(int64, int64, int64)")
def update_hubs(hubs: int, edges: int, number: int) -> None:
    """Take what was measured of one EDGE record."""
    before = run_rate(hubs, number)
    _set_link(hubs, number, load_f64(edges + number * _EDGE_BYTES, _EDGE_RATE))
    now = run_rate(hubs, number)
    link = link_address(hubs, number)
    sold, bought = _place_of(hubs, link), load(link, _BOUGHT)
    _set_logs(hubs, edges, sold)
    _set_logs(hubs, edges, bought)
    if now == before:
        return
    _set_pair(hubs, sold, bought, now)
    if now > before:
        _raise_bounds(hubs, sold, bought, now)


@hot("void(int64, int64, int64, float64)")
def _set_pair(hubs: int, sold: int, bought: int, rate: float) -> None:
    count = load(hubs, _HUB_COUNT)
    if bought < count:
        store_f32(line_of(hubs, load(hubs, _TO_HUB), sold), bought, rate)
        store_f32(row_of(hubs, load(hubs, _IN_ROWS), bought), sold, rate)
    if sold < count:
        store_f32(line_of(hubs, load(hubs, _FROM_HUB), bought), sold, rate)
        store_f32(row_of(hubs, load(hubs, _OUT_ROWS), sold), bought, rate)


@hot("void(int64, int64, int64, float64)")
def _raise_bounds(hubs: int, sold: int, bought: int, rate: float) -> None:
    """Raise every bound whose walk may go from `sold` to `bought`."""
    if rate < _NOTHING:
        return
    count = load(hubs, _HUB_COUNT)
    ways_in, ways_out = load(hubs, _FROM_HUB), load(hubs, _TO_HUB)
    if bought < count:
        _raise_two(hubs, load(hubs, _TWO_BACK), load(hubs, _TWO), bought, line_of(hubs, ways_in, sold), rate)
    if sold < count:
        _raise_two(hubs, load(hubs, _TWO), load(hubs, _TWO_BACK), sold, line_of(hubs, ways_out, bought), rate)
    if sold >= count and bought >= count:
        _raise_three(hubs, sold, bought, rate)
    elif sold >= count or bought >= count:
        _raise_three_at(hubs, max(sold, bought), sold < count)


@hot("void(int64, int64, int64, int64, int64, float64)")
def _raise_two(hubs: int, table: int, swapped: int, hub: int, source: int, rate: float) -> None:
    """Raise the line of `hub` in `table` to `source` + `rate`, and its column in `swapped` alike."""
    line = line_of(hubs, table, hub)
    for start in range(0, load(hubs, _LINE), _LANES):
        raised = raise_16(line, source, start, rate)
        while raised != 0:
            lane = start + lowest_bit(raised)
            raised &= raised - 1
            store_f32(line_of(hubs, swapped, lane), hub, load_f32(line, lane))


@hot("void(int64, int64, int64, float64)")
def _raise_three(hubs: int, sold: int, bought: int, rate: float) -> None:
    """Raise `three` for the walks hub, `sold`, `bought`, hub, both of them tails."""
    ways_in = line_of(hubs, load(hubs, _FROM_HUB), sold)
    ways_out = line_of(hubs, load(hubs, _TO_HUB), bought)
    for hub in range(load(hubs, _HUB_COUNT)):
        first = load_f32(ways_in, hub)
        if first > _NOTHING:
            line = line_of(hubs, load(hubs, _THREE), hub)
            for start in range(0, load(hubs, _LINE), _LANES):
                raise_16(line, ways_out, start, first + rate)


@hot("void(int64, int64, boolean)")
def _raise_three_at(hubs: int, tail: int, enters: bool) -> None:  # noqa: FBT001 - compiled functions have no keywords
    """Raise `three` for the walks that enter, or leave, a pair of tails at `tail`."""
    first, end = load(load(hubs, _TAILS_AT), tail), load(load(hubs, _LINKS_AT), tail + 1)
    for number in range(first, end):
        link = link_address(hubs, number)
        other = load(link, _BOUGHT)
        if enters:
            _raise_three(hubs, tail, other, load_f64(link, _LINK_RATE))
        else:
            _raise_three(hubs, other, tail, load_f64(link, _BACK))
