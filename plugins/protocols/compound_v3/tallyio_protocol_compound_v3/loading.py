"""Find a Comet's reserves and accounts, and read its rows and positions from the chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallyio.hooks.feeds import aggregators
from tallyio.hooks.interfaces import ChainReader
from tallyio.hooks.lending import BookRows
from tallyio.model.chain import Head, LogFilter
from tallyio.model.erc20 import balance_of
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.lending import Balance, BookSpec, Position, PositionKey, ReserveSpec
from tallyio.model.market import LogSource
from tallyio.model.units import Address, checksum, hex_text
from tallyio.model.words import WORD, address_at, address_word, signed, unsigned, word
from tallyio_protocol_compound_v3 import abi
from tallyio_protocol_compound_v3.layout import (
    MAX_ASSETS,
    STORE_FRONT,
    Comet,
    Curve,
    Reserve,
    pack_own,
    pack_reserve,
)
from tallyio_protocol_compound_v3.venues import DEPLOYMENTS, VenueSettings

_SHORT: Final = 10
_MOST_PRICE: Final = (1 << 63) - 1
_RESERVED_BITS: Final = 16


def token_of(reserve: ReserveSpec) -> Address:
    """Return a reserve's token."""
    token = reserve.debt if reserve.collateral is None else reserve.collateral
    if token is None:
        raise ValueError("a reserve of a Comet is the base token or a collateral asset")
    return token


def feed_of(reserve: ReserveSpec) -> Address:
    """Return the price feed that the Comet asks."""
    return Address(dict(reserve.parameters)["feed"].to_bytes(20))


def emitter_of(reserve: ReserveSpec) -> Address:
    """Return who tells the feed's answers: its aggregator, or the feed itself."""
    return Address(dict(reserve.parameters)["emitter"].to_bytes(20))


def store_front(book: BookSpec) -> PositionKey:
    """Return the key of the position that stands for what the Comet has for sale."""
    return PositionKey(book.address)


async def discover_book(chain: ChainReader, venue: VenueSettings, *, block: Head) -> BookSpec:
    """Return the book of a venue as of `block`. Raises: ChainError: it is no Comet. ConfigError."""
    comet = DEPLOYMENTS.factory_on(venue, chain.chain_id)
    asked = [Call(to=comet, data=data) for data in (abi.BASE_TOKEN, abi.BASE_FEED, abi.NUM_ASSETS)]
    base, feed, count = (abi.checked(each, 1, comet) for each in await chain.call(asked, block=block.hash))
    infos = await _infos(chain, comet, unsigned(count, 0), block)
    tokens = [address_at(base, 0), *(address_at(info, 1) for info in infos)]
    feeds = [address_at(feed, 0), *(address_at(info, 2) for info in infos)]
    emitters = await aggregators(chain, feeds, block=block)
    sources = [comet, *sorted(set(emitters) - {comet})]
    return BookSpec(
        address=comet,
        venue=venue.name,
        reserves=tuple(
            _reserve(k, *facts) for k, facts in enumerate(zip(tokens, feeds, emitters, strict=True))
        ),
        log_sources=tuple(LogSource(each) for each in sources),
        parameters=(("from_block", venue.from_block),),
    )


def _reserve(number: int, token: Address, feed: Address, emitter: Address) -> ReserveSpec:
    return ReserveSpec(
        symbol=hex_text(token)[:_SHORT],
        collateral=None if number == 0 else token,
        debt=token if number == 0 else None,
        feeds=tuple(dict.fromkeys((feed, emitter))),
        parameters=(("emitter", int.from_bytes(emitter)), ("feed", int.from_bytes(feed))),
    )


async def load_rows(chain: ChainReader, book: BookSpec, *, block: Head) -> BookRows:
    """Return the rows of a book as of `block`. Raises: ChainError: the Comet contradicts what it was."""
    comet, base = book.address, token_of(book.reserves[0])
    collaterals = book.reserves[1:]
    asked = [
        Call(to=comet, data=abi.TOTALS),
        *(Call(to=comet, data=data) for data in abi.CONFIGURATION),
        balance_of(base, comet),
        *(Call(to=comet, data=abi.PRICE + address_word(feed_of(each))) for each in book.reserves),
        *(Call(to=comet, data=abi.RESERVES + address_word(token_of(each))) for each in collaterals),
    ]
    answers = await chain.call(asked, block=block.hash)
    infos = await _infos(chain, comet, len(collaterals), block)
    if [address_at(info, 1) for info in infos] != [token_of(each) for each in collaterals]:
        raise ChainError(f"the collateral assets of Comet {checksum(comet)} are others than before")
    totals = abi.checked(answers[0], abi.TOTALS_WORDS, comet)
    end = 2 + len(abi.CONFIGURATION)
    facts = [unsigned(abi.checked(answer, 1, comet), 0) for answer in answers[1:end]]
    prices = [_price(answer) for answer in answers[end : end + len(book.reserves)]]
    held = [_number(answer) for answer in answers[end + len(book.reserves) :]]
    try:
        return BookRows(
            own=pack_own(_comet(totals, facts)),
            reserves=(
                pack_reserve(Reserve(price=prices[0], scale=facts[2])),
                *(
                    pack_reserve(_collateral(info, price, owned))
                    for info, price, owned in zip(infos, prices[1:], held, strict=True)
                ),
            ),
        )
    except ValueError as error:
        raise ChainError(f"Comet {checksum(comet)} has an impossible state: {error}") from None


