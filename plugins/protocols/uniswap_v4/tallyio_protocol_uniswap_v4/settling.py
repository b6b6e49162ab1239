"""The calls inside an unlocked manager: swaps, and how what they owe and are owed is settled.

A manager books every swap and wants all balances at zero in the end, so it pays out before it is paid.
It unlocks for one caller at a time; several swaps of one plan therefore share one unlock, and what one
pays out and the next takes in never leaves the manager. Source: `PoolManager` of v4-core 1.0.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tallyio.model.erc20 import transfer
from tallyio.model.execution import Call
from tallyio.model.units import ZERO_ADDRESS, Address
from tallyio_protocol_uniswap_v4 import abi


class Amount(msgspec.Struct, frozen=True):
    """So much of a currency."""

    currency: Address
    units: int

    def covers(self, other: Amount) -> bool:
        """Return whether this is enough to pay `other`."""
        return self.currency == other.currency and self.units >= other.units


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """One swap of exact amounts."""

    call: Call
    """The manager's swap."""
    sold: Amount
    bought: Amount


class Unlock(Call, frozen=True, kw_only=True):
    """The call of a manager whose callback makes one trade, for others to take into their own callback."""

    trade: Trade


def settled(manager: Address, recipient: Address, first: Trade, inner: Sequence[Call]) -> list[Call]:
    """Return the calls of a callback that makes `first`, runs `inner`, and pays for `first` last.

    Trades at the same manager among `inner` are made in this callback too.
    """
    steps = [first, *(_opened(call, manager) for call in inner)]
    owed, last = first.sold, steps[-1]
    closes = isinstance(last, Trade) and last.bought.covers(owed)
    calls: list[Call] = []
    for before, step, after in zip([None, *steps], steps, [*steps[1:], None], strict=False):
        if not isinstance(step, Trade):
            calls.append(step)
            continue
        calls.append(step.call)
        if step is last and closes:
            calls += payout(manager, recipient, Amount(owed.currency, step.bought.units - owed.units))
        elif not _joins(step, after):
            calls += payout(manager, recipient, step.bought)
        if step is not first and not _joins(before, step):
            calls += payment(manager, step.sold)
    return calls if closes else [*calls, *payment(manager, owed)]


def payout(manager: Address, recipient: Address, amount: Amount) -> list[Call]:
    """Return the calls by which the manager pays what it owes."""
    return [abi.take(manager, amount.currency, recipient, amount.units)] if amount.units else []


def payment(manager: Address, amount: Amount) -> list[Call]:
    """Return the calls by which the manager is paid."""
    sync = abi.sync(manager, amount.currency)
    if amount.currency == ZERO_ADDRESS:
        return [sync, abi.settle(manager, amount.units)]
    return [sync, transfer(amount.currency, manager, amount.units), abi.settle(manager)]


def _opened(call: Call, manager: Address) -> Call | Trade:
    return call.trade if isinstance(call, Unlock) and call.to == manager else call


def _joins(step: Call | Trade | None, after: Call | Trade | None) -> bool:
    return isinstance(step, Trade) and isinstance(after, Trade) and step.bought == after.sold
