"""Health and liquidation of Venus's core pool on Python integers: the specification of `hot`.

Source: `VToken`, `ComptrollerLens`, `PolicyFacet`, `MarketFacet`, `VAIController` and `Liquidator` of
@venusprotocol/venus-protocol 10.3.0. All divisions round down, as there.

What a liquidation looks at is the state inside that transaction: the two markets that it touches and the
debt in VAI have accrued by then, all others stand as they were last written. `health` is what
`getAccountLiquidity` would say once all had accrued.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tallyio.lending.abi import (
    CLOSED,
    HEALTH_IS_SOUND,
    INACTIVE,
    LAWFUL,
    NO_CASH,
    NO_PRICE,
    NOT_COLLATERAL,
    NOTHING_GAINED,
    NOTHING_OWED,
    OUT_OF_DOMAIN,
    PAUSED,
    TOO_MUCH,
)
from tallyio_protocol_venus import state
from tallyio_protocol_venus.layout import (
    LARGEST_AMOUNT,
    LARGEST_DELAY,
    LARGEST_INDEX,
    LARGEST_PRICE,
    LARGEST_RATE,
    LARGEST_RATIO,
    LARGEST_SUM,
    LARGEST_UNIT,
    LEAST_TOKENS,
    MOST_PER_BLOCK,
)
from tallyio_protocol_venus.state import (
    MANTISSA,
    UINT256_MAX,
    Account,
    Comptroller,
    Debt,
    Liquidation,
    Market,
)

EVERY: Final = None
"""Instead of the markets that have accrued: all have."""


class Refused(Exception):
    """The contract reverts, or a number is out of the domain."""

    def __init__(self, verdict: int) -> None:
        """Carry one of the verdicts of `tallyio.lending.abi`."""
        super().__init__(verdict)
        self.verdict = verdict


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """A comptroller with its markets, by reserve number."""

    own: Comptroller
    markets: tuple[Market, ...]


def accrue(market: Market, *, time: int, number: int) -> Market:
    """Return the market after `accrueInterest` in that block. Raises: Refused."""
    delay = (time if market.flags & state.TIMED else number) - market.accrued_at
    if delay == 0:
        return market
    if not 0 < delay <= LARGEST_DELAY or market.rate > MOST_PER_BLOCK:
        raise Refused(OUT_OF_DOMAIN)
    if market.flags & state.VAI:
        return _accrued(
            market, index=market.index + market.rate * delay, accrued_at=market.accrued_at + delay
        )
    factor = market.rate * delay
    interest = factor * market.borrows // MANTISSA
    reserves = market.reserves + market.reserve_factor * interest // MANTISSA
    is_due = number - market.reduced_at >= market.reduce_after
    taken = min(market.cash, reserves) if is_due else 0
    return _accrued(
        market,
        index=market.index + factor * market.index // MANTISSA,
        accrued_at=market.accrued_at + delay,
        borrows=market.borrows + interest,
        reserves=reserves - taken,
        cash=market.cash - taken,
        reduced_at=number if is_due else market.reduced_at,
    )


def _accrued(market: Market, **changes: int) -> Market:
    accrued = msgspec.structs.replace(market, **changes)
    if max(accrued.borrows, accrued.reserves) > LARGEST_AMOUNT or accrued.index > LARGEST_INDEX:
        raise Refused(OUT_OF_DOMAIN)
    return accrued


def exchange_rate(market: Market) -> int:
    """Return what a vToken is worth in units of the underlying, mantissa. Raises: Refused."""
    if market.supply == 0:
        rate = market.initial_rate
    else:
        total = market.cash + market.borrows
        if total < market.reserves:
            raise Refused(OUT_OF_DOMAIN)
        rate = (total - market.reserves) * MANTISSA // market.supply
    if rate > LARGEST_RATE:
        raise Refused(OUT_OF_DOMAIN)
    return rate


def owed(debt: Debt, market: Market) -> int:
    """Return the debt in smallest units, with the market's index. Raises: Refused."""
    if market.flags & state.VAI:
        if market.index < debt.index:
            raise Refused(OUT_OF_DOMAIN)
        return debt.principal + debt.past + (market.index - debt.index) * debt.principal // MANTISSA
    return debt.principal * market.index // debt.index


def sums(
    book: Book, account: Account, *, accrued: Sequence[int] | None, time: int, number: int
) -> tuple[int, int]:
    """Return collateral that counts, and debt, in 1e-18 of a dollar (`ComptrollerLens`).

    `accrued` are the numbers of the markets that have accrued in this block; the rest is as stored.
    Raises: Refused: no price, or out of the domain.
    """
    collateral = debt = 0
    for each in account.debts:
        market = book.markets[each.market]
        if accrued is EVERY or each.market in accrued:
            market = accrue(market, time=time, number=number)
        if market.flags & state.VAI:
            debt += owed(each, market)
        elif each.entered and market.flags & state.LISTED and (each.tokens or each.principal):
            unit, value = _worth(each, market, account)
            collateral += unit * each.tokens // MANTISSA
            debt += value
    if max(collateral, debt) > LARGEST_SUM:
        raise Refused(OUT_OF_DOMAIN)
    return collateral, debt


