"""Thousands of positions against the bytecode of both ages: health, repay, seize, fees, reverts, one wei more.

The state of one market is overwritten for each case, so the contracts see indexes, rates, prices and balances
that no history would reach. Set TALLYIO_AAVE_POSITIONS for another count than CI's.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import msgspec
import pytest
from tallyio_protocol_aave_v3 import reference, terms
from tallyio_protocol_aave_v3.layout import (
    ACTIVE,
    AS_COLLATERAL,
    FROZEN,
    PAUSED,
    Category,
    Own,
    Reserve,
    Rules,
)
from tallyio_protocol_aave_v3.reference import RAY, UNLIMITED, Outcome, Pool
from tallyio_protocol_aave_v3.revisions import RULES_3_0, RULES_3_6

from tallyio.lending import abi
from tallyio.model.lending import Balance, Position, PositionKey
from tests.aave_memory import Memory
from tests.aave_world import BORROWER, LISTINGS, AaveVersion, AaveWorld, Taken, reason, world_of

POSITIONS = int(os.environ.get("TALLYIO_AAVE_POSITIONS", "500"))
NOW = 1_800_000_000
YEAR = 365 * 24 * 3_600
RULES = {AaveVersion.V3_0: RULES_3_0, AaveVersion.V3_6: RULES_3_6}

def random_reserve(draw: random.Random, number: int) -> Reserve:
    _, decimals, price = LISTINGS[number]
    return Reserve(
        liquidity_index=int(RAY * draw.uniform(1, 1.6)),
        liquidity_rate=draw.randrange(RAY // 10),
        debt_index=int(RAY * draw.uniform(1, 2)),
        debt_rate=draw.choice((0, RAY // 20, draw.randrange(RAY), 20 * RAY)),
        price=int(price * draw.uniform(0.5, 2)),
        decimals=decimals,
        cash=10**35 if draw.random() < 0.95 else draw.randrange(10 ** (decimals + 2)),
        updated_at=NOW - draw.choice((0, 1, 2, 12, 3_600, draw.randrange(YEAR))),
        flags=ACTIVE | draw.choice((0, 0, 0, FROZEN)),
        threshold=draw.choice((0, 5_000, 7_800, 8_300, 9_300)),
        bonus=draw.choice((10_100, 10_450, 10_500, 11_000)),
        fee=draw.choice((0, 1_000, 2_000)),
        category=draw.choice((0, 1, 2)),
    )


def random_pool(draw: random.Random, rules: Rules) -> Pool:
    categories = {
        number: Category(
            threshold=draw.choice((9_300, 9_700)),
            bonus=draw.choice((10_050, 10_200)),
            bitmap=draw.getrandbits(len(LISTINGS)) if rules & Rules.BITMAPS else 0,
        )
        for number in (1, 2)
    }
    reserves = [random_reserve(draw, number) for number in range(len(LISTINGS))]
    for number in draw.sample(range(len(LISTINGS)), 1 if draw.random() < 0.1 else 0):
        flags = draw.choice((0, ACTIVE | PAUSED))
        reserves[number] = msgspec.structs.replace(reserves[number], flags=flags)
    return Pool(own=Own(rules=rules, categories=categories), reserves=reserves)


def random_position(draw: random.Random, pool: Pool) -> Position:
    """Draw a position whose debt is near what its collateral covers, or far beyond it."""
    # A third is where the rules about dust and large debts have their limits.
    worth = 10 ** draw.uniform(8, 14) if draw.random() < 0.67 else 10 ** draw.uniform(11.3, 12.3)
    chosen = sorted(draw.sample(range(len(LISTINGS)), draw.randrange(2, 6)))
    sides = [draw.choice(((1, 0), (0, 1), (1, 1), (1, 0), (0, 1))) for _ in chosen]
    category = draw.choice((0, 0, 1, 2))
    target = draw.choice((0.7, 0.85, 0.97, 1.02, 1.3, 3.0)) * draw.uniform(0.98, 1.02)
    balances = []
    for number, (held, owed) in zip(chosen, sides, strict=True):
        reserve = pool.reserves[number]
        whole = worth * 10 ** draw.uniform(-1.5, 0) * reserve.unit / reserve.price
        amount = int(whole) + draw.randrange(2)
        flags = AS_COLLATERAL if held and amount and draw.random() < 0.95 else 0
        debt = int(whole * target * 0.8) if owed else 0
        balances.append(
            Balance(reserve=number, collateral=amount if held else 0, debt=debt, flags=flags)
        )
    return Position(key=PositionKey(BORROWER), balances=tuple(balances), flags=category)


@pytest.fixture(scope="module")
def memory() -> Memory:
    return Memory()


@pytest.fixture(scope="module", params=tuple(AaveVersion), ids=lambda version: version.value)
def world(request: pytest.FixtureRequest) -> AaveWorld:
    return world_of(request.param)


def sides_of(draw: random.Random, position: Position) -> tuple[int, int]:
    """Choose a balance to take and one to repay: most often such that it makes sense."""
    everything = range(len(position.balances))
    held = [k for k in everything if position.balances[k].flags & AS_COLLATERAL]
    owed = [k for k in everything if position.balances[k].debt]
    is_odd = draw.random() < 0.1
    return draw.choice(everything if is_odd or not held else held), draw.choice(
        everything if is_odd or not owed else owed
    )


def check(world: AaveWorld, pool: Pool, k: int, made: Outcome, said: Taken | str) -> None:
    """Hold our outcome of an offer against the contract's."""
    if made.verdict == abi.LAWFUL:
        assert not isinstance(said, str), said
        assert (made.repay, made.seize, made.written_off) == (said.repay, said.seize, said.written_off)
        income = reference.normalized_income(pool.reserves[k], NOW)
        rules = pool.own.rules
        scaled = (
            reference.ceil(made.fee, RAY, income)
            if rules & Rules.DIRECTED
            else reference.half_up(made.fee, RAY, income)
        )
        assert scaled == said.scaled_fee
    else:
        assert isinstance(said, str), made
        assert reason(world.version, made.verdict) in said, (made, said)


