"""Find pools, load their rows, and write the calls that swap on them.

Sources: `PoolFactory` and `Pool` (Velodrome V2, Aerodrome), `PairFactory` and `Pair` (Velodrome V1). All
is read with calls at one block hash, so it is exact as of that block whatever the node does meanwhile.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import structs

from tallyio.hooks.interfaces import ChainReader, CompiledProtocol
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.settings import parse_addresses, parse_settings
from tallyio.model.chain import Head
from tallyio.model.erc20 import transfer
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic, selector
from tallyio.model.market import LogSource, PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address, Hash, checksum
from tallyio.model.words import WORD, address_at, address_word, bytes_words, require_words, unsigned, word
from tallyio_protocol_solidly.layout import CHANGING_BYTES, CLOSED, VOLATILE, pack_row
from tallyio_protocol_solidly.venues import FEES, SOLVERS, WHERE, Names, Settings, Venue, resolve

MAX_ENUMERATED: Final = 20_000
"""Pools of one factory that are listed one by one; beyond, the configuration names tokens."""

TOPICS: Final = (
    event_topic("Sync(uint256,uint256)"),
    event_topic("SetCustomFee(address,uint256)"),
    event_topic("SetPauseState(bool)"),
    event_topic("SetDefaultFee(bool,uint256)"),
    event_topic("FeeModuleChanged(address,address)"),
)
"""`Sync` of the pool, which follows every change of its reserves; the others are the factory's."""

_COUNT: Final[dict[Names, bytes]] = {
    "pool": selector("allPoolsLength()"),
    "pair": selector("allPairsLength()"),
}
_AT: Final[dict[Names, bytes]] = {
    "pool": selector("allPools(uint256)"),
    "pair": selector("allPairs(uint256)"),
}
_BETWEEN: Final[dict[Names, bytes]] = {
    "pool": selector("getPool(address,address,bool)"),
    "pair": selector("getPair(address,address,bool)"),
}
_FEE_BY_POOL: Final = selector("getFee(address,bool)")
_FEE_BY_KIND: Final = selector("getFee(bool)")
_IS_PAUSED: Final = selector("isPaused()")
_METADATA: Final = selector("metadata()")
_TOTAL_SUPPLY: Final = selector("totalSupply()")
_SWAP: Final = selector("swap(uint256,uint256,address,bytes)")

# metadata() returns 10**decimals and reserve of both tokens, whether the pool is stable, and the tokens.
_METADATA_WORDS: Final = 7
_UNITS: Final = (0, 1)
_RESERVES: Final = (2, 3)
_STABLE: Final = 4
_TOKENS: Final = (5, 6)


