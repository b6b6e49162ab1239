"""Change a book as a market's events say.

Indexes and rates come from `ReserveDataUpdated`, cash from the events that move it, prices from the feeds. A
position that is known follows the `Mint`, `Burn` and `BalanceTransfer` events of its tokens to the unit; one
that comes into being, or whose use of a reserve begins, is read. Everything else asks for a fresh read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from tallyio.hooks.feeds import ANSWER_UPDATED, updated_answer
from tallyio.hooks.lending import BookEdit
from tallyio.model.chain import Log
from tallyio.model.lending import Balance, BookSpec, PositionKey
from tallyio.model.units import Address
from tallyio.model.words import address_at, unsigned
from tallyio_protocol_aave_v3 import abi
from tallyio_protocol_aave_v3.discovery import as_address, market_of
from tallyio_protocol_aave_v3.layout import (
    AS_COLLATERAL,
    STABLE_DEBT,
    Reserve,
    Rules,
    pack_reserve,
    unpack_reserve,
)
from tallyio_protocol_aave_v3.reference import RAY, ceil, half_up
from tallyio_protocol_aave_v3.revisions import rules_of

_VARIABLE: Final = 2
_MOST: Final = 2**128 - 1


class Places(msgspec.Struct, frozen=True):
    """Where each contract of a book belongs: reserve numbers by address."""

    assets: Mapping[Address, int]
    a_tokens: Mapping[Address, int]
    debt_tokens: Mapping[Address, int]
    stable_tokens: Mapping[Address, int]
    emitters: Mapping[Address, tuple[int, ...]]
    sequencer: Address
    rules: Rules


def places_of(book: BookSpec) -> Places:
    """Return the places in `book`."""
    facts = [dict(reserve.parameters) for reserve in book.reserves]
    emitters: dict[Address, tuple[int, ...]] = {}
    for number, each in enumerate(facts):
        if each.get("emitter"):
            emitter = as_address(each["emitter"])
            emitters[emitter] = (*emitters.get(emitter, ()), number)
    market = market_of(book)
    return Places(
        assets={r.debt: n for n, r in enumerate(book.reserves) if r.debt is not None},
        a_tokens=_numbers(facts, "a_token"),
        debt_tokens=_numbers(facts, "debt_token"),
        stable_tokens=_numbers(facts, "stable_token"),
        emitters=emitters,
        sequencer=market.sequencer,
        rules=rules_of(market.revision, market.pool),
    )


def _numbers(facts: list[dict[str, int]], name: str) -> dict[Address, int]:
    return {as_address(each[name]): number for number, each in enumerate(facts) if each.get(name)}


class Follower:
    """The events of one block, and a book that they change."""

    def __init__(self, edit: BookEdit, places: Places) -> None:
        self._edit = edit
        self._places = places

    def price(self, log: Log) -> None:
        """A feed has a new answer."""
        if log.address == self._places.sequencer:
            self._edit.reload_rows()
        answer = updated_answer(log)
        for number in self._places.emitters.get(log.address, ()):
            if answer is None or not 0 < answer.value <= _MOST:
                self._edit.reload_rows()
            else:
                self._change(number, price=answer.value)

    def reserve_updated(self, log: Log) -> None:
        """Indexes were brought to this block's time, and rates set anew."""
        self._change(
            self._asset(log, 1),
            liquidity_rate=unsigned(log.data, 0),
            debt_rate=unsigned(log.data, 2),
            liquidity_index=unsigned(log.data, 3),
            debt_index=unsigned(log.data, 4),
            updated_at=self._edit.head.timestamp,
        )

    def supplied(self, log: Log) -> None:
        """Cash came in."""
        self._move(self._asset(log, 1), unsigned(log.data, 1))

    def withdrawn(self, log: Log) -> None:
        """Cash went out."""
        self._move(self._asset(log, 1), -unsigned(log.data, 0))

    def borrowed(self, log: Log) -> None:
        """Cash went out, and somebody owes it."""
        self._move(self._asset(log, 1), -unsigned(log.data, 1))
        key = _key(log, 2)
        if self._edit.position(key) is None or unsigned(log.data, 2) != _VARIABLE:
            self._edit.reload_position(key)

    def repaid(self, log: Log) -> None:
        """Cash came in, unless the payment was aTokens."""
        if not unsigned(log.data, 1):
            self._move(self._asset(log, 1), unsigned(log.data, 0))
        self._read_if_stable(_key(log, 2))

    def liquidated(self, log: Log) -> None:
        """Cash of the debt came in, and of the collateral went out unless aTokens did."""
        self._move(self._asset(log, 2), unsigned(log.data, 0))
        if not unsigned(log.data, 3):
            self._move(self._asset(log, 1), -unsigned(log.data, 1))
        self._read_if_stable(_key(log, 3))

    def flash_lent(self, log: Log) -> None:
        """The premium stays; it is none where the loan became debt."""
        self._move(self._asset(log, 2), unsigned(log.data, 3))

    def collateral_on(self, log: Log) -> None:
        """A deposit begins to secure debt; how much it is nobody has looked at so far."""
        if self._edit.position(_key(log, 2)) is not None:
            self._edit.reload_position(_key(log, 2))

    def collateral_off(self, log: Log) -> None:
        """A deposit no longer secures anything."""
        number = self._asset(log, 1)
        if number is not None:
            self._balance(_key(log, 2), number, _without_collateral)

    def category_set(self, log: Log) -> None:
        """A position is in another e-mode category."""
        position = self._edit.position(_key(log, 1))
        if position is not None:
            self._edit.set_position(msgspec.structs.replace(position, flags=unsigned(log.data, 0)))

    def minted(self, log: Log) -> None:
        """A scaled balance grew, or shrank by less than the interest it had earned."""
        self._scaled(log, _key(log, 2), unsigned(log.data, 0) - unsigned(log.data, 1), unsigned(log.data, 2))

    def burned(self, log: Log) -> None:
        """A scaled balance shrank."""
        self._scaled(log, _key(log, 1), -unsigned(log.data, 0) - unsigned(log.data, 1), unsigned(log.data, 2))

    def transferred(self, log: Log) -> None:
        """A scaled amount of aTokens changed hands."""
        number, amount = self._places.a_tokens.get(log.address), unsigned(log.data, 0)
        if number is None or log.topics[1] == log.topics[2]:  # to oneself nothing changes, all of it included
            return
        self._balance(_key(log, 1), number, lambda each: _moved(each, -amount, 0))
        self._balance(_key(log, 2), number, lambda each: _moved(each, amount, 0))

    def _scaled(self, log: Log, key: PositionKey, change: int, index: int) -> None:
        places = self._places
        if log.address in places.stable_tokens:
            self._read_if_known(key)
        elif log.address in places.a_tokens:
            number = places.a_tokens[log.address]
            self._balance(
                key, number, lambda each: _moved(each, self._units(each.collateral, change, index, 0), 0)
            )
        elif log.address in places.debt_tokens:
            self._owe(key, places.debt_tokens[log.address], change, index)

    def _owe(self, key: PositionKey, number: int, change: int, index: int) -> None:
        position = self._edit.position(key)
        if position is not None and all(each.reserve != number for each in position.balances):
            self._edit.reload_position(key)  # what it has there, and whether it secures, was not of interest
        self._balance(key, number, lambda each: _moved(each, 0, self._units(each.debt, change, index, 1)))

    def _units(self, scaled: int, change: int, index: int, side: int) -> int:
        """Return by how much a scaled balance changed, which the event says in amounts at `index`.

        Since 3.5 `change` is the difference of two rounded balances, and as an index is never below 1 each
        scaled balance has another rounded one, from which it can be told. Before, it is the amount itself.
        """
        if not self._places.rules & Rules.DIRECTED:
            units = half_up(abs(change), RAY, index)
            return units if change >= 0 else -units
        if side:
            return (ceil(scaled, index, RAY) + change) * RAY // index - scaled
        return ceil(scaled * index // RAY + change, RAY, index) - scaled

    def _balance(self, key: PositionKey, number: int, change: Callable[[Balance], Balance]) -> None:
        position = self._edit.position(key)
        if position is None:
            return
        balances = [change(each) if each.reserve == number else each for each in position.balances]
        kept = tuple(each for each in balances if each.collateral or each.debt or each.flags & STABLE_DEBT)
        if kept != position.balances:
            self._edit.set_position(msgspec.structs.replace(position, balances=kept))

    def _read_if_known(self, key: PositionKey) -> None:
        if self._edit.position(key) is not None:
            self._edit.reload_position(key)

    def _read_if_stable(self, key: PositionKey) -> None:
        position = self._edit.position(key)
        if position is not None and any(each.flags & STABLE_DEBT for each in position.balances):
            self._edit.reload_position(key)

    def _asset(self, log: Log, topic: int) -> int | None:
        number = self._places.assets.get(address_at(log.topics[topic], 0))
        if number is None:
            self._edit.rebuild()  # a reserve that was not there when the book was made
        return number

    def _move(self, number: int | None, amount: int) -> None:
        if number is None:
            return
        cash = unpack_reserve(self._edit.reserve(number)).cash + amount
        if 0 <= cash <= _MOST:
            self._change(number, cash=cash)
        else:
            self._edit.reload_rows()

    def _change(self, number: int | None, **changes: int) -> None:
        if number is None:
            return
        row: Reserve = msgspec.structs.replace(unpack_reserve(self._edit.reserve(number)), **changes)
        self._edit.set_reserve(number, pack_reserve(row))


def _moved(balance: Balance, collateral: int, debt: int) -> Balance:
    """Return the balance after scaled amounts came or went; a deposit counts only while it secures."""
    held = balance.collateral + collateral if balance.flags & AS_COLLATERAL else 0
    flags = balance.flags if held else balance.flags & ~AS_COLLATERAL
    return msgspec.structs.replace(
        balance, collateral=max(held, 0), debt=max(balance.debt + debt, 0), flags=flags
    )


def _without_collateral(balance: Balance) -> Balance:
    return msgspec.structs.replace(balance, collateral=0, flags=balance.flags & ~AS_COLLATERAL)


def _key(log: Log, topic: int) -> PositionKey:
    return PositionKey(address_at(log.topics[topic], 0))


_Handler = Callable[[Follower, Log], None]
HANDLERS: Final[Mapping[bytes, _Handler]] = {
    ANSWER_UPDATED: Follower.price,
    abi.RESERVE_UPDATED: Follower.reserve_updated,
    abi.SUPPLY: Follower.supplied,
    abi.WITHDRAW: Follower.withdrawn,
    abi.BORROW: Follower.borrowed,
    abi.REPAY: Follower.repaid,
    abi.LIQUIDATION: Follower.liquidated,
    abi.FLASH_LOAN: Follower.flash_lent,
    abi.COLLATERAL_ON: Follower.collateral_on,
    abi.COLLATERAL_OFF: Follower.collateral_off,
    abi.CATEGORY_SET: Follower.category_set,
    abi.MINT: Follower.minted,
    abi.BURN: Follower.burned,
    abi.BALANCE_TRANSFER: Follower.transferred,
}
