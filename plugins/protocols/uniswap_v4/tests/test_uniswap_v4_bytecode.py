"""The reference and the compiled functions against the manager's own bytecode, on random states.

States are written into the manager's storage; each swap is tried and undone inside one call.
"""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest
from tallyio_protocol_uniswap_v4 import permissions, reference
from tallyio_protocol_uniswap_v4.reference import PoolReverted, new_pool

from tallyio.lab.fetch import CONTRACTS, ensure_fetched, read_verified
from tallyio.market.concentrated.reference_math import HIGHEST_LIMIT, LOWEST_LIMIT
from tallyio.model.units import ZERO_ADDRESS, Address
from tests.v4_desk import Delta, Desk, Key, blank_desk
from tests.v4_pools import Row, key_of, random_pool, random_swap, slots_of

TOKENS = (Address(b"\1" * 20), Address(b"\2" * 20))
NATIVE = (ZERO_ADDRESS, Address(b"\2" * 20))
SWAPS = 8
HOOK_BITS = 14
HOOKS_SOURCE = "@uniswap/v4-core/src/libraries/Hooks.sol"


@pytest.fixture
def desk() -> Desk:
    """Return a manager whose storage is empty."""
    return blank_desk()


def expected(pool: reference.Pool, swap: tuple[bool, int, int]) -> Delta | None:
    """Return what the reference says that the caller's balances become; None where it reverts."""
    zero_for_one, amount, limit = swap
    try:
        outcome = reference.swap(pool, amount, zero_for_one=zero_for_one, limit_x96=limit)
    except PoolReverted:
        return None
    amounts = (-outcome.amount_in, outcome.amount_out)
    return Delta(*amounts) if zero_for_one else Delta(*reversed(amounts))


def complete(swap: tuple[bool, int, int], delta: Delta | None) -> int:
    """Return what a quote of the same swap must be: 0 unless all was swapped and can be settled."""
    zero_for_one, amount, _ = swap
    if delta is None:
        return 0
    taken, paid = (-delta.amount0, delta.amount1) if zero_for_one else (-delta.amount1, delta.amount0)
    is_whole = taken == -amount if amount < 0 else paid == amount
    if not is_whole or max(taken, paid) > reference.MAX_AMOUNT:
        return 0
    return paid if amount < 0 else taken