class Solidly:
    """The pools of all configured venues. See `tallyio.hooks.interfaces.ExchangeProtocol`."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.solidly]` table. Raises: ConfigError."""
        parsed = parse_settings(Settings, settings, where=WHERE)
        self._venues = resolve(parsed)
        self._tokens = sorted(parse_addresses(parsed.tokens, where=f"{WHERE}.tokens"))

    @property
    def compiled(self) -> CompiledProtocol:
        """The module `hot` of this package."""
        return CompiledProtocol(
            module="tallyio_protocol_solidly.hot", event_bytes=(CHANGING_BYTES,) * len(TOPICS)
        )

    @property
    def topics(self) -> tuple[bytes, ...]:
        """What changes a pool: its reserves, its fee, and whether its factory is paused."""
        return TOPICS

    async def discover(self, chain: ChainReader, *, block: Head) -> list[PoolSpec]:
        """Return the pools of each venue: between the configured tokens, or all of them.

        Raises: ChainError: a factory does not answer as one. ConfigError: no factory is known on
        this chain, or it has too many pools to list.
        """
        return [pool for venue in self._venues for pool in await self._discover(chain, venue, block.hash)]

    async def load(self, chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        """Return the rows at `block`. Raises: ChainError: a pool or its factory does not answer as such."""
        fees = await _fees(chain, pools, block.hash)
        calls = [
            Call(to=contract, data=data)
            for pool in pools
            for contract, data in (
                (pool.address, _METADATA),
                (pool.address, _TOTAL_SUPPLY),
                (_factory(pool), _IS_PAUSED),
            )
        ]
        answers = itertools.batched(await chain.call(calls, block=block.hash), 3)
        return [_row(pool, fee, *answer) for pool, fee, answer in zip(pools, fees, answers, strict=True)]

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
        encode: Callable[[tuple[Call, ...]], bytes],  # noqa: ARG002 - no pool can flash
    ) -> tuple[Call, ...]:
        """Return transfer and swap.

        Raises: ValueError: `inner`, for the executor does not answer `hook`, which these pools call.
        """
        if inner:
            raise ValueError(f"pool {checksum(pool.address)} of {pool.venue!r} cannot flash")
        outputs = (amount_out, 0) if token_out == 0 else (0, amount_out)
        swap = Call(to=pool.address, data=_swap_data(outputs, recipient))
        return transfer(pool.tokens[token_in], pool.address, amount_in), swap

    async def _discover(self, chain: ChainReader, venue: Venue, block: Hash) -> list[PoolSpec]:
        factory = venue.factory_on(chain.chain_id)
        if self._tokens:
            found = await _between(chain, factory, venue, self._tokens, block)
        else:
            found = await _all(chain, factory, venue, block)
        answers = await chain.call([Call(to=pool, data=_METADATA) for pool in found], block=block)
        pools = [_spec(venue, factory, pool, answer) for pool, answer in zip(found, answers, strict=True)]
        fees = await _fees(chain, pools, block)
        return [
            structs.replace(pool, fee_pips=1_000_000 * fee // venue.fee_denominator)
            for pool, fee in zip(pools, fees, strict=True)
        ]


async def _between(
    chain: ChainReader, factory: Address, venue: Venue, tokens: Sequence[Address], block: Hash
) -> list[Address]:
    calls = [
        Call(
            to=factory,
            data=_BETWEEN[venue.names] + address_word(low) + address_word(high) + word(stable),
        )
        for low, high in itertools.combinations(tokens, 2)
        for stable in (0, 1)
    ]
    pools = [address_at(_words(answer, 1, factory), 0) for answer in await chain.call(calls, block=block)]
    return [pool for pool in pools if pool != ZERO_ADDRESS]


async def _all(chain: ChainReader, factory: Address, venue: Venue, block: Hash) -> list[Address]:
    [answer] = await chain.call([Call(to=factory, data=_COUNT[venue.names])], block=block)
    count = unsigned(_words(answer, 1, factory), 0)
    if count > MAX_ENUMERATED:
        raise ConfigError(
            f"[{WHERE}.venues] {venue.settings.name!r} has {count} pools, more than {MAX_ENUMERATED} to list",
            way_out=f"name the tokens to trade in [{WHERE}] tokens",
        )
    calls = [Call(to=factory, data=_AT[venue.names] + word(index)) for index in range(count)]
    return [address_at(_words(answer, 1, factory), 0) for answer in await chain.call(calls, block=block)]


def _spec(venue: Venue, factory: Address, pool: Address, answer: bytes | None) -> PoolSpec:
    metadata = _words(answer, _METADATA_WORDS, pool)
    stable = unsigned(metadata, _STABLE) != 0
    return PoolSpec(
        address=pool,
        tokens=tuple(address_at(metadata, index) for index in _TOKENS),
        venue=venue.settings.name,
        fee_pips=0,
        can_flash=False,
        parameters=(
            ("factory", int.from_bytes(factory)),
            ("fee", FEES.index(venue.fee)),
            ("fee_denominator", venue.fee_denominator),
            ("fee_numerator", venue.fee_numerator),
            ("gas", venue.settings.gas_stable if stable else venue.settings.gas_volatile),
            ("kind", SOLVERS[venue.solver] if stable else VOLATILE),
        ),
        # A factory names the pool in topic 1 of some events only, so the row sorts them.
        log_sources=(LogSource(pool), LogSource(factory)),
    )


async def _fees(chain: ChainReader, pools: Sequence[PoolSpec], block: Hash) -> list[int]:
    """Return the fee of each pool, in parts of its denominator: as its factory says, or the fixed one."""
    calls = [_fee_call(pool) for pool in pools]
    answers = iter(await chain.call([call for call in calls if call], block=block))
    return [
        unsigned(_words(next(answers), 1, call.to), 0) if call else _facts(pool)["fee_numerator"]
        for pool, call in zip(pools, calls, strict=True)
    ]


def _fee_call(pool: PoolSpec) -> Call | None:
    facts = _facts(pool)
    fee, stable = FEES[facts["fee"]], word(facts["kind"] != VOLATILE)
    if fee == "fixed":
        return None
    data = _FEE_BY_POOL + address_word(pool.address) if fee == "by_pool" else _FEE_BY_KIND
    return Call(to=_factory(pool), data=data + stable)


def _row(
    pool: PoolSpec, fee: int, metadata: bytes | None, supply: bytes | None, paused: bytes | None
) -> bytes:
    words = _words(metadata, _METADATA_WORDS, pool.address)
    # Without shares every fee divides by zero; reserves without shares are somebody's donation.
    closed = unsigned(_words(paused, 1, _factory(pool)), 0) or not unsigned(
        _words(supply, 1, pool.address), 0
    )
    facts = _facts(pool)
    try:
        return pack_row(
            (unsigned(words, _RESERVES[0]), unsigned(words, _RESERVES[1])),
            units=(unsigned(words, _UNITS[0]), unsigned(words, _UNITS[1])),
            kind=CLOSED if closed else facts["kind"],
            fee_numerator=fee,
            fee_denominator=facts["fee_denominator"],
            gas=facts["gas"],
            pool=pool.address,
        )
    except ValueError as error:
        raise ChainError(f"pool {checksum(pool.address)} has an impossible state: {error}") from None


def _facts(pool: PoolSpec) -> dict[str, int]:
    return dict(pool.parameters)


def _factory(pool: PoolSpec) -> Address:
    return Address(_facts(pool)["factory"].to_bytes(20))


def _swap_data(outputs: tuple[int, int], recipient: Address) -> bytes:
    # swap(uint256 amount0Out, uint256 amount1Out, address to, bytes data): four head words, then no data.
    head = word(outputs[0]) + word(outputs[1]) + address_word(recipient) + word(4 * WORD)
    return _SWAP + head + bytes_words(b"")


def _words(answer: bytes | None, count: int, contract: Address) -> bytes:
    return require_words(
        answer,
        count,
        contract=contract,
        kind="a contract of the Solidly family",
        way_out=f"check the addresses in [{WHERE}]",
    )
