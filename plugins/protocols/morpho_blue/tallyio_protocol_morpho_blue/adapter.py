"""The books of all configured Morpho contracts: found, read, followed, and the calls that liquidate.

Source: `Morpho` (@morpho-org/morpho-blue).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from tallyio.hooks.interfaces import ChainReader
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.lending import BookEdit, BookRows, CompiledLending
from tallyio.model.chain import Head, Log
from tallyio.model.erc20 import approve, balance_of
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, LoanOffer, Position, PositionKey
from tallyio.model.units import Address
from tallyio.model.words import WORD, unsigned
from tallyio_protocol_morpho_blue import abi
from tallyio_protocol_morpho_blue.following import Index, follow_log
from tallyio_protocol_morpho_blue.loading import find_accounts, load_positions, load_rows
from tallyio_protocol_morpho_blue.markets import discover_book, is_followed, market_of
from tallyio_protocol_morpho_blue.venues import DEPLOYMENTS, read_settings


class MorphoBlue:
    """See `tallyio.hooks.lending.LendingProtocol` and `FlashLender`."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.morpho_blue]` table. Raises: ConfigError."""
        self._settings = read_settings(settings)
        self._indexes: dict[Address, Index] = {}

    @property
    def compiled(self) -> CompiledLending:
        """The module `hot` of this package.

        The contract rounds the limit down twice and the debt up once: three units at most.
        """
        return CompiledLending(module="tallyio_protocol_morpho_blue.hot", unit_slack=3.0)

    @property
    def topics(self) -> tuple[bytes, ...]:
        """The events of Morpho, of the adaptive rate model and of price feeds."""
        return abi.TOPICS

    async def discover(self, chain: ChainReader, *, block: Head) -> list[BookSpec]:
        """Return a book for each venue, with the configured markets or all of them.

        Raises: ChainError: a contract does not answer as Morpho does. ConfigError: it is not known on
        this chain.
        """
        return [await discover_book(chain, venue, block=block) for venue in self._settings.venues]

    async def load(self, chain: ChainReader, book: BookSpec, *, block: Head) -> BookRows:
        """Return the rows as of `block`. Raises: ChainError."""
        return await load_rows(chain, book, block=block)

    async def accounts(self, chain: ChainReader, book: BookSpec, *, block: Head) -> Collection[PositionKey]:
        """Return who ever borrowed."""
        return await find_accounts(chain, book, block=block)

    async def positions(
        self, chain: ChainReader, book: BookSpec, keys: Sequence[PositionKey], *, block: Head
    ) -> list[Position]:
        """Return positions as of `block`, in the order of `keys`. Raises: ChainError."""
        return await load_positions(chain, book, keys, block=block)

    def polls(self, book: BookSpec) -> bool:
        """Return whether the price of a market is made of more than feeds that tell their answers.

        One whose updates are sold may say something else than the aggregator's events do.
        """
        return not all(is_followed(each) and not each.auction for each in book.reserves)

    def follow(self, edit: BookEdit, book: BookSpec, event: int, log: Log) -> None:
        """Change the book as `log` says."""
        index = self._indexes.get(book.address)
        if index is None or index.book is not book:
            index = self._indexes[book.address] = Index(book)
        follow_log(edit, index, event, log)

    def liquidate(  # noqa: PLR0913 - the interface's facts of one liquidation
        self,
        book: BookSpec,
        key: PositionKey,
        *,
        collateral: int,
        debt: int,  # noqa: ARG002 - a position has one reserve
        repay: int,
        offer: int = 0,  # noqa: ARG002 - what is seized says it all
        seize: int,
        recipient: Address,  # noqa: ARG002 - Morpho pays who calls
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """Return the call that seizes exactly `seize`, with an allowance of `repay` that does not outlive it.

        Collateral comes before payment: with `inner` the allowance is given at the end of the callback.
        """
        market = market_of(book.reserves[collateral])
        given, taken = (approve(market.loan, book.address, amount) for amount in (repay, 0))
        data = encode((*inner, given)) if inner else b""
        call = abi.liquidate(book.address, market, key.account, seize=seize, data=data)
        return (call, taken) if inner else (given, call, taken)

    def can_call_back(self, book: BookSpec) -> bool:  # noqa: ARG002 - every Morpho does
        """Return True: the collateral pays for the debt by itself."""
        return True

    async def loans(self, chain: ChainReader, tokens: Collection[Address], *, block: Head) -> list[LoanOffer]:
        """Return what Morpho holds of `tokens`, which it lends for nothing. Raises: ConfigError."""
        asked = [
            (venue, DEPLOYMENTS.factory_on(venue, chain.chain_id), token)
            for venue in self._settings.venues
            for token in tokens
        ]
        calls = [balance_of(token, morpho) for _, morpho, token in asked]
        answers = await chain.call(calls, block=block.hash) if calls else []
        return [
            LoanOffer(
                lender=morpho,
                venue=venue.name,
                token=token,
                available=unsigned(answer, 0),
                fee_numerator=0,
                fee_denominator=1,
                fee_rounds="down",
                gas=venue.flash_gas,
            )
            for (venue, morpho, token), answer in zip(asked, answers, strict=True)
            if answer is not None and len(answer) >= WORD and unsigned(answer, 0)
        ]

    def borrow(
        self,
        offer: LoanOffer,
        *,
        amount: int,
        recipient: Address,  # noqa: ARG002 - Morpho lends to who calls
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """Return one flash loan whose callback runs `inner` and then allows Morpho to take it back."""
        given, taken = (approve(offer.token, offer.lender, each) for each in (amount, 0))
        data = encode((*inner, given))
        return (abi.flash_loan(offer.lender, offer.token, amount, data=data), taken)
