"""Several liquidations in one transaction: what was predicted for each alone is what it does after others.

That is why the plugin says `is_independent`. Of the same collateral and the same debt, at the close factor,
at the rules about dust, and where debt is written off. The reference predicts; other tests hold the compiled
functions to it.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import pytest
from tallyio_protocol_aave_v3 import terms
from tallyio_protocol_aave_v3.layout import Reserve
from tallyio_protocol_aave_v3.reference import UNLIMITED, Outcome, Pool
from tallyio_protocol_aave_v3.revisions import RULES_3_0, RULES_3_6

from tallyio.lab.lending.aave import AaveVersion
from tallyio.lab.world import account
from tallyio.lending import abi
from tallyio.model.lending import Position, PositionKey
from tests.aave_positions import NOW, check, random_pool, random_position, sides_of
from tests.aave_world import AaveWorld, Attempt, world_of

BATCHES: Final = int(os.environ.get("TALLYIO_LENDING_CASES", "150"))
OWNERS: Final = tuple(account(f"borrower {number}") for number in range(3))
RULES: Final = {AaveVersion.V3_0: RULES_3_0, AaveVersion.V3_6: RULES_3_6}
ENOUGH: Final = 10**35


class Wanted(NamedTuple):
    """A position, which of its balances are taken and repaid, and what the reference says of an offer."""

    position: Position
    k: int
    j: int
    offer: int
    outcome: Outcome

    @property
    def collateral(self) -> int:
        """The reserve that is seized."""
        return self.position.balances[self.k].reserve

    @property
    def debt(self) -> int:
        """The reserve that is repaid."""
        return self.position.balances[self.j].reserve

    @property
    def attempt(self) -> Attempt:
        """What somebody sends."""
        return Attempt(self.position.key.account, self.collateral, self.debt, self.offer)


@pytest.fixture(scope="module", params=tuple(AaveVersion), ids=lambda version: version.value)
def world(request: pytest.FixtureRequest) -> AaveWorld:
    return world_of(request.param)


def want(pool: Pool, position: Position, sides: tuple[int, int], offer: int = UNLIMITED) -> Wanted:
    k, j = sides
    outcome = terms.liquidate(pool, position, collateral=k, debt=j, repay=offer, time=NOW)
    return Wanted(position, k, j, offer, outcome)


def alike(draw: random.Random, position: Position, owner: int) -> Position:
    """Return a position in the same reserves, of another size and another health."""
    size, health = 10 ** draw.uniform(-1, 1), draw.uniform(0.9, 1.3)
    balances = [
        msgspec.structs.replace(
            each, collateral=int(each.collateral * size), debt=int(each.debt * size * health)
        )
        for each in position.balances
    ]
    return owned(msgspec.structs.replace(position, balances=tuple(balances)), owner)


def owned(position: Position, owner: int) -> Position:
    """Return the position as somebody else's."""
    return msgspec.structs.replace(position, key=PositionKey(OWNERS[owner]))


def batch(draw: random.Random, pool: Pool) -> list[Wanted]:
    """Draw three positions, mostly in the same reserves, and an offer to each."""
    first = owned(random_position(draw, pool), 0)
    sides = sides_of(draw, first)
    wanted = [want(pool, first, sides)]
    for owner in (1, 2):
        if draw.random() < 0.75:
            wanted.append(want(pool, alike(draw, first, owner), sides))
        else:
            other = owned(random_position(draw, pool), owner)
            wanted.append(want(pool, other, sides_of(draw, other)))
    # The most, all there is, a part, or one wei less, which may leave dust.
    return [
        want(pool, each.position, (each.k, each.j), draw.choice((most, UNLIMITED - 1, most - 1, most // 3)))
        if (most := each.outcome.most) > 3
        else each
        for each in wanted
    ]


def put(world: AaveWorld, wanted: Sequence[Wanted]) -> None:
    for each in wanted:
        world.put_position(each.position)


def rich_pool(draw: random.Random, world: AaveWorld) -> Pool:
    """Draw a pool that can pay out whatever is seized."""
    pool = random_pool(draw, RULES[world.version])
    return msgspec.structs.replace(pool, reserves=[liquid(each, ENOUGH) for each in pool.reserves])


def liquid(reserve: Reserve, cash: int) -> Reserve:
    """Return the reserve with so much to pay out."""
    return msgspec.structs.replace(reserve, cash=cash)


def test_each_liquidation_of_a_transaction_is_as_it_was_predicted_alone(world: AaveWorld) -> None:
    draw, seen = random.Random(11), Counter[str]()
    world.at(NOW)
    for case in range(BATCHES):
        if case % 4 == 0:
            pool = rich_pool(draw, world)
            world.put_pool(pool)
        wanted = batch(draw, pool)
        put(world, wanted)
        said = world.liquidate_in_turn([each.attempt for each in wanted])
        before = 0
        for each, told in zip(wanted, said, strict=True):
            if each.outcome.verdict == abi.OUT_OF_DOMAIN:
                continue
            check(world, pool, each.collateral, each.outcome, told)
            is_lawful = each.outcome.verdict == abi.LAWFUL
            if before:
                seen[abi.VERDICTS[each.outcome.verdict]] += 1
                owed = each.position.balances[each.j].debt
                seen["a part is left"] += is_lawful and each.outcome.repay < owed // 2 + owed // 4
                seen["written off"] += is_lawful and each.outcome.written_off > 0
            before += is_lawful
        shared = Counter(
            (each.collateral, each.debt) for each in wanted if each.outcome.verdict == abi.LAWFUL
        )
        seen["of the same two"] += max(shared.values(), default=0) > 1
    assert seen["lawful"] > BATCHES // 3
    assert seen["of the same two"] > BATCHES // 4
    assert seen["a part is left"] > BATCHES // 4
    assert seen["the position is healthy"] > BATCHES // 30
    if world.version is AaveVersion.V3_6:  # 3.0 knows neither
        assert seen["it would leave dust"] > BATCHES // 15
        assert seen["written off"] > BATCHES // 8


def test_together_they_take_no_more_than_the_pool_can_pay_out(world: AaveWorld) -> None:
    """Liquidations of the same collateral share its cash alone: with a unit less the second reverts."""
    draw = random.Random(3)
    world.at(NOW)
    pool = rich_pool(draw, world)
    while True:
        wanted = batch(draw, pool)[:2]
        pairs = {(each.collateral, each.debt) for each in wanted}
        lawful = all(each.outcome.verdict == abi.LAWFUL and each.outcome.seize for each in wanted)
        if lawful and len(pairs) == 1 and wanted[0].collateral != wanted[0].debt:
            break
    place = wanted[0].collateral
    together = sum(each.outcome.seize for each in wanted)
    for cash in (together, together - 1):
        reserves = list(pool.reserves)
        reserves[place] = liquid(reserves[place], cash)
        world.put_pool(msgspec.structs.replace(pool, reserves=reserves))
        put(world, wanted)
        first, second = world.liquidate_in_turn([each.attempt for each in wanted])
        check(world, pool, place, wanted[0].outcome, first)
        assert isinstance(second, str) == (cash < together)