def _comet(totals: bytes, facts: Sequence[int]) -> Comet:
    target, factor, _, *curves, held = facts
    return Comet(
        total_supply=unsigned(totals, 4),
        total_borrow=unsigned(totals, 5),
        base_held=held,
        target=target,
        supply_index=unsigned(totals, 0),
        borrow_index=unsigned(totals, 1),
        last_accrual=unsigned(totals, 6),
        pauses=unsigned(totals, 7),
        supply=Curve(*curves[:4]),
        borrow=Curve(*curves[4:]),
        store_front_factor=factor,
    )


def _collateral(info: bytes, price: int, owned: int) -> Reserve:
    return Reserve(
        price=price,
        scale=unsigned(info, 3),
        liquidate_factor=unsigned(info, 5),
        liquidation_factor=unsigned(info, 6),
        reserves=owned,
    )


async def find_accounts(chain: ChainReader, book: BookSpec, *, block: Head) -> set[PositionKey]:
    """Return who ever had collateral, without which nobody owes, and the store front."""
    query = LogFilter(
        from_block=dict(book.parameters)["from_block"],
        to_block=block.number,
        addresses=(book.address,),
        topics=((abi.SUPPLY_COLLATERAL, abi.TRANSFER_COLLATERAL),),
    )
    found = {PositionKey(address_at(log.topics[2], 0)) for log in await chain.logs(query)}
    return found | {store_front(book)}


async def load_positions(
    chain: ChainReader, book: BookSpec, keys: Sequence[PositionKey], *, block: Head
) -> list[Position]:
    """Return positions in the order of `keys`; who owes nothing has none. Raises: ChainError."""
    questions = [_questions(book, key) for key in keys]
    asked = [call for each in questions for call in each]
    answers = iter(await chain.call(asked, block=block.hash) if asked else [])
    return [
        _position(book, key, [next(answers) for _ in each]) for key, each in zip(keys, questions, strict=True)
    ]


def _questions(book: BookSpec, key: PositionKey) -> list[Call]:
    comet, account = book.address, address_word(key.account)
    tokens = [address_word(token_of(each)) for each in book.reserves[1:]]
    if key == store_front(book):
        return [Call(to=comet, data=abi.RESERVES + token) for token in tokens]
    user = Call(to=comet, data=abi.USER + account)
    return [user, *(Call(to=comet, data=abi.COLLATERAL + account + token) for token in tokens)]


def _position(book: BookSpec, key: PositionKey, answers: Sequence[bytes | None]) -> Position:
    if key == store_front(book):
        # One unit of debt stands for what the reserves lack: `health` knows how much that is.
        held, owed, flags = [_number(answer) for answer in answers], 1, STORE_FRONT
        owed = owed if any(held) else 0
    else:
        user, *balances = (abi.checked(answer, 1, book.address) for answer in answers)
        user = abi.checked(user, abi.USER_WORDS, book.address)
        held, owed = [unsigned(each, 0) for each in balances], max(-signed(user, 0), 0)
        flags = unsigned(user, 3) | unsigned(user, 4) << _RESERVED_BITS
    if not owed:
        return Position(key=key, balances=())
    collateral = [Balance(reserve=1 + k, collateral=amount) for k, amount in enumerate(held) if amount]
    return Position(key=key, balances=(Balance(reserve=0, debt=owed), *collateral), flags=flags)


async def _infos(chain: ChainReader, comet: Address, count: int, block: Head) -> list[bytes]:
    if count > MAX_ASSETS:
        raise ChainError(f"Comet {checksum(comet)} has {count} assets, more than {MAX_ASSETS}")
    calls = [Call(to=comet, data=abi.ASSET_INFO + word(k)) for k in range(count)]
    answers = await chain.call(calls, block=block.hash) if calls else []
    return [abi.checked(answer, abi.ASSET_INFO_WORDS, comet) for answer in answers]


def _number(answer: bytes | None) -> int:
    return unsigned(answer, 0) if answer is not None and len(answer) >= WORD else 0


def _price(answer: bytes | None) -> int:
    """Return a price, or 0: the feed has none, or none that a row can hold."""
    price = _number(answer)
    return price if price <= _MOST_PRICE else 0
