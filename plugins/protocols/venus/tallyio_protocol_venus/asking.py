"""What no event tells of a book, asked for with every block.

A price may change with time alone, or behind contracts that nobody knows; so may the rate of VAI, and anybody
may let VAI accrue, of which nothing tells. A vToken that counts no cash of its own has whatever lies in its
account, and one whose rate model is of no known kind has the rate that the model says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tallyio.hooks.lending import BookEdit
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, ReserveSpec
from tallyio_protocol_venus import abi, rates
from tallyio_protocol_venus.discovery import COUNTS_CASH, address_of, fact, vai_number
from tallyio_protocol_venus.layout import pack_market, price_in, unpack_market
from tallyio_protocol_venus.state import Market


def questions(book: BookSpec) -> tuple[Call, ...]:
    """Return what is asked as of every block, reserve by reserve."""
    return tuple(
        call for number, spec in enumerate(book.reserves) for call in _of_reserve(book, number, spec)
    )


def _of_reserve(book: BookSpec, number: int, spec: ReserveSpec) -> Iterator[Call]:
    vtoken = address_of(spec.parameters, "vtoken")
    if number == vai_number(book):
        yield abi.ask(vtoken, abi.VAI_INDEX)
        yield abi.ask(vtoken, abi.VAI_RATE)
        return
    yield abi.ask(address_of(book.parameters, "oracle"), abi.PRICE, vtoken)
    if COUNTS_CASH not in dict(spec.parameters):
        yield abi.ask(vtoken, abi.CASH)
    if not rates.is_known(dict(spec.parameters)):
        yield abi.ask(vtoken, abi.BORROW_RATE)


def take_answers(edit: BookEdit, book: BookSpec, answers: Sequence[bytes | None]) -> None:
    """Change the rows as the answers say; what is not explained by them has all rows read again."""
    told = iter(answers)
    for number, spec in enumerate(book.reserves):
        mine = [next(told) for _ in _of_reserve(book, number, spec)]
        if number == vai_number(book):
            _take_vai(edit, book, number, mine)
        else:
            _take_market(edit, book, number, mine)


def _take_market(edit: BookEdit, book: BookSpec, number: int, answers: list[bytes | None]) -> None:
    row, parameters = edit.reserve(number), dict(book.reserves[number].parameters)
    price, *others = answers
    if price_in(row) == abi.optional(price) and not others:
        return  # the ordinary case
    market = unpack_market(row, fact(book.parameters, "pools"))
    changed: Market | None = msgspec.structs.replace(market, price=abi.optional(price))
    if COUNTS_CASH not in parameters and abi.optional(others[0]) != market.cash:
        paid = msgspec.structs.replace(market, price=abi.optional(price), cash=abi.optional(others[0]))
        changed = rates.with_rate(paid, parameters)
    if not rates.is_known(parameters) and changed is not None:
        changed = msgspec.structs.replace(changed, rate=abi.optional(others[-1]))
    if changed != market:
        _put(edit, number, changed)


def _take_vai(edit: BookEdit, book: BookSpec, number: int, answers: list[bytes | None]) -> None:
    """Take index and rate, where it is certain when the index last grew."""
    market, at = unpack_market(edit.reserve(number), fact(book.parameters, "pools")), edit.head.number
    index, rate = (abi.optional(each) for each in answers)
    if (index, rate) == (market.index, market.rate):
        return
    if index == market.index + market.rate * (at - market.accrued_at):
        # Either it grew in this block, or not since: which, the index cannot tell where the rate was none.
        grew = index != market.index
        if grew or market.rate or market.accrued_at == at:
            accrued_at = at if grew else market.accrued_at
            _put(edit, number, msgspec.structs.replace(market, index=index, rate=rate, accrued_at=accrued_at))
            return
    elif index == market.index and market.rate:
        _put(edit, number, msgspec.structs.replace(market, rate=rate))
        return
    edit.reload_rows()


def _put(edit: BookEdit, number: int, market: Market | None) -> None:
    try:
        if market is not None:
            edit.set_reserve(number, pack_market(market))
            return
    except ValueError:
        pass
    edit.reload_rows()
