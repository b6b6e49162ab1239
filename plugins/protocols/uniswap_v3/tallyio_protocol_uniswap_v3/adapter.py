"""The pools of all configured venues: found, loaded, and the calls that swap on them.

Sources: `UniswapV3Factory`, `UniswapV3Pool` (v3-core 1.0.1); `dialects` has those of the forks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader, CompiledProtocol
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.settings import parse_addresses, parse_settings
from tallyio.market.concentrated.layout import LINE, PRICE_BYTES
from tallyio.market.concentrated.reference_math import HIGHEST_LIMIT, LOWEST_LIMIT
from tallyio.model.chain import Head
from tallyio.model.erc20 import transfer
from tallyio.model.execution import Call
from tallyio.model.lending import LoanOffer
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address
from tallyio_protocol_uniswap_v3 import abi
from tallyio_protocol_uniswap_v3.discovery import discover_venue
from tallyio_protocol_uniswap_v3.loading import load_rows
from tallyio_protocol_uniswap_v3.loans import borrow_calls, read_offers
from tallyio_protocol_uniswap_v3.venues import WHERE, Settings, check

_ALL: Final = 0
_EVENTS: Final = {
    abi.INITIALIZE: PRICE_BYTES,
    abi.SWAP_EVENT: PRICE_BYTES,
    abi.MINT: _ALL,
    abi.BURN: _ALL,
    abi.SWAP_WITH_FEES: PRICE_BYTES,
    abi.FEE_CHANGED: _ALL,
    abi.CUSTOM_FEE_SET: LINE,  # these two change nothing: they ask for a reload
    abi.SET_CUSTOM_FEE: LINE,
}
"""In the order in which `hot` numbers them, and how much of a row each may change."""


class UniswapV3:
    """The pools of all configured venues.

    See `tallyio.hooks.interfaces.ExchangeProtocol` and `tallyio.hooks.lending.FlashLender`.
    """

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.uniswap_v3]` table. Raises: ConfigError."""
        self._settings = parse_settings(Settings, settings, where=WHERE)
        check(self._settings)
        self._tokens = sorted(parse_addresses(self._settings.tokens, where=f"{WHERE}.tokens"))
        self._found: list[PoolSpec] | None = None

    @property
    def compiled(self) -> CompiledProtocol:
        """The module `hot` of this package. A swap changes the header alone."""
        return CompiledProtocol(module="tallyio_protocol_uniswap_v3.hot", event_bytes=tuple(_EVENTS.values()))

    @property
    def topics(self) -> tuple[bytes, ...]:
        """The events that change price, liquidity or fee, in the order that `hot.apply_log` numbers them."""
        return tuple(_EVENTS)

    async def discover(self, chain: ChainReader, *, block: Head) -> list[PoolSpec]:
        """Return the pools of each venue: between the configured tokens, or all of them.

        Candidates come from the configuration or from the factory's events; the factory itself is
        then asked, at `block`, which of them exist.

        Raises: ChainError: a contract does not answer as V3's do. ConfigError: no factory is known on
        this chain.
        """
        found = [
            pool
            for venue in self._settings.venues
            for pool in await discover_venue(chain, venue, self._settings, self._tokens, block=block)
        ]
        self._found = found
        return list(found)

    async def load(self, chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        """Return the rows at `block`.

        Raises: ChainError: a pool does not answer as one, or contradicts itself.
        """
        return await load_rows(chain, pools, block=block, spare_ticks=self._settings.spare_ticks)

    def swap(  # noqa: PLR0913 - the interface's facts of one swap
        self,
        pool: PoolSpec,
        *,
        token_in: int,
        token_out: int,  # noqa: ARG002 - a pool has two tokens
        amount_in: int,
        amount_out: int,  # noqa: ARG002 - the pool pays what it computes
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """Return one exact-input swap, whose callback runs `inner` and then pays the pool."""
        pay = transfer(pool.tokens[token_in], pool.address, amount_in)
        zero_for_one = token_in == 0
        data = abi.swap_data(
            recipient,
            zero_for_one=zero_for_one,
            amount_in=amount_in,
            limit_x96=LOWEST_LIMIT if zero_for_one else HIGHEST_LIMIT,
            data=encode((*inner, pay)),
        )
        return (Call(to=pool.address, data=data),)

    async def loans(self, chain: ChainReader, tokens: Collection[Address], *, block: Head) -> list[LoanOffer]:
        """Return what the pools that `discover` found last lend of `tokens` at `block`.

        Raises: ChainError: a pool does not answer as one, or as `discover`, which is asked if it never was.
        """
        pools = await self.discover(chain, block=block) if self._found is None else self._found
        return await read_offers(chain, pools, tokens, block=block)

    def borrow(
        self,
        offer: LoanOffer,
        *,
        amount: int,
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """Return one flash whose callback runs `inner` and pays the pool."""
        return borrow_calls(offer, amount=amount, recipient=recipient, inner=inner, encode=encode)