def test_health_repay_and_seize_equal_the_contracts(world: AaveWorld, memory: Memory) -> None:
    rules = RULES[world.version]
    draw, seen = random.Random(7), Counter[str]()
    world.at(NOW)
    for case in range(POSITIONS):
        if case % 4 == 0:
            pool = random_pool(draw, rules)
            world.put_pool(pool)
            memory.put_pool(pool)
        position = random_position(draw, pool)
        world.put_position(position)
        memory.put_position(position)
        found, account = memory.health(NOW), reference.account_data(pool, position, NOW)
        assert account is not None
        said = world.account_data()
        assert said == (account.collateral, account.debt, account.average_threshold, account.factor)
        assert (found.debt, found.factor) == (said[1], said[3])
        k, j = sides_of(draw, position)
        collateral, debt = position.balances[k].reserve, position.balances[j].reserve
        made = memory.liquidate(k, j, UNLIMITED, NOW)
        assert made == terms.liquidate(
            pool, position, collateral=k, debt=j, repay=UNLIMITED, time=NOW
        )
        seen[abi.VERDICTS[made.verdict]] += 1
        if made.verdict == abi.LAWFUL and memory.liquidate(k, j, UNLIMITED - 1, NOW).verdict == abi.LEAVES_DUST:
            seen["limited by dust"] += 1
        offers = [made.most or UNLIMITED]
        if made.most:
            # One wei more, all there is, a part, and what would be little.
            offers += [made.most + 1, UNLIMITED - 1, draw.randrange(1, made.most + 1), 1]
        for offer in offers:
            again = memory.liquidate(k, j, offer, NOW)
            if offer == made.most and made.verdict == abi.LAWFUL:
                assert again == made
            if again.verdict == abi.OUT_OF_DOMAIN:
                seen["refused"] += 1
                continue
            check(world, pool, collateral, again, world.liquidate(collateral, debt, offer))
            seen["offers"] += 1
            seen[f"offer: {abi.VERDICTS[again.verdict]}"] += 1
        if made.verdict == abi.LAWFUL and made.written_off:
            seen["written off"] += 1
        if made.verdict == abi.LAWFUL and made.repay < made.most:
            seen["clipped"] += 1
    print(world.version.value, dict(seen))
    assert seen["lawful"] > POSITIONS // 8
    assert seen["clipped"] > POSITIONS // 40
    assert seen["refused"] < POSITIONS // 50
