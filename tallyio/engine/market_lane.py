"""`MarketLane`: the market's native thread, as Trio tasks see it.

Layer: engine. A block crosses to the lane once, with all its logs, and comes back once, with all
that the strategies found in it. The lane alone writes the market while a command runs, and nobody
does in between.

    async with MarketLane(market, [(name, strategy)]) as lane:
        result = await lane.apply(block, gas_price_wei=...)
        for pool in result.reload: ...      # load its row as of the block, then
            await lane.reload(pool, row, block=block.head.hash)
        reload = await lane.rollback(event)
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final, Self

import msgspec
import numpy as np
import trio

from tallyio.engine.market_record import APPLY, LANE, RELOAD, ROLL_BACK
from tallyio.hooks.interfaces import Strategy
from tallyio.kernel.bridge import PARK, RingReader, RingWriter, SpinBudget
from tallyio.kernel.cpuset import CpuSet
from tallyio.kernel.lane import Lane, LaneFailed
from tallyio.kernel.lane_program import LaneContext
from tallyio.kernel.lane_wishes import NO_WISHES, LaneWishes
from tallyio.kernel.ring import LatencyRing
from tallyio.market.abi import FOUND, MAX_LEGS
from tallyio.market.market import Market
from tallyio.model.chain import Block, Rollback
from tallyio.model.errors import PluginError
from tallyio.model.execution import Leg
from tallyio.model.proposal import Proposal
from tallyio.model.units import Hash
from tallyio.native.clock import cycles_per_ns, cycles_to_ns
from tallyio.native.memory import Region

NAME: Final = "market"
DEFAULT_CAPACITY: Final = 64
_STOP_WITHIN_S: Final = 5.0
_REFUSED: Final = -1
_AMOUNT_BYTES: Final = 32


class BlockResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one block."""

    found: tuple[Proposal, ...]
    """Of all strategies, best net first."""
    dirty: int
    """Pools that the block, and rollbacks and reloads before it, touched."""
    reload: tuple[int, ...]
    """Pools that wait for a fresh row as of this block, see `MarketLane.reload`."""
    apply_ns: int
    """Time in the lane to apply logs and refresh prices."""
    detect_ns: int
    """Time in the lane of all strategies together."""


class MarketLane:
    """The lane that owns `market`, running the detectors of `strategies`, as an async context.

    `strategies` are named as they were fused. `capacity` is the most that one strategy reports per
    block. Tasks may call concurrently: calls are served in turn. A cancelled call leaves the market
    as it was before it, or as it is after it.

    Raises: PluginError: the strategies are not the fused ones. Every call raises LaneFailed when
    the lane is gone.
    """

    # Guarantees
    # - The market is not touched outside of a command while the context is open, but by this
    #   object, between two commands.
    # - One command is under way at a time; its answer is waited for even when the caller is cancelled.

    def __init__(
        self,
        market: Market,
        strategies: Sequence[tuple[str, Strategy]],
        *,
        cpuset: CpuSet | None = None,
        wishes: LaneWishes = NO_WISHES,
        wait: SpinBudget = PARK,
        capacity: int = DEFAULT_CAPACITY,
    ) -> None:
        self._names = tuple(strategy for strategy, _ in strategies)
        _check_names(market, self._names)
        self.market: Final = market
        # The indexes own memory that the lane reads.
        self._indexes = [strategy.index(market.shape) for _, strategy in strategies]
        self._memory = _Memory(market.state, [index.address for index in self._indexes], capacity)
        program = market.fused.load("tallyio.engine.market_program").run
        commands, results = LatencyRing(2), LatencyRing(2)
        keeps = (market, self._memory, self._indexes)
        context = LaneContext(
            commands, results, state=self._memory.address, keeps=keeps, wait=wait, stages=self._names
        )
        self.lane: Final = Lane(NAME, program, context, cpuset, wishes)
        self._writer = RingWriter(commands, wait=wait)
        self._reader = RingReader(results, wait=wait)
        self._turn = trio.Lock()
        self._timestamp = 0

    async def __aenter__(self) -> Self:
        await trio.to_thread.run_sync(self.lane.prepare)
        cycles_per_ns()  # takes 20 ms once: now, and not while the first block is decided
        self.lane.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(functools.partial(self.lane.stop, within_s=_STOP_WITHIN_S))

    async def apply(self, block: Block, gas_price_wei: int) -> BlockResult:
        """Apply `block`, which follows the market's head, and return what the strategies found.

        `gas_price_wei` is what one gas costs in the next block. Raises: OutOfOrder: the block does
        not follow the head; nothing was changed.
        """
        async with self._turn:
            ahead = block.head.timestamp + self._interval(block)
            self._memory.record["block"] = self.market.pack(block, float(gas_price_wei), ahead)
            dirty = await self._ask(APPLY)
            if dirty == _REFUSED:
                raise self.market.out_of_order(block)
            result = self._result(dirty)
            self.market.settle()
            return result

    async def rollback(self, event: Rollback) -> tuple[int, ...]:
        """Undo the dropped blocks, newest first; return the pools that wait for a fresh row.

        Raises: UndoLost: a block is not the newest, or no longer held. Blocks before it are undone;
        build the market afresh.
        """
        async with self._turn:
            for dropped in event.dropped:
                self._memory.record["hash"] = self.market.hold_hash(dropped)
                if await self._ask(ROLL_BACK) == _REFUSED:
                    raise self.market.undo_lost(dropped)
            return self.market.waiting

    async def reload(self, pool: int, row: bytes, *, block: Hash) -> bool:
        """Take a fresh row of `pool`, loaded as of `block`; the next block's detection looks at it.

        Returns False, with nothing done, when `block` is no longer the head: load the row again.
        Raises: PluginError: the row's size is no multiple of 64.
        """
        async with self._turn:
            record = self._memory.record
            record["row"], record["home"] = self.market.hold_row(pool, row)
            record["pool"], record["row_bytes"] = pool, len(row)
            record["hash"] = self.market.hold_hash(block)
            return await self._ask(RELOAD) != _REFUSED

    async def quote(self, pool: int, i: int, j: int, amount_in: int) -> int:
        """Return the exact output of a swap on the head's state, between two commands."""
        async with self._turn:
            return self.market.quote(pool, i, j, amount_in)

    def _interval(self, block: Block) -> int:
        # The next block's time is not known yet; blocks come at the pace of the last two, above all
        # where time matters to a quote.
        before, self._timestamp = self._timestamp, block.head.timestamp
        return max(0, block.head.timestamp - before) if before else 0

    async def _ask(self, command: int) -> int:
        try:
            self._writer.send_nowait(command)
            # The lane answers in microseconds; leaving before would mix up the answers.
            with trio.CancelScope(shield=True):
                answer = await self._reader.receive()
        except (trio.ClosedResourceError, trio.EndOfChannel):
            self.lane.join(_STOP_WITHIN_S)  # raises what ended it
            raise LaneFailed(self.lane.name, "has ended", way_out="open a new one") from None
        return answer

    def _result(self, dirty: int) -> BlockResult:
        record = self._memory.record
        found = sorted(self._found(), key=lambda one: one.net_wei, reverse=True)
        return BlockResult(
            found=tuple(found),
            dirty=dirty,
            reload=self.market.waiting,
            apply_ns=round(cycles_to_ns(int(record["apply_cycles"]))),
            detect_ns=round(cycles_to_ns(int(record["detect_cycles"]))),
        )

    def _found(self) -> Iterator[Proposal]:
        for strategy, records in zip(self._names, self._memory.found(), strict=True):
            for legs, token, gas, net in map(_read_record, records):
                address = self.market.shape.tokens[token]
                yield Proposal(
                    strategy=strategy,
                    token=address,
                    legs=legs,
                    amount_in=legs[0].amount_in,
                    amount_out=legs[-1].amount_out,
                    gas=gas,
                    net_wei=net,
                )