def _worth(each: Debt, market: Market, account: Account) -> tuple[int, int]:
    rate, amount = exchange_rate(market), owed(each, market)
    if market.price == 0:
        raise Refused(NO_PRICE)
    if max(market.price, amount) > LARGEST_AMOUNT or market.price > LARGEST_PRICE:
        raise Refused(OUT_OF_DOMAIN)
    unit = market.pools[account.pool].threshold * rate // MANTISSA * market.price // MANTISSA
    if unit > LARGEST_UNIT:
        raise Refused(OUT_OF_DOMAIN)
    return unit, market.price * amount // MANTISSA


def is_forced(book: Book, account: Account) -> bool:
    """Return whether a debt of the account may be liquidated whatever its health."""
    return any(
        (each.forced or book.markets[each.market].flags & state.FORCED) and (each.principal or each.past)
        for each in account.debts
    )


def health(book: Book, account: Account, *, time: int, number: int) -> tuple[int, int, int]:
    """Return collateral, debt, and their quotient (mantissa), with everything accrued. Raises: Refused."""
    collateral, debt = sums(book, account, accrued=EVERY, time=time, number=number)
    return collateral, debt, collateral * MANTISSA // debt if debt else UINT256_MAX


def liquidate(  # noqa: PLR0913 - one liquidation has this many facts
    book: Book, account: Account, *, collateral: int, debt: int, repay: int, time: int, number: int
) -> tuple[int, Liquidation]:
    """Return the verdict, and what is taken and given; `collateral` and `debt` are places in the account."""
    trade = _Trade(book, account, account.debts[collateral], account.debts[debt], time, number)
    most = 0
    try:
        trade.check_gates()
        trade.accrue()
        most = trade.most()
        repay = most if repay == UINT256_MAX else repay
        if not 0 < repay <= most:
            return NOTHING_GAINED if repay == 0 else TOO_MUCH, Liquidation(most=most)
        return LAWFUL, trade.result(repay, most)
    except Refused as refused:
        return refused.verdict, Liquidation(most=most)


