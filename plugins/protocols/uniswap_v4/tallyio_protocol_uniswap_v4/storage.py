"""Where the manager keeps a pool, and what the words there mean.

Source: `StateLibrary`, `Pool.State` and `Slot0` of v4-core 1.0.2; the manager hands out any slots by
`extsload`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from tallyio.market.concentrated.reference_math import MAX_TICK
from tallyio.model.hashing import keccak256
from tallyio.model.words import word

WORD_TICKS: Final = 256

_POOLS: Final = 6
_LIQUIDITY: Final = 3
_TICKS: Final = 4
_BITMAP: Final = 5


class Slot0(msgspec.Struct, frozen=True, kw_only=True):
    """A pool's first slot."""

    sqrt_price_x96: int
    """0: not initialised."""
    tick: int
    protocol_fee: int
    """Pips in 12 bits each: for token0 in, then for token1 in."""
    lp_fee: int
    """Pips, without the flag of a dynamic fee."""


def base_slot(pool_id: bytes) -> int:
    """Return the slot of slot 0 of a pool."""
    return _hashed(pool_id, _POOLS)


def head_slots(base: int, tick_spacing: int) -> list[int]:
    """Return slot 0, the liquidity in range, and the bitmap words of `bitmap_words`."""
    words = [_hashed(word(position), base + _BITMAP) for position in bitmap_words(tick_spacing)]
    return [base, base + _LIQUIDITY, *words]


def tick_slots(base: int, ticks: Sequence[int]) -> list[int]:
    """Return for each tick the slot of its gross and net liquidity."""
    return [_hashed(word(tick), base + _TICKS) for tick in ticks]


def bitmap_words(tick_spacing: int) -> range:
    """Return the positions of the bitmap words that may hold an initialised tick."""
    furthest = MAX_TICK // tick_spacing
    return range(-furthest // WORD_TICKS, furthest // WORD_TICKS + 1)


def slot0_of(value: int) -> Slot0:
    """Read a pool's first slot."""
    return Slot0(
        sqrt_price_x96=value & (1 << 160) - 1,
        tick=_signed(value >> 160, 24),
        protocol_fee=value >> 184 & 0xFF_FFFF,
        lp_fee=value >> 208 & 0xFF_FFFF,
    )


def liquidity_of(value: int) -> tuple[int, int]:
    """Read gross and net liquidity of a tick."""
    return value & (1 << 128) - 1, _signed(value >> 128, 128)


def initialised_ticks(words: Sequence[int], tick_spacing: int) -> list[int]:
    """Return the ticks whose bits are set in the words of `bitmap_words`."""
    return [tick * tick_spacing for tick in _set_bits(words, bitmap_words(tick_spacing))]


def _set_bits(words: Sequence[int], positions: range) -> Iterator[int]:
    for position, bitmap in zip(positions, words, strict=True):
        bits = bitmap
        while bits:
            lowest = bits & -bits
            yield position * WORD_TICKS + lowest.bit_length() - 1
            bits ^= lowest


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _hashed(key: bytes, mapping: int) -> int:
    return int.from_bytes(keccak256(key + mapping.to_bytes(32)))
