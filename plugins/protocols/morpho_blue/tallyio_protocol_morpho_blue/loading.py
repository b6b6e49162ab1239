"""Read the rows of a book's markets, and its positions, from the chain.

A market's rate model is taken for `AdaptiveCurveIrm` where it answers `rateAtTarget` and its own
`borrowRateView` says what that curve says; otherwise for one that only its answer is known of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from tallyio.hooks.feeds import latest_answers
from tallyio.hooks.interfaces import ChainReader
from tallyio.hooks.lending import BookRows
from tallyio.model.chain import Head, LogFilter
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.lending import Balance, BookSpec, Position, PositionKey, ReserveSpec
from tallyio.model.units import ZERO_ADDRESS, Address
from tallyio.model.words import WORD, address_at, address_word, unsigned
from tallyio_protocol_morpho_blue import abi, curve
from tallyio_protocol_morpho_blue.layout import (
    OWN_ROW,
    UINT128_MAX,
    Irm,
    Market,
    pack_row,
)
from tallyio_protocol_morpho_blue.markets import feeds_of, id_of, is_followed, market_of, starts_at
from tallyio_protocol_morpho_blue.reference import incentive_factor, oracle_price

_STATE_WORDS = 6
_POSITION_WORDS = 3
_NONE_YET = 0
_LARGEST_RATE = (1 << 63) - 1


async def load_rows(chain: ChainReader, book: BookSpec, *, block: Head) -> BookRows:
    """Return the rows of a book as of `block`. Raises: ChainError: a contract contradicts what it is."""
    asked = [call for reserve in book.reserves for call in _questions(book.address, reserve)]
    answers = await chain.call(asked, block=block.hash) if asked else []
    size = len(asked) // max(len(book.reserves), 1)
    states = [
        abi.checked(answers[size * k], _STATE_WORDS, book.address)[: _STATE_WORDS * WORD]
        for k in range(len(book.reserves))
    ]
    rates = await _rates(chain, book.reserves, states, block)
    feeds = await _answers(chain, book.reserves, block)
    rows = []
    for k, reserve in enumerate(book.reserves):
        price, target, scale = (_number(answer) for answer in answers[size * k + 1 : size * (k + 1)])
        market = _market(reserve, states[k], target, rates[k], block)
        rows.append(
            _packed(msgspec.structs.replace(market, **_oracle(reserve, price, scale, feeds)), reserve)
        )
    return BookRows(own=OWN_ROW, reserves=tuple(rows))


async def find_accounts(chain: ChainReader, book: BookSpec, *, block: Head) -> set[PositionKey]:
    """Return who ever borrowed in the book's markets."""
    parts = {id_of(reserve): part for part, reserve in enumerate(book.reserves)}
    query = LogFilter(
        from_block=starts_at(book),
        to_block=block.number,
        addresses=(book.address,),
        topics=((abi.BORROW,),),
    )
    return {
        PositionKey(address_at(log.topics[2], 0), parts[log.topics[1]])
        for log in await chain.logs(query)
        if log.topics[1] in parts
    }


async def load_positions(
    chain: ChainReader, book: BookSpec, keys: Sequence[PositionKey], *, block: Head
) -> list[Position]:
    """Return positions in the order of `keys`. Raises: ChainError."""
    calls = [
        Call(
            to=book.address,
            data=abi.POSITION + id_of(book.reserves[key.part]) + address_word(key.account),
        )
        for key in keys
    ]
    answers = await chain.call(calls, block=block.hash) if calls else []
    return [
        _position(key, abi.checked(answer, _POSITION_WORDS, book.address))
        for key, answer in zip(keys, answers, strict=True)
    ]


def position_of(key: PositionKey, *, collateral: int, shares: int) -> Position:
    """Return a position with this in its market; without anything it is empty."""
    if not collateral and not shares:
        return Position(key=key, balances=())
    balance = Balance(reserve=key.part, collateral=collateral, debt=shares)
    return Position(key=key, balances=(balance,))


