"""Random pools and positions of Aave's, with the listings of `tests.aave_world`."""

from __future__ import annotations

import random

import msgspec
from tallyio_protocol_aave_v3 import reference
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
from tallyio_protocol_aave_v3.reference import RAY, Outcome, Pool

from tallyio.lending import abi
from tallyio.model.lending import Balance, Position, PositionKey
from tests.aave_world import BORROWER, LISTINGS, AaveWorld, Taken, reason

NOW = 1_800_000_000
YEAR = 365 * 24 * 3_600


def random_reserve(draw: random.Random, number: int) -> Reserve:
    """Draw a reserve with the listing's price, or about that."""
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
    """Draw a pool; now and then one of its reserves is closed."""
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
        balances.append(Balance(reserve=number, collateral=amount if held else 0, debt=debt, flags=flags))
    return Position(key=PositionKey(BORROWER), balances=tuple(balances), flags=category)


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
