"""Follow a book's events: rows and positions as the contracts wrote them, or a question to read them again.

Within a transaction `accrueInterest` comes first and tells what it did; it is compared with what the row says
it should have done, and where they differ the rows are read again: so no unseen change lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from tallyio.hooks.lending import BookEdit
from tallyio.model.chain import Log
from tallyio.model.lending import Balance, BookSpec, Position, PositionKey
from tallyio.model.units import Address
from tallyio.model.words import WORD, address_at, unsigned
from tallyio_protocol_venus import abi, rates, reference, state
from tallyio_protocol_venus.discovery import address_of, fact, reserve_numbers, vai_number
from tallyio_protocol_venus.layout import (
    flags_in,
    pack_debt,
    pack_market,
    pack_own,
    unpack_debt,
    unpack_market,
    unpack_own,
)
from tallyio_protocol_venus.loading import ACTION_FLAGS
from tallyio_protocol_venus.state import Debt, Market


class _Following:
    """One log, and the book that it changes."""

    def __init__(self, edit: BookEdit, book: BookSpec, log: Log) -> None:
        self.edit, self.book, self.log = edit, book, log
        self.number = reserve_numbers(book).get(log.address, -1)
        self.pools = fact(book.parameters, "pools")

    # --- what the log says

    def word(self, index: int) -> int:
        return unsigned(self.log.data, index)

    def account(self, index: int) -> PositionKey:
        return PositionKey(address_at(self.log.data, index))

    def topic(self, index: int) -> Address:
        return address_at(self.log.topics[index], 0)

    # --- rows

    def market(self, number: int) -> Market:
        return unpack_market(self.edit.reserve(number), self.pools)

    def put_market(self, number: int, market: Market) -> None:
        try:
            self.edit.set_reserve(number, pack_market(market))
        except ValueError:
            self.edit.reload_rows()

    def change(self, **by: int) -> None:
        """Add to numbers of the log's market, and let its rate follow."""
        market = self.market(self.number)
        facts = {name: getattr(market, name) + value for name, value in by.items()}
        self.replace(msgspec.structs.replace(market, **facts))

    def replace(self, market: Market) -> None:
        """Replace the log's market, and let its rate follow."""
        followed = rates.with_rate(market, dict(self.book.reserves[self.number].parameters))
        if followed is None:
            self.edit.reload_rows()
            return
        self.put_market(self.number, followed)

    # --- positions

    def balance(self, key: PositionKey, number: int) -> tuple[Position | None, Balance | None]:
        position = self.edit.position(key)
        for each in position.balances if position else ():
            if each.reserve == number:
                return position, each
        return position, None

    def put_debt(self, position: Position, debt: Debt) -> None:
        others = tuple(each for each in position.balances if each.reserve != debt.market)
        balance = pack_debt(debt, in_vai=False)
        if balance.collateral or balance.debt:
            others = tuple(sorted((*others, balance), key=lambda each: each.reserve))
        self.edit.set_position(msgspec.structs.replace(position, balances=others))

    def flag(self, key: PositionKey, number: int, flag: int, *, is_set: bool) -> None:
        """Set or clear a flag of what an account has in a reserve, if it has something."""
        position, balance = self.balance(key, number)
        if position is None or balance is None:
            return
        flags = balance.flags | flag if is_set else balance.flags & ~flag
        changed = msgspec.structs.replace(balance, flags=flags)
        balances = tuple(changed if each is balance else each for each in position.balances)
        self.edit.set_position(msgspec.structs.replace(position, balances=balances))


def _accrued(this: _Following) -> None:
    market = this.market(this.number)
    head = this.edit.head
    try:
        expected = reference.accrue(market, time=head.timestamp, number=head.number)
    except reference.Refused:
        this.edit.reload_rows()
        return
    told = (this.word(0), this.word(2), this.word(3))
    if told != (market.cash, expected.index, expected.borrows):
        this.edit.reload_rows()
        return
    this.replace(expected)


def _reserves_reduced(this: _Following) -> None:
    market = this.market(this.number)
    head = this.edit.head
    now = head.timestamp if market.flags & state.TIMED else head.number
    # Within an accrual it comes before the event that says so, which does all of it.
    if market.accrued_at == now:
        paid = this.word(1)
        this.replace(msgspec.structs.replace(market, cash=market.cash - paid, reserves=this.word(2)))


def _reserves_added(this: _Following) -> None:
    market = this.market(this.number)
    added = this.word(1)
    this.replace(msgspec.structs.replace(market, cash=market.cash + added, reserves=this.word(2)))


