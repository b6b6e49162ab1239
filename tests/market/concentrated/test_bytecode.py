"""Quotes against the bytecode of three families of contracts, on states that nobody would wait for.

Each pool is created by its real factory, and its storage then set to a random state. A compiled quote
must be what the contract does: to the unit where it swaps, and 0 where it reverts or leaves some over.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.revm import RevmBackend
from tallyio.lab.steps import deploy
from tallyio.lab.world import DEPLOYER
from tallyio.market.concentrated.reference import Pool
from tallyio.market.concentrated.reference_math import get_sqrt_ratio_at_tick
from tallyio.model.execution import Call
from tallyio.model.units import Address
from tallyio.model.words import address_at, address_word, word
from tests.market.concentrated.injected import (
    ALGEBRA,
    CALLER,
    CALLER_CODE,
    PANCAKE,
    SAY_YES,
    UNISWAP,
    Slots,
    creator_code,
    held,
    quoted,
    quoted_exact_out,
    storage_of,
)
from tests.market.concentrated.pools import Row, move, shaped_pool, telling_amounts

STATES = 26
TOKENS = (Address(b"\1" * 20), Address(b"\2" * 20))
UNISWAP_SHAPES = {
    100: 1,
    500: 10,
    3000: 60,
    10_000: 200,
    0: 2,
    777: 7,
    123_456: 100,
    999_999: 16_383,
}


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    made = Row()
    yield made
    made.memory.close()


@pytest.fixture
def backend() -> Iterator[RevmBackend]:
    """Yield an EVM on which the caller and two tokens have their few instructions."""
    made = RevmBackend()
    with made.pretending({CALLER: CALLER_CODE, **dict.fromkeys(TOKENS, SAY_YES)}):
        yield made


def uniswap_pool(backend: RevmBackend, fee: int, spacing: int) -> Address:
    factory = backend.run(deploy(artifact("UniswapV3Factory")))
    if fee not in {500, 3000, 10_000}:
        backend.transact(factory.call("enableFeeAmount", fee, spacing), sender=DEPLOYER)
    return address_at(backend.transact(factory.call("createPool", *TOKENS, fee)), 0)


def pancake_pool(backend: RevmBackend, fee: int, spacing: int) -> Address:
    """Create a pool from an account that tells it its facts; the package has no deployer."""
    facts = [address_word(DEPLOYER), *map(address_word, TOKENS), word(fee), word(spacing)]
    creator = Address(b"\x33" * 20)
    with backend.pretending({creator: creator_code(facts)}):
        creation = artifact("PancakeV3Pool").encode_constructor()
        return address_at(backend.transact(Call(to=creator, data=creation)), 0)


def algebra_pool(backend: RevmBackend) -> Address:
    """Create and initialise a pool, in the block that is still the present one afterwards."""
    deployer = backend.run(deploy(artifact("AlgebraPoolDeployer")))
    factory = backend.run(deploy(artifact("AlgebraFactory"), deployer.address, DEPLOYER))
    backend.transact(deployer.call("setFactory", factory.address), sender=DEPLOYER)
    pool = address_at(backend.transact(factory.call("createPool", *TOKENS)), 0)
    backend.transact(Contract(artifact("AlgebraPool"), pool).call("initialize", 2**96))
    return pool


@pytest.mark.parametrize(("fee", "spacing"), UNISWAP_SHAPES.items())
def test_uniswaps_pools_do_what_is_quoted(
    backend: RevmBackend, row: Row, fee: int, spacing: int, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = compare(backend, uniswap_pool(backend, fee, spacing), UNISWAP, row, (fee, spacing))
    with capsys.disabled():
        print(f"\n  Uniswap, fee {fee}, spacing {spacing}: {dict(counts)}")  # noqa: T201 - what was compared
    assert min(counts.values()) > 80


def test_uniswaps_pools_at_far_prices_do_what_is_quoted(
    backend: RevmBackend, row: Row, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where amounts and prices leave the sizes that tokens have: up to 192 and 160 bits."""
    address, draw, counts = uniswap_pool(backend, 3000, 60), random.Random(9), Counter[str]()
    for tick in (-850_000, -443_700, 0, 443_700, 850_000):
        for liquidity in (1, 2**33, 2**66, 2**97, 2**126):
            pool = Pool((3000, 3000), 60, get_sqrt_ratio_at_tick(tick) + 1, tick)
            pool.modify_liquidity(-887_220, 887_220, liquidity)
            compare_state(backend, address, (pool, UNISWAP), row, draw, counts)
    with capsys.disabled():
        print(f"\n  Uniswap, far prices: {dict(counts)}")  # noqa: T201 - what was compared
    assert min(counts.values()) > 80


@pytest.mark.parametrize(("fee", "spacing"), [(100, 1), (2500, 50)])
def test_pancakes_pools_do_what_is_quoted(
    backend: RevmBackend, row: Row, fee: int, spacing: int, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = compare(backend, pancake_pool(backend, fee, spacing), PANCAKE, row, (fee, spacing))
    with capsys.disabled():
        print(f"\n  PancakeSwap, fee {fee}, spacing {spacing}: {dict(counts)}")  # noqa: T201 - what was compared
    assert min(counts.values()) > 80


@pytest.mark.parametrize("fee", [100, 2999])
def test_algebras_pools_do_what_is_quoted(
    backend: RevmBackend, row: Row, fee: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within the block of their last swap, when the fee is the one in their state."""
    counts = compare(backend, algebra_pool(backend), ALGEBRA, row, (fee, 60))
    with capsys.disabled():
        print(f"\n  Algebra, fee {fee}: {dict(counts)}")  # noqa: T201 - what was compared
    assert min(counts.values()) > 80


def compare(
    backend: RevmBackend, address: Address, slots: Slots, row: Row, shape: tuple[int, int]
) -> Counter[str]:
    """Compare quotes of random states with the contract; return how many of which kind."""
    fee, spacing = shape
    draw, counts = random.Random(fee), Counter[str]()
    for state in range(STATES):
        reach = 3_000 if spacing < 10 else 20_000  # the contract looks at every word on the way
        pool = shaped_pool(draw, draw.randrange(state % 12 + 1), (fee, fee), spacing, reach=reach)
        if state % 3 == 0:
            move(pool, draw)
        compare_state(backend, address, (pool, slots), row, draw, counts)
    return counts


def compare_state(
    backend: RevmBackend,
    address: Address,
    state: tuple[Pool, Slots],
    row: Row,
    draw: random.Random,
    counts: Counter[str],
) -> None:
    """Compare quotes of one state with the contract, and count them by kind."""
    pool, slots = state
    row.set(pool)
    with held(backend, address, storage_of(pool, slots)):
        for i in (0, 1):
            for amount_in, amount_out in telling_amounts(draw, row, i):
                paid = quoted(backend, address, pool, amount_in, i)
                taken = quoted_exact_out(backend, address, pool, amount_out, i)
                assert row.quote(amount_in, i) == paid, (pool, amount_in, i)
                assert row.quote_exact_out(amount_out, i) == taken, (pool, amount_out, i)
                counts["paid" if paid else "refused"] += 1
                counts["exact out paid" if taken else "exact out refused"] += 1
