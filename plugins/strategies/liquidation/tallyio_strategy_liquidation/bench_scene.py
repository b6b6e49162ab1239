"""A made-up block for benchmarks and tests: positions at risk, loans, and one pool between any two tokens.

Everything is integer arithmetic in Python, so an exhaustive search can be the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallyio.hooks.search import Sale
from tallyio.lending.abi import LAWFUL, TOO_MUCH
from tallyio.model.chain import Head
from tallyio.model.execution import Leg
from tallyio.model.lending import (
    Balance,
    BookSpec,
    Health,
    LiquidationTerms,
    LoanOffer,
    Position,
    PositionKey,
    ReserveSpec,
)
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash, Wei

UNIT: Final = 10**18
BONUS_PERCENT: Final = 108
FEE: Final = (997, 1_000)
MOST: Final = (1 << 256) - 1


def token(number: int) -> Address:
    """Return the address of token `number`."""
    return Address(number.to_bytes(20, "big"))


class MadeUpBook:
    """Half of each debt may be repaid, at a bonus of `BONUS_PERCENT` less 100; all tokens cost the same."""

    def __init__(self, positions: Sequence[Position], reserves: int) -> None:
        self._positions = {position.key: position for position in positions}
        self.spec: Final = BookSpec(
            address=token(99),
            venue="made up",
            reserves=tuple(
                ReserveSpec(symbol=f"T{number}", collateral=token(number), debt=token(number))
                for number in range(reserves)
            ),
            log_sources=(),
        )

    def at_risk(self, time: int, number: int) -> list[PositionKey]:  # noqa: ARG002 - always all
        """Return everybody."""
        return list(self._positions)

    def position(self, key: PositionKey) -> Position | None:
        """Return a position."""
        return self._positions.get(key)

    def health(self, key: PositionKey, time: int, number: int) -> Health:
        """Nobody asks."""
        raise NotImplementedError

    def liquidate(
        self,
        key: PositionKey,
        *,
        collateral: int,
        debt: int,
        time: int,  # noqa: ARG002 - no interest
        number: int,  # noqa: ARG002 - the same
        repay: int = MOST,
    ) -> LiquidationTerms:
        """Return the terms: clipped to the collateral, refused above half of the debt."""
        balances = {balance.reserve: balance for balance in self._positions[key].balances}
        held, most = balances[collateral].collateral, balances[debt].debt // 2
        taken = most if repay == MOST else repay
        seize = taken * BONUS_PERCENT // 100
        if seize > held:
            taken, seize = held * 100 // BONUS_PERCENT, held
        verdict = LAWFUL if repay in range(most + 1) or repay == MOST else TOO_MUCH
        return LiquidationTerms(verdict=verdict, repay=taken, seize=seize, fee=0, written_off=0, most=most)


class MadeUpScene:
    """One book, one lender of everything, and a pool of `depth` between any two tokens."""

    def __init__(self, book: MadeUpBook, *, depth: int, lends: bool = True, calls_back: bool = False) -> None:
        self.head: Final = Head(
            number=1,
            hash=Hash(bytes(32)),
            parent_hash=Hash(bytes(32)),
            timestamp=1,
            base_fee_wei=Wei(1),
            gas_used=0,
            gas_limit=1,
            logs_bloom=b"",
        )
        self.time, self.number, self.gas_price_wei = 13, 2, 10**9
        self.books: Final = [book]
        self.calls_back: Final = [calls_back]
        self.loans: Final = [_offer(reserve.debt) for reserve in book.spec.reserves if reserve.debt and lends]
        self._depth = depth
        self._count = len(book.spec.reserves)
        self.pools: Final = [
            PoolSpec(
                address=token(1_000 + number), tokens=(), venue="made up", fee_pips=3_000, can_flash=False
            )
            for number in range(self._count**2)
        ]

    def best_sale(
        self, sold: Address, bought: Address, amount: int, *, without: Sequence[int] = ()
    ) -> Sale | None:
        """Return what the one pool pays, by constant product."""
        i, j = int.from_bytes(sold, "big"), int.from_bytes(bought, "big")
        pool = i * self._count + j
        if pool in without or not self._depth:
            return None
        kept = amount * FEE[0]
        paid = kept * self._depth // (self._depth * FEE[1] + kept)
        leg = Leg(pool=pool, token_in=0, token_out=1, amount_in=amount, amount_out=paid)
        return Sale(legs=(leg,), amount_out=paid, gas=80_000)

    def native_per_unit(self, token: Address) -> float:  # noqa: ARG002 - all cost the same
        """Return one."""
        return 1.0


def positions(count: int) -> list[Position]:
    """Return positions of two collaterals and two debts each, of sizes from 1 to `count` units."""
    return [
        Position(
            key=PositionKey(token(10_000 + number)),
            balances=(
                Balance(reserve=0, collateral=3 * number * UNIT),
                Balance(reserve=1, collateral=number * UNIT),
                Balance(reserve=2, debt=2 * number * UNIT),
                Balance(reserve=3, debt=2 * number * UNIT),
            ),
        )
        for number in range(1, count + 1)
    ]


def _offer(of: Address) -> LoanOffer:
    return LoanOffer(
        lender=token(500),
        venue="lender",
        token=of,
        available=10**9 * UNIT,
        fee_numerator=5,
        fee_denominator=10_000,
        fee_rounds="up",
        gas=90_000,
    )