def _new_reserve_factor(this: _Following) -> None:
    market = this.market(this.number)
    this.replace(msgspec.structs.replace(market, reserve_factor=this.word(1)))


def _minted(this: _Following) -> None:
    this.change(cash=this.word(1), supply=this.word(2))


def _minted_behalf(this: _Following) -> None:
    this.change(cash=this.word(2), supply=this.word(3))


def _redeemed(this: _Following) -> None:
    this.change(cash=-this.word(1), supply=-this.word(2))


def _redeem_fee(this: _Following) -> None:
    this.change(cash=-this.word(1))


def _borrowed(this: _Following) -> None:
    market = this.market(this.number)
    cash = market.cash - this.word(1)
    this.replace(msgspec.structs.replace(market, cash=cash, borrows=this.word(3)))
    _write_debt(this, this.account(0), this.word(2), is_new=True)


def _repaid(this: _Following) -> None:
    market = this.market(this.number)
    cash = market.cash + this.word(2)
    this.replace(msgspec.structs.replace(market, cash=cash, borrows=this.word(4)))
    _write_debt(this, this.account(1), this.word(3), is_new=False)


def _write_debt(this: _Following, key: PositionKey, principal: int, *, is_new: bool) -> None:
    position, balance = this.balance(key, this.number)
    if position is None and not is_new:
        return
    if position is None or balance is None or balance.flags & state.BEYOND:
        this.edit.reload_position(key)
        return
    before = unpack_debt(balance, in_vai=False)
    this.put_debt(
        position,
        Debt(
            market=this.number,
            tokens=before.tokens,
            principal=principal,
            index=this.market(this.number).index,
            # Whoever borrows enters.
            entered=before.entered or is_new,
            forced=before.forced,
        ),
    )


def _transferred(this: _Following) -> None:
    amount = this.word(0)
    liquidator = address_of(this.book.parameters, "liquidator")
    for account, by in ((this.topic(1), -amount), (this.topic(2), amount)):
        if account == liquidator:
            market = this.market(this.number)
            held = market.liquidator_tokens + by
            if held < 0:
                this.edit.reload_rows()
            else:
                this.put_market(this.number, msgspec.structs.replace(market, liquidator_tokens=held))
        elif account != this.log.address:
            _move(this, PositionKey(account), by)


def _move(this: _Following, key: PositionKey, by: int) -> None:
    position, balance = this.balance(key, this.number)
    if position is None:
        return
    # What an account without a balance entered is not held: it is read with the rest.
    if balance is None or balance.flags & state.BEYOND or balance.collateral + by < 0:
        this.edit.reload_position(key)
        return
    before = unpack_debt(balance, in_vai=False)
    this.put_debt(position, msgspec.structs.replace(before, tokens=before.tokens + by))


def _entered(this: _Following) -> None:
    this.flag(PositionKey(this.topic(2)), _reserve(this, 1), state.ENTERED, is_set=True)


def _exited(this: _Following) -> None:
    this.flag(PositionKey(this.topic(2)), _reserve(this, 1), state.ENTERED, is_set=False)


def _forced_for_user(this: _Following) -> None:
    this.flag(PositionKey(this.topic(1)), _reserve(this, 2), state.FORCED_USER, is_set=bool(this.word(0)))


def _reserve(this: _Following, topic: int) -> int:
    return reserve_numbers(this.book).get(this.topic(topic), -1)


def _pool_selected(this: _Following) -> None:
    pool = unsigned(this.log.topics[2], 0)
    if pool >= this.pools:
        this.edit.rebuild()
        return
    position = this.edit.position(PositionKey(this.topic(1)))
    if position is not None:
        flags = position.flags & ~state.POOL_MASK | pool
        this.edit.set_position(msgspec.structs.replace(position, flags=flags))


def _restricted(this: _Following) -> None:
    _restrict(this, is_set=True)


def _unrestricted(this: _Following) -> None:
    _restrict(this, is_set=False)


def _restrict(this: _Following, *, is_set: bool) -> None:
    position = this.edit.position(PositionKey(this.topic(1)))
    if position is not None:
        flags = position.flags & ~state.RESTRICTED | (state.RESTRICTED if is_set else 0)
        this.edit.set_position(msgspec.structs.replace(position, flags=flags))


def _new_close_factor(this: _Following) -> None:
    own = msgspec.structs.replace(unpack_own(this.edit.own()), close_factor=this.word(1))
    this.edit.set_own(pack_own(own))


def _protocol_paused(this: _Following) -> None:
    own = unpack_own(this.edit.own())
    flags = own.flags & ~state.PAUSED | (state.PAUSED if this.word(0) else 0)
    this.edit.set_own(pack_own(msgspec.structs.replace(own, flags=flags)))


