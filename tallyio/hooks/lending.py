"""What a lending plugin builds: books of positions, and loans for the length of a call.

Layer: hooks. A plugin of kind `protocol` whose contract names the capability "lending" defines
`tallyio_lending`; what it builds may lend for the length of a call besides (`FlashLender`), and so may
what `tallyio_protocol` builds.

Who takes a payment himself gets an allowance of exactly that payment, in one of two shapes: given by the
call before and taken back by the call after, or, where he calls back, given by the last call of the callback
and taken back by the call after his. Of calls in any other shape no plan is made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head, Log
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, LoanOffer, Position, PositionKey
from tallyio.model.units import Address


class CompiledLending(msgspec.Struct, frozen=True, kw_only=True):
    """Where a lending protocol's compiled functions are; `tallyio.lending.abi` states their signatures."""

    module: str
    """Importable module that defines `values`, `weight`, `health` and `liquidate`."""
    relative_slack: float = 1e-9
    """The contract's sums may differ from exact rational ones by this share of collateral plus debt ..."""
    unit_slack: float = 2.0
    """... and by this many smallest accounting units for each balance."""
    is_independent: bool = False
    """Whether one liquidation leaves what another of the same book takes and gives as it was, in one block.

    It does not where shares are worth another rounding afterwards: then a deal is exact for the first only.
    """


class BookRows(msgspec.Struct, frozen=True, kw_only=True):
    """A book's rows in the plugin's own layout; sizes are multiples of 64 and never change."""

    own: bytes
    reserves: tuple[bytes, ...]


class BookEdit(Protocol):
    """A book while the logs of one block change it. Nothing is lost: the block can be undone.

    What a plugin cannot follow it asks to be read again, as of the block that it is in.
    """

    @property
    def head(self) -> Head:
        """The block whose logs are being followed."""

    def own(self) -> bytes:
        """Return the plugin's own row."""

    def set_own(self, row: bytes) -> None:
        """Replace the plugin's own row."""

    def reserve(self, number: int) -> bytes:
        """Return the row of a reserve."""

    def set_reserve(self, number: int, row: bytes) -> None:
        """Replace the row of a reserve."""

    def position(self, key: PositionKey) -> Position | None:
        """Return a position, or None: there is none."""

    def set_position(self, position: Position) -> None:
        """Add or replace a position; one without balances is forgotten."""

    def reweigh(self) -> None:
        """Say that a row which was set changes what collateral counts for: a threshold, not a price."""

    def reload_rows(self) -> None:
        """Ask for all rows to be read again."""

    def reload_position(self, key: PositionKey) -> None:
        """Ask for a position to be read again, or for the first time."""

    def rebuild(self) -> None:
        """Ask for the book to be discovered afresh, such as when a reserve was added."""


class LendingProtocol(Protocol):
    """What `tallyio_lending` builds: books whose positions can be liquidated."""

    @property
    def compiled(self) -> CompiledLending:
        """The exact functions, and how near the linear margin is to them."""

    @property
    def topics(self) -> tuple[bytes, ...]:
        """Topic 0 of each event that `follow` reads; the index is its `event`."""

    async def discover(self, chain: ChainReader, *, block: Head) -> list[BookSpec]:
        """Return the books that this plugin's settings select, as of `block`."""

    async def load(self, chain: ChainReader, book: BookSpec, *, block: Head) -> BookRows:
        """Return the rows of `book`, prices included, as of `block`."""

    async def accounts(self, chain: ChainReader, book: BookSpec, *, block: Head) -> Collection[PositionKey]:
        """Return every position that may have debt, found from the book's events up to `block`."""

    async def positions(
        self, chain: ChainReader, book: BookSpec, keys: Sequence[PositionKey], *, block: Head
    ) -> list[Position]:
        """Return the positions of `keys`, in their order, as of `block`; one that is not there is empty."""

    def polls(self, book: BookSpec) -> bool:
        """Return whether the rows must be read again with every block: a price changes without an event.

        Where only a few numbers do, ask for those instead (`AsksWithBlocks`).
        """

    def follow(self, edit: BookEdit, book: BookSpec, event: int, log: Log) -> None:
        """Change the book as `log` says, or ask for what it touched to be read again."""

    def liquidate(  # noqa: PLR0913 - one liquidation has this many facts
        self,
        book: BookSpec,
        key: PositionKey,
        *,
        collateral: int,
        debt: int,
        repay: int,
        offer: int,
        seize: int,
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """Return the calls that the executor makes to pay `repay` and then hold `seize`, in smallest units.

        `offer` is at least `repay`: what the compiled `liquidate` was asked with, or its `most`, and what the
        protocol must be offered where it cuts offers itself. No more than `repay` may be taken.
        `collateral` and `debt` are reserve numbers. `inner` are calls to run between receipt and payment,
        where the protocol calls back; without that ability a plugin refuses them with PluginError.
        """

    def can_call_back(self, book: BookSpec) -> bool:
        """Return whether `liquidate` takes `inner` calls: the collateral then pays for the debt by itself."""


@runtime_checkable
class AsksWithBlocks(Protocol):
    """A lending protocol of which events tell all but a few numbers, which are asked for with every block."""

    def questions(self, book: BookSpec) -> tuple[Call, ...]:
        """Return what to ask as of every block; it depends on the book's description alone."""

    def answered(self, edit: BookEdit, book: BookSpec, answers: Sequence[bytes | None]) -> None:
        """Change the book as the answers to its `questions` say: None where a call reverts.

        It comes after the block's logs. `edit` may ask for something to be read again.
        """


@runtime_checkable
class ReadsMore(Protocol):
    """A lending protocol that refuses the healthy before it has read all that a liquidation reads of them."""

    def reads(
        self, book: BookSpec, key: PositionKey, *, collateral: int, debt: int, recipient: Address
    ) -> tuple[Call, ...]:
        """Return calls that read the rest of what `liquidate` reads of a position.

        They are run to see what they read, and leave no trace; `collateral` and `debt` are reserve numbers.
        """


@runtime_checkable
class FlashLender(Protocol):
    """Who lends for the length of a call."""

    async def loans(self, chain: ChainReader, tokens: Collection[Address], *, block: Head) -> list[LoanOffer]:
        """Return what can be borrowed of `tokens` as of `block`."""

    def borrow(
        self,
        offer: LoanOffer,
        *,
        amount: int,
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """Return the calls that borrow `amount`, run `inner` with it in hand, and pay it back with its fee.

        `encode` packs calls into callback data that the executor understands.
        """
