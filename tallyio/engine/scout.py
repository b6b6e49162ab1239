"""Look ahead at who is near liquidation: what a liquidation of theirs reads, the simulator then knows.

Layer: engine. A position's own slots are read by nobody before it is liquidated for the first time, and a
plan whose slots are not known needs the node (`tallyio.engine.simulator`), just when that takes too long. So
the most endangered of each book are looked at off the way, a few after each block: the protocol is asked to
liquidate them for nothing. It refuses, and until it does it reads all that their health depends on. From then
on new blocks bring those slots along.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator
from typing import Final, Protocol

import trio

from tallyio.engine.books import Books, HeldBook
from tallyio.engine.executor import CallPacker, encode_run
from tallyio.model.chain import Head
from tallyio.model.errors import TallyError
from tallyio.model.execution import Call
from tallyio.model.lending import Position, PositionKey
from tallyio.model.units import Address, Wei

NEAREST: Final = 32
"""How many of a book are looked at: the most endangered."""
AT_ONCE: Final = 8
"""How many are looked at after one block."""
MOST: Final = 1_024
"""How many are kept in mind: each has some slots that are read again with every block."""
_FAR_AHEAD: Final = 1_000


class Warms(Protocol):
    """What of the simulator is needed."""

    starts: int

    def warm(self, calls: list[Call], *, sender: Address, head: Head) -> Awaitable[bool]:
        """See `Simulator.warm`."""


class Scout:
    """Keeps in mind whom it looked at, and in which reserves they had something then."""

    def __init__(self, books: Books, simulator: Warms, *, executor: Address, account: Address) -> None:
        """`account` owns the `executor`, which would liquidate."""
        self._books = books
        self._simulator = simulator
        self._executor = executor
        self._account = account
        self._seen: dict[tuple[int, PositionKey], frozenset[int]] = {}
        self._starts = simulator.starts

    async def look(self, head: Head, *, block_seconds: int) -> None:
        """Look at some whom it has not looked at as they are. Raises: ChainError."""
        if self._simulator.starts != self._starts:
            self._seen.clear()
            self._starts = self._simulator.starts
        left = AT_ONCE
        for number, held in enumerate(self._books):
            time = head.timestamp + block_seconds
            keys = await trio.to_thread.run_sync(held.book.riskiest, NEAREST, time, head.number + 1)
            for key, call in self._calls(number, held, keys, head):
                if left == 0 or not await self._simulator.warm([call], sender=self._account, head=head):
                    return
                self._seen[number, key] = _reserves_of(held.book.position(key))
                left -= 1

    def _calls(
        self, number: int, held: HeldBook, keys: Iterable[PositionKey], head: Head
    ) -> Iterator[tuple[PositionKey, Call]]:
        """Yield who is new, or has other reserves than before, each with a call that pays nothing."""
        for key in keys:
            known = self._seen.get((number, key))
            if len(self._seen) >= MOST and known is None:
                continue
            if known is None or not known.issuperset(_reserves_of(held.book.position(key))):
                call = self._call(held, key, head)
                if call is not None:
                    yield key, call

    def _call(self, held: HeldBook, key: PositionKey, head: Head) -> Call | None:
        """Return what the executor would be told, or None: there is nothing to liquidate."""
        spec, nets = held.book.spec, held.book.nets(key)
        position = held.book.position(key)
        owed = {each.reserve for each in position.balances if each.debt} if position else set()
        secured = {each.reserve for each in position.balances if each.collateral} if position else set()
        debts = [(net, number) for number, net in nets if number in owed and spec.reserves[number].debt]
        collaterals = [
            (net, number) for number, net in nets if number in secured and spec.reserves[number].collateral
        ]
        if not debts or not collaterals:
            return None
        debt, packer = min(debts)[1], CallPacker()
        try:
            calls = held.adapter.liquidate(
                spec,
                key,
                collateral=max(collaterals)[1],
                debt=debt,
                repay=0,
                offer=0,
                seize=1,
                recipient=self._executor,
                inner=(),
                encode=packer.pack,
            )
            packed = packer.pack(calls)
        except TallyError:
            return None  # the plugin does not liquidate this, for whatever is paid
        data = encode_run(
            packed,
            token=spec.reserves[debt].debt or self._account,
            min_profit=0,
            tip_wei=Wei(0),
            deadline_block=head.number + _FAR_AHEAD,
            sweep=(),
        )
        return Call(to=self._executor, data=data)


def _reserves_of(position: Position | None) -> frozenset[int]:
    return frozenset(each.reserve for each in position.balances) if position else frozenset()
