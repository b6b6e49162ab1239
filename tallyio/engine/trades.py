"""What a plan trades on: pools, books and lenders, and who writes their calls.

Layer: engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from tallyio.hooks.interfaces import ExchangeProtocol
from tallyio.hooks.lending import FlashLender, LendingProtocol
from tallyio.model.execution import Call, Leg, Liquidation
from tallyio.model.lending import BookSpec
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum


class Lending(msgspec.Struct, frozen=True, kw_only=True):
    """What liquidations and loans are planned with."""

    books: Sequence[BookSpec] = ()
    protocols: Sequence[LendingProtocol] = ()
    """By book number."""
    lenders: Mapping[Address, FlashLender] = {}
    """By the contract that lends."""


class Trades(msgspec.Struct, frozen=True, kw_only=True):
    """The pools and the books by their numbers, and the protocols that trade them."""

    pools: Sequence[PoolSpec]
    adapters: Sequence[ExchangeProtocol]
    lending: Lending
    recipient: Address
    """Who pays and is paid."""

    def sold(self, leg: Leg | Liquidation) -> Address | None:
        """Return the token that a leg pays; None: its reserve has no debt."""
        if isinstance(leg, Liquidation):
            return self.lending.books[leg.book].reserves[leg.debt].debt
        return self.pools[leg.pool].tokens[leg.token_in]

    def bought(self, leg: Leg | Liquidation) -> Address | None:
        """Return the token that a leg brings; None: its reserve is no collateral."""
        if isinstance(leg, Liquidation):
            return self.lending.books[leg.book].reserves[leg.collateral].collateral
        return self.pools[leg.pool].tokens[leg.token_out]

    def pays_first(self, leg: Leg | Liquidation) -> bool:
        """Return whether a leg brings its token before it is paid."""
        if isinstance(leg, Liquidation):
            return self.lending.protocols[leg.book].can_call_back(self.lending.books[leg.book])
        return self.pools[leg.pool].can_flash

    def name(self, leg: Leg | Liquidation) -> str:
        """Return what a leg trades on, in words."""
        if isinstance(leg, Liquidation):
            return f"book {checksum(self.lending.books[leg.book].address)}"
        return f"pool {checksum(self.pools[leg.pool].address)}"

    def locks(self, leg: Leg | Liquidation) -> frozenset[Address]:
        """Return the contracts that refuse a leg while they lend: pools and vaults, but no book."""
        if isinstance(leg, Liquidation):
            return frozenset()
        pool = self.pools[leg.pool]
        return frozenset({pool.address, *(source.address for source in pool.sources)})

    def calls(
        self, leg: Leg | Liquidation, inner: tuple[Call, ...], encode: Callable[[tuple[Call, ...]], bytes]
    ) -> tuple[Call, ...]:
        """Return the calls that trade a leg; `inner` run between its receipt and its payment."""
        if isinstance(leg, Liquidation):
            return self.lending.protocols[leg.book].liquidate(
                self.lending.books[leg.book],
                leg.key,
                collateral=leg.collateral,
                debt=leg.debt,
                repay=leg.amount_in,
                offer=leg.offer or leg.amount_in,
                seize=leg.amount_out,
                recipient=self.recipient,
                inner=inner,
                encode=encode,
            )
        return self.adapters[leg.pool].swap(
            self.pools[leg.pool],
            token_in=leg.token_in,
            token_out=leg.token_out,
            amount_in=leg.amount_in,
            amount_out=leg.amount_out,
            recipient=self.recipient,
            inner=inner,
            encode=encode,
        )