def _action_paused(this: _Following) -> None:
    flag, number = ACTION_FLAGS.get(unsigned(this.log.topics[2], 0)), _reserve(this, 1)
    if flag is None or number < 0:
        return
    market = this.market(number)
    flags = market.flags & ~flag | (flag if this.word(0) else 0)
    this.put_market(number, msgspec.structs.replace(market, flags=flags))


def _vai_minted(this: _Following) -> None:
    _vai_changed(this, this.account(0))


def _vai_repaid(this: _Following) -> None:
    _vai_changed(this, this.account(1))


def _vai_changed(this: _Following, key: PositionKey) -> None:
    """Bring the mint index to this block, which grew by a fixed amount each; the debt is read again."""
    number, at = vai_number(this.book), this.edit.head.number
    market = this.market(number)
    index = market.index + market.rate * (at - market.accrued_at)
    this.put_market(number, msgspec.structs.replace(market, index=index, accrued_at=at))
    this.edit.reload_position(key)


def _liquidated_via(this: _Following) -> None:
    """See whether the Liquidator redeemed its share: then it holds none, and its list is as it was.

    What it could not redeem it notes, and holds.
    """
    taken = _reserve(this, 3)
    is_odd = taken < 0 or not this.word(2) or this.market(taken).liquidator_tokens
    if is_odd or _is_any_pending(this):
        this.edit.reload_rows()


def _income_sent(this: _Following) -> None:
    """Have its list read again where there is one: what it redeemed it may have struck off."""
    if _is_any_pending(this):
        this.edit.reload_rows()


def _is_any_pending(this: _Following) -> bool:
    return any(
        flags_in(this.edit.reserve(number)) & state.PENDING for number in range(len(this.book.reserves))
    )


_OF_MARKETS: Final[Mapping[bytes, tuple[Callable[[_Following], None], int, int]]] = {
    # what to do, topics with the event's own, words of data
    abi.ACCRUED: (_accrued, 1, 4),
    abi.MINTED: (_minted, 1, 4),
    abi.MINTED_OLD: (_minted, 1, 3),
    abi.MINTED_BEHALF: (_minted_behalf, 1, 5),
    abi.REDEEMED: (_redeemed, 1, 4),
    abi.REDEEMED_OLD: (_redeemed, 1, 3),
    abi.REDEEM_FEE: (_redeem_fee, 1, 3),
    abi.BORROWED: (_borrowed, 1, 4),
    abi.REPAID: (_repaid, 1, 5),
    abi.TRANSFER: (_transferred, 3, 1),
    abi.RESERVES_ADDED: (_reserves_added, 1, 3),
    abi.RESERVES_REDUCED: (_reserves_reduced, 1, 3),
    abi.NEW_RESERVE_FACTOR: (_new_reserve_factor, 1, 2),
}
_OF_OTHERS: Final[Mapping[bytes, tuple[Callable[[_Following], None], int, int]]] = {
    abi.ENTERED: (_entered, 3, 0),
    abi.EXITED: (_exited, 3, 0),
    abi.POOL_SELECTED: (_pool_selected, 3, 1),
    abi.FORCED_FOR_USER: (_forced_for_user, 3, 1),
    abi.NEW_CLOSE_FACTOR: (_new_close_factor, 1, 2),
    abi.PROTOCOL_PAUSED: (_protocol_paused, 1, 1),
    abi.ACTION_PAUSED: (_action_paused, 3, 1),
    abi.VAI_MINTED: (_vai_minted, 1, 2),
    abi.VAI_REPAID: (_vai_repaid, 1, 3),
    abi.RESTRICTED: (_restricted, 2, 0),
    abi.UNRESTRICTED: (_unrestricted, 2, 0),
    abi.LIQUIDATED_VIA: (_liquidated_via, 4, 4),
    abi.INCOME_SENT: (_income_sent, 3, 1),
}


def follow_log(edit: BookEdit, book: BookSpec, event: int, log: Log) -> None:
    """Change the book as a log says; `event` is its place in `abi.EVENTS`."""
    topic = abi.EVENTS[event]
    if topic in abi.REBUILDS:
        edit.rebuild()
        return
    if topic in abi.RELOADS:
        edit.reload_rows()
        return
    this = _Following(edit, book, log)
    known = _OF_MARKETS if 0 <= this.number != vai_number(book) else _OF_OTHERS
    if topic not in known:
        return
    do, topics, words = known[topic]
    if len(log.topics) == topics and len(log.data) >= WORD * words:
        do(this)
    else:
        edit.reload_rows()
