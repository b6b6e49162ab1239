"""Traders are seeded and pure; what they do leaves gaps, and prices stay sane."""

from __future__ import annotations

from itertools import permutations
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tallyio.lab import RevmWorld, build_revm_world
from tallyio.lab.traders import (
    MAX_SIZE_PPM,
    MAX_SWAPS,
    MIN_SIZE_PPM,
    MIN_SWAPS,
    PPM,
    REVERSION_BPS,
    PoolState,
    Snapshot,
    block_rng,
    choose_swaps,
)
from tallyio.lab.trading import observe, transactions

depths = st.integers(10**6, 2**112)
states = st.builds(PoolState, depth0=depths, depth1=depths, premium_bps=st.integers(-2_000, 2_000))
snapshots = st.lists(states, min_size=MIN_SWAPS, max_size=20).map(tuple)
seeds = st.integers(0, 2**64)


def even_pool(premium_bps: int = 0) -> PoolState:
    return PoolState(depth0=10**18, depth1=10**18, premium_bps=premium_bps)


def sold_token0(premium_bps: int) -> int:
    """Return how many of about 6,000 swaps sell token0 at that premium, and of how many."""
    snapshot = (even_pool(premium_bps),) * 12
    return sum(swap.zero_for_one for n in range(500) for swap in choose_swaps(block_rng(3, n), snapshot)[:4])


@given(seeds, snapshots)
def test_the_same_seed_and_prices_give_the_same_swaps(seed: int, snapshot: Snapshot) -> None:
    assert choose_swaps(Random(seed), snapshot) == choose_swaps(Random(seed), snapshot)


@given(seeds, snapshots, st.integers(MIN_SWAPS, MAX_SWAPS))
def test_a_trader_and_a_pool_have_at_most_one_swap_a_block(
    seed: int, snapshot: Snapshot, traders: int
) -> None:
    swaps = choose_swaps(Random(seed), snapshot, traders=traders)
    assert MIN_SWAPS <= len(swaps) <= min(traders, len(snapshot))
    assert len({swap.pool for swap in swaps}) == len({swap.trader for swap in swaps}) == len(swaps)
    assert all(swap.trader < traders and swap.pool < len(snapshot) for swap in swaps)


@given(seeds, snapshots)
def test_a_swap_sells_a_small_part_of_the_pool(seed: int, snapshot: Snapshot) -> None:
    for swap in choose_swaps(Random(seed), snapshot):
        state = snapshot[swap.pool]
        depth = state.depth0 if swap.zero_for_one else state.depth1
        assert depth * MIN_SIZE_PPM // PPM <= swap.amount_in <= depth * MAX_SIZE_PPM // PPM


@given(seeds, st.integers(REVERSION_BPS, 10_000))
def test_a_token_far_too_dear_is_only_sold(seed: int, premium_bps: int) -> None:
    swaps = choose_swaps(Random(seed), (even_pool(premium_bps),) * 8)
    assert all(swap.zero_for_one for swap in swaps)
    swaps = choose_swaps(Random(seed), (even_pool(-premium_bps),) * 8)
    assert not any(swap.zero_for_one for swap in swaps)


def test_the_dearer_a_token_the_more_often_it_is_sold() -> None:
    sold = [sold_token0(premium) for premium in (-200, -100, 0, 100, 200)]
    assert sold == sorted(sold)
    assert 900 < sold[2] < 1_100, "of 2,000 swaps at the reference about half sell token0"


def test_sizes_are_spread_over_their_decades() -> None:
    snapshot = (even_pool(),) * 12
    sizes = [swap.amount_in for n in range(300) for swap in choose_swaps(block_rng(5, n), snapshot)]
    small = sum(size < 10**15 for size in sizes) / len(sizes)
    assert 0.3 < small < 0.5, "the lowest of 2.5 decades holds two in five"


def test_no_two_blocks_share_their_randomness() -> None:
    draws = {block_rng(seed, number).random() for seed in range(20) for number in range(20)}
    assert len(draws) == 400


def test_another_seed_makes_other_swaps(revm: RevmWorld) -> None:
    assert revm.step(seed=1) != build_revm_world().step(seed=2)


def test_earlier_transactions_have_higher_tips_and_all_tips_are_low(revm: RevmWorld) -> None:
    tips = [sent.priority_fee_wei for sent in transactions(revm.world, revm.step(seed=1))]
    assert tips == sorted(set(tips), reverse=True)
    assert max(tips) < 10**6


def test_traders_leave_gaps_but_keep_prices_sane(revm: RevmWorld) -> None:
    """In most of 60 blocks two pools differ by more than their fees, in none a price is absurd."""
    gaps = []
    for _ in range(60):
        revm.step(seed=7)
        snapshot = revm.backend.run(observe(revm.world))
        gaps.append(two_leg_gaps(revm, snapshot))
        assert all(abs(state.premium_bps) < 3 * REVERSION_BPS for state in snapshot)
    assert sum(found > 0 for found in gaps) >= 20


def test_every_token_is_on_many_cycles_through_weth(revm: RevmWorld) -> None:
    """The graph has two-leg and three-leg cycles from WETH, and each kind mixes V2 with V3."""
    pools = revm.world.pools
    two = [pair for pair in permutations(pools, 2) if set(pair[0].tokens) == set(pair[1].tokens)]
    two = [pair for pair in two if "WETH" in pair[0].tokens]
    three = [
        legs
        for legs in permutations(pools, 3)
        if "WETH" in legs[0].tokens and "WETH" in legs[2].tokens and "WETH" not in legs[1].tokens
        if {*legs[0].tokens, *legs[2].tokens} == {"WETH", *legs[1].tokens}
    ]
    mixed = [
        [legs for legs in cycles if {leg.kind for leg in legs} == {"v2", "v3"}] for cycles in (two, three)
    ]
    assert len(two) >= 10
    assert len(three) >= 10
    assert all(len(cycles) >= 8 for cycles in mixed)


def two_leg_gaps(revm: RevmWorld, snapshot: Snapshot) -> int:
    """Count ordered pairs of pools between which the smallest cycle pays after both fees."""
    rows = list(zip(revm.world.pools, snapshot, strict=True))
    return sum(
        _price(a) * _kept(one.fee_pips) * _kept(other.fee_pips) > _price(b)
        for (one, a), (other, b) in permutations(rows, 2)
        if one.tokens == other.tokens
    )


def _price(state: PoolState) -> float:
    return state.depth1 / state.depth0


def _kept(fee_pips: int) -> float:
    return 1 - fee_pips / 1e6
