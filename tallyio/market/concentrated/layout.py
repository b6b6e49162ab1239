"""The row of one pool: a header, the stops of either direction, and the initialised ticks.

Layer: market.

| offset | bytes | field of the header |
|---|---|---|
| 0 | 32 | sqrt_price_x96; 0 = not initialised |
| 32 | 16 | liquidity in range |
| 48 | 8 | tick, signed |
| 56 | 8 | tick_spacing |
| 64 | 192 | the direction that sells token0: prices fall |
| 256 | 192 | the direction that sells token1: prices rise |
| 448 | 8 | number of initialised ticks |
| 456 | 8 | how many have room |
| 464 | 8 | how many stops of a direction have room, a multiple of 8 |
| 472 | 8 | marked words: every how many-th end of a bitmap word is a stop of the row |
| 480 | 8 | gas of a swap that crosses nothing |
| 488 | 8 | gas of crossing an initialised tick |
| 496 | 8 | gas of entering a further bitmap word |
| 504 | 8 | unused |
| 512 | 64 | the protocol's own; nothing here reads or changes it |

| offset | bytes | field of a direction |
|---|---|---|
| 0 | 32 | room_in: input, fee included, that reaches the first stop of the contract |
| 32 | 8 | fee_pips; 10**6 closes the direction |
| 40 | 8 | ahead: number of the first stop of the row ahead of the price; the number of stops if closed |
| 48 | 8 | number of stops |
| 56 | 8 | stops: where they start, from the row's start |
| 64 | 32 | offset_in: sum_in of the stop ahead less the input that reaches it |
| 96 | 32 | offset_out: sum_out of the stop ahead plus the output up to it |
| 128 | 32 | room_out: output up to the first stop of the contract |
| 160 | 8 | ranks: where those of sum_in start, from the row's start; those of sum_out follow |

| offset | bytes | field of a stop |
|---|---|---|
| 0 | 32 | sum_in: input, fee included, that moves the price from the direction's first stop to this one |
| 32 | 32 | sum_out: output of moving it from this one to the last |
| 64 | 32 | sqrt ratio as x96, within the furthest price limits that a swap accepts |
| 96 | 16 | liquidity between this stop and the next |
| 112 | 8 | position: the tick, or, where prices fall, the tick negated |
| 120 | 8 | how many stops up to this one are initialised ticks |

| offset | bytes | field of an initialised tick |
|---|---|---|
| 0 | 8 | tick, signed |
| 8 | 16 | liquidity_net, two's complement |
| 24 | 16 | liquidity_gross |

The sums are *absolute*: what lies between two stops is taken and paid whatever the price is, and each
direction has its own stops, in the order in which a swap meets them. A quote searches them; a swap
changes the header alone. The sums of input grow towards where a swap goes and those of output shrink,
because so their size is that of the amounts near by, wherever liquidity ends; `stops.rank` keeps 54 bits
of each, and these are what is searched.

*Memory.* The contract stops at every initialised tick and at every end of a 256-tick bitmap word, and
rounds there. Over all ticks a spacing of 60 has 116 words and a spacing of 1 has 6,932, mostly far from
any trade. So of the ends of words only every `marked_words(spacing)`-th is a stop of the row, a power of
two that keeps them below 1,024 a direction: every one from a spacing of 7 on, every eighth at a spacing
of 1; and none where there is no liquidity. Sums always include every end, and a quote that ends between
two stops of the row goes through at most seven. A stop takes 128 + 16 bytes in each direction and a tick
40: 328 bytes for an initialised tick, 288 for a marked end between ticks. That is 104 KiB for the
benchmark's pool (175 ticks over the whole range, spacing 60, a quarter to spare), and 250 KiB for a
spacing of 1 with liquidity over all ticks.

All little-endian; what is unused is zero, so equal states have equal rows, apart from the room.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

SQRT_PRICE: Final = 0
LIQUIDITY: Final = 32
TICK: Final = 48
TICK_SPACING: Final = 56
DIRECTIONS: Final = 64
TICK_COUNT: Final = 448
TICK_CAPACITY: Final = 456
STOP_CAPACITY: Final = 464
MARKED_WORDS: Final = 472
GAS_BASE: Final = 480
GAS_PER_TICK: Final = 488
GAS_PER_WORD: Final = 496
OWN: Final = 512
OWN_BYTES: Final = 64
HEADER_BYTES: Final = 576
PRICE_BYTES: Final = TICK_COUNT
"""How much of the row, from its start, `changes.move_price` changes."""

ROOM_IN: Final = 0
FEE_PIPS: Final = 32
AHEAD: Final = 40
STOP_COUNT: Final = 48
STOPS: Final = 56
OFFSET_IN: Final = 64
OFFSET_OUT: Final = 96
ROOM_OUT: Final = 128
RANKS: Final = 160
DIRECTION_BYTES: Final = 192

SUM_IN: Final = 0
SUM_OUT: Final = 32
STOP_SQRT: Final = 64
STOP_LIQUIDITY: Final = 96
STOP_POSITION: Final = 112
STOP_CROSSED: Final = 120
STOP_BYTES: Final = 128
RANK_BYTES: Final = 8

AT_TICK: Final = 0
AT_NET: Final = 8
AT_GROSS: Final = 24
TICK_BYTES: Final = 40

LINE: Final = 64
WORD_TICKS: Final = 256
MAX_TICK_SPACING: Final = 32_767
"""The largest of any factory: v4-core's."""

_MOST_MARKS: Final = 1_024
_ALL_TICKS: Final = 2 * 887_272
_LEAST_ROOM: Final = 8
_ROOM_SHARE: Final = 4

