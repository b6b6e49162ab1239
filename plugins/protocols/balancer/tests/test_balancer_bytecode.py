"""Quotes against the contracts' own bytecode: every deployed variant, random states, success and revert."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest
from tallyio_protocol_balancer import hot, reference
from tallyio_protocol_balancer.layout import (
    STABLE_KINDS,
    STABLE_ROUNDED,
    STABLE_TRUNCATED,
    WEIGHTED,
    WEIGHTED_POWERS,
    Amp,
    PoolState,
    Rate,
    TokenState,
    pack_row,
)

from tallyio.model.units import ZERO_ADDRESS, Address
from tallyio.native.memory import Region
from tests.balancer_states import FAR, amount_of, amp_of, balances_of, fee_of, rate_of, weights_of
from tests.balancer_world import DAY, GIVEN_IN, GIVEN_OUT, Pool, World

VARIANTS = {
    "weighted_v1": (WEIGHTED, 8),
    "weighted_2tokens": (WEIGHTED, 2),
    "weighted_v2": (WEIGHTED_POWERS, 8),
    "weighted_v3": (WEIGHTED_POWERS, 8),
    "stable_v1": (STABLE_ROUNDED, 5),
    "stable_v2": (STABLE_TRUNCATED, 5),
    "meta_stable": (STABLE_ROUNDED, 2),
    "stable_phantom": (STABLE_ROUNDED, 4),
    "composable_v1": (STABLE_TRUNCATED, 5),
    "composable_v2": (STABLE_TRUNCATED, 5),
    "composable_v3": (STABLE_TRUNCATED, 5),
}
"""Kind of mathematics, and the most tokens without the pool's own."""

WITHOUT_RATES = {"stable_v1", "stable_v2"}
POOLS, STATES, QUOTES = 5, 60, 4
"""Per variant 1,200 quotes, 13,200 in all."""


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def tokens(world: World) -> dict[Address, int]:
    """Tokens with their decimals."""
    return {world.token(decimals): decimals for decimals in (18, 18, 18, 17, 12, 8, 6, 6, 2, 0)}


@pytest.fixture(scope="module")
def row() -> Iterator[Region]:
    with Region(4096) as memory:
        yield memory


def make_pool(
    draw: random.Random, world: World, tokens: dict[Address, int], variant: str
) -> tuple[Pool, PoolState]:
    """Create a pool of random facts; return it, and its state without balances."""
    kind, most = VARIANTS[variant]
    chosen = sorted(draw.sample(sorted(tokens), draw.randrange(2, most + 1)))
    weights = weights_of(draw, len(chosen)) if kind not in STABLE_KINDS else (0,) * len(chosen)
    has_rates = kind in STABLE_KINDS and variant not in WITHOUT_RATES
    rates = [rate_of(draw) if has_rates and draw.random() < 0.5 else 0 for _ in chosen]
    amp, fee = amp_of(draw), fee_of(draw)
    pool = world.pool(
        variant,
        chosen,
        weights=weights,
        amp=amp,
        fee=fee,
        providers=[world.rate_provider(rate) if rate else ZERO_ADDRESS for rate in rates],
        durations=[DAY * 1000] * len(chosen),
    )
    state = PoolState(
        kind=kind,
        fee=fee,
        amp=Amp(start_value=amp * 1000, end_value=amp * 1000),
        tokens=tuple(
            TokenState(
                address=token,
                cash=0,
                decimals=tokens[token],
                weight=weight,
                rate=Rate(cached=rate, live=rate, expires=FAR, duration=0) if rate else None,
            )
            for token, weight, rate in zip(chosen, weights, rates, strict=True)
        ),
    )
    return pool, state


def with_balances(state: PoolState, held: list[tuple[int, int]]) -> PoolState:
    tokens = [
        TokenState(
            address=token.address,
            cash=cash,
            managed=managed,
            decimals=token.decimals,
            weight=token.weight,
            rate=token.rate,
        )
        for token, (cash, managed) in zip(state.tokens, held, strict=True)
    ]
    return PoolState(kind=state.kind, fee=state.fee, amp=state.amp, tokens=tuple(tokens))


def put(row: Region, state: PoolState) -> int:
    raw = pack_row(state)
    row.view("u1", len(raw))[:] = bytearray(raw)
    return row.address


@pytest.mark.parametrize("variant", VARIANTS)
def test_quotes_equal_the_vaults_own_query(
    world: World, tokens: dict[Address, int], row: Region, variant: str
) -> None:
    """`Vault.queryBatchSwap` of the real pool, in both directions: compiled and reference, to the unit."""
    draw, seen = random.Random(variant), Counter[tuple[str, str]]()
    for _ in range(POOLS):
        pool, facts = make_pool(draw, world, tokens, variant)
        decimals = [token.decimals for token in facts.tokens]
        for _ in range(STATES):
            held = balances_of(draw, decimals, alike=facts.kind in STABLE_KINDS)
            state = with_balances(facts, held)
            pool.hold(held)
            address = put(row, state)
            for k in range(QUOTES):
                i, j = draw.sample(range(len(held)), 2)
                if k % 2:
                    amount = amount_of(draw, held[j])
                    answer = pool.query(GIVEN_OUT, i, j, amount)
                    assert reference.quote_exact_out(state, i, j, amount) == answer
                    assert hot.quote_exact_out(address, i, j, amount) == answer
                else:
                    amount = amount_of(draw, held[i])
                    answer = pool.query(GIVEN_IN, i, j, amount)
                    assert reference.quote(state, i, j, amount) == answer
                    assert hot.quote(address, i, j, amount) == answer
                seen["exact out" if k % 2 else "exact in", "swaps" if answer else "reverts or nothing"] += 1
    print(variant, dict(seen))  # noqa: T201 - what the comparison covered
    assert sum(seen.values()) == POOLS * STATES * QUOTES
    assert min(seen.values()) > 80


@pytest.mark.parametrize("variant", ["weighted_2tokens", "meta_stable"])
def test_a_price_oracle_does_not_change_what_is_paid(
    world: World, tokens: dict[Address, int], row: Region, variant: str
) -> None:
    """Pools that record prices do so before a swap; in a state of no absurd imbalance that never fails."""
    draw = random.Random(5)
    pair = sorted(token for token, decimals in tokens.items() if decimals == 18)[:2]
    pool = world.pool(variant, pair, weights=[6 * 10**17, 4 * 10**17], amp=100, fee=10**15, oracle=True)
    kind = VARIANTS[variant][0]
    weights = (6 * 10**17, 4 * 10**17) if kind == WEIGHTED else (0, 0)
    for _ in range(50):
        held = [(draw.randrange(10**20, 10**24), 0) for _ in pair]
        state = PoolState(
            kind=kind,
            fee=10**15,
            amp=Amp(start_value=100_000, end_value=100_000),
            tokens=tuple(
                TokenState(address=token, cash=cash, weight=weight)
                for token, (cash, _), weight in zip(pair, held, weights, strict=True)
            ),
        )
        pool.hold(held)
        amount = draw.randrange(1, 10**19)
        assert hot.quote(put(row, state), 0, 1, amount) == pool.query(GIVEN_IN, 0, 1, amount) > 0
