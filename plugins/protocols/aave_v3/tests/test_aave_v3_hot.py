"""The compiled functions equal the reference on any state, and refuse what is beyond their domain."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import pytest
from msgspec.structs import replace
from tallyio_protocol_aave_v3 import reference, terms
from tallyio_protocol_aave_v3.adapter import AaveV3
from tallyio_protocol_aave_v3.layout import (
    ACTIVE,
    AS_COLLATERAL,
    FLASH,
    PAUSED,
    STABLE_DEBT,
    Category,
    Own,
    Reserve,
    Rules,
    Sentinel,
    pack_own,
    pack_reserve,
    unpack_own,
    unpack_reserve,
)
from tallyio_protocol_aave_v3.reference import RAY, UNLIMITED, Pool
from tallyio_protocol_aave_v3.revisions import (
    RULES_3_0,
    RULES_3_3,
    RULES_3_5,
    RULES_3_6,
    RULES_3_7,
)

from tallyio.lending import abi
from tallyio.model.lending import Balance, Position, PositionKey
from tallyio.model.units import ZERO_ADDRESS
from tests.aave_memory import Memory

EVERY_RULES = (RULES_3_0, RULES_3_3, RULES_3_5, RULES_3_6, RULES_3_7)
NOW = 1_800_000_000
YEAR = 365 * 24 * 3_600
CASES = 1_500


def random_reserve(draw: random.Random) -> Reserve:
    decimals = draw.choice((0, 2, 6, 6, 8, 18, 18, 18, 24))
    threshold = draw.choice((0, 500, 7_800, 8_300, 9_300))
    return Reserve(
        liquidity_index=int(RAY * draw.uniform(1, 2)),
        liquidity_rate=draw.randrange(RAY // 5),
        debt_index=int(RAY * draw.uniform(1, 3)),
        debt_rate=draw.choice((0, RAY // 20, draw.randrange(RAY), 50 * RAY)),
        price=int(10 ** draw.uniform(4, 13)),
        decimals=decimals,
        cash=draw.choice((0, 10**30)) if draw.random() < 0.1 else 10**35,
        updated_at=NOW - draw.choice((0, 1, 2, 12, 3_600, YEAR, draw.randrange(YEAR))),
        flags=draw.choice((0, ACTIVE | PAUSED)) if draw.random() < 0.05 else ACTIVE | FLASH,
        threshold=threshold,
        bonus=draw.choice((10_100, 10_450, 10_500, 11_000)) if threshold or draw.random() < 0.5 else 0,
        fee=draw.choice((0, 1_000, 2_000, 10_000)),
        category=draw.choice((0, 1, 2)),
        grace_until=NOW + draw.randrange(-2, 2) if draw.random() < 0.05 else 0,
    )


def random_pool(draw: random.Random, rules: Rules) -> Pool:
    sentinel = Sentinel(answer=draw.choice((0, 0, 1)), since=NOW - draw.randrange(100), grace_seconds=50)
    categories = {
        number: Category(
            threshold=draw.choice((9_300, 9_700)),
            bonus=draw.choice((10_050, 10_200)),
            bitmap=draw.getrandbits(8),
            price=0 if rules & Rules.BITMAPS or draw.random() < 0.5 else int(10 ** draw.uniform(7, 12)),
        )
        for number in (1, 2)
    }
    own = Own(rules=rules, sentinel=sentinel if draw.random() < 0.2 else None, categories=categories)
    return Pool(own=own, reserves=[random_reserve(draw) for _ in range(8)])


def random_position(draw: random.Random, pool: Pool) -> Position:
    """Draw a position worth some dollars to some millions, near its threshold more often than not."""
    worth = 10 ** draw.uniform(8, 15)
    balances = []
    for number in sorted(draw.sample(range(8), draw.randrange(1, 5))):
        reserve = pool.reserves[number]
        whole = int(worth * 10 ** draw.uniform(-2, 0) * reserve.unit / reserve.price)
        held, owed = (whole if draw.random() < 0.7 else 0), (whole if draw.random() < 0.6 else 0)
        flags = AS_COLLATERAL if held and draw.random() < 0.9 else 0
        flags |= STABLE_DEBT if draw.random() < 0.01 else 0
        balances.append(Balance(reserve=number, collateral=held, debt=owed, flags=flags))
    return Position(
        key=PositionKey(ZERO_ADDRESS),
        balances=tuple(balances),
        flags=draw.choice((0, 0, 1, 2, 3)),
    )


@pytest.fixture(scope="module")
def memory() -> Memory:
    return Memory()


@pytest.mark.parametrize("rules", EVERY_RULES, ids=("3.0", "3.3", "3.5", "3.6", "3.7"))
def test_health_and_liquidations_equal_the_reference_by_the_rules_of(memory: Memory, rules: Rules) -> None:
    draw, seen = random.Random(int(rules)), Counter[int]()
    for _ in range(CASES):
        pool = random_pool(draw, rules)
        position = random_position(draw, pool)
        memory.put_pool(pool)
        memory.put_position(position)
        time = NOW + draw.choice((0, 12))
        account = reference.account_data(pool, position, time)
        found = memory.health(time)
        if account is None:
            assert found.status == abi.UNKNOWN
        else:
            is_dead = account.factor < reference.WAD
            assert found.status == (abi.LIQUIDATABLE if is_dead else abi.HEALTHY)
            assert (found.debt, found.factor) == (account.debt, account.factor)
        k, j = (draw.randrange(len(position.balances)) for _ in range(2))
        owed = position.balances[j].debt
        offer = draw.choice((UNLIMITED, owed, owed // 2, draw.randrange(owed + 2), draw.randrange(3)))
        expected = terms.liquidate(pool, position, collateral=k, debt=j, repay=offer, time=time)
        made = memory.liquidate(k, j, offer, time)
        assert made == expected
        seen[made.verdict] += 1
    wanted = {abi.LAWFUL, abi.HEALTH_IS_SOUND, abi.NOT_COLLATERAL, abi.NOTHING_OWED, abi.PAUSED, abi.INACTIVE}
    wanted |= {abi.GRACE_PERIOD, abi.SENTINEL, abi.NO_CASH, abi.NOTHING_GAINED}
    assert wanted | ({abi.LEAVES_DUST} if rules & Rules.BY_TOTAL else set()) <= set(seen)


@pytest.mark.parametrize("rules", EVERY_RULES, ids=("3.0", "3.3", "3.5", "3.6", "3.7"))
def test_whoever_has_a_margin_above_the_slack_is_healthy(memory: Memory, rules: Rules) -> None:
    draw, near = random.Random(11), 0
    slack = AaveV3({"venues": [{"name": "a", "preset": "aave"}]}).compiled
    for _ in range(1_000):
        pool = random_pool(draw, rules)
        own = Own(rules=rules, categories={n: replace(c, price=0) for n, c in pool.own.categories.items()})
        pool = Pool(own=own, reserves=pool.reserves)
        position = random_position(draw, pool)
        memory.put_pool(pool)
        memory.put_position(position)
        account = reference.account_data(pool, position, NOW)
        values = [memory.values(each.reserve, NOW) for each in position.balances]
        if account is None or None in values:
            continue
        margin, gross = 0.0, 0.0
        for k, (balance, value) in enumerate(zip(position.balances, values, strict=True)):
            assert value is not None
            secures = balance.collateral * memory.weight(k) * value[0]
            margin += secures - balance.debt * value[1]
            gross += secures + balance.debt * value[1]
        band = slack.relative_slack * gross + slack.unit_slack * len(values)
        if margin > band:
            assert account.factor >= reference.WAD
        near += abs(margin) <= band + 1e-3 * gross
    assert near > 5


def round_position(draw: random.Random, pool: Pool) -> Position:
    """Draw a position whose amounts are worth, or nearly, whole numbers of units."""
    balances = []
    for number in sorted(draw.sample(range(8), 2)):
        reserve = pool.reserves[number]
        near = draw.choice((10**reserve.decimals, RAY, 1 << 107, 1 << 108, 10 ** draw.randrange(33)))
        amounts = [max(0, near * draw.randrange(100) + draw.randrange(-1, 2)) for _ in range(2)]
        flags = draw.choice((0, AS_COLLATERAL))
        held, owed = (amount * draw.randrange(2) for amount in amounts)
        balances.append(Balance(reserve=number, collateral=held, debt=owed, flags=flags))
    return Position(key=PositionKey(ZERO_ADDRESS), balances=tuple(balances), flags=draw.choice((0, 1, 3)))


@pytest.mark.parametrize("rules", EVERY_RULES, ids=("3.0", "3.3", "3.5", "3.6", "3.7"))
def test_what_is_kept_of_a_reserve_serves_any_amount_at_its_time_and_no_other(
    memory: Memory, rules: Rules
) -> None:
    draw, known = random.Random(29), 0
    for _ in range(20):
        pool = random_pool(draw, rules)
        exact = [
            replace(each, liquidity_index=RAY, debt_index=draw.choice((RAY, 2 * RAY)), updated_at=NOW)
            for each in pool.reserves[:4]
        ]
        priced = [replace(each, price=draw.choice((1, 10**8, 3 * 10**7))) for each in pool.reserves[4:]]
        pool = Pool(own=pool.own, reserves=[*exact, *priced])
        memory.put_pool(pool)
        for time in (NOW, NOW + 12, NOW, NOW + 1):
            for _ in range(5):
                position = round_position(draw, pool)
                memory.put_position(position)
                account, found = reference.account_data(pool, position, time), memory.health(time)
                if account is not None and found.status != abi.UNKNOWN:  # else it is worth 2**96 and more
                    assert (found.debt, found.factor) == (account.debt, account.factor)
                    known += 1
    assert known > 100


def test_values_are_those_of_one_scaled_unit(memory: Memory) -> None:
    draw = random.Random(13)
    for _ in range(200):
        pool = random_pool(draw, RULES_3_6)
        memory.put_pool(pool)
        for number, reserve in enumerate(pool.reserves):
            found = memory.values(number, NOW)
            if reserve.price > 10**6 * reserve.unit:
                assert found is None
                continue
            assert found is not None
            indexes = (
                reference.normalized_income(reserve, NOW),
                reference.normalized_debt(RULES_3_6, reserve, NOW),
            )
            for value, index in zip(found, indexes, strict=True):
                exact = Fraction(index * reserve.price, RAY * reserve.unit)
                assert abs(Fraction(value) / exact - 1) < Fraction(1, 10**12)


@pytest.mark.parametrize(
    "beyond",
    [
        {"price": 0},
        {"price": 1 << 96},
        {"liquidity_index": 1 << 120},
        {"debt_index": 1 << 120},
        {"liquidity_rate": 1 << 112},
        {"debt_rate": 1 << 112},
        {"debt_rate": (1 << 112) - 1, "updated_at": 0},
        {"updated_at": NOW + 1},
        {"updated_at": NOW - (1 << 32)},
    ],
    ids=str,
)
@pytest.mark.parametrize("rules", [RULES_3_0, RULES_3_6], ids=("3.0", "3.6"))
def test_what_is_beyond_the_domain_is_refused(memory: Memory, rules: Rules, beyond: dict[str, int]) -> None:
    draw = random.Random(17)
    plain = replace(random_reserve(draw), flags=ACTIVE, updated_at=NOW, price=10**8, decimals=18)
    memory.put_pool(Pool(own=Own(rules=rules), reserves=[replace(plain, **beyond)]))
    balance = Balance(reserve=0, collateral=10**18, debt=10**18, flags=AS_COLLATERAL)
    memory.put_position(Position(key=PositionKey(ZERO_ADDRESS), balances=(balance,)))
    assert memory.health(NOW).status == abi.UNKNOWN
    assert memory.values(0, NOW) is None or beyond.get("price")
    assert memory.liquidate(0, 0, UNLIMITED, NOW).verdict in {abi.NO_PRICE, abi.OUT_OF_DOMAIN}


def test_rows_come_back_as_they_were_packed() -> None:
    draw = random.Random(19)
    for rules in EVERY_RULES:
        pool = random_pool(draw, rules)
        assert unpack_own(pack_own(pool.own)) == pool.own
        assert [unpack_reserve(pack_reserve(each)) for each in pool.reserves] == pool.reserves


def test_rows_refuse_what_does_not_fit() -> None:
    plain = random_reserve(random.Random(23))
    for change in ({"price": 1 << 128}, {"cash": -1}, {"decimals": 25}):
        with pytest.raises(ValueError, match=r"is not an unsigned integer|may have 0 to 24 decimals"):
            pack_reserve(replace(plain, **change))
