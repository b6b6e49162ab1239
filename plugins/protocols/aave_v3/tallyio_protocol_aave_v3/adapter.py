"""Find pools, load and follow them and their positions, and write the calls that liquidate and borrow.

Sources: `Pool` and its libraries of @aave/core-v3 (3.0) and @aave-dao/aave-v3-origin (3.3 and later).
Everything is read with calls at one block hash, so it is exact as of that block whatever the node does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.lending import BookEdit, BookRows, CompiledLending
from tallyio.hooks.settings import parse_settings
from tallyio.model.chain import Head, Log, LogFilter
from tallyio.model.erc20 import approve
from tallyio.model.errors import PluginError
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, LoanOffer, Position, PositionKey
from tallyio.model.units import Address
from tallyio.model.words import address_at
from tallyio_protocol_aave_v3 import abi
from tallyio_protocol_aave_v3.discovery import find_book, market_of
from tallyio_protocol_aave_v3.following import HANDLERS, Follower, Places, places_of
from tallyio_protocol_aave_v3.hot import COARSEST
from tallyio_protocol_aave_v3.loading import load_lent, load_positions, load_rows
from tallyio_protocol_aave_v3.revisions import FIRST_WITH_CEILED_PREMIUM
from tallyio_protocol_aave_v3.venues import DEPLOYMENTS, WHERE, Settings, VenueSettings

_UNIT_SLACK: Final = COARSEST + 2.0
"""A balance is rounded to the token's smallest unit, worth at most `COARSEST`, and its value to the unit."""

_WHOLE: Final = 10_000
_TOPICS: Final = (*HANDLERS, *abi.RELOADING, *abi.REBUILDING)


