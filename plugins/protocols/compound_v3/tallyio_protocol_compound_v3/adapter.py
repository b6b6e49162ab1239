"""The books of all configured Comets: found, read, followed, and the calls that absorb and buy.

Source: `CometWithExtendedAssetList` (compound-finance/comet).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec

from tallyio.hooks.feeds import ANSWER_UPDATED, updated_answer
from tallyio.hooks.interfaces import ChainReader
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.lending import BookEdit, BookRows, CompiledLending
from tallyio.model.chain import Head, Log
from tallyio.model.erc20 import approve
from tallyio.model.errors import PluginError
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, Position, PositionKey
from tallyio.model.units import ZERO_ADDRESS, Address
from tallyio.model.words import address_at
from tallyio_protocol_compound_v3 import abi
from tallyio_protocol_compound_v3.layout import pack_reserve, unpack_reserve
from tallyio_protocol_compound_v3.loading import (
    discover_book,
    emitter_of,
    feed_of,
    find_accounts,
    load_positions,
    load_rows,
    store_front,
    token_of,
)
from tallyio_protocol_compound_v3.reference import MOST_WORTH
from tallyio_protocol_compound_v3.venues import read_settings

_FROM, _TO = 1, 2
_TOUCHED: Final = {
    abi.SUPPLY: (_TO,),
    abi.WITHDRAW: (_FROM,),
    abi.TRANSFER: (_FROM, _TO),
    abi.SUPPLY_COLLATERAL: (_TO,),
    abi.TRANSFER_COLLATERAL: (_FROM, _TO),
    abi.WITHDRAW_COLLATERAL: (_FROM,),
    abi.ABSORB_DEBT: (_TO,),
}
"""Per event the topics that name accounts whose position it changes."""
_BORROWS: Final = {abi.WITHDRAW, abi.TRANSFER}
"""Events with which an account that owed nothing may begin to owe."""
_STOCK: Final = {abi.ABSORB_DEBT, abi.BUY_COLLATERAL}
"""Events that change what the Comet has for sale."""


class CompoundV3:
    """See `tallyio.hooks.lending.LendingProtocol`."""

    slack_units: Final = float(MOST_WORTH + 4)
    """The contract rounds a debt to units of the base token, each worth less than `MOST_WORTH` units of
    1e-8, and every value down twice."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.compound_v3]` table. Raises: ConfigError."""
        self._settings = read_settings(settings)

    @property
    def compiled(self) -> CompiledLending:
        """The module `hot` of this package."""
        return CompiledLending(module="tallyio_protocol_compound_v3.hot", unit_slack=self.slack_units)

    @property
    def topics(self) -> tuple[bytes, ...]:
        """The events of a Comet, of the proxy in front of it, and of price feeds."""
        return abi.TOPICS

    async def discover(self, chain: ChainReader, *, block: Head) -> list[BookSpec]:
        """Return a book for each venue. Raises: ChainError: it is no Comet. ConfigError."""
        return [await discover_book(chain, venue, block=block) for venue in self._settings.venues]

    async def load(self, chain: ChainReader, book: BookSpec, *, block: Head) -> BookRows:
        """Return the rows as of `block`. Raises: ChainError."""
        return await load_rows(chain, book, block=block)

    async def accounts(self, chain: ChainReader, book: BookSpec, *, block: Head) -> Collection[PositionKey]:
        """Return who ever had collateral, and the store front."""
        return await find_accounts(chain, book, block=block)

    async def positions(
        self, chain: ChainReader, book: BookSpec, keys: Sequence[PositionKey], *, block: Head
    ) -> list[Position]:
        """Return positions as of `block`, in the order of `keys`. Raises: ChainError."""
        return await load_positions(chain, book, keys, block=block)

    def polls(self, book: BookSpec) -> bool:  # noqa: ARG002 - every Comet does
        """Return True: interest accrues, tokens arrive and some prices move without an event."""
        return True

    def follow(self, edit: BookEdit, book: BookSpec, event: int, log: Log) -> None:
        """Take a new price, or ask for the positions that `log` touched to be read again."""
        topic = abi.TOPICS[event]
        if topic == ANSWER_UPDATED:
            _follow_feed(edit, book, log)
        elif log.address == book.address:
            if topic == abi.UPGRADED:
                edit.rebuild()
            if topic in _STOCK:
                edit.reload_position(store_front(book))
            for place in _TOUCHED.get(topic, ()):
                key = PositionKey(address_at(log.topics[place], 0))
                begins = topic in _BORROWS and place == _FROM and key.account != ZERO_ADDRESS
                if begins or edit.position(key) is not None:
                    edit.reload_position(key)

    def liquidate(  # noqa: PLR0913 - the interface's facts of one liquidation
        self,
        book: BookSpec,
        key: PositionKey,
        *,
        collateral: int,
        debt: int,
        repay: int,
        offer: int = 0,  # noqa: ARG002 - what is bought says it all
        seize: int,
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],  # noqa: ARG002 - nothing is called back
    ) -> tuple[Call, ...]:
        """Return the absorption of an account, and the purchase of at least `seize` for `repay`.

        Of the store front's key nothing is absorbed. The allowance does not outlive the purchase.
        Raises: PluginError: there are `inner` calls; a Comet is paid before it pays.
        """
        if inner:
            raise PluginError(
                "compound_v3", "is asked for a callback, which a Comet does not make", way_out="use a loan"
            )
        asset, base = (token_of(book.reserves[number]) for number in (collateral, debt))
        given, taken = (approve(base, book.address, amount) for amount in (repay, 0))
        purchase = abi.buy(book.address, asset, least=seize, pay=repay, recipient=recipient)
        if key == store_front(book):
            return given, purchase, taken
        return abi.absorb(book.address, recipient, key.account), given, purchase, taken

    def can_call_back(self, book: BookSpec) -> bool:  # noqa: ARG002 - no Comet does
        """Return False: a Comet is paid before it pays."""
        return False


def _follow_feed(edit: BookEdit, book: BookSpec, log: Log) -> None:
    answer = updated_answer(log)
    for number, reserve in enumerate(book.reserves):
        # A feed that is no proxy may compute its answer from that of another contract.
        if emitter_of(reserve) == log.address != feed_of(reserve):
            row = unpack_reserve(edit.reserve(number))
            price = answer.value if answer is not None and 0 < answer.value < 1 << 63 else 0
            edit.set_reserve(number, pack_reserve(msgspec.structs.replace(row, price=price)))
