"""Follow the positions of Venus's core pool, and write the calls that liquidate them.

Everything is read with calls at one block hash, so it is exact as of that block whatever the node does
meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.lending import BookEdit, BookRows, CompiledLending
from tallyio.hooks.settings import parse_settings
from tallyio.model.chain import Head, Log
from tallyio.model.erc20 import approve
from tallyio.model.errors import PluginError
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, Position, PositionKey
from tallyio.model.units import ZERO_ADDRESS, Address
from tallyio_protocol_venus import abi
from tallyio_protocol_venus.asking import questions, take_answers
from tallyio_protocol_venus.discovery import address_of, fact, find_book, vai_number
from tallyio_protocol_venus.following import follow_log
from tallyio_protocol_venus.layout import RELATIVE_SLACK, UNIT_SLACK
from tallyio_protocol_venus.loading import load_rows
from tallyio_protocol_venus.positions import find_accounts, load_positions
from tallyio_protocol_venus.settings import WHERE, Settings, check, comptroller_on
from tallyio_protocol_venus.state import MANTISSA

PLUGIN: Final = "venus"
FUNDS: Final = "pay with a loan, or with own funds"


class Venus:
    """The configured comptrollers. See `tallyio.hooks.lending.LendingProtocol`."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.venus]` table. Raises: ConfigError."""
        self._settings = parse_settings(Settings, settings, where=WHERE)
        check(self._settings)

    @property
    def compiled(self) -> CompiledLending:
        """The module `hot` of this package, and how near its margins are."""
        return CompiledLending(
            module="tallyio_protocol_venus.hot", relative_slack=RELATIVE_SLACK, unit_slack=UNIT_SLACK
        )

    @property
    def topics(self) -> tuple[bytes, ...]:
        """Events of the comptroller, its markets, VAI and the Liquidator."""
        return abi.EVENTS

    async def discover(self, chain: ChainReader, *, block: Head) -> list[BookSpec]:
        """Return the configured comptrollers. Raises: ChainError: one is not of a kind that is followed."""
        return [
            await find_book(
                chain, comptroller_on(venue, chain.chain_id), venue.name, venue.from_block, block=block
            )
            for venue in self._settings.venues
        ]

    async def load(self, chain: ChainReader, book: BookSpec, *, block: Head) -> BookRows:
        """Return the rows at `block`, prices included. Raises: ChainError."""
        return await load_rows(chain, book, block=block)

    async def accounts(self, chain: ChainReader, book: BookSpec, *, block: Head) -> Collection[PositionKey]:
        """Return everybody who ever borrowed, or minted VAI. Raises: ChainError."""
        return await find_accounts(chain, book, block=block)

    async def positions(
        self, chain: ChainReader, book: BookSpec, keys: Sequence[PositionKey], *, block: Head
    ) -> list[Position]:
        """Return the positions of `keys` at `block`. Raises: ChainError."""
        return await load_positions(chain, book, keys, block=block)

    def polls(self, book: BookSpec) -> bool:  # noqa: ARG002 - no book does
        """Return False: what no event tells is asked for by itself, see `questions`."""
        return False

    def questions(self, book: BookSpec) -> tuple[Call, ...]:
        """Return the questions for prices, and for what else changes without an event."""
        return questions(book)

    def answered(self, edit: BookEdit, book: BookSpec, answers: Sequence[bytes | None]) -> None:
        """Take prices, and what else changes without an event."""
        take_answers(edit, book, answers)

    def follow(self, edit: BookEdit, book: BookSpec, event: int, log: Log) -> None:
        """Change the book as `log` says, or ask for what it touched to be read again."""
        follow_log(edit, book, event, log)

    def liquidate(  # noqa: PLR0913 - one liquidation has this many facts
        self,
        book: BookSpec,
        key: PositionKey,
        *,
        collateral: int,
        debt: int,
        repay: int,
        offer: int = 0,  # noqa: ARG002 - a market cuts nothing
        seize: int,
        recipient: Address,  # noqa: ARG002 - what is redeemed goes to whoever redeems: the executor itself
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],  # noqa: ARG002 - there is no callback to encode for
    ) -> tuple[Call, ...]:
        """Return the calls that allow, liquidate, take the allowance back, and redeem what `seize` takes.

        Raises: PluginError: `inner` calls, which nothing here calls back for; or the native market.
        """
        paid, taken = book.reserves[debt].debt, book.reserves[collateral].collateral
        if inner:
            raise PluginError(
                PLUGIN, "takes the payment before it gives collateral, and calls nobody back", way_out=FUNDS
            )
        if paid is None or taken is None:
            raise PluginError(
                PLUGIN, "liquidates neither in the native market nor for VAI", way_out="choose other reserves"
            )
        borrowed, seized = (address_of(book.reserves[k].parameters, "vtoken") for k in (debt, collateral))
        liquidator = address_of(book.parameters, "liquidator")
        if liquidator == ZERO_ADDRESS:
            in_vai = debt == vai_number(book)
            call = abi.liquidate_directly(borrowed, key.account, repay, seized, in_vai=in_vai)
        else:
            call = abi.liquidate_via(liquidator, borrowed, key.account, repay, seized)
        return (
            approve(paid, call.to, repay),
            call,
            approve(paid, call.to, 0),
            abi.redeem_underlying(seized, _before_fee(seize, fact(book.parameters, "redeem_fee"))),
        )

    def reads(
        self,
        book: BookSpec,
        key: PositionKey,
        *,
        collateral: int,
        debt: int,
        recipient: Address,  # noqa: ARG002 - the Liquidator is who seizes
    ) -> tuple[Call, ...]:
        """Return the comptroller's questions that come after health: of membership and of rewards."""
        borrowed, seized = (address_of(book.reserves[k].parameters, "vtoken") for k in (debt, collateral))
        liquidator = address_of(book.parameters, "liquidator")
        return (
            abi.may_repay(book.address, borrowed, liquidator, key.account),
            abi.may_seize(book.address, seized, borrowed, liquidator, key.account),
        )

    def can_call_back(self, book: BookSpec) -> bool:  # noqa: ARG002 - no book does
        """Return False: the payment is taken first."""
        return False


def _before_fee(amount: int, fee: int) -> int:
    """Return the least redemption of which `amount` is left after the fee, a mantissa below one."""
    # What is left of x is x * (1e18 - fee) / 1e18 rounded up; so x is above (amount - 1) / (1 - fee).
    return (amount - 1) * MANTISSA // (MANTISSA - fee) + 1
