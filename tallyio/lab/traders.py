"""Seeded traders: what swaps the rest of the world makes in a block.

Layer: lab. Pure and in integers: the same seed, block and pool prices give the same swaps on any
machine. Sizes are log-uniform, directions lean towards the reference price, so pools wander
apart from each other and from their references, but never far.
"""

from __future__ import annotations

from math import exp, log
from random import Random

import msgspec

MIN_SIZE_PPM = 100
MAX_SIZE_PPM = 30_000
"""A swap sells between 0.01 % and 3 % of the pool's depth in the sold token."""

MIN_SWAPS = 4
MAX_SWAPS = 8

REVERSION_BPS = 400
"""At this premium of token0 over its reference all traders sell it; at half of it, three in four."""

EVEN_ODDS = 5_000
BPS = 10_000
PPM = 1_000_000


class PoolState(msgspec.Struct, frozen=True, kw_only=True):
    """What traders look at in a pool."""

    depth0: int
    """Reserve of token0 in smallest units; in a concentrated pool the virtual reserve at its price."""
    depth1: int
    premium_bps: int
    """How much dearer token0 is here than at reference prices."""


class Swap(msgspec.Struct, frozen=True, kw_only=True):
    """An exact-input swap of trader number `trader` through a router."""

    trader: int
    pool: int
    """Index into the snapshot that the swap was chosen from."""
    zero_for_one: bool
    amount_in: int


Snapshot = tuple[PoolState, ...]


def block_rng(seed: int, number: int) -> Random:
    """Return the randomness of block `number`, which no other block shares."""
    return Random(f"tallyio lab {seed} {number}")


def choose_swaps(rng: Random, snapshot: Snapshot, *, traders: int = MAX_SWAPS) -> list[Swap]:
    """Return the swaps of one block: at most one a trader and one a pool."""
    count = rng.randint(min(MIN_SWAPS, traders), min(MAX_SWAPS, traders, len(snapshot)))
    pools = rng.sample(range(len(snapshot)), count)
    return [_swap(rng, trader, pool, snapshot[pool]) for trader, pool in enumerate(pools)]


def _swap(rng: Random, trader: int, pool: int, state: PoolState) -> Swap:
    zero_for_one = rng.randrange(BPS) < EVEN_ODDS + state.premium_bps * EVEN_ODDS // REVERSION_BPS
    # Rounded to parts per million, so the last bit of the platform's exp() does not matter.
    size_ppm = round(exp(rng.uniform(log(MIN_SIZE_PPM), log(MAX_SIZE_PPM))))
    depth = state.depth0 if zero_for_one else state.depth1
    amount_in = max(1, depth * size_ppm // PPM)
    return Swap(trader=trader, pool=pool, zero_for_one=zero_for_one, amount_in=amount_in)
