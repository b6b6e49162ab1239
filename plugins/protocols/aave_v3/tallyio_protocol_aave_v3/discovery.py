"""Find a market's contracts, and what the book must say of its reserves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from tallyio.hooks.feeds import aggregators, latest_answers
from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, ReserveSpec
from tallyio.model.market import LogSource
from tallyio.model.units import ZERO_ADDRESS, Address, checksum
from tallyio.model.words import address_at, require_words, unsigned
from tallyio_protocol_aave_v3 import abi
from tallyio_protocol_aave_v3.layout import CATEGORY_COUNT, MOST_DECIMALS, Rules
from tallyio_protocol_aave_v3.revisions import LAST_WITH_SENTINEL, rules_of
from tallyio_protocol_aave_v3.venues import WHERE

_MOST_RESERVES: Final = 128
_SHORT: Final = 32


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """A market's contracts; the zero address where there is none."""

    provider: Address
    pool: Address
    oracle: Address
    configurator: Address
    sentinel: Address
    sequencer: Address
    revision: int
    categories: int
    """A bit for each e-mode category that exists."""

    @property
    def parameters(self) -> tuple[tuple[str, int], ...]:
        """The same as a book's parameters."""
        facts = msgspec.structs.asdict(self)
        return tuple(sorted((k, v if isinstance(v, int) else int.from_bytes(v)) for k, v in facts.items()))


def market_of(book: BookSpec) -> Market:
    """Return the market that `Market.parameters` of a book says."""
    facts = dict(book.parameters)
    addresses = {
        name: as_address(facts[name])
        for name in ("provider", "pool", "oracle", "configurator", "sentinel", "sequencer")
    }
    return Market(**addresses, revision=facts["revision"], categories=facts["categories"])


def as_address(value: int) -> Address:
    """Return the address that a parameter holds."""
    return Address(value.to_bytes(20))


async def find_book(chain: ChainReader, venue: str, provider: Address, block: Head) -> BookSpec:
    """Return the book of the market behind `provider`.

    Raises: ChainError: it does not answer as a market does, or follows rules that are not known here.
    """
    market = await _market(chain, provider, block)
    rules = rules_of(market.revision, market.pool)
    assets = await _assets(chain, market.pool, block)
    calls = [abi.get_reserve_data(market.pool, asset) for asset in assets]
    answers = await chain.call(calls, block=block.hash)
    data = [abi.reserve_data(_words(answer, abi.RESERVE_WORDS, market.pool)) for answer in answers]
    _check(data, rules, market.pool)
    if not rules & Rules.BITMAPS:
        await _refuse_price_sources(chain, market, block)
    reserves = await _reserves(chain, market, assets, data, block)
    return BookSpec(
        address=market.pool,
        venue=venue,
        reserves=reserves,
        log_sources=_sources(market, reserves),
        parameters=market.parameters,
    )


async def _market(chain: ChainReader, provider: Address, block: Head) -> Market:
    getters = (abi.GET_POOL, abi.GET_ORACLE, abi.GET_CONFIGURATOR, abi.GET_SENTINEL)
    answers = await chain.call([Call(to=provider, data=data) for data in getters], block=block.hash)
    pool, oracle, configurator, sentinel = (address_at(_words(each, 1, provider), 0) for each in answers)
    [answer] = await chain.call([Call(to=pool, data=abi.POOL_REVISION)], block=block.hash)
    revision = unsigned(_words(answer, 1, pool), 0)
    if revision > LAST_WITH_SENTINEL:
        sentinel = ZERO_ADDRESS
    sequencer = ZERO_ADDRESS
    if sentinel != ZERO_ADDRESS:
        [answer] = await chain.call([Call(to=sentinel, data=abi.GET_SEQUENCER)], block=block.hash)
        sequencer = address_at(_words(answer, 1, sentinel), 0)
    return Market(
        provider=provider,
        pool=pool,
        oracle=oracle,
        configurator=configurator,
        sentinel=sentinel,
        sequencer=sequencer,
        revision=revision,
        categories=await _categories(chain, pool, block),
    )


async def _categories(chain: ChainReader, pool: Address, block: Head) -> int:
    numbers = range(1, CATEGORY_COUNT)
    answers = await chain.call([abi.category_data(pool, number) for number in numbers], block=block.hash)
    return sum(
        1 << number
        for number, answer in zip(numbers, answers, strict=True)
        if unsigned(_words(answer, abi.CATEGORY_WORDS, pool), 2)
    )


async def _assets(chain: ChainReader, pool: Address, block: Head) -> list[Address]:
    [answer] = await chain.call([Call(to=pool, data=abi.GET_RESERVES)], block=block.hash)
    raw = _words(answer, 2, pool)
    return [address_at(raw, 2 + k) for k in range(unsigned(raw, 1))]


