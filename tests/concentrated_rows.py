"""What the row of a pool of concentrated liquidity says, as the references in Python integers have it."""

from __future__ import annotations

import struct
from typing import Any

from tallyio.market.concentrated import layout
from tallyio.market.concentrated.reference import Tick


def facts_of(row: bytes) -> dict[str, Any]:
    """Return the arguments of `reference.Pool`; what a row derives from them is left out."""
    (tick, spacing), (count,) = _words(row, layout.TICK, 2), _words(row, layout.TICK_COUNT, 1)
    (capacity,) = _words(row, layout.STOP_CAPACITY, 1)
    table = layout.HEADER_BYTES + 2 * capacity * (layout.STOP_BYTES + 2 * layout.RANK_BYTES)
    starts = range(table, table + count * layout.TICK_BYTES, layout.TICK_BYTES)
    directions = (layout.DIRECTIONS, layout.DIRECTIONS + layout.DIRECTION_BYTES)
    return {
        "fees_pips": tuple(_words(row, each + layout.FEE_PIPS, 1)[0] for each in directions),
        "tick_spacing": spacing,
        "sqrt_price_x96": int.from_bytes(row[layout.SQRT_PRICE : layout.LIQUIDITY], "little"),
        "tick": tick,
        "liquidity": int.from_bytes(row[layout.LIQUIDITY : layout.TICK], "little"),
        "ticks": {_words(row, at, 1)[0]: _tick(row[at : at + layout.TICK_BYTES]) for at in starts},
    }


def _words(row: bytes, start: int, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}q", row, start)


def _tick(raw: bytes) -> Tick:
    net, gross = raw[layout.AT_NET : layout.AT_GROSS], raw[layout.AT_GROSS :]
    return Tick(
        liquidity_gross=int.from_bytes(gross, "little"),
        liquidity_net=int.from_bytes(net, "little", signed=True),
    )
