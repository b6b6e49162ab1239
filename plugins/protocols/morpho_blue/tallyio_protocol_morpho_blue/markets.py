"""The markets of one Morpho contract as the reserves of a book: what each is, and what is behind it.

The feeds behind an oracle are known where it answers as `MorphoChainlinkOracleV2` does. Its price is
*followed*, by the events of their aggregators, where it has no vault and each feed is a proxy of one: a feed
that computes its answer tells nobody when it changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallyio.hooks.feeds import aggregators
from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head, LogFilter
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, ReserveSpec
from tallyio.model.market import LogSource
from tallyio.model.units import ZERO_ADDRESS, Address, hex_text
from tallyio.model.words import WORD, address_at
from tallyio_protocol_morpho_blue import abi
from tallyio_protocol_morpho_blue.abi import MarketParams
from tallyio_protocol_morpho_blue.layout import FEEDS
from tallyio_protocol_morpho_blue.venues import DEPLOYMENTS, VenueSettings, market_ids

_FROM_BLOCK: Final = "from_block"
_FINDS: Final = "finds_markets"
_SHORT: Final = 10


def market_of(reserve: ReserveSpec) -> MarketParams:
    """Return the market that a reserve is."""
    facts = dict(reserve.parameters)
    return MarketParams(
        loan=_known(reserve.debt),
        collateral=_known(reserve.collateral),
        oracle=_address(facts["oracle"]),
        irm=_address(facts["irm"]),
        lltv=facts["lltv"],
    )


def id_of(reserve: ReserveSpec) -> bytes:
    """Return the id of a reserve's market."""
    return dict(reserve.parameters)["id"].to_bytes(WORD)


def aggregators_of(reserve: ReserveSpec) -> tuple[Address, ...]:
    """Return who tells the answers of the oracle's feeds, in the order of the row; 0 where there is none."""
    facts = dict(reserve.parameters)
    return tuple(_address(facts[f"feed{k}"]) for k in range(FEEDS))


def feeds_of(reserve: ReserveSpec) -> tuple[Address, ...]:
    """Return the feeds that the oracle asks; 0 where there is none."""
    facts = dict(reserve.parameters)
    return tuple(_address(facts[f"proxy{k}"]) for k in range(FEEDS))


def is_followed(reserve: ReserveSpec) -> bool:
    """Return whether feeds alone make the market's price, so that their events tell it."""
    return bool(dict(reserve.parameters)["followed"])


def starts_at(book: BookSpec) -> int:
    """Return the block from which the book's events are of interest."""
    return dict(book.parameters)[_FROM_BLOCK]


def finds_markets(book: BookSpec) -> bool:
    """Return whether a market created later belongs to the book."""
    return bool(dict(book.parameters)[_FINDS])


async def discover_book(chain: ChainReader, venue: VenueSettings, *, block: Head) -> BookSpec:
    """Return the book of a venue as of `block`.

    Raises: ChainError: the contract does not answer as Morpho, or knows no such market. ConfigError.
    """
    morpho = DEPLOYMENTS.factory_on(venue, chain.chain_id)
    ids = market_ids(venue) or await _created(chain, morpho, venue.from_block, block)
    answers = await _ask(chain, [Call(to=morpho, data=abi.MARKET_PARAMS + each) for each in ids], block)
    found = [MarketParams.decode(abi.checked(answer, 5, morpho)) for answer in answers]
    # Markets without collateral or oracle only keep idle money: nobody can borrow there.
    named = [
        (id_, market)
        for id_, market in zip(ids, found, strict=True)
        if ZERO_ADDRESS not in {market.collateral, market.oracle, market.loan}
    ]
    feeds = await _feeds(chain, [market.oracle for _, market in named], block)
    known = sorted({feed for each, _ in feeds for feed in each} - {ZERO_ADDRESS})
    emitters = dict(zip(known, await aggregators(chain, known, block=block) if known else [], strict=True))
    reserves = tuple(
        _reserve(id_, market, proxies, emitters, has_vault=has_vault)
        for (id_, market), (proxies, has_vault) in zip(named, feeds, strict=True)
    )
    models = {market.irm for _, market in named} - {ZERO_ADDRESS}
    sources = [morpho, *sorted(models), *sorted(set(emitters.values()))]
    return BookSpec(
        address=morpho,
        venue=venue.name,
        reserves=reserves,
        log_sources=tuple(LogSource(each) for each in sources),
        parameters=((_FINDS, int(not venue.markets)), (_FROM_BLOCK, venue.from_block)),
    )


async def _created(chain: ChainReader, morpho: Address, from_block: int, block: Head) -> list[bytes]:
    query = LogFilter(
        from_block=from_block,
        to_block=block.number,
        addresses=(morpho,),
        topics=((abi.CREATE_MARKET,),),
    )
    return [log.topics[1] for log in await chain.logs(query)]


async def _feeds(
    chain: ChainReader, oracles: Sequence[Address], block: Head
) -> list[tuple[tuple[Address, ...], bool]]:
    """Return the feeds of each oracle, and whether its price is made from more than them."""
    asked = (*abi.FEEDS, *abi.VAULTS, abi.SCALE_FACTOR)
    answers = await _ask(chain, [Call(to=each, data=data) for each in oracles for data in asked], block)
    size = len(asked)
    return [_feeds_in(answers[size * k : size * (k + 1)]) for k in range(len(oracles))]


def _feeds_in(answers: Sequence[bytes | None]) -> tuple[tuple[Address, ...], bool]:
    feeds = tuple(_or_none(answer) for answer in answers[:FEEDS])
    vaults = answers[FEEDS : FEEDS + len(abi.VAULTS)]
    are_none = all(vault is not None and _or_none(vault) == ZERO_ADDRESS for vault in vaults)
    return feeds, not are_none or answers[-1] is None


def _or_none(answer: bytes | None) -> Address:
    return ZERO_ADDRESS if answer is None or len(answer) < WORD else address_at(answer, 0)


def _reserve(
    id_: bytes,
    market: MarketParams,
    proxies: Sequence[Address],
    emitters: dict[Address, Address],
    *,
    has_vault: bool,
) -> ReserveSpec:
    feeds = [proxy for proxy in proxies if proxy != ZERO_ADDRESS]
    facts = {
        "followed": int(bool(feeds) and not has_vault and all(emitters[feed] != feed for feed in feeds)),
        "id": int.from_bytes(id_),
        "irm": int.from_bytes(market.irm),
        "lltv": market.lltv,
        "oracle": int.from_bytes(market.oracle),
    }
    for k, proxy in enumerate(proxies):
        facts[f"feed{k}"] = int.from_bytes(emitters.get(proxy, ZERO_ADDRESS))
        facts[f"proxy{k}"] = int.from_bytes(proxy)
    return ReserveSpec(
        symbol=hex_text(id_)[:_SHORT],
        collateral=market.collateral,
        debt=market.loan,
        feeds=tuple(dict.fromkeys(each for feed in feeds for each in (feed, emitters[feed]))),
        parameters=tuple(sorted(facts.items())),
    )


async def _ask(chain: ChainReader, calls: Sequence[Call], block: Head) -> list[bytes | None]:
    return await chain.call(calls, block=block.hash) if calls else []


def _known(token: Address | None) -> Address:
    if token is None:
        raise ValueError("a market of Morpho has both tokens")
    return token


def _address(number: int) -> Address:
    return Address(number.to_bytes(20))
