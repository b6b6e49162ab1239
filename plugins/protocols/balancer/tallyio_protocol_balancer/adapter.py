"""Find pools, load their rows, and write the calls that swap on them.

Sources: `IVault` and the pools' own contracts (balancer-v2-monorepo). Everything is read with calls at one
block hash, so it is exact as of that block whatever the node does meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader, CompiledProtocol
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.settings import parse_addresses, parse_settings
from tallyio.model.chain import Head
from tallyio.model.erc20 import approve
from tallyio.model.execution import Call
from tallyio.model.lending import LoanOffer
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.model.words import WORD, address_word, word
from tallyio_protocol_balancer import abi
from tallyio_protocol_balancer.discovery import find_pools
from tallyio_protocol_balancer.loading import load_rows
from tallyio_protocol_balancer.loans import borrow_calls, read_offers
from tallyio_protocol_balancer.venues import WHERE, Settings, resolve

_GIVEN_IN: Final = 0
_FOREVER: Final = (1 << 256) - 1
_ENOUGH: Final = 2
"""Named tokens that a pool must have to be of use."""


class Balancer:
    """The pools of all configured venues, and the loans of their Vaults.

    See `tallyio.hooks.interfaces.ExchangeProtocol` and `tallyio.hooks.lending.FlashLender`.
    """

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.balancer]` table. Raises: ConfigError."""
        parsed = parse_settings(Settings, settings, where=WHERE)
        self._venues = resolve(parsed)
        self._tokens = frozenset(parse_addresses(parsed.tokens, where=f"{WHERE}.tokens"))

    @property
    def compiled(self) -> CompiledProtocol:
        """The module `hot` of this package."""
        return CompiledProtocol(module="tallyio_protocol_balancer.hot")

    @property
    def topics(self) -> tuple[bytes, ...]:
        """Events of the Vault and of the pools."""
        return abi.EVENTS

    async def discover(self, chain: ChainReader, *, block: Head) -> list[PoolSpec]:
        """Return the pools of each venue. Raises: ChainError: a named one is not a pool of a known kind."""
        found = [pool for venue in self._venues for pool in await find_pools(chain, venue, block)]
        return [pool for pool in found if self._is_wanted(pool)]

    async def load(self, chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        """Return the rows at `block`. Raises: ChainError: a pool does not answer, or contradicts itself."""
        return await load_rows(chain, pools, block=block)

    def swap(  # noqa: PLR0913 - the interface's facts of one swap
        self,
        pool: PoolSpec,
        *,
        token_in: int,
        token_out: int,
        amount_in: int,
        amount_out: int,
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],  # noqa: ARG002 - for pools that can flash
    ) -> tuple[Call, ...]:
        """Return an allowance of exactly the input, the Vault's swap that uses it up, and its end.

        `recipient` pays and is paid. Raises: ValueError: with `inner`, for the Vault is paid in its call.
        """
        if inner:
            raise ValueError(f"pool {checksum(pool.address)} of {pool.venue!r} cannot flash")
        vault = pool.log_sources[0].address
        sold, bought = pool.tokens[token_in], pool.tokens[token_out]
        data = _swap_data(pool.id, (sold, bought), (amount_in, amount_out), recipient)
        return (
            approve(sold, vault, amount_in),
            Call(to=vault, data=data),
            approve(sold, vault, 0),
        )

    async def loans(self, chain: ChainReader, tokens: Collection[Address], *, block: Head) -> list[LoanOffer]:
        """Return what the Vaults lend of `tokens` at `block`. Raises: ChainError: one does not answer."""
        return await read_offers(chain, self._venues, tokens, block=block)

    def borrow(
        self,
        offer: LoanOffer,
        *,
        amount: int,
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """Return one loan whose callback runs `inner` and pays the Vault."""
        return borrow_calls(offer, amount=amount, recipient=recipient, inner=inner, encode=encode)

    def _is_wanted(self, pool: PoolSpec) -> bool:
        return not self._tokens or len(self._tokens & set(pool.tokens)) >= _ENOUGH


def _swap_data(
    pool_id: bytes, assets: tuple[Address, Address], amounts: tuple[int, int], account: Address
) -> bytes:
    # swap(SingleSwap, FundManagement, uint256 limit, uint256 deadline). SingleSwap ends with bytes, so its
    # word in the head is its place; FundManagement stands in the head, with no use of internal balances.
    funds = address_word(account) + word(0) + address_word(account) + word(0)
    head = word(7 * WORD) + funds + word(amounts[1]) + word(_FOREVER)
    single = (
        pool_id
        + word(_GIVEN_IN)
        + address_word(assets[0])
        + address_word(assets[1])
        + word(amounts[0])
        + word(6 * WORD)
        + word(0)
    )
    return abi.SWAP + head + single
