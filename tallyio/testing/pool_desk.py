"""A plugin's pools on an EVM in this process, its rows in native memory, and an executor that trades.

Layer: testing. What the cards of protocols are written with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final, NamedTuple

import trio

from tallyio.engine.allowances import GuardedPacker
from tallyio.hooks.interfaces import ExchangeProtocol
from tallyio.lab.steps import Reverted
from tallyio.market.abi import LOG_IGNORED, LOG_RELOAD
from tallyio.market.batch import TOPIC_BYTES, TOPIC_SLOTS
from tallyio.model.chain import Block, Log
from tallyio.model.errors import TallyError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address
from tallyio.native.memory import Region
from tallyio.testing.revm_chain import RevmChain
from tallyio.testing.trader import Fund, Trader

_LARGEST_BITS: Final = 160


class Direction(NamedTuple):
    """Selling token `i` of a pool for its token `j`."""

    pool: int
    i: int
    j: int


class Traded(NamedTuple):
    """What a swap really moved, in smallest units."""

    spent: int
    got: int


class Row:
    """One row in native memory."""

    def __init__(self, raw: bytes) -> None:
        self.set(raw)

    @property
    def address(self) -> int:
        """Where compiled code finds it."""
        return self._memory.address

    @property
    def raw(self) -> bytes:
        """A copy of its bytes."""
        return self._memory.view("u1", self._size).tobytes()

    def set(self, raw: bytes) -> None:
        """Replace it by a row of any size."""
        self._memory, self._size = Region(max(len(raw), 1)), len(raw)
        self._memory.view("u1", len(raw))[:] = bytearray(raw)


class PoolDesk:
    """The pools that an adapter found on a chain, and an executor that holds plenty of their tokens."""

    def __init__(self, chain: RevmChain, adapter: ExchangeProtocol, fund: Fund) -> None:
        """Discover. `fund` gives an account tokens; what it cannot give is done without."""
        self.chain = chain
        self.adapter = adapter
        self.hot: Any = import_module(adapter.compiled.module)
        self.trader = Trader(chain)
        self.pools = self.discover()
        self.trader.enrich((token for pool in self.pools for token in pool.tokens), fund)

    def discover(self) -> list[PoolSpec]:
        """Return the pools as of the head."""
        return trio.run(lambda: self.adapter.discover(self.chain, block=self.chain.latest))

    def load(self) -> list[bytes]:
        """Return the rows as of the head."""
        return trio.run(lambda: self.adapter.load(self.chain, self.pools, block=self.chain.latest))

    def directions(self) -> list[Direction]:
        """Return every pair of every pool, both ways."""
        return [
            Direction(k, i, j)
            for k, pool in enumerate(self.pools)
            for i in range(len(pool.tokens))
            for j in range(len(pool.tokens))
            if i != j
        ]

    def tokens(self, way: Direction) -> tuple[Address, Address]:
        """Return what is sold and what is bought."""
        tokens = self.pools[way.pool].tokens
        return tokens[way.i], tokens[way.j]

    def named(self, way: Direction) -> str:
        """Return pool and direction for people."""
        pool = self.pools[way.pool]
        return f"pool 0x{pool.address.hex()}{pool.id.hex()[:8]} of {pool.venue!r}, token {way.i} for {way.j}"

    @contextmanager
    def next_block(self) -> Iterator[list[Row]]:
        """Go on in a new block, and forget at the end what happened; yields the rows as of that block."""
        with self.chain.backend.undone():
            self.chain.backend.block(())
            yield [Row(raw) for raw in self.load()]

    # --- compiled ------------------------------------------------------------------------------

    def quote(self, row: Row, way: Direction, amount: int) -> int:
        """Return the compiled quote."""
        out: int = self.hot.quote(row.address, way.i, way.j, amount)
        return out

    def quote_exact_out(self, row: Row, way: Direction, amount: int) -> int:
        """Return the compiled exact-output quote, for plugins that define one."""
        taken: int = self.hot.quote_exact_out(row.address, way.i, way.j, amount)
        return taken

    def curve(self, row: Row, way: Direction, amount: int) -> tuple[float, float]:
        """Return the compiled curve and its slope."""
        out: tuple[float, float] = self.hot.curve(row.address, way.i, way.j, float(amount))
        return out

    def most(self, row: Row, way: Direction) -> int:
        """Return the largest power of two that is quoted, or 0: nothing is."""
        sizes = (1 << bits for bits in reversed(range(_LARGEST_BITS)))
        return next((size for size in sizes if self.quote(row, way, size)), 0)

    def middling(self, row: Row, way: Direction) -> int:
        """Return a power of two that buys a sixty-fourth of what can be bought, or a little more; or 0."""
        most = self.most(row, way)
        wanted = max(self.quote(row, way, most) // 64, 1) if most else 1
        sizes = (1 << bits for bits in range(most.bit_length()))
        return next((size for size in sizes if self.quote(row, way, size) >= wanted), 0)

    def advance(self, row: Row, timestamp: int) -> int:
        """Bring a row to a time; a row that asks to be loaded says `LOG_RELOAD`."""
        status: int = self.hot.advance(row.address, timestamp) if hasattr(self.hot, "advance") else 0
        return status

    def events(self, block: Block) -> Iterator[tuple[int, int, Log]]:
        """Yield pool number, event number and log of each log that is one of the adapter's."""
        topics = list(self.adapter.topics)
        for log in block.logs:
            for k, pool in enumerate(self.pools):
                is_ours = any(_comes_from(log, source.address, source.topic1) for source in pool.sources)
                if is_ours and log.topics and log.topics[0] in topics:
                    yield k, topics.index(log.topics[0]), log

    def changes(self, event: int, row: Row) -> int:
        """Return how many bytes from a row's start an event may change, as the adapter promises."""
        promised = self.adapter.compiled.event_bytes
        return (promised[event] if event < len(promised) else 0) or len(row.raw)

    def apply(self, row: Row, event: int, log: Log) -> int:
        """Apply a log to a row, as the market does."""
        topics = b"".join(log.topics[1:]).ljust(TOPIC_SLOTS * TOPIC_BYTES, b"\0")
        with Region(len(topics) + len(log.data) + 8) as memory:
            raw = topics + log.data
            memory.view("u1", len(raw))[:] = bytearray(raw)
            data = memory.address + len(topics)
            status: int = self.hot.apply_log(row.address, event, memory.address, data, len(log.data))
        return status

    def follow(self, rows: Sequence[Row], block: Block) -> list[int]:
        """Bring rows to the end of `block`; return each pool's worst status."""
        worst = [LOG_IGNORED] * len(rows)
        for k, row in enumerate(rows):
            if self.pools[k].ages and self.advance(row, block.head.timestamp) == LOG_RELOAD:
                worst[k] = LOG_RELOAD
        for k, event, log in self.events(block):
            status = self.apply(rows[k], event, log)
            worst[k] = LOG_RELOAD if LOG_RELOAD in {status, worst[k]} else max(worst[k], status)
        return worst

    # --- the executor --------------------------------------------------------------------------

    def trade(
        self, way: Direction, amount_in: int, amount_out: int, *, inner: tuple[Call, ...] = ()
    ) -> Traded | None:
        """Let the executor make the adapter's calls in the head; None: they revert.

        Raises: UnsafeRefused: the calls leave an allowance, or are too long for the executor.
        """
        sold, bought = self.tokens(way)
        before = self.trader.held(sold), self.trader.held(bought)
        try:
            self.chain.backend.append(self.run_of(way, amount_in, amount_out, inner=inner))
        except Reverted:
            return None
        return Traded(before[0] - self.trader.held(sold), self.trader.held(bought) - before[1])

    def try_trade(self, way: Direction, amount_in: int, amount_out: int) -> Traded | None:
        """Return what `trade` would do, and undo it."""
        with self.chain.backend.undone():
            return self.trade(way, amount_in, amount_out)

    def paid(self, way: Direction, amount: int, quoted: int) -> int:
        """Return what the contract pays for all of `amount`, which should be `quoted`; 0: it reverts.

        The adapter's calls may name the output: then no more than that comes, but more would be refused.
        """
        wanted = (quoted, quoted + 1) if quoted else (1,)
        done = [self._attempt(way, amount, output) for output in wanted]
        return max((each.got for each in done if each and each.spent == amount), default=0)

    def _attempt(self, way: Direction, amount_in: int, amount_out: int) -> Traded | None:
        try:
            return self.try_trade(way, amount_in, amount_out)
        except (TallyError, ValueError):  # the adapter's own refusal
            return None

    def holds(self, way: Direction) -> int:
        """Return how much the executor has to sell."""
        return self.trader.holds(self.tokens(way)[0])

    def run_of(
        self, way: Direction, amount_in: int, amount_out: int, *, inner: tuple[Call, ...] = ()
    ) -> Call:
        """Return the call of the executor that makes a swap."""
        packer = GuardedPacker({(self.tokens(way)[0], amount_in)})
        calls = self.adapter.swap(
            self.pools[way.pool],
            token_in=way.i,
            token_out=way.j,
            amount_in=amount_in,
            amount_out=amount_out,
            recipient=self.trader.address,
            inner=inner,
            encode=packer.pack,
        )
        return self.trader.run_of(packer.pack_all(calls))


def _comes_from(log: Log, address: Address, topic1: bytes) -> bool:
    return log.address == address and (not topic1 or topic1 in log.topics[1:2])