_HEADER: Final = struct.Struct("<32s16sqq192s192sqqqqqqq8x64s")
_DIRECTION: Final = struct.Struct("<32xqqqq96xq24x")
_TICK: Final = struct.Struct("<q16s16s")


def marked_words(tick_spacing: int) -> int:
    """Return after how many ends of bitmap words one is a stop of the row; a power of two."""
    words = 1
    while _ALL_TICKS // (WORD_TICKS * tick_spacing * words) >= _MOST_MARKS:
        words *= 2
    return words


def marks_between(first: int, last: int, tick_spacing: int, *, falling: bool) -> int:
    """Return how many marked ends of words lie strictly between two ticks, `first` below `last`."""
    stride = WORD_TICKS * tick_spacing * marked_words(tick_spacing)
    ahead = 0 if falling else tick_spacing  # upwards a word ends at its last tick
    return (last + ahead - 1) // stride - (first + ahead) // stride


def stops_needed(ticks: Mapping[int, tuple[int, int]], tick_spacing: int, *, falling: bool) -> int:
    """Return how many stops a direction has. `ticks` as for `pack_row`."""
    liquidity, below, marks = 0, 0, 0
    for at in sorted(ticks):
        if liquidity:
            marks += marks_between(below, at, tick_spacing, falling=falling)
        liquidity, below = liquidity + ticks[at][1], at
    return len(ticks) + marks


def row_bytes(tick_capacity: int, stop_capacity: int) -> int:
    """Return the size of a row with room for that many ticks and stops, in whole cache lines."""
    stops = 2 * stop_capacity * (STOP_BYTES + 2 * RANK_BYTES)
    return -(-(HEADER_BYTES + stops + tick_capacity * TICK_BYTES) // LINE) * LINE


def pack_row(  # noqa: PLR0913 - a pool has this many facts
    *,
    sqrt_price_x96: int,
    liquidity: int,
    tick: int,
    fees_pips: tuple[int, int],
    tick_spacing: int,
    ticks: Mapping[int, tuple[int, int]],
    gas: tuple[int, int, int],
    room: int | None = None,
    own: bytes = b"",
) -> bytes:
    """Return a row without what is derived; `changes.rebuild` fills that in.

    `fees_pips` is what selling token0 and what selling token1 costs; `ticks` holds gross and net
    liquidity by initialised tick; `gas` is that of a swap, of a tick crossed and of a bitmap word
    entered. `own` is the protocol's, up to 64 bytes. There is room for `room` further ticks, by default
    for a quarter more than there are; where that is used up, `change_liquidity` asks for a new row.

    Raises: ValueError: a spacing that no factory accepts, or `own` too long.
    """
    if not 0 < tick_spacing <= MAX_TICK_SPACING or len(own) > OWN_BYTES:
        raise ValueError(f"no pool has tick spacing {tick_spacing} and {len(own)} bytes of its own")
    further = max(_LEAST_ROOM, len(ticks) // _ROOM_SHARE) if room is None else room
    most = max(stops_needed(ticks, tick_spacing, falling=falling) for falling in (True, False))
    capacity = -(-(most + further) // 8) * 8
    start = HEADER_BYTES + 2 * capacity * STOP_BYTES
    directions = [
        _DIRECTION.pack(
            fee, 0, 0, HEADER_BYTES + i * capacity * STOP_BYTES, start + 2 * i * capacity * RANK_BYTES
        )
        for i, fee in enumerate(fees_pips)
    ]
    header = _HEADER.pack(
        sqrt_price_x96.to_bytes(32, "little"),
        liquidity.to_bytes(16, "little"),
        tick,
        tick_spacing,
        *directions,
        len(ticks),
        len(ticks) + further,
        capacity,
        marked_words(tick_spacing),
        *gas,
        own,
    )
    table = b"".join(_pack_tick(at, *ticks[at]) for at in sorted(ticks))
    before = header.ljust(start + 4 * capacity * RANK_BYTES, b"\0")
    return (before + table).ljust(row_bytes(len(ticks) + further, capacity), b"\0")


def _pack_tick(tick: int, gross: int, net: int) -> bytes:
    return _TICK.pack(tick, net.to_bytes(16, "little", signed=True), gross.to_bytes(16, "little"))


def contents(row: bytes) -> tuple[bytes, ...]:
    """Return all that a row says, without its room: equal for rows of equal states.

    The last part is what lies where there is only room: empty, for it is zero.
    """
    capacity, ticks = _word(row, STOP_CAPACITY), _word(row, TICK_COUNT)
    table = HEADER_BYTES + 2 * capacity * (STOP_BYTES + 2 * RANK_BYTES)
    used = [(0, DIRECTIONS), (TICK_COUNT, TICK_CAPACITY), (MARKED_WORDS, HEADER_BYTES)]
    for direction in (DIRECTIONS, DIRECTIONS + DIRECTION_BYTES):
        count, ranks = _word(row, direction + STOP_COUNT), _word(row, direction + RANKS)
        stops = _word(row, direction + STOPS)
        used += [(direction, direction + STOPS), (direction + OFFSET_IN, direction + RANKS)]
        used.append((stops, stops + count * STOP_BYTES))
        used += [(at, at + count * RANK_BYTES) for at in (ranks, ranks + capacity * RANK_BYTES)]
    used.append((table, table + ticks * TICK_BYTES))
    rest = bytearray(row)
    for start, end in (*used, (0, HEADER_BYTES)):
        rest[start:end] = bytes(end - start)
    return (*(row[start:end] for start, end in used), bytes(rest).rstrip(b"\0"))


def _word(row: bytes, offset: int) -> int:
    return int.from_bytes(row[offset : offset + 8], "little")
