"""Every reason not to liquidate, held against the contract that gives it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from msgspec.structs import replace
from tallyio_protocol_aave_v3 import terms
from tallyio_protocol_aave_v3.layout import (
    ACTIVE,
    AS_COLLATERAL,
    FROZEN,
    PAUSED,
    STABLE_DEBT,
    Category,
    Own,
    Reserve,
    Rules,
    Sentinel,
)
from tallyio_protocol_aave_v3.reference import RAY, UNLIMITED, Outcome, Pool
from tallyio_protocol_aave_v3.revisions import RULES_3_0, RULES_3_6

from tallyio.lab.lending.aave import AaveVersion
from tallyio.lending import abi
from tallyio.model.lending import Balance, Position, PositionKey
from tests.aave_memory import Memory
from tests.aave_world import BORROWER, DOLLAR, LISTINGS, AaveWorld, Taken, reason, world_of

NOW = 1_800_000_000
RULES = {AaveVersion.V3_0: RULES_3_0, AaveVersion.V3_6: RULES_3_6}
USDX, WETH, WBTC = 0, 1, 2


class Desk(NamedTuple):
    """A world, and the memory that must say the same."""

    world: AaveWorld
    memory: Memory

    @property
    def rules(self) -> Rules:
        """The rules of the world."""
        return RULES[self.world.version]

    def pool(self, **changes: Reserve) -> Pool:
        """Return plain reserves, with some replaced by symbol."""
        reserves = [
            changes.get(symbol, plain_reserve(number)) for number, (symbol, *_) in enumerate(LISTINGS)
        ]
        return Pool(own=Own(rules=self.rules), reserves=reserves)

    def offer(
        self, pool: Pool, position: Position, offer: int = UNLIMITED, *, sides: tuple[int, int] = (1, 0)
    ) -> Outcome:
        """Return our outcome of an offer, having seen that the contract's is the same."""
        self.memory.put_pool(pool)
        self.memory.put_position(position)
        made = self.memory.liquidate(*sides, offer, NOW)
        assert made == terms.liquidate(
            pool, position, collateral=sides[0], debt=sides[1], repay=offer, time=NOW
        )
        self.world.put_pool(pool)
        self.world.put_position(position)
        self.world.at(NOW)
        collateral, debt = (position.balances[side].reserve for side in sides)
        asked = made.most if offer == UNLIMITED and made.most else offer
        said = self.world.liquidate(collateral, debt, asked)
        if made.verdict == abi.LAWFUL:
            assert isinstance(said, Taken), said
            assert (made.repay, made.seize, made.written_off) == said[:3]
        else:
            assert isinstance(said, str), said
            assert reason(self.world.version, made.verdict) in said
        return made


def plain_reserve(number: int) -> Reserve:
    """Return an open reserve without interest."""
    _, decimals, price = LISTINGS[number]
    return Reserve(
        liquidity_index=RAY,
        liquidity_rate=0,
        debt_index=RAY,
        debt_rate=0,
        price=price,
        decimals=decimals,
        cash=10**30,
        updated_at=NOW,
        flags=ACTIVE,
        threshold=8_000,
        bonus=10_500,
        fee=1_000,
    )


