"""Change a book as the events of Morpho, of rate models and of price feeds say.

`_accrueInterest` comes first in every function but `supplyCollateral`, so a market's totals change only
together with its time. A position is followed from its first debt on: before, nobody can liquidate it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from tallyio.hooks.feeds import ANSWER_UPDATED, updated_answer
from tallyio.hooks.lending import BookEdit
from tallyio.model.chain import Log
from tallyio.model.lending import BookSpec, PositionKey
from tallyio.model.units import ZERO_ADDRESS, Address
from tallyio.model.words import WORD, address_at, unsigned
from tallyio_protocol_morpho_blue import abi, curve
from tallyio_protocol_morpho_blue.layout import UINT128_MAX, Irm, Market, pack_row, unpack_row
from tallyio_protocol_morpho_blue.loading import position_of
from tallyio_protocol_morpho_blue.markets import aggregators_of, finds_markets, id_of, market_of
from tallyio_protocol_morpho_blue.reference import oracle_price


class Index:
    """Where the events of a book belong."""

    def __init__(self, book: BookSpec) -> None:
        self.book: Final = book
        self.parts: Final = {id_of(reserve): part for part, reserve in enumerate(book.reserves)}
        self.models: Final = [market_of(reserve).irm for reserve in book.reserves]
        self.feeds: Final = _feeds(book)
        """Per aggregator the markets whose price it makes, and which of the four answers are its."""
        self.finds_markets: Final = finds_markets(book)


def follow_log(edit: BookEdit, index: Index, event: int, log: Log) -> None:
    """Change the book as `log`, whose topic 0 is number `event` of `abi.TOPICS`, says."""
    topic = abi.TOPICS[event]
    if topic == ANSWER_UPDATED:
        _follow_feed(edit, index, log)
    elif topic == abi.CREATE_MARKET:
        if log.address == index.book.address and index.finds_markets:
            edit.rebuild()
    elif (part := index.parts.get(log.topics[1])) is not None:
        if topic == abi.RATE_UPDATE:
            if log.address == index.models[part]:
                _follow_rate(edit, part, log)
        elif log.address == index.book.address:
            _follow_market(edit, part, topic, log)


def _feeds(book: BookSpec) -> dict[Address, list[tuple[int, tuple[bool, ...]]]]:
    feeds: dict[Address, list[tuple[int, tuple[bool, ...]]]] = {}
    for part, reserve in enumerate(book.reserves):
        emitters = aggregators_of(reserve)
        for emitter in set(emitters) - {ZERO_ADDRESS}:
            feeds.setdefault(emitter, []).append((part, tuple(each == emitter for each in emitters)))
    return feeds


def _follow_market(edit: BookEdit, part: int, topic: bytes, log: Log) -> None:
    _FOLLOWED[topic](edit, part, log)
    if topic not in _OF_POSITIONS and unpack_row(edit.reserve(part)).irm == Irm.FIXED:
        edit.reload_rows()  # its rate depends on what just changed in a way that only the model knows


def _follow_rate(edit: BookEdit, part: int, log: Log) -> None:
    market, rate = unpack_row(edit.reserve(part)), unsigned(log.data, 1)
    if market.irm == Irm.ADAPTIVE and rate <= curve.MAX_RATE:
        edit.set_reserve(part, pack_row(msgspec.structs.replace(market, rate=rate)))
    else:
        edit.reload_rows()


def _follow_feed(edit: BookEdit, index: Index, log: Log) -> None:
    answer = updated_answer(log)
    for part, told in index.feeds.get(log.address, ()):
        market = unpack_row(edit.reserve(part))
        if answer is None or not 0 < answer.value <= UINT128_MAX or not market.scale:
            edit.reload_rows()
            return
        first, second, third, fourth = (
            answer.value if is_new else before for is_new, before in zip(told, market.answers, strict=True)
        )
        answers = (first, second, third, fourth)
        price = oracle_price(market.scale, answers)
        _set(edit, part, msgspec.structs.replace(market, answers=answers, price=price))


def _change(edit: BookEdit, part: int, *, supply: int = 0, borrow: int = 0, shares: int = 0) -> None:
    """Add to a market's totals; what would sink below zero is zero, as `UtilsLib.zeroFloorSub` has it."""
    market = unpack_row(edit.reserve(part))
    changed = msgspec.structs.replace(
        market,
        supply_assets=market.supply_assets + supply,
        borrow_assets=max(market.borrow_assets + borrow, 0),
        borrow_shares=market.borrow_shares + shares,
    )
    _set(edit, part, changed)


