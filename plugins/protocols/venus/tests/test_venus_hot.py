"""The compiled functions equal the reference to the unit, whatever the numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from random import Random
from typing import Final

import pytest
from tallyio_protocol_venus import reference, state
from tallyio_protocol_venus.layout import (
    LARGEST_PRINCIPAL,
    RELATIVE_SLACK,
    SHIFT,
    UNIT_SLACK,
    pack_debt,
    pack_market,
    pack_own,
    unpack_debt,
    unpack_market,
    unpack_own,
)
from tallyio_protocol_venus.reference import Book, Refused
from tallyio_protocol_venus.state import MANTISSA, UINT256_MAX, Account, Comptroller, Debt, Market, Pool

from tallyio.lending import abi
from tests.venus_book import Held

CASES: Final = int(os.environ.get("TALLYIO_LENDING_CASES", "1500"))
TIME: Final = 1_760_000_000
NUMBER: Final = 60_000_000


@pytest.fixture(scope="module")
def held() -> Iterator[Held]:
    """Return memory for one account and its book."""
    memory = Held()
    yield memory
    memory.close()


def random_market(rng: Random, pools: int) -> Market:
    """Return a market as they are, now and then with something odd."""
    decimals = rng.choice((6, 8, 18))
    borrows = int(10 ** rng.uniform(2, 7) * 10**decimals) if rng.random() < 0.95 else 0
    cash = int(10 ** rng.uniform(0, 7) * 10**decimals)
    supply = int((cash + borrows) * 50 * 10**8 // 10**decimals * rng.uniform(0.5, 1)) or 1
    flags = state.LISTED
    for odd in (
        state.LIQUIDATE_PAUSED,
        state.SEIZE_PAUSED,
        state.REPAY_PAUSED,
        state.REDEEM_PAUSED,
        state.TRANSFER_PAUSED,
        state.FORCED,
        state.TIMED,
        state.NATIVE,
        state.LISTED,
    ):
        flags ^= odd if rng.random() < 0.02 else 0
    flags |= state.PENDING if rng.random() < 0.2 else 0
    is_timed = flags & state.TIMED
    return Market(
        cash=cash,
        borrows=borrows,
        reserves=rng.randrange(1 + (cash + borrows) // 50),
        supply=supply if rng.random() < 0.98 else 0,
        index=rng.randrange(10**18, 2 * 10**18),
        rate=rng.randrange(10**11),
        reserve_factor=rng.choice((0, 10**17, MANTISSA)),
        price=int(10 ** rng.uniform(-3, 5) * 10**6) * 10 ** (30 - decimals) if rng.random() < 0.98 else 0,
        initial_rate=2 * 10 ** (decimals + 8),
        accrued_at=(TIME if is_timed else NUMBER) - rng.choice((0, 1, 7, 300, 100_000)),
        reduced_at=NUMBER - rng.randrange(2_000),
        reduce_after=rng.choice((1, 1_000, 28_800, state.NEVER)),
        liquidator_tokens=rng.randrange(supply) if rng.random() < 0.3 else 0,
        flags=flags,
        pools=tuple(
            Pool(rng.randrange(5 * 10**17, 10**18), rng.randrange(MANTISSA, 12 * 10**17))
            for _ in range(pools)
        ),
    )


def random_book(rng: Random) -> Book:
    """Return a book of five markets and the debt in VAI."""
    pools = rng.randrange(1, 4)
    markets = [random_market(rng, pools) for _ in range(5)]
    vai = Market(
        flags=state.VAI | (state.LIQUIDATE_PAUSED if rng.random() < 0.1 else 0),
        index=rng.randrange(10**18, 2 * 10**18),
        rate=rng.randrange(10**9),
        accrued_at=NUMBER - rng.randrange(1_000),
        pools=tuple(Pool(0, 0) for _ in range(pools)),
    )
    own = Comptroller(
        flags=(state.VIA_LIQUIDATOR if rng.random() < 0.8 else 0)
        | (state.FORCE_VAI if rng.random() < 0.5 else 0)
        | (state.PAUSED if rng.random() < 0.02 else 0),
        close_factor=rng.choice((MANTISSA // 2, 9 * 10**17, rng.randrange(MANTISSA))),
        redeem_fee=rng.choice((0, 0, 10**14, MANTISSA // 2)),
        liquidator_share=rng.choice((MANTISSA // 2, 0, rng.randrange(MANTISSA))),
        least_vai=rng.choice((0, 1_000 * MANTISSA)),
        vai=5,
    )
    return Book(own=own, markets=(*markets, vai))


def random_account(rng: Random, book: Book) -> Account:
    """Return an account whose debts are of the order of its collateral."""
    debts = []
    scale = 10 ** rng.uniform(-6, 6)
    for number, market in enumerate(book.markets[:5]):
        price = market.price or 10**18
        worth = int(scale * 10 ** rng.uniform(-1, 0.5) * 10**36)
        owes = worth // price if rng.random() < 0.5 else 0
        rate = (market.cash + market.borrows) * MANTISSA // (market.supply or 10**30) or 1
        tokens = worth * MANTISSA // price // rate if rng.random() < 0.6 else 0
        if owes or tokens:
            debts.append(
                Debt(
                    market=number,
                    tokens=min(tokens, 2**96 - 1),
                    principal=min(owes, LARGEST_PRINCIPAL),
                    index=rng.randrange(10**18, market.index + 1),
                    entered=owes > 0 or rng.random() < 0.9,
                    forced=rng.random() < 0.03,
                )
            )
    if rng.random() < 0.4:
        minted = int(scale * 10 ** rng.uniform(-2, 0.5) * 10**18) or 1
        debts.append(
            Debt(
                market=5,
                principal=minted,
                index=rng.randrange(10**18, book.markets[5].index + 1),
                past=rng.choice((0, minted // 7, 15 * minted)),
            )
        )
    return Account(
        debts=tuple(debts), pool=rng.randrange(len(book.markets[0].pools)), restricted=rng.random() < 0.02
    )


def block(rng: Random) -> dict[str, int]:
    """Return the time and number of a block to come."""
    return {"time": TIME + rng.choice((0, 3, 12)), "number": NUMBER + rng.choice((0, 1, 5))}


def cases(seed: int, count: int) -> Iterator[tuple[Random, Book, Account, dict[str, int]]]:
    """Yield books and accounts: many accounts to a book."""
    rng = Random(seed)
    book = random_book(rng)
    for k in range(count):
        if k % 8 == 0:
            book = random_book(rng)
        account = random_account(rng, book)
        if account.debts:
            yield rng, book, account, block(rng)


def test_health_is_the_reference(held: Held) -> None:
    statuses = dict.fromkeys((abi.UNKNOWN, abi.HEALTHY, abi.LIQUIDATABLE), 0)
    for _, book, account, when in cases(1, CASES):
        held.hold(book, account)
        status, *numbers = held.health(**when)
        try:
            expected = reference.health(book, account, **when)
        except Refused:
            assert status == abi.UNKNOWN
        else:
            is_due = expected[0] < expected[1] or reference.is_forced(book, account)
            assert (status, tuple(numbers)) == (abi.LIQUIDATABLE if is_due else abi.HEALTHY, expected)
        statuses[status] += 1
    assert min(statuses.values()) > CASES // 50


def test_liquidations_are_the_reference(held: Held) -> None:
    seen: dict[int, int] = {}
    for rng, book, account, when in cases(2, CASES):
        held.hold(book, account)
        pairs = [(c, d) for c in range(len(account.debts)) for d in range(len(account.debts))]
        for c, d in rng.sample(pairs, min(4, len(pairs))):
            offer, most = UINT256_MAX, 0
            for _ in range(3):
                verdict, terms = reference.liquidate(book, account, collateral=c, debt=d, repay=offer, **when)
                told = held.liquidate(c, d, offer, **when)
                assert told[0] == verdict, (book, account, c, d, offer)
                assert told[5] == terms.most
                if verdict == abi.LAWFUL:
                    assert told[1:5] == (terms.repay, terms.seize, terms.fee, 0)
                seen[verdict] = seen.get(verdict, 0) + 1
                most = terms.most
                offer = rng.choice((0, most + 1, rng.randrange(most + 1), rng.randrange(10)))
    assert set(seen) >= {
        abi.LAWFUL,
        abi.HEALTH_IS_SOUND,
        abi.NOT_COLLATERAL,
        abi.NOTHING_OWED,
        abi.PAUSED,
        abi.INACTIVE,
        abi.TOO_MUCH,
        abi.NO_PRICE,
        abi.NO_CASH,
        abi.CLOSED,
        abi.OUT_OF_DOMAIN,
        abi.NOTHING_GAINED,
    }
    assert seen[abi.LAWFUL] > CASES // 10


def test_the_most_that_is_lawful_is_lawful_and_one_more_is_not(held: Held) -> None:
    lawful = 0
    for _, book, account, when in cases(3, CASES // 4):
        held.hold(book, account)
        for c in range(len(account.debts)):
            for d in range(len(account.debts)):
                verdict, repay, *_, most = held.liquidate(c, d, UINT256_MAX, **when)
                if verdict == abi.LAWFUL:
                    lawful += 1
                    assert repay == most
                    assert held.liquidate(c, d, most + 1, **when)[0] == abi.TOO_MUCH
    assert lawful > CASES // 100


def exact_values(book: Book, number: int, when: dict[str, int]) -> tuple[Fraction, Fraction] | None:
    """Return what a unit of collateral and of debt is worth, without any rounding after accrual."""
    market = reference.accrue(book.markets[number], **when)
    if market.flags & state.VAI:
        return Fraction(1), 16 + Fraction(market.index, MANTISSA)
    if not market.flags & state.LISTED:
        return Fraction(0), Fraction(0)
    if market.price == 0:
        return None
    total = market.cash + market.borrows - market.reserves
    rate = Fraction(total * MANTISSA, market.supply) if market.supply else Fraction(market.initial_rate)
    return rate * market.price / MANTISSA**2, Fraction(market.index * market.price, MANTISSA << SHIFT)


def test_values_and_weights_make_a_margin_that_is_near_the_contract(held: Held) -> None:
    compared = 0
    for _, book, account, when in cases(4, CASES // 4):
        held.hold(book, account)
        margin = gross = 0.0
        is_known = True
        for k, debt in enumerate(account.debts):
            status, collateral, owes = held.values(debt.market, **when)
            exact = exact_values(book, debt.market, when)
            if exact is None or status == abi.UNKNOWN:
                assert status == abi.UNKNOWN
                is_known = False
                continue
            for told, true in zip((collateral, owes), exact, strict=True):
                assert abs(Fraction(told) - true) <= true / 10**12
            balance = pack_debt(debt, in_vai=debt.market == book.own.vai)
            held_worth = balance.collateral * held.weight(k) * collateral
            margin += held_worth - balance.debt * owes
            gross += held_worth + balance.debt * owes
        if is_known and not reference.is_forced(book, account):
            try:
                secured, debt_sum, _ = reference.health(book, account, **when)
            except Refused:
                continue
            compared += 1
            slack = RELATIVE_SLACK * gross + UNIT_SLACK * len(account.debts)
            assert abs(margin - (secured - debt_sum)) <= slack
    assert compared > CASES // 25


def test_who_may_be_liquidated_whatever_the_health_has_a_negative_margin(held: Held) -> None:
    rng = Random(5)
    book = random_book(rng)
    tokens = Debt(market=0, tokens=10**20, entered=True)
    account = Account(debts=(tokens, Debt(market=1, principal=1, entered=True, forced=True)))
    held.hold(book, account)
    assert held.weight(0) == 0.0
    assert held.weight(1) == 0.0


@pytest.mark.parametrize("in_vai", [False, True])
def test_a_debt_comes_back_from_its_balance_exactly(in_vai: bool) -> None:  # noqa: FBT001 - a parameter
    rng = Random(6)
    for _ in range(5_000):
        principal = int(2 ** rng.uniform(0, 112))
        debt = Debt(
            market=3,
            tokens=0 if in_vai else rng.randrange(2**96),
            principal=principal,
            index=rng.choice((10**18, rng.randrange(10**18, 2**SHIFT))),
            past=rng.randrange(principal) if in_vai else 0,
            entered=rng.random() < 0.5,
            forced=rng.random() < 0.5,
        )
        assert unpack_debt(pack_debt(debt, in_vai=in_vai), in_vai=in_vai) == debt


@pytest.mark.parametrize(
    "debt",
    [
        Debt(market=0, principal=2**112),
        Debt(market=0, principal=1, index=10**18 - 1),
        Debt(market=0, principal=1, index=2**72),
        Debt(market=0, tokens=2**96),
        Debt(market=5, principal=1, past=16),
    ],
)
def test_what_does_not_fit_a_balance_leaves_everything_unknown(held: Held, debt: Debt) -> None:
    book = random_book(Random(8))
    held.hold(book, Account(debts=(debt,)))
    assert held.health(TIME, NUMBER)[0] == abi.UNKNOWN
    other = Debt(market=1, tokens=10**12, entered=True)
    debts = (debt, other) if debt.market == 0 else (other, debt)
    held.hold(book, Account(debts=debts))
    collateral = debts.index(other)
    told = held.liquidate(collateral, 1 - collateral, UINT256_MAX, TIME, NUMBER)
    assert told[0] in {abi.OUT_OF_DOMAIN, abi.PAUSED}


def test_rows_say_what_they_were_given() -> None:
    rng = Random(7)
    for _ in range(200):
        book = random_book(rng)
        assert unpack_own(pack_own(book.own)) == book.own
        for market in book.markets:
            row = pack_market(market)
            assert len(row) % 64 == 0
            assert unpack_market(row, len(market.pools)) == market


@pytest.mark.parametrize(
    "market",
    [
        Market(cash=2**128),
        Market(price=2**120),
        Market(index=2**96),
        Market(reserve_factor=MANTISSA + 1),
        Market(pools=(Pool(MANTISSA + 1, 0),)),
        Market(pools=(Pool(0, 2**62),)),
        Market(cash=-1),
    ],
)
def test_a_market_beyond_the_domain_is_refused(market: Market) -> None:
    with pytest.raises(ValueError, match=r"beyond|above"):
        pack_market(market)


@pytest.mark.parametrize("own", [Comptroller(close_factor=MANTISSA + 1), Comptroller(redeem_fee=MANTISSA)])
def test_shares_beyond_one_are_refused(own: Comptroller) -> None:
    with pytest.raises(ValueError, match="share"):
        pack_own(own)
