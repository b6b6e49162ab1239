"""Thousands of positions against the bytecode of both ages: health, amounts, fees, reverts, one wei more.

The state of one market is overwritten for each case, so the contracts see indexes, rates, prices and balances
that no history would reach. Set TALLYIO_LENDING_CASES for another count than CI's.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest
from tallyio_protocol_aave_v3 import reference, terms
from tallyio_protocol_aave_v3.reference import UNLIMITED
from tallyio_protocol_aave_v3.revisions import RULES_3_0, RULES_3_6

from tallyio.lab.lending.aave import AaveVersion
from tallyio.lending import abi
from tests.aave_memory import Memory
from tests.aave_positions import NOW, check, random_pool, random_position, sides_of
from tests.aave_world import AaveWorld, world_of

POSITIONS = int(os.environ.get("TALLYIO_LENDING_CASES", "500"))
RULES = {AaveVersion.V3_0: RULES_3_0, AaveVersion.V3_6: RULES_3_6}


@pytest.fixture(scope="module")
def memory() -> Memory:
    return Memory()


@pytest.fixture(scope="module", params=tuple(AaveVersion), ids=lambda version: version.value)
def world(request: pytest.FixtureRequest) -> AaveWorld:
    return world_of(request.param)


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
        assert made == terms.liquidate(pool, position, collateral=k, debt=j, repay=UNLIMITED, time=NOW)
        seen[abi.VERDICTS[made.verdict]] += 1
        if (
            made.verdict == abi.LAWFUL
            and memory.liquidate(k, j, UNLIMITED - 1, NOW).verdict == abi.LEAVES_DUST
        ):
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
    assert seen["lawful"] > POSITIONS // 8
    assert seen["clipped"] > POSITIONS // 40
    assert seen["refused"] < POSITIONS // 50