def _position(key: PositionKey, answer: bytes) -> Position:
    return position_of(key, collateral=unsigned(answer, 2), shares=unsigned(answer, 1))


def _questions(morpho: Address, reserve: ReserveSpec) -> tuple[Call, ...]:
    id_, market = id_of(reserve), market_of(reserve)
    return (
        Call(to=morpho, data=abi.MARKET + id_),
        Call(to=market.oracle, data=abi.PRICE),
        Call(to=market.irm, data=abi.RATE_AT_TARGET + id_),
        Call(to=market.oracle, data=abi.SCALE_FACTOR),
    )


async def _rates(
    chain: ChainReader, reserves: Sequence[ReserveSpec], states: Sequence[bytes], block: Head
) -> list[int | None]:
    calls = [
        Call(to=market_of(reserve).irm, data=abi.BORROW_RATE + market_of(reserve).words + state)
        for reserve, state in zip(reserves, states, strict=True)
    ]
    return [_number(answer) for answer in (await chain.call(calls, block=block.hash) if calls else [])]


async def _answers(
    chain: ChainReader, reserves: Iterable[ReserveSpec], block: Head
) -> dict[Address, int | None]:
    """Return what each feed of markets whose price is followed says; 1 for none."""
    named = {feed for reserve in reserves if is_followed(reserve) for feed in feeds_of(reserve)}
    feeds = sorted(named - {ZERO_ADDRESS})
    answers = await latest_answers(chain, feeds, block=block) if feeds else []
    said: dict[Address, int | None] = {
        feed: answer.value if answer is not None else None
        for feed, answer in zip(feeds, answers, strict=True)
    }
    return said | {ZERO_ADDRESS: 1}


def _market(reserve: ReserveSpec, state: bytes, target: int | None, rate: int | None, block: Head) -> Market:
    market = market_of(reserve)
    supply, borrow, shares, last = (unsigned(state, k) for k in (0, 2, 3, 4))
    found = Market(
        supply_assets=supply,
        borrow_assets=borrow,
        borrow_shares=shares,
        last_update=last,
        rate=target or _NONE_YET,
        irm=Irm.ADAPTIVE,
        lltv=market.lltv,
        incentive=incentive_factor(market.lltv),
        price=None,
    )
    if market.irm == ZERO_ADDRESS:
        return msgspec.structs.replace(found, irm=Irm.NONE, rate=0, last_update=0)
    if rate is None:
        raise ChainError(f"the rate model of Morpho's market {reserve.symbol} tells no borrow rate")
    if target is not None and target <= curve.MAX_RATE and _expected(found, block.timestamp) == rate:
        return found
    return msgspec.structs.replace(found, irm=Irm.FIXED, rate=min(rate, _LARGEST_RATE))


def _expected(market: Market, time: int) -> int:
    rate, _ = curve.borrow_rate(
        market.supply_assets,
        market.borrow_assets,
        rate_at_target=market.rate,
        elapsed=max(time - market.last_update, 0),
    )
    return rate


def _oracle(
    reserve: ReserveSpec, price: int | None, scale: int | None, feeds: dict[Address, int | None]
) -> dict[str, object]:
    """Return the fields of the row that the oracle decides; its feeds only where they explain its price."""
    if price is None or scale is None or not is_followed(reserve):
        return {"price": price}
    first, second, third, fourth = (feeds[feed] or 0 for feed in feeds_of(reserve))
    answers = (first, second, third, fourth)
    if not all(0 < answer <= UINT128_MAX for answer in answers) or oracle_price(scale, answers) != price:
        return {"price": price}
    return {"price": price, "scale": scale, "answers": answers}


def _packed(market: Market, reserve: ReserveSpec) -> bytes:
    try:
        return pack_row(market)
    except ValueError as error:
        raise ChainError(f"Morpho's market {reserve.symbol} has an impossible state: {error}") from None


def _number(answer: bytes | None) -> int | None:
    return unsigned(answer, 0) if answer is not None and len(answer) >= WORD else None