@pytest.mark.parametrize("seed", range(4))
def test_swaps_of_random_pools_are_those_of_the_bytecode(desk: Desk, seed: int) -> None:
    """Three thousand swaps a seed: exact in and out, with near and far price limits, reverts included."""
    draw, row, seen = random.Random(seed), Row(), Counter[str]()
    for number in range(1, 3_000 // SWAPS + 1):
        pool = random_pool(draw)
        key = key_of(pool, number, draw.choice((TOKENS, NATIVE)))
        desk.write(slots_of(pool, key))
        row.set(pool)
        swaps = [random_swap(draw, pool) for _ in range(SWAPS)]
        for swap, delta in zip(swaps, desk.trials(key, swaps), strict=True):
            assert delta == expected(pool, swap)
            kind = "in" if swap[1] < 0 else "out"
            seen[f"exact {kind}, {'reverted' if delta is None else 'done'}"] += 1
            if swap[2] in {LOWEST_LIMIT, HIGHEST_LIMIT} and swap[1]:
                quote = row.quote if kind == "in" else row.quote_exact_out
                exact = complete(swap, delta)
                assert quote(abs(swap[1]), 1 - swap[0]) == exact
                seen[f"quote {kind}, {'paid' if exact else 'refused'}"] += 1
    tell(f"seed {seed}", seen)
    assert min(seen.values()) > 100
    assert len(seen) == 8


def test_hook_bits_are_classified_as_the_manager_acts(desk: Desk) -> None:
    """For every one of the 2**14 patterns: it is refused exactly if a swap would call the hook.

    The hooks are accounts without code, so every call of one reverts. Patterns that ask for a delta of
    an action that they have no bit for are no hooks (`isValidHookAddress`); they are refused as well.
    """
    flags = flags_of(read_verified(ensure_fetched(CONTRACTS), HOOKS_SOURCE, CONTRACTS).decode())
    pairs = {
        flags["BEFORE_SWAP_RETURNS_DELTA"]: flags["BEFORE_SWAP"],
        flags["AFTER_SWAP_RETURNS_DELTA"]: flags["AFTER_SWAP"],
    }
    pool = new_pool(lp_fee=3_000, tick_spacing=60)
    pool.sqrt_price_x96 = 1 << 96
    pool.modify_liquidity(-600, 600, 10**18)
    seen = Counter[str]()
    for bits in range(1 << HOOK_BITS):
        hooks = Address((1 << 100 | bits).to_bytes(20))
        is_hook = all(bits & action or not bits & answer for answer, action in pairs.items())
        reason = permissions.refusal(hooks)
        if is_hook:
            key = Key(*TOKENS, 3_000, 60, hooks)
            desk.write(slots_of(pool, key))
            (delta,) = desk.trials(key, [(True, -(10**9), LOWEST_LIMIT)])
            assert bool(reason) == (delta is None)
        else:
            assert reason
        seen[f"{'hook' if is_hook else 'no hook'}, {'refused' if reason else 'quoted'}"] += 1
    tell("hooks", seen)
    assert seen == {"hook, quoted": 1 << 10, "hook, refused": 8 << 10, "no hook, refused": 7 << 10}


def test_each_swap_bit_has_a_reason_of_its_own() -> None:
    flags = flags_of(read_verified(ensure_fetched(CONTRACTS), HOOKS_SOURCE, CONTRACTS).decode())
    assert len(flags) == HOOK_BITS
    reasons = {name: permissions.refusal(Address(flag.to_bytes(20))) for name, flag in flags.items()}
    told = {name: reason for name, reason in reasons.items() if reason}
    assert set(told) == {name for name in flags if "SWAP" in name}
    assert len(set(told.values())) == len(told)
    assert permissions.refusal(ZERO_ADDRESS) == ""
    assert set(permissions.refusal(Address(b"\xff" * 20)).split("; ")) == set(told.values())


def tell(what: str, seen: Counter[str]) -> None:
    """Show counts in the output of the test, which pytest prints for `-s` and for a failure."""
    print(f"{what}: {dict(sorted(seen.items()))}")  # noqa: T201 - counts are for whoever runs the test


def flags_of(source: str) -> dict[str, int]:
    """Return the permission bits that the contract's source defines."""
    found = re.findall(r"uint160 internal constant (\w+)_FLAG = 1 << (\d+);", source)
    return {name: 1 << int(bit) for name, bit in found}


def test_the_lowest_price_has_both_directions_right(desk: Desk) -> None:
    """A pool may start at the price of the lowest tick, where no swap could bring it."""
    row = Row()
    for number, spacing in enumerate((1, 2, 4, 8, 60), start=1):
        pool = new_pool(lp_fee=500, tick_spacing=spacing)
        pool.sqrt_price_x96, pool.tick = 4_295_128_739, -887_272
        end = 887_272 // spacing * spacing
        pool.modify_liquidity(-end, end, 10**30)
        key = key_of(pool, number, TOKENS)
        desk.write(slots_of(pool, key))
        row.set(pool)
        for i in (0, 1):
            limit = HIGHEST_LIMIT if i else LOWEST_LIMIT
            amounts = [*(10**digits for digits in range(12)), *(1 << bits for bits in range(90, 127, 6))]
            swaps = [(not i, sign * amount, limit) for amount in amounts for sign in (1, -1)]
            for swap, delta in zip(swaps, desk.trials(key, swaps), strict=True):
                assert delta == expected(pool, swap)
                quote = row.quote if swap[1] < 0 else row.quote_exact_out
                assert quote(abs(swap[1]), i) == complete(swap, delta)