class _Trade:
    """One liquidation, step by step as the contracts go."""

    def __init__(
        self, book: Book, account: Account, seized: Debt, repaid: Debt, time: int, number: int
    ) -> None:
        self.book, self.account, self.seized, self.repaid = book, account, seized, repaid
        self.time, self.number = time, number
        self.collateral, self.debt = book.markets[seized.market], book.markets[repaid.market]
        self.via = bool(book.own.flags & state.VIA_LIQUIDATOR)
        self.in_vai = bool(self.debt.flags & state.VAI)
        self.is_forced = repaid.forced or bool(self.debt.flags & state.FORCED)
        self.ratio = self.owed = 0

    def check_gates(self) -> None:
        """Refuse where the contract would whatever the amounts."""
        if self.collateral.flags & state.VAI:
            raise Refused(NOT_COLLATERAL)
        if (self.collateral.flags | self.debt.flags) & state.NATIVE:
            raise Refused(OUT_OF_DOMAIN)
        if self.via and self.account.restricted:
            raise Refused(CLOSED)
        if not (self.collateral.flags & state.LISTED and (self.in_vai or self.debt.flags & state.LISTED)):
            raise Refused(INACTIVE)
        paused = state.SEIZE_PAUSED | state.REDEEM_PAUSED | (state.TRANSFER_PAUSED if self.via else 0)
        unpayable = state.LIQUIDATE_PAUSED | (0 if self.in_vai else state.REPAY_PAUSED)
        if (
            self.book.own.flags & state.PAUSED
            or self.collateral.flags & paused
            or self.debt.flags & unpayable
        ):
            raise Refused(PAUSED)
        if not (self.seized.entered and self.seized.tokens):
            raise Refused(NOT_COLLATERAL)
        if not (self.repaid.principal or self.repaid.past):
            raise Refused(NOTHING_OWED)

    def accrue(self) -> None:
        """See whether the account is open to this liquidation, and bring both markets to this block."""
        self._check_vai()
        when = {"time": self.time, "number": self.number}
        if not self.is_forced:
            touched = [self.seized.market, self.repaid.market]
            if self.via:
                touched.append(self.book.own.vai)
            collateral, debt = sums(self.book, self.account, accrued=touched, **when)
            if collateral >= debt:
                raise Refused(HEALTH_IS_SOUND)
        self.debt = accrue(self.debt, **when)
        self.owed = owed(self.repaid, self.debt)
        if self.owed == 0:
            raise Refused(NOTHING_OWED)
        self.collateral = accrue(self.collateral, **when)

    def _check_vai(self) -> None:
        """`Liquidator._checkForceVAILiquidate`."""
        own = self.book.own
        if not (self.via and own.flags & state.FORCE_VAI) or self.is_forced or self.in_vai or own.vai < 0:
            return
        vai = self.book.markets[own.vai]
        debts = [each for each in self.account.debts if each.market == own.vai]
        amount = owed(debts[0], accrue(vai, time=self.time, number=self.number)) if debts else 0
        if not vai.flags & state.LIQUIDATE_PAUSED and amount >= own.least_vai:
            raise Refused(PAUSED)

    def most(self) -> int:
        """Return the most that may be repaid: by the close factor, and by what there is to seize."""
        close_factor = MANTISSA if self.is_forced else self.book.own.close_factor
        limit = close_factor * self.owed // MANTISSA
        self.ratio = self._seize_ratio()
        # What is seized for `amount` is at most the account's tokens up to here.
        affordable = ((self.seized.tokens + 1) * MANTISSA - 1) // self.ratio
        if not self.in_vai:
            # The market subtracts the repayment from all its debt, which rounding may have left below.
            return min(limit, affordable, self.debt.borrows)
        return self._most_vai(limit, affordable)

    def _seize_ratio(self) -> int:
        """`ComptrollerLens._calculateSeizeTokens` for one unit repaid, mantissa."""
        price = MANTISSA if self.in_vai else self.debt.price
        rate = exchange_rate(self.collateral)
        if price == 0 or self.collateral.price == 0:
            raise Refused(NO_PRICE)
        if max(price, self.collateral.price) > LARGEST_PRICE:
            raise Refused(OUT_OF_DOMAIN)
        pool = self.collateral.pools[0 if self.in_vai else self.account.pool]
        denominator = self.collateral.price * rate // MANTISSA
        if denominator == 0:
            raise Refused(OUT_OF_DOMAIN)
        ratio = pool.incentive * price // MANTISSA * MANTISSA // denominator
        if ratio > LARGEST_RATIO:
            raise Refused(OUT_OF_DOMAIN)
        if ratio == 0:
            raise Refused(NOTHING_GAINED)
        return ratio

    def _most_vai(self, limit: int, affordable: int) -> int:
        """Return the largest offer of VAI for which no more than `affordable` is repaid."""
        # Rounding loses less than owed / 1e18 + 2 units, so the answer is at most so far above.
        low, high = min(limit, affordable), min(limit, affordable + self.owed // MANTISSA + 3)
        while low < high:
            middle = low + (high - low + 1) // 2
            if self.repaid_of(middle) <= affordable:
                low = middle
            else:
                high = middle - 1
        return low

    def repaid_of(self, amount: int) -> int:
        """Return what an offer repays (`VAIController.getVAICalculateRepayAmount`)."""
        if not self.in_vai or amount >= self.owed:
            return amount
        share = amount * MANTISSA // self.owed
        interest = self.owed - self.repaid.principal
        return self.repaid.principal * share // MANTISSA + interest * share // MANTISSA

    def result(self, repay: int, most: int) -> Liquidation:
        """Return what a lawful liquidation takes and gives. Raises: Refused: nothing, or no cash for it."""
        actual = self.repaid_of(repay)
        seized = self.ratio * actual // MANTISSA
        if self.seized.market == self.repaid.market:
            self.collateral = _moved(self.collateral, cash=repay, borrows=-repay)
        ours = self._kept(seized) if self.via else 0
        theirs = seized - ours
        if theirs < LEAST_TOKENS:
            raise Refused(NOTHING_GAINED)
        kept = exchange_rate(self.collateral) * ours // MANTISSA
        if self.via:
            self._redeem_ours(ours)
        amount = exchange_rate(self.collateral) * theirs // MANTISSA
        if self.collateral.cash < amount or self.collateral.supply < theirs:
            raise Refused(NO_CASH)
        fee = amount * self.book.own.redeem_fee // MANTISSA
        if amount == fee:
            raise Refused(NOTHING_GAINED)
        return Liquidation(
            repay=repay,
            seize=amount - fee,
            fee=kept + fee,
            most=most,
            seized_tokens=seized,
            kept_tokens=ours,
            actual_repay=actual,
        )

    def _kept(self, seized: int) -> int:
        """`Liquidator._splitLiquidationIncentive`."""
        incentive = self.collateral.pools[self.account.pool].incentive
        if incentive < MANTISSA:
            raise Refused(OUT_OF_DOMAIN)
        bonus = seized * (incentive - MANTISSA) // incentive
        return bonus * self.book.own.liquidator_share // MANTISSA

    def _redeem_ours(self, ours: int) -> None:
        """Let the Liquidator redeem its share, and what it still holds; either may fail and is then kept."""
        held = self.collateral.liquidator_tokens
        if not self._redeem(ours):
            held += ours
        if self.collateral.flags & state.PENDING:
            self._redeem(held)

    def _redeem(self, tokens: int) -> bool:
        amount = exchange_rate(self.collateral) * tokens // MANTISSA
        if self.collateral.cash < amount or self.collateral.supply < tokens:
            return False
        self.collateral = _moved(self.collateral, cash=-amount, supply=-tokens)
        return True


def _moved(market: Market, **by: int) -> Market:
    return msgspec.structs.replace(market, **{name: getattr(market, name) + by[name] for name in by})
