"""The row of one pool: a header, then its initialised ticks in ascending order.

| offset | bytes | field of the header |
|---|---|---|
| 0 | 32 | sqrt_price_x96; 0 = not initialised |
| 32 | 16 | liquidity in range |
| 48 | 8 | tick, signed |
| 56 | 8 | fee_pips |
| 64 | 8 | tick_spacing |
| 72 | 8 | number of initialised ticks |
| 80 | 8 | how many have room |
| 88 | 8 | cursor: how many initialised ticks are at or below `tick` |
| 96 | 8 | gas of a swap that crosses nothing |
| 104 | 8 | gas of crossing an initialised tick |
| 112 | 8 | gas of entering a further bitmap word |
| 128 | 32 | room_down: input of token0, fee included, that reaches the first stop |
| 160 | 32 | room_up: the same for token1 |

| offset | bytes | field of tick k |
|---|---|---|
| 0 | 8 | tick, signed |
| 8 | 8 | ends of bitmap words between ticks k and k + 1 |
| 16 | 16 | liquidity_net, two's complement |
| 32 | 16 | liquidity_gross |
| 48 | 32 | sqrt ratio as x96, within the furthest price limits that a swap accepts |
| 80 | 32 | input of token0, fee included, that moves the price from tick k + 1 to tick k |
| 112 | 32 | the token1 which that pays |
| 144 | 32 | input of token1, fee included, that moves the price from tick k to tick k + 1 |
| 176 | 32 | the token0 which that pays |

A *range* k lies between ticks k and k + 1. What a whole range takes and pays does not depend on the
current price, so it is kept here and a swap across many ticks costs a few additions each; in either
direction the output follows the input. All little-endian; unused ticks are zero, so equal states
have equal rows.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

SQRT_PRICE: Final = 0
LIQUIDITY: Final = 32
TICK: Final = 48
FEE_PIPS: Final = 56
TICK_SPACING: Final = 64
TICK_COUNT: Final = 72
TICK_CAPACITY: Final = 80
CURSOR: Final = 88
GAS_BASE: Final = 96
GAS_PER_TICK: Final = 104
GAS_PER_WORD: Final = 112
ROOM_DOWN: Final = 128
ROOM_UP: Final = 160
HEADER_BYTES: Final = 192

AT_TICK: Final = 0
AT_WORDS: Final = 8
AT_NET: Final = 16
AT_GROSS: Final = 32
AT_SQRT: Final = 48
AT_DOWN_IN: Final = 80
AT_UP_IN: Final = 144
OUT_AFTER_IN: Final = 32
TICK_BYTES: Final = 208

LINE: Final = 64

_HEADER: Final = struct.Struct("<32s16sqqqqqqqqq8x32x32x")
_TICK: Final = struct.Struct("<q8x16s16s32x128x")


def row_bytes(tick_capacity: int) -> int:
    """Return the size of a row with room for that many ticks, in whole cache lines."""
    return -(-(HEADER_BYTES + tick_capacity * TICK_BYTES) // LINE) * LINE


def pack_row(  # noqa: PLR0913 - a pool has this many facts
    *,
    sqrt_price_x96: int,
    liquidity: int,
    tick: int,
    fee_pips: int,
    tick_spacing: int,
    ticks: Mapping[int, tuple[int, int]],
    tick_capacity: int,
    gas: tuple[int, int, int],
) -> bytes:
    """Return a row without what is derived; `hot.rebuild` fills that in.

    `ticks` holds gross and net liquidity by initialised tick; `gas` is that of a swap, of a tick
    crossed and of a bitmap word entered.

    Raises: ValueError: more ticks than room.
    """
    if len(ticks) > tick_capacity:
        raise ValueError(f"{len(ticks)} ticks do not fit into {tick_capacity}")
    header = _HEADER.pack(
        sqrt_price_x96.to_bytes(32, "little"),
        liquidity.to_bytes(16, "little"),
        tick,
        fee_pips,
        tick_spacing,
        len(ticks),
        tick_capacity,
        0,
        *gas,
    )
    body = b"".join(_pack_tick(at, *ticks[at]) for at in sorted(ticks))
    return (header + body).ljust(row_bytes(tick_capacity), b"\0")


def _pack_tick(tick: int, gross: int, net: int) -> bytes:
    return _TICK.pack(tick, net.to_bytes(16, "little", signed=True), gross.to_bytes(16, "little"))
