"""Strategies that run in Python, once a block, and what they see.

Layer: hooks. The slow lane: for what looks at few things closely. What looks at every pool belongs into a
compiled strategy (`tallyio.hooks.interfaces.Strategy`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Protocol, runtime_checkable

import msgspec

from tallyio.model.chain import Head
from tallyio.model.execution import Leg
from tallyio.model.lending import BookSpec, Health, LiquidationTerms, LoanOffer, Position, PositionKey
from tallyio.model.market import PoolSpec
from tallyio.model.proposal import Proposal, Refusal
from tallyio.model.units import Address


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """A path of swaps with exact amounts, on the state of the block."""

    legs: tuple[Leg, ...]
    amount_out: int
    gas: int


class BookView(Protocol):
    """A book of positions. Answers are exact, for a block of the given time and number."""

    @property
    def spec(self) -> BookSpec:
        """Its reserves, and where it is."""

    def at_risk(self, time: int, number: int) -> list[PositionKey]:
        """Return who is liquidatable by its health, or cannot be judged."""

    def position(self, key: PositionKey) -> Position | None:
        """Return a position, or None."""

    def health(self, key: PositionKey, time: int, number: int) -> Health:
        """Return the exact health of a position."""

    def liquidate(
        self,
        key: PositionKey,
        *,
        collateral: int,
        debt: int,
        time: int,
        number: int,
        repay: int = ...,
    ) -> LiquidationTerms:
        """Return what repaying debt in one reserve gives of the collateral in another."""

    @property
    def rows_address(self) -> int:
        """Address of its BOOK record (`tallyio.lending.abi`), for compiled code."""

    def address_of(self, key: PositionKey) -> int:
        """Return where a position's POSITION record is until it changes. Raises: LookupError: none."""


class Native(msgspec.Struct, frozen=True, kw_only=True):
    """Where compiled code finds what a scene shows; addresses hold until the next block."""

    load: Callable[[str], ModuleType]
    """Imports a module that is built on `tallyio.market.fused` and `tallyio.lending.fused`."""
    market: int
    """Of the MARKET record (`tallyio.market.abi`)."""
    router: int
    """Of the ROUTER record (`tallyio.market.route_layout`), measured as of the block."""
    tokens: Mapping[Address, int]
    """The market's token ids."""


class Scene(Protocol):
    """What there is to see after one block."""

    @property
    def head(self) -> Head:
        """The block."""

    @property
    def time(self) -> int:
        """The expected time of the next block, in which a transaction would run."""

    @property
    def number(self) -> int:
        """The number of the next block."""

    @property
    def gas_price_wei(self) -> int:
        """What one gas costs there."""

    @property
    def books(self) -> Sequence[BookView]:
        """The books, by number."""

    @property
    def calls_back(self) -> Sequence[bool]:
        """By book number: whether collateral comes before the payment is taken."""

    @property
    def is_independent(self) -> Sequence[bool]:
        """By book number: whether a liquidation leaves what others of the block take and give as it was."""

    @property
    def loans(self) -> Sequence[LoanOffer]:
        """What can be borrowed for the length of a call."""

    @property
    def pools(self) -> Sequence[PoolSpec]:
        """The pools, by id."""

    def best_sale(
        self, sold: Address, bought: Address, amount: int, *, without: Sequence[int] = ()
    ) -> Sale | None:
        """Return the swaps that bring most of `bought` for `amount`, or None; `without` these pools."""

    @property
    def native(self) -> Native:
        """The same for compiled code."""

    @property
    def max_gas(self) -> int:
        """The most gas that one transaction of the strategy may use, as estimated."""

    def native_per_unit(self, token: Address) -> float:
        """Return what one smallest unit of `token` is worth in wei of the native currency; 0: unknown."""


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy made of one scene."""

    proposals: tuple[Proposal, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    """Told to people once, and again when the reason changes."""


class SlowStrategy(Protocol):
    """What `tallyio_slow_strategy` builds."""

    def search(self, scene: Scene) -> Search:
        """Look at the state of a block. Runs on the event loop's thread: it must take milliseconds."""


@runtime_checkable
class CompiledSearch(Protocol):
    """A slow strategy that has compiled functions: a start compiles them, before the first block."""

    @property
    def compiled(self) -> tuple[str, ...]:
        """Modules to get by `Native.load`."""
