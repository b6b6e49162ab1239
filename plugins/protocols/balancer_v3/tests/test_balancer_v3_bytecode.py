"""Thousands of states and amounts against the bytecode of the Vault and its pools, successes and reverts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest
from tallyio_protocol_balancer_v3 import hot, reference
from tallyio_protocol_balancer_v3.layout import pack_row
from tallyio_protocol_balancer_v3.state import MOST, PoolState, TokenState

from tallyio.model.units import ZERO_ADDRESS, Address
from tallyio.native.memory import Region
from tests.balancer_v3_world import LEAST_TRADE, Coin, V3World

CASES = 10_000
EACH = 4
"""Cases per state."""


class Made(NamedTuple):
    """A pool and what does not change of it."""

    address: Address
    coins: list[Coin]
    fee: int
    weights: tuple[int, ...] = ()
    amp: int = 0

    @property
    def least(self) -> list[int]:
        """What a swap must leave."""
        if self.amp:
            return [0] * len(self.coins)
        return [max(10**6, 10 ** (18 - coin.decimals)) for coin in self.coins]


class Bench:
    """A Vault with pools of every kind, and a row."""

    def __init__(self) -> None:
        world = self.world = V3World()
        three = world.coins((18, 6, 8), rates=(True, False, False))
        five = world.coins((18, 18, 6, 18, 8), rates=(True, True, False, False, True))
        halves, fifths = (5 * 10**17,) * 2, (8 * 10**17, 2 * 10**17)
        third = (333_333_333_333_333_333, 666_666_666_666_666_667)
        odd = (10**16, 29 * 10**16, 70 * 10**16)
        weighted: list[tuple[list[Coin], tuple[int, ...], int]] = [
            (three[:2], halves, 10**15),
            (three[1:], fifths, 10**13),
            (five[:2], third, 10**17),
        ]
        weighted += [(three, odd, 3 * 10**15), (five[2:], odd, 123_400_000_000_000)]
        stable = [
            (three[:2], 1, 10**12),
            (three, 200, 5 * 10**14),
            (five, 5_000, 10**16),
            (five[:2], 50_000, 10**17),
        ]
        self.pools = [
            Made(world.weighted(coins, weights, fee=fee), coins, fee, weights=weights)
            for coins, weights, fee in weighted
        ]
        self.pools += [
            Made(world.stable(coins, amp, fee=fee), coins, fee, amp=amp * 1_000) for coins, amp, fee in stable
        ]
        self.memory = Region(4096)
        self.row = self.memory.address

    def set(self, pool: Made, state: PoolState) -> None:
        """Give the pool and the row this state."""
        for coin, token in zip(pool.coins, state.tokens, strict=True):
            if coin.provider != ZERO_ADDRESS:
                self.world.set_rate(coin.provider, token.rate)
        self.world.hold(pool.address, [(token.raw, token.live) for token in state.tokens])
        raw = pack_row(state)
        self.memory.view("u1", len(raw))[:] = bytearray(raw)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.memory.close()


def draw_state(draw: random.Random, pool: Made) -> PoolState:
    """Return balances of any size, rates, and for a stable pool mostly about as much of each token."""
    worth = draw.getrandbits(draw.randrange(20, 128)) + 1
    tokens = []
    for k, coin in enumerate(pool.coins):
        rate = 10**18
        if coin.provider != ZERO_ADDRESS and draw.random() < 0.8:
            rate = draw.choice((draw.randrange(10**17, 10**19), 2 * 10**18, draw.randrange(1, 10**24)))
        scaling = 10 ** (18 - coin.decimals)
        live = draw.getrandbits(draw.randrange(1, 128))
        if draw.random() < (0.95 if pool.amp else 0.5):
            live = worth * draw.randrange(1, 10_000) // draw.choice((10_000, 5_000, 500))
        raw = min(live * 10**18 // (scaling * rate), MOST * 10**18 // (scaling * rate), MOST)
        live = raw * scaling * rate // 10**18
        tokens.append(
            TokenState(
                live=live,
                raw=raw,
                rate=rate,
                scaling=scaling,
                weight=pool.weights[k] if pool.weights else 0,
                least_live=pool.least[k],
            )
        )
    more = 0 if pool.amp else 1
    return PoolState(tokens=tuple(tokens), fee=pool.fee, amp=pool.amp, least=LEAST_TRADE, more=more)


def draw_amount(draw: random.Random, balance: int) -> int:
    """Return an amount: a part of a balance, or anything."""
    if draw.random() < 0.7:
        return balance * draw.randrange(1, 10_000) // draw.choice((10_000, 30_000, 10**6))
    return draw.getrandbits(draw.randrange(1, 130))


def is_outside(state: PoolState, i: int, amount_in: int) -> bool:
    """Return whether the Vault could only book it for the fee that it keeps."""
    token = state.tokens[i]
    raw = token.raw + amount_in
    return raw > MOST or raw * token.scaling * token.rate // 10**18 > MOST


def sides(draw: random.Random, pools: Sequence[Coin]) -> tuple[int, int]:
    i, j = draw.sample(range(len(pools)), 2)
    return i, j


def test_ten_thousand_swaps_each_way_equal_the_bytecode(bench: Bench) -> None:
    """What is quoted is what the Vault pays or takes; where the quote is 0 it reverts, or pays nothing."""
    draw, seen = random.Random(83), Counter[str]()
    for _ in range(CASES // EACH):
        pool = draw.choice(bench.pools)
        state = draw_state(draw, pool)
        bench.set(pool, state)
        kind = "stable" if pool.amp else "weighted"
        for _ in range(EACH):
            i, j = sides(draw, pool.coins)
            coins = pool.coins[i], pool.coins[j]
            amount = draw_amount(draw, state.tokens[i].raw)
            said = bench.world.ask(pool.address, coins, amount, exact_in=True)
            quoted = hot.quote(bench.row, i, j, amount)
            assert quoted == reference.quote(state, i, j, amount)
            outside = said != quoted == 0 and is_outside(state, i, amount)
            assert quoted == said or outside, (state, i, j, amount)
            seen[f"{kind} in, {'outside' if outside else 'paid' if said else 'refused'}"] += 1
            amount = draw_amount(draw, state.tokens[j].raw)
            said = bench.world.ask(pool.address, coins, amount, exact_in=False)
            quoted = hot.quote_exact_out(bench.row, i, j, amount)
            assert quoted == reference.quote_exact_out(state, i, j, amount)
            outside = said != quoted == 0 and is_outside(state, i, said)
            assert quoted == said or outside, (state, i, j, amount)
            seen[f"{kind} out, {'outside' if outside else 'taken' if said else 'refused'}"] += 1
    print(f"\nthe Vault of Balancer V3: {dict(sorted(seen.items()))}")  # noqa: T201 - shown with -s
    for kind in ("stable", "weighted"):
        for done in ("in, paid", "out, taken", "in, refused", "out, refused"):
            assert seen[f"{kind} {done}"] > CASES // 50, seen