def _set(edit: BookEdit, part: int, market: Market) -> None:
    try:
        row = pack_row(market)
    except ValueError:
        edit.reload_rows()  # the events contradict the row: the chain knows
        return
    edit.set_reserve(part, row)


def _move(edit: BookEdit, key: PositionKey, *, collateral: int = 0, shares: int = 0) -> None:
    """Add to a position, if it is followed."""
    before = edit.position(key)
    if before is None or not before.balances:
        return
    (balance,) = before.balances
    held, owed = balance.collateral + collateral, balance.debt + shares
    if not 0 <= min(held, owed) <= max(held, owed) <= UINT128_MAX:
        edit.reload_position(key)
        return
    edit.set_position(position_of(key, collateral=held, shares=owed))


def _account(log: Log, topic: int, part: int) -> PositionKey:
    return PositionKey(address_at(log.topics[topic], 0), part)


def _accrued(edit: BookEdit, part: int, log: Log) -> None:
    market, interest = unpack_row(edit.reserve(part)), unsigned(log.data, 1)
    grown = msgspec.structs.replace(
        market,
        supply_assets=market.supply_assets + interest,
        borrow_assets=market.borrow_assets + interest,
        last_update=edit.head.timestamp,
    )
    _set(edit, part, grown)


def _supplied(edit: BookEdit, part: int, log: Log) -> None:
    _change(edit, part, supply=unsigned(log.data, 0))


def _withdrawn(edit: BookEdit, part: int, log: Log) -> None:
    _change(edit, part, supply=-unsigned(log.data, 1))


def _borrowed(edit: BookEdit, part: int, log: Log) -> None:
    assets, shares = unsigned(log.data, 1), unsigned(log.data, 2)
    _change(edit, part, borrow=assets, shares=shares)
    key = _account(log, 2, part)
    if edit.position(key) is None:
        edit.reload_position(key)  # its collateral came before anybody looked
    else:
        _move(edit, key, shares=shares)


def _repaid(edit: BookEdit, part: int, log: Log) -> None:
    assets, shares = unsigned(log.data, 0), unsigned(log.data, 1)
    _change(edit, part, borrow=-assets, shares=-shares)
    _move(edit, _account(log, 3, part), shares=-shares)


def _collateral_in(edit: BookEdit, part: int, log: Log) -> None:
    _move(edit, _account(log, 3, part), collateral=unsigned(log.data, 0))


def _collateral_out(edit: BookEdit, part: int, log: Log) -> None:
    _move(edit, _account(log, 2, part), collateral=-unsigned(log.data, 1))


def _liquidated(edit: BookEdit, part: int, log: Log) -> None:
    if len(log.data) != 5 * WORD:
        edit.reload_rows()
        return
    repaid, shares, seized, bad_assets, bad_shares = (unsigned(log.data, k) for k in range(5))
    _change(edit, part, borrow=-repaid, shares=-shares)  # floored at zero before the bad debt goes off
    _change(edit, part, supply=-bad_assets, borrow=-bad_assets, shares=-bad_shares)
    _move(edit, _account(log, 3, part), collateral=-seized, shares=-shares - bad_shares)


_FOLLOWED: Final[dict[bytes, Callable[[BookEdit, int, Log], None]]] = {
    abi.SUPPLY: _supplied,
    abi.WITHDRAW: _withdrawn,
    abi.BORROW: _borrowed,
    abi.REPAY: _repaid,
    abi.SUPPLY_COLLATERAL: _collateral_in,
    abi.WITHDRAW_COLLATERAL: _collateral_out,
    abi.LIQUIDATE: _liquidated,
    abi.ACCRUE_INTEREST: _accrued,
}
_OF_POSITIONS: Final = {abi.SUPPLY_COLLATERAL, abi.WITHDRAW_COLLATERAL}
