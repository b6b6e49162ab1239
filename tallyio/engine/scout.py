"""Look ahead at who is near liquidation: what a liquidation of theirs reads, the simulator then knows.

Layer: engine. A position's own slots are read by nobody before it is liquidated for the first time, and a
plan whose slots are not known needs the node (`tallyio.engine.simulator`), just when that takes too long. So
the most endangered of each book are looked at off the way, all at the start and a few after each block: the
protocol is asked to liquidate them for nothing. It refuses, and until it does it reads all that their health
depends on. From then on new blocks bring those slots along. Each lender is asked for a unit of each token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Protocol

import trio

from tallyio.engine.books import Books, HeldBook, Loans
from tallyio.engine.executor import CallPacker, encode_run
from tallyio.hooks.lending import ReadsMore
from tallyio.model.chain import Head
from tallyio.model.erc20 import transfer_from
from tallyio.model.errors import TallyError
from tallyio.model.execution import Call
from tallyio.model.lending import LoanOffer, Position, PositionKey
from tallyio.model.units import Address, Wei

NEAREST: Final = 32
"""How many of a book are looked at: the most endangered."""
AT_ONCE: Final = 8
"""How many are looked at after one block."""
MOST: Final = 1_024
"""How many are kept in mind: each has some slots that are read again with every block."""
_FAR_AHEAD: Final = 1_000
_NOWHERE: Final = frozenset[int]()

type Sight = tuple[int, PositionKey] | tuple[Address, Address]
"""A position in a book, or a token of a lender."""


class Warms(Protocol):
    """What of the simulator is needed."""

    starts: int

    async def warm(self, calls: Sequence[Call], *, sender: Address, head: Head) -> bool:
        """See `Simulator.warm`."""


class Scout:
    """Keeps in mind what it looked at, and in which reserves a position had something then."""

    def __init__(
        self, books: Books, loans: Loans, simulator: Warms, *, executor: Address, account: Address
    ) -> None:
        """`account` owns the `executor`, which would liquidate."""
        self._books = books
        self._loans = loans
        self._simulator = simulator
        self._executor = executor
        self._account = account
        self._seen: dict[Sight, frozenset[int]] = {}
        self._starts = simulator.starts

    async def look(self, head: Head, *, block_seconds: int, most: int = AT_ONCE) -> None:
        """Look at `most` of what it has not looked at as it is. Raises: ChainError: what is left can wait."""
        if self._simulator.starts != self._starts:
            self._seen.clear()
            self._starts = self._simulator.starts
        for offer in self._loans.offers:
            sight = offer.lender, offer.token
            if sight not in self._seen and not await self._see(
                sight, _NOWHERE, self._borrow(offer, head), head
            ):
                return
        for number, held in enumerate(self._books):
            time = head.timestamp + block_seconds
            keys = await trio.to_thread.run_sync(held.book.riskiest, NEAREST, time, head.number + 1)
            for key, reserves in islice(self._unseen(number, held, keys), most):
                if not await self._see((number, key), reserves, self._liquidate(held, key, head), head):
                    return
                most -= 1

    def _unseen(
        self, number: int, held: HeldBook, keys: Iterable[PositionKey]
    ) -> Iterator[tuple[PositionKey, frozenset[int]]]:
        """Yield who is new, or has something in other reserves than before."""
        for key in keys:
            reserves = _reserves_of(held.book.position(key))
            known = self._seen.get((number, key))
            has_room = known is not None or len(self._seen) < MOST
            if has_room and (known is None or not reserves <= known):
                yield key, reserves

    async def _see(self, sight: Sight, reserves: frozenset[int], calls: tuple[Call, ...], head: Head) -> bool:
        """Let the simulator know what `calls` read; return whether `head` is still the newest."""
        # Noted before it is asked: what a node cannot run, it is not asked for again and again.
        self._seen[sight] = reserves
        is_newest = await self._simulator.warm(calls, sender=self._account, head=head)
        if not is_newest:
            del self._seen[sight]
        return is_newest

    def _borrow(self, offer: LoanOffer, head: Head) -> tuple[Call, ...]:
        """Return a call that borrows one unit, and pays it back."""
        packer, lender = CallPacker(), self._loans.lenders.get(offer.lender)
        if lender is None:  # the account itself, by its allowance
            taken = transfer_from(offer.token, self._account, self._executor, 1)
            return (self._run(packer, (taken,), offer.token, head),)
        calls = lender.borrow(offer, amount=1, recipient=self._executor, inner=(), encode=packer.pack)
        return (self._run(packer, calls, offer.token, head),)

    def _liquidate(self, held: HeldBook, key: PositionKey, head: Head) -> tuple[Call, ...]:
        """Return calls that liquidate a position for nothing; none: nothing of it can be liquidated."""
        spec, pair = held.book.spec, _pair(held, key)
        if pair is None:
            return ()
        collateral, debt = pair
        packer, adapter = CallPacker(), held.adapter
        try:
            calls = adapter.liquidate(
                spec,
                key,
                collateral=collateral,
                debt=debt,
                repay=0,
                offer=0,
                seize=1,
                recipient=self._executor,
                inner=(),
                encode=packer.pack,
            )
        except TallyError:
            return ()  # the plugin cannot, for whatever is paid
        more: tuple[Call, ...] = ()
        if isinstance(adapter, ReadsMore):
            more = adapter.reads(spec, key, collateral=collateral, debt=debt, recipient=self._executor)
        return (self._run(packer, calls, spec.reserves[debt].debt, head), *more)

    def _run(self, packer: CallPacker, calls: tuple[Call, ...], token: Address | None, head: Head) -> Call:
        """Return the call of the executor that makes `calls`."""
        assert token is not None  # noqa: S101 - see `_pair`
        data = encode_run(
            packer.pack(calls),
            token=token,
            min_profit=0,
            tip_wei=Wei(0),
            deadline_block=head.number + _FAR_AHEAD,
            sweep=(),
        )
        return Call(to=self._executor, data=data)


def _pair(held: HeldBook, key: PositionKey) -> tuple[int, int] | None:
    """Return the reserves of the largest collateral and of the largest debt, if there are both."""
    reserves, position, nets = held.book.spec.reserves, held.book.position(key), dict(held.book.nets(key))
    balances = position.balances if position else ()
    secured = [each.reserve for each in balances if each.collateral and reserves[each.reserve].collateral]
    owed = [each.reserve for each in balances if each.debt and reserves[each.reserve].debt]
    if not secured or not owed:
        return None
    return max(secured, key=nets.__getitem__), min(owed, key=nets.__getitem__)


def _reserves_of(position: Position | None) -> frozenset[int]:
    return frozenset(each.reserve for each in position.balances) if position else frozenset()
