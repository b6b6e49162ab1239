"""Find pairs, load their rows, and write the calls that swap on them.

Sources: `UniswapV2Factory` and `UniswapV2Pair` (v2-core). Everything is read with calls at one block
hash, so it is exact as of that block whatever the node does meanwhile.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader, CompiledProtocol
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.settings import parse_addresses, parse_settings
from tallyio.model.chain import Head
from tallyio.model.erc20 import transfer
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic, selector
from tallyio.model.lending import LoanOffer
from tallyio.model.market import PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address, checksum
from tallyio.model.words import address_at, address_word, unsigned, word
from tallyio_protocol_uniswap_v2.calls import GET_RESERVES, checked, swap_data
from tallyio_protocol_uniswap_v2.layout import pack_row
from tallyio_protocol_uniswap_v2.loans import borrow_calls, read_offers
from tallyio_protocol_uniswap_v2.venues import WHERE, Settings, Venue, resolve

MAX_ENUMERATED: Final = 20_000
"""Pairs of one factory that are listed one by one; beyond, the configuration names tokens."""

_SYNC: Final = event_topic("Sync(uint112,uint112)")
_ALL_PAIRS_LENGTH: Final = selector("allPairsLength()")
_ALL_PAIRS: Final = selector("allPairs(uint256)")
_GET_PAIR: Final = selector("getPair(address,address)")
_TOKEN0: Final = selector("token0()")
_TOKEN1: Final = selector("token1()")


class UniswapV2:
    """The pairs of all configured venues.

    See `tallyio.hooks.interfaces.ExchangeProtocol` and `tallyio.hooks.lending.FlashLender`.
    """

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.uniswap_v2]` table. Raises: ConfigError."""
        parsed = parse_settings(Settings, settings, where=WHERE)
        self._venues = resolve(parsed)
        self._tokens = sorted(parse_addresses(parsed.tokens, where=f"{WHERE}.tokens"))
        self._found: list[PoolSpec] | None = None

    @property
    def compiled(self) -> CompiledProtocol:
        """The module `hot` of this package."""
        return CompiledProtocol(module="tallyio_protocol_uniswap_v2.hot")

    @property
    def topics(self) -> tuple[bytes, ...]:
        """`Sync` follows every change of the reserves, so no other event is needed."""
        return (_SYNC,)

    async def discover(self, chain: ChainReader, *, block: Head) -> list[PoolSpec]:
        """Return the pairs of each venue: between the configured tokens, or all of them.

        Raises: ChainError: a factory does not answer as one. ConfigError: no factory is known on
        this chain, or it has too many pairs to list.
        """
        found = [pool for venue in self._venues for pool in await self._discover(chain, venue, block)]
        self._found = found
        return list(found)

    async def load(self, chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        """Return the rows from `getReserves` at `block`. Raises: ChainError: a pool is not a pair."""
        answers = await chain.call(
            [Call(to=pool.address, data=GET_RESERVES) for pool in pools], block=block.hash
        )
        return [_row(pool, answer) for pool, answer in zip(pools, answers, strict=True)]

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
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """Return transfer and swap, or with `inner` one flash swap whose callback pays the pair.

        Raises: ValueError: `inner` for a pair whose callback the executor does not answer.
        """
        if inner and not pool.can_flash:
            raise ValueError(f"pair {checksum(pool.address)} of {pool.venue!r} cannot flash")
        pay = transfer(pool.tokens[token_in], pool.address, amount_in)
        data = encode((*inner, pay)) if inner else b""
        outputs = (amount_out, 0) if token_out == 0 else (0, amount_out)
        swap = Call(to=pool.address, data=swap_data(outputs, recipient, data))
        return (swap,) if inner else (pay, swap)

    async def loans(self, chain: ChainReader, tokens: Collection[Address], *, block: Head) -> list[LoanOffer]:
        """Return what the pairs that `discover` found last lend of `tokens` at `block`: flash swaps.

        Raises: ChainError: a pool is not a pair, or as `discover`, which is asked if it never was.
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
        """Return one flash swap whose callback runs `inner` and pays the pair in the same token."""
        return borrow_calls(offer, amount=amount, recipient=recipient, inner=inner, encode=encode)

    async def _discover(self, chain: ChainReader, venue: Venue, block: Head) -> list[PoolSpec]:
        factory = venue.factory_on(chain.chain_id)
        if self._tokens:
            found = await _pairs_between(chain, factory, self._tokens, block)
        else:
            found = await _all_pairs(chain, factory, venue, block)
        return [_spec(venue, pair, tokens) for pair, tokens in found]


_Pair = tuple[Address, tuple[Address, Address]]


async def _pairs_between(
    chain: ChainReader, factory: Address, tokens: Sequence[Address], block: Head
) -> list[_Pair]:
    # A pair's token0 is the lower address, so combinations of sorted tokens are in its own order.
    couples = list(itertools.combinations(tokens, 2))
    calls = [
        Call(to=factory, data=_GET_PAIR + address_word(low) + address_word(high)) for low, high in couples
    ]
    pairs = [_address(answer, factory) for answer in await chain.call(calls, block=block.hash)]
    return [(pair, couple) for pair, couple in zip(pairs, couples, strict=True) if pair != ZERO_ADDRESS]


async def _all_pairs(chain: ChainReader, factory: Address, venue: Venue, block: Head) -> list[_Pair]:
    [answer] = await chain.call([Call(to=factory, data=_ALL_PAIRS_LENGTH)], block=block.hash)
    count = unsigned(checked(answer, 1, factory), 0)
    if count > MAX_ENUMERATED:
        raise ConfigError(
            f"[{WHERE}.venues] {venue.settings.name!r} has {count} pairs, more than {MAX_ENUMERATED} to list",
            way_out=f"name the tokens to trade in [{WHERE}] tokens",
        )
    calls = [Call(to=factory, data=_ALL_PAIRS + word(index)) for index in range(count)]
    pairs = [_address(answer, factory) for answer in await chain.call(calls, block=block.hash)]
    calls = [Call(to=pair, data=data) for pair in pairs for data in (_TOKEN0, _TOKEN1)]
    answers = await chain.call(calls, block=block.hash)
    sides = [_address(answer, call.to) for answer, call in zip(answers, calls, strict=True)]
    return list(zip(pairs, _couples(sides), strict=True))


def _couples(sides: Sequence[Address]) -> Iterator[tuple[Address, Address]]:
    return zip(sides[::2], sides[1::2], strict=True)


def _spec(venue: Venue, pair: Address, tokens: tuple[Address, Address]) -> PoolSpec:
    return PoolSpec(
        address=pair,
        tokens=tokens,
        venue=venue.settings.name,
        fee_pips=venue.fee_pips,
        can_flash=venue.can_flash,
        parameters=(
            ("fee_denominator", venue.fee_denominator),
            ("fee_numerator0", venue.fee_numerator),
            ("fee_numerator1", venue.fee_numerator),
            ("gas", venue.settings.gas),
        ),
    )


def _row(pool: PoolSpec, answer: bytes | None) -> bytes:
    # Some forks return more words than reserve0, reserve1, blockTimestampLast; the first two agree.
    reserves = checked(answer, 2, pool.address)
    facts = dict(pool.parameters)
    try:
        return pack_row(
            (unsigned(reserves, 0), unsigned(reserves, 1)),
            fee_numerators=(facts["fee_numerator0"], facts["fee_numerator1"]),
            fee_denominator=facts["fee_denominator"],
            gas=facts["gas"],
        )
    except ValueError as error:
        raise ChainError(f"pair {checksum(pool.address)} has an impossible state: {error}") from None


def _address(answer: bytes | None, contract: Address) -> Address:
    return address_at(checked(answer, 1, contract), 0)