class _Memory:
    """The LANE record and what it points to."""

    def __init__(self, state: int, indexes: Sequence[int], capacity: int) -> None:
        self._capacity = capacity
        count = max(1, len(indexes))
        sizes = (LANE.itemsize, 8 * count, 8 * count, FOUND.itemsize * capacity * count)
        starts = np.cumsum((0, *sizes))
        self._region = Region(int(starts[-1]))
        self._counts = self._region.view("i8", count, int(starts[2]))
        self._records = self._region.view(FOUND, capacity * count, int(starts[3])).reshape(count, capacity)
        self._region.view("i8", count, int(starts[1]))[: len(indexes)] = indexes
        self.record: Final[Any] = self._region.view(LANE, 1)[0]
        self.address: Final = self._region.address
        self.record["state"], self.record["strategies"] = state, len(indexes)
        self.record["capacity"] = capacity
        for field, start in zip(("indexes", "counts", "found"), starts[1:4], strict=True):
            self.record[field] = self.address + int(start)
        self._strategies = len(indexes)

    def found(self) -> Iterator[list[bytes]]:
        """Yield per strategy the records that it wrote last."""
        for number in range(self._strategies):
            raw = self._records[number, : int(self._counts[number])].tobytes()
            yield [raw[start : start + FOUND.itemsize] for start in range(0, len(raw), FOUND.itemsize)]


def _check_names(market: Market, names: tuple[str, ...]) -> None:
    for number, name in enumerate(names):
        if market.fused.strategies[number : number + 1] != (name,):
            raise PluginError(
                name,
                f"is strategy {number}, but the fused strategies are {', '.join(market.fused.strategies)}",
                way_out="fuse the same strategies in the same order",
            )


# FOUND field by field: numpy's own access to fields takes ten times as long. Amounts are read apart.
_HEAD: Final = struct.Struct(f"<3qd{3 * MAX_LEGS}q")
_AMOUNTS: Final = tuple(range(_HEAD.size, FOUND.itemsize, _AMOUNT_BYTES))


def _read_record(record: bytes) -> tuple[tuple[Leg, ...], int, int, float]:
    """Return legs, token id, gas and net of a FOUND record."""
    count, token, gas, net, *places = _HEAD.unpack_from(record)
    amounts = [int.from_bytes(record[start : start + _AMOUNT_BYTES], "little") for start in _AMOUNTS]
    legs = tuple(
        Leg(
            pool=places[k],
            token_in=places[k + MAX_LEGS],
            token_out=places[k + 2 * MAX_LEGS],
            amount_in=amounts[k],
            amount_out=amounts[k + 1],
        )
        for k in range(count)
    )
    return legs, token, gas, net