def _check(data: Sequence[abi.ReserveData], rules: Rules, pool: Address) -> None:
    for each in data:
        if each.decimals > MOST_DECIMALS or each.id >= _MOST_RESERVES:
            raise ChainError(
                f"reserve {each.id} of Aave pool {checksum(pool)} is out of this plugin's domain"
            )
        uses_old_gho = rules & Rules.BY_TOTAL and rules & Rules.AVERAGES and not each.counts_cash
        if uses_old_gho and each.is_borrowable:
            raise ChainError(
                f"reserve {each.id} of Aave pool {checksum(pool)} has debt that is discounted by a rule of"
                " its own (GHO before 3.4), which this plugin does not know",
                way_out="leave the venue out",
            )


async def _refuse_price_sources(chain: ChainReader, market: Market, block: Head) -> None:
    # A price for all assets of a category would make one scaled unit worth something else to each holder.
    numbers = [n for n in range(CATEGORY_COUNT) if market.categories >> n & 1]
    answers = await chain.call([abi.category_data(market.pool, n) for n in numbers], block=block.hash)
    for number, answer in zip(numbers, answers, strict=True):
        if address_at(_words(answer, abi.CATEGORY_WORDS, market.pool), 4) != ZERO_ADDRESS:
            raise ChainError(
                f"e-mode category {number} of Aave pool {checksum(market.pool)} has its own price source",
                way_out="leave the venue out",
            )


async def _reserves(
    chain: ChainReader,
    market: Market,
    assets: Sequence[Address],
    data: Sequence[abi.ReserveData],
    block: Head,
) -> tuple[ReserveSpec, ...]:
    symbols = await chain.call([Call(to=asset, data=abi.SYMBOL) for asset in assets], block=block.hash)
    prices = await _prices(chain, market.oracle, assets, block)
    made = {
        each.id: _spec(asset, each, symbol, price)
        for asset, each, symbol, price in zip(assets, data, symbols, prices, strict=True)
    }
    # The numbers of balances are the pool's own; a dropped reserve leaves a gap.
    gap = ReserveSpec(symbol="", collateral=None, debt=None)
    return tuple(made.get(number, gap) for number in range(max(made, default=-1) + 1))


def _spec(asset: Address, data: abi.ReserveData, symbol: bytes | None, price: _Price) -> ReserveSpec:
    facts = {
        "a_token": data.collateral_token,
        "debt_token": data.debt_token,
        "emitter": price.emitter,
        "stable_token": data.stable_token,
    }
    return ReserveSpec(
        symbol=_text(symbol),
        collateral=asset,
        debt=asset,
        feeds=price.feeds,
        parameters=tuple((name, int.from_bytes(value)) for name, value in facts.items()),
    )


class _Price(NamedTuple):
    """Where an asset's price comes from."""

    emitter: Address
    """Whose events tell it; the zero address where none do."""
    feeds: tuple[Address, ...]


async def _prices(
    chain: ChainReader, oracle: Address, assets: Sequence[Address], block: Head
) -> list[_Price]:
    """Return for each asset where its price comes from."""
    calls = [abi.source_of(oracle, asset) for asset in assets] + [
        abi.asset_price(oracle, asset) for asset in assets
    ]
    answers = await chain.call(calls, block=block.hash)
    sources = [address_at(_words(answer, 1, oracle), 0) for answer in answers[: len(assets)]]
    said = await latest_answers(chain, sources, block=block)
    behind = await aggregators(chain, sources, block=block)
    found = []
    for answer, source, feed, emitter in zip(answers[len(assets) :], sources, said, behind, strict=True):
        price = unsigned(answer, 0) if answer else 0
        is_plain = feed is not None and feed.value == price > 0
        feeds = tuple(each for each in dict.fromkeys((source, emitter)) if each != ZERO_ADDRESS)
        found.append(_Price(emitter if is_plain else ZERO_ADDRESS, feeds))
    return found


def _sources(market: Market, reserves: Sequence[ReserveSpec]) -> tuple[LogSource, ...]:
    found = [market.pool, market.provider, market.oracle, market.configurator]
    found += [market.sentinel, market.sequencer]
    for reserve in reserves:
        found += [as_address(value) for _, value in reserve.parameters]
    return tuple(LogSource(each) for each in dict.fromkeys(found) if each != ZERO_ADDRESS)


def _text(answer: bytes | None) -> str:
    """Return what `symbol()` answered, be it a string or the bytes32 of old tokens."""
    if answer is None:
        return ""
    raw = answer[2 * _SHORT :][: unsigned(answer, 1)] if len(answer) > _SHORT else answer
    return raw.rstrip(b"\0").decode(errors="replace")


def _words(answer: bytes | None, count: int, contract: Address) -> bytes:
    return require_words(
        answer,
        count,
        contract=contract,
        kind="an Aave V3 contract",
        way_out=f"check the addresses in [{WHERE}]",
    )