class AaveV3:
    """The pools of all configured venues. See `tallyio.hooks.lending.LendingProtocol` and `FlashLender`."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.aave_v3]` table. Raises: ConfigError."""
        self._settings = parse_settings(Settings, settings, where=WHERE)
        DEPLOYMENTS.check(self._settings.venues)
        self._places: dict[Address, tuple[BookSpec, Places]] = {}
        self._found: list[BookSpec] = []

    @property
    def compiled(self) -> CompiledLending:
        """The module `hot` of this package."""
        return CompiledLending(
            module="tallyio_protocol_aave_v3.hot",
            relative_slack=1e-9,
            unit_slack=_UNIT_SLACK,
            # Balances are scaled by indexes, which stand still within a block whoever is liquidated.
            is_independent=True,
        )

    @property
    def topics(self) -> tuple[bytes, ...]:
        """The events that are followed, then those that ask for rows, then those that ask for a new book."""
        return _TOPICS

    def polls(self, book: BookSpec) -> bool:
        """Return whether some price comes from a source that is no plain feed, such as one with a cap.

        Nor is one whose updates are sold: it may say something else than the aggregator's events do.
        """
        there = [reserve for reserve in book.reserves if reserve.debt is not None]
        return not all(dict(each.parameters)["emitter"] and not each.auction for each in there)

    async def discover(self, chain: ChainReader, *, block: Head) -> list[BookSpec]:
        """Return the pool of each venue.

        Raises: ConfigError: no provider is known on this chain. ChainError: a market does not answer as
        one, or follows rules that are not known here.
        """
        self._found = [
            await find_book(chain, venue.name, DEPLOYMENTS.factory_on(venue, chain.chain_id), block)
            for venue in self._settings.venues
        ]
        return self._found

    async def load(self, chain: ChainReader, book: BookSpec, *, block: Head) -> BookRows:
        """Return the rows of a pool, prices included. Raises: ChainError."""
        return await load_rows(chain, book, block)

    async def accounts(self, chain: ChainReader, book: BookSpec, *, block: Head) -> Collection[PositionKey]:
        """Return everybody who ever borrowed, from `from_block` of the venue on."""
        query = LogFilter(
            from_block=self._venue(book.venue).from_block,
            to_block=block.number,
            addresses=(book.address,),
            topics=((abi.BORROW,),),
        )
        logs = await chain.logs(query)
        return {PositionKey(address_at(log.topics[2], 0)) for log in logs}

    async def positions(
        self, chain: ChainReader, book: BookSpec, keys: Sequence[PositionKey], *, block: Head
    ) -> list[Position]:
        """Return the positions of `keys`. Raises: ChainError."""
        return await load_positions(chain, book, keys, block)

    def follow(self, edit: BookEdit, book: BookSpec, event: int, log: Log) -> None:
        """Change the book as `log` says, or ask for what it touched to be read again."""
        topic = _TOPICS[event]
        if topic in HANDLERS:
            HANDLERS[topic](Follower(edit, self._places_of(book)), log)
        elif topic in abi.REBUILDING:
            edit.rebuild()
        else:
            edit.reload_rows()

    def liquidate(  # noqa: PLR0913 - the interface's facts of one liquidation
        self,
        book: BookSpec,
        key: PositionKey,
        *,
        collateral: int,
        debt: int,
        repay: int,
        offer: int,
        seize: int,  # noqa: ARG002 - the pool works it out
        recipient: Address,  # noqa: ARG002 - it goes to whoever makes the call
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],  # noqa: ARG002 - there is no callback
    ) -> tuple[Call, ...]:
        """Return an allowance of `repay`, the liquidation, and the end of the allowance.

        The pool clips an offer to what the collateral is worth, rounding as it goes: offered just that, it
        may find that a little collateral is left, and refuse. So `offer` is what is offered.
        Raises: PluginError: there is no callback for `inner`.
        """
        if inner:
            raise PluginError(
                "aave_v3", "has no callback in a liquidation", way_out="pay for it with a flash loan"
            )
        pool, assets = book.address, (book.reserves[collateral].collateral, book.reserves[debt].debt)
        if assets[0] is None or assets[1] is None:
            raise ValueError(f"reserves {collateral} and {debt} are not both there")
        call = abi.liquidation_call(pool, assets[0], assets[1], key.account, offer)
        return approve(assets[1], pool, repay), call, approve(assets[1], pool, 0)

    def can_call_back(self, book: BookSpec) -> bool:  # noqa: ARG002 - no pool does
        """Return False: who liquidates pays before anything comes back."""
        return False

    async def loans(self, chain: ChainReader, tokens: Collection[Address], *, block: Head) -> list[LoanOffer]:
        """Return what each pool lends of `tokens` by `flashLoanSimple`. Raises: ChainError, ConfigError.

        The pools are those that were discovered last: whoever follows them does that anew when one changes.
        """
        offers = []
        for book in self._found or await self.discover(chain, block=block):
            lent, premium = await load_lent(chain, book, tokens, block)
            offers += [self._offer(book, token, available, premium) for token, available in lent.items()]
        return offers

    def borrow(
        self,
        offer: LoanOffer,
        *,
        amount: int,
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """Return the loan and the end of an allowance, which the callback gives when `inner` has run.

        Not before: `inner` may liquidate here in the same token, and that allowance would end this one.
        """
        owed = amount + offer.fee(amount)
        given, taken = (approve(offer.token, offer.lender, each) for each in (owed, 0))
        data = encode((*inner, given))
        return abi.flash_loan_simple(offer.lender, recipient, offer.token, amount, data), taken

    def _offer(self, book: BookSpec, token: Address, available: int, premium: int) -> LoanOffer:
        is_ceiled = market_of(book).revision >= FIRST_WITH_CEILED_PREMIUM
        return LoanOffer(
            lender=book.address,
            venue=book.venue,
            token=token,
            available=available,
            fee_numerator=premium,
            fee_denominator=_WHOLE,
            fee_rounds="up" if is_ceiled else "half_up",
            gas=self._venue(book.venue).flash_gas,
            disturbs=True,
        )

    def _places_of(self, book: BookSpec) -> Places:
        known = self._places.get(book.address)
        if known is None or known[0] is not book:
            known = self._places[book.address] = (book, places_of(book))
        return known[1]

    def _venue(self, name: str) -> VenueSettings:
        return next(venue for venue in self._settings.venues if venue.name == name)