def loan(held: int, owed: int, *, also_owed: int = 0) -> Position:
    """Return a position with so many dollars of ether as collateral and of USDX and bitcoin as debt."""
    balances = [
        Balance(reserve=USDX, debt=owed * 10**6),
        Balance(reserve=WETH, collateral=held * 10**18 // 2_500, flags=AS_COLLATERAL),
    ]
    if also_owed:
        balances.append(Balance(reserve=WBTC, debt=also_owed * 10**8 // 60_000))
    return Position(key=PositionKey(BORROWER), balances=tuple(balances))


@pytest.fixture(scope="module")
def memory() -> Memory:
    return Memory()


@pytest.fixture(params=tuple(AaveVersion), ids=lambda version: version.value)
def desk(request: pytest.FixtureRequest, memory: Memory) -> Iterator[Desk]:
    world = world_of(request.param)
    with world.backend.undone():
        yield Desk(world, memory)


UNDER_WATER = loan(10_000, 8_200)


def test_an_open_market_lets_a_position_below_its_threshold_be_liquidated(desk: Desk) -> None:
    made = desk.offer(desk.pool(), UNDER_WATER)
    assert made.verdict == abi.LAWFUL
    assert made.repay == 4_100 * 10**6


def test_a_position_at_its_threshold_is_safe_and_one_unit_more_of_debt_is_not(desk: Desk) -> None:
    assert desk.offer(desk.pool(), loan(10_000, 8_000)).verdict == abi.HEALTH_IS_SOUND
    balances = loan(10_000, 8_000).balances
    more = replace(UNDER_WATER, balances=(replace(balances[0], debt=balances[0].debt + 1), balances[1]))
    assert desk.offer(desk.pool(), more).verdict == abi.LAWFUL


@pytest.mark.parametrize("symbol", ["USDX", "WETH"])
@pytest.mark.parametrize(
    ("flags", "verdict"), [(0, abi.INACTIVE), (ACTIVE | PAUSED, abi.PAUSED), (ACTIVE | FROZEN, abi.LAWFUL)]
)
def test_inactive_and_paused_reserves_close_liquidations_and_frozen_ones_do_not(
    desk: Desk, symbol: str, flags: int, verdict: int
) -> None:
    number = [name for name, *_ in LISTINGS].index(symbol)
    pool = desk.pool(**{symbol: replace(plain_reserve(number), flags=flags)})
    assert desk.offer(pool, UNDER_WATER).verdict == verdict


@pytest.mark.parametrize("number", [USDX, WETH])
@pytest.mark.parametrize(("until", "verdict"), [(NOW, abi.GRACE_PERIOD), (NOW - 1, abi.LAWFUL)])
def test_a_grace_period_lasts_through_its_last_second(
    desk: Desk, number: int, until: int, verdict: int
) -> None:
    if desk.world.version is AaveVersion.V3_0:
        pytest.skip("3.0 has no grace periods")
    pool = desk.pool(**{LISTINGS[number][0]: replace(plain_reserve(number), grace_until=until)})
    assert desk.offer(pool, UNDER_WATER).verdict == verdict


@pytest.mark.parametrize(
    ("answer", "since", "verdict"),
    [(1, NOW - 10_000, abi.SENTINEL), (0, NOW - 60, abi.SENTINEL), (0, NOW - 61, abi.LAWFUL)],
)
def test_a_sentinel_protects_who_is_not_deep_under_water(
    desk: Desk, answer: int, since: int, verdict: int
) -> None:
    sentinel = Sentinel(answer=answer, since=since, grace_seconds=60)
    desk.world.set_sentinel(sentinel)
    pool = replace(desk.pool(), own=Own(rules=desk.rules, sentinel=sentinel))
    assert desk.offer(pool, UNDER_WATER).verdict == verdict
    assert desk.offer(pool, loan(10_000, 9_000)).verdict == abi.LAWFUL


def test_collateral_that_is_switched_off_or_counts_for_nothing_cannot_be_taken(desk: Desk) -> None:
    balances = UNDER_WATER.balances
    off = replace(balances[1], flags=0)
    assert desk.offer(desk.pool(), replace(UNDER_WATER, balances=(balances[0], off))).verdict == (
        abi.NOT_COLLATERAL
    )
    worthless = desk.pool(WETH=replace(plain_reserve(WETH), threshold=0))
    since_3_6 = desk.world.version is AaveVersion.V3_6
    assert desk.offer(worthless, UNDER_WATER).verdict == (abi.LAWFUL if since_3_6 else abi.NOT_COLLATERAL)


def test_a_debt_that_is_not_there_cannot_be_repaid(desk: Desk) -> None:
    extra = Balance(reserve=WBTC, collateral=1, flags=AS_COLLATERAL)
    position = replace(UNDER_WATER, balances=(*UNDER_WATER.balances, extra))
    assert desk.offer(desk.pool(), position, sides=(1, 2)).verdict == abi.NOTHING_OWED


def test_offers_of_nothing_gain_nothing(desk: Desk) -> None:
    assert desk.offer(desk.pool(), UNDER_WATER, 0).verdict in {abi.NOTHING_GAINED, abi.LEAVES_DUST}
    assert desk.offer(desk.pool(), loan(100_000, 82_000), 0).verdict == abi.NOTHING_GAINED


def test_collateral_that_the_pool_has_lent_out_cannot_be_paid_out(desk: Desk) -> None:
    made = desk.offer(desk.pool(), UNDER_WATER)
    for cash, verdict in ((made.seize, abi.LAWFUL), (made.seize - 1, abi.NO_CASH)):
        pool = desk.pool(WETH=replace(plain_reserve(WETH), cash=cash))
        assert desk.offer(pool, UNDER_WATER).verdict == verdict


def test_a_feed_without_a_price_leaves_a_position_unknown(desk: Desk) -> None:
    pool = desk.pool(WETH=replace(plain_reserve(WETH), price=0))
    assert desk.offer(pool, UNDER_WATER).verdict == abi.NO_PRICE
    assert desk.memory.health(NOW).status == abi.UNKNOWN


def test_half_of_the_debt_is_the_most_until_the_position_is_deep_under_water(desk: Desk) -> None:
    # The factor is 0.95 at 8,421.05 dollars of debt; at exactly 0.95 all of it may be repaid.
    for owed, share in ((8_421, 2), (8_422, 1)):
        assert desk.offer(desk.pool(), loan(10_000, owed)).most == owed * 10**6 // share


def test_small_debts_may_be_repaid_in_full_since_3_3(desk: Desk) -> None:
    made = desk.offer(desk.pool(), loan(2_400, 1_999))
    is_old = desk.world.version is AaveVersion.V3_0
    assert made.most == 1_999 * 10**6 // (2 if is_old else 1)


def test_the_close_factor_is_of_the_whole_debt_since_3_3(desk: Desk) -> None:
    made = desk.offer(desk.pool(), loan(20_000, 5_000, also_owed=11_500))
    is_old = desk.world.version is AaveVersion.V3_0
    assert made.most == 5_000 * 10**6 // (2 if is_old else 1)


def test_where_the_most_would_leave_dust_less_is_lawful_to_the_unit(desk: Desk) -> None:
    # Half of 3,900 is 1,950 of a debt of 2,100: 150 dollars would be left, and 1,000 must be.
    made = desk.offer(desk.pool(), loan(4_700, 2_100, also_owed=1_800))
    if desk.world.version is AaveVersion.V3_0:
        assert made.most == 1_050 * 10**6
        return
    assert made.verdict == abi.LAWFUL
    assert 2_100 * 10**6 - made.repay == 1_000 * 10**6
    assert desk.offer(desk.pool(), loan(4_700, 2_100, also_owed=1_800), made.most + 1).verdict == (
        abi.LEAVES_DUST
    )


def test_where_the_collateral_left_would_be_dust_less_is_lawful_to_the_unit(desk: Desk) -> None:
    # 2,100 dollars of ether secure half of a debt of 3,960; 1,980 of it would take 2,079.
    other = Balance(reserve=WBTC, collateral=2_800 * 10**8 // 60_000, flags=AS_COLLATERAL)
    position = loan(2_100, 3_960)
    position = replace(position, balances=(*position.balances, other))
    made = desk.offer(desk.pool(), position)
    assert made.verdict == abi.LAWFUL
    if desk.world.version is AaveVersion.V3_6:
        left = 2_100 * 10**18 // 2_500 - made.seize - made.fee
        assert left * 2_500 * DOLLAR // 10**18 >= 1_000 * DOLLAR
        assert desk.offer(desk.pool(), position, made.most + 1).verdict == abi.LEAVES_DUST


def test_debt_that_nothing_secures_any_more_is_written_off_since_3_3(desk: Desk) -> None:
    made = desk.offer(desk.pool(), loan(10_000, 20_000, also_owed=600))
    assert made.verdict == abi.LAWFUL
    is_old = desk.world.version is AaveVersion.V3_0
    assert made.written_off == (0 if is_old else 20_000 * 10**6 - made.repay)


def test_an_e_mode_category_changes_threshold_and_bonus_of_its_collateral_only(desk: Desk) -> None:
    category = Category(threshold=9_300, bonus=10_100, bitmap=1 << WETH if desk.rules & Rules.BITMAPS else 0)
    weth = replace(plain_reserve(WETH), category=1)
    pool = replace(desk.pool(WETH=weth), own=Own(rules=desk.rules, categories={1: category}))
    assert desk.offer(pool, replace(UNDER_WATER, flags=1)).verdict == abi.HEALTH_IS_SOUND
    deeper = replace(loan(10_000, 9_400), flags=1)
    made = desk.offer(pool, deeper)
    assert made.verdict == abi.LAWFUL
    assert made.seize + made.fee == made.repay * 10**12 * 10_100 // 10_000 // 2_500
    outside = replace(pool, reserves=[*pool.reserves[:WETH], plain_reserve(WETH), *pool.reserves[2:]])
    if desk.rules & Rules.BITMAPS:
        outside = replace(outside, own=Own(rules=desk.rules, categories={1: replace(category, bitmap=0)}))
    made = desk.offer(outside, deeper)
    assert made.seize + made.fee == made.repay * 10**12 * 10_500 // 10_000 // 2_500


def test_stable_debt_is_out_of_the_domain(desk: Desk) -> None:
    balances = (replace(UNDER_WATER.balances[0], flags=STABLE_DEBT), UNDER_WATER.balances[1])
    desk.memory.put_pool(desk.pool())
    desk.memory.put_position(replace(UNDER_WATER, balances=balances))
    assert desk.memory.health(NOW).status == abi.UNKNOWN
    assert desk.memory.liquidate(1, 0, UNLIMITED, NOW).verdict == abi.OUT_OF_DOMAIN
