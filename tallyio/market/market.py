"""The market: pools, their rows, their undo journal, in native memory with one writer.

Layer: market. `Market` owns the memory and is the Python side of the compiled functions; it is not
thread-safe. While a lane works on `state`, nobody else may call its methods.
"""

from __future__ import annotations

import functools
import math
import operator
import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Self, cast

import numpy as np

from tallyio.market import abi, layout
from tallyio.market.batch import Batch, pack_logs, routes
from tallyio.market.fusion import Fused
from tallyio.market.memory import ClosedMemory, MarketMemory, address_of, check_holdings, check_row
from tallyio.market.pools import Pool, Quoter, quoters
from tallyio.market.price_plan import PriceMemory
from tallyio.market.router import Router
from tallyio.market.rows import read_row
from tallyio.market.shape import Holding, Shape, no_pool
from tallyio.model.chain import Block
from tallyio.model.errors import ConfigError, EnvironmentFault
from tallyio.model.units import HASH_BYTES, Address, Hash, hex_text
from tallyio.native.memory import Region

MIN_WINDOW: Final = 64
DEFAULT_WINDOW: Final = 128
DEFAULT_JOURNAL_BYTES: Final = 256 << 20
"""Untouched pages cost nothing, so this is an upper bound, not a cost."""
_BLOCK: Final = struct.Struct("<32s32s5qd")
_FIRST_ROOM: Final = 4096
_POOL_BYTES: Final = abi.POOL.itemsize


class UndoLost(EnvironmentFault):
    """A block cannot be undone: the journal no longer holds it, or it is not the newest."""

    code = "undo_lost"


class OutOfOrder(EnvironmentFault):
    """A block does not follow the market's head; nothing was changed."""

    code = "out_of_order"


class Head(NamedTuple):
    """The block that the rows stand for."""

    hash: Hash
    number: int


class JournalStatistics(NamedTuple):
    """How far back the journal reaches."""

    blocks: int
    window: int
    bytes_used: int
    bytes_all: int


class Market:
    """Rows of all pools of `holdings` as of block `head`, ready to follow the chain from there.

    `native` is the wrapped native token, whose price is 1. The last `window` blocks (at least 64)
    can be undone, fewer when their saved rows exceed `journal_bytes`: then the oldest block is
    forgotten first. Pools in `void` wait for a fresh row from the start.

    Raises: PluginError: a holding does not match `fused`, or a row has the wrong size. ValueError:
    `window` is below 64. Every question raises ConfigError for a number that no pool has, and ValueError
    once the market is closed.
    """

    # Guarantees
    # - No address of a record changes while the market is open. A row moves when a reload makes it larger
    #   than its place: compiled code reads its address from the pool's record, every time.
    # - A refused block, rollback or reload changes nothing.

    def __init__(  # noqa: PLR0913 - what a market stands on, each once
        self,
        fused: Fused,
        holdings: Sequence[Holding],
        head: Head,
        *,
        native: Address | None = None,
        window: int = DEFAULT_WINDOW,
        journal_bytes: int = DEFAULT_JOURNAL_BYTES,
        void: Sequence[int] = (),
    ) -> None:
        if window < MIN_WINDOW:
            raise ValueError(f"the undo window must be at least {MIN_WINDOW} blocks, was {window}")
        check_holdings(fused.protocols, holdings)
        self.fused: Final = fused
        self.shape: Final = Shape(holdings)
        self._compiled: Any = fused.load("tallyio.market.apply")
        self._pricing: Any = fused.load("tallyio.market.prices")
        self._is_priced = False
        self._quote, self._quote_exact_out = fused.function("quote"), fused.function("quote_exact_out")
        self._curve, self._gas = fused.function("curve"), fused.function("gas")
        self._make_quoter, self._close_quoters = quoters(self._quote)
        self._memory = memory = MarketMemory(self.shape, native)
        memory.open_journal(head.hash, head.number, window=window, journal_bytes=journal_bytes)
        for pool in void:
            memory.pools["flags"][pool] &= ~abi.POOL_ENABLED
            self._compiled.mark_dirty(self.state, pool)
        self._routes = routes(self.shape)
        self._block_bytes = memory.array("u1", layout.BLOCK.itemsize)
        self._block_address = address_of(self._block_bytes)
        self._hash = memory.array("u1", HASH_BYTES)
        self._hash_address = address_of(self._hash)
        self._scratch = Region(_FIRST_ROOM)
        self._logs = Region(1)

    @property
    def state(self) -> int:
        """Address of the `STATE` record, for compiled code."""
        return address_of(self._memory.state)

    @property
    def address(self) -> int:
        """Address of the `MARKET` record, for strategies."""
        return address_of(self._memory.market)

    @property
    def prices(self) -> PriceMemory:
        """What one smallest unit of each token is worth, as of the last `refresh_prices`."""
        return self._memory.prices

    @property
    def head(self) -> Head:
        """The block that the rows stand for."""
        record = self._memory.journal[0]
        return Head(Hash(record["head"].tobytes()), int(record["number"]))

    @property
    def dirty(self) -> tuple[int, ...]:
        """Pool ids changed since the last detection."""
        marked = self._memory.dirty[: int(self._memory.market[0]["dirty_count"])]
        return tuple(marked.tolist())

    @property
    def waiting(self) -> tuple[int, ...]:
        """Dirty pools whose row is void: load them afresh as of `head`, then `reload`."""
        return tuple(pool for pool in self.dirty if not self.is_enabled(pool))

    def is_enabled(self, pool: int) -> bool:
        """Return whether the pool's row is valid."""
        self.shape.check_number(pool)
        return bool(self._memory.pools[pool]["flags"] & abi.POOL_ENABLED)

    def pool_address(self, pool: int) -> int:
        """Return the address of the pool's POOL record, for compiled code."""
        self.shape.check_number(pool)
        return self._memory.pools_address + pool * _POOL_BYTES

    def row(self, pool: int) -> bytes:
        """Return a copy of the pool's row; any thread may call, also while the lane works."""
        self.shape.check_number(pool)
        with Region(_FIRST_ROOM) as first:
            size = read_row(self.state, pool, first.address, first.size)
            if size >= 0:
                return first.view("u1", size).tobytes()
        while size < 0:
            with Region(-size) as target:
                size = read_row(self.state, pool, target.address, target.size)
                if size >= 0:
                    return target.view("u1", size).tobytes()
        return b""

    def pool(self, which: int | Address, pool_id: bytes = b"") -> Pool:
        """Return a pool by its number, or by its address and id. Raises: ConfigError: there is none."""
        if isinstance(which, bytes):
            number = self.shape.pool_ids.get((which, pool_id))
            if number is None:
                raise no_pool(hex_text(which))
        else:
            number = operator.index(which)
            self.shape.check_number(number)
        return Pool(self, number)

    @functools.cached_property
    def router(self) -> Router:
        """Best paths and splits over all pools."""
        return Router(self)

    def quote(self, pool: int, i: int, j: int, amount_in: int) -> int:
        """Return the exact output of selling `amount_in` of the pool's token `i` for its token `j`."""
        answer: int = self._quote(self._record(pool, i, j), i, j, amount_in)
        return answer

    def quote_exact_out(self, pool: int, i: int, j: int, amount_out: int) -> int:
        """Return the exact input of token `i` for `amount_out` of token `j`; 0 where the pool cannot pay."""
        answer: int = self._quote_exact_out(self._record(pool, i, j), i, j, amount_out)
        return answer

    def curve(self, pool: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
        """Return output and slope in floats, within the error that `tallyio.market.abi` allows."""
        answer: tuple[float, float] = self._curve(self._record(pool, i, j), i, j, amount_in)
        return answer

    def gas(self, pool: int, i: int, j: int, amount_in: int) -> int:
        """Return the estimated gas of a swap inside a larger transaction."""
        answer: int = self._gas(self._record(pool, i, j), i, j, amount_in)
        return answer

    def quoter(self, pool: int, i: int, j: int) -> Quoter:
        """Return `quote` of one direction as a function of the amount alone, which keeps the market."""
        quoted = self._make_quoter(self._record(pool, i, j), i, j)
        vars(quoted)["market"] = self  # whose memory it reads
        return quoted

    def pack(self, block: Block, gas_price_wei: float, next_timestamp: int | None = None) -> int:
        """Write `block` where compiled code can read it, and return the address of its `BLOCK` record.

        Valid until the next call. `next_timestamp` is the expected time of the block after it; without
        it pools that age stay at the time of `block`.
        """
        packed, head = pack_logs(block.logs, self._routes), block.head
        where = self._hold(packed)
        # The fields of a BLOCK record in order.
        ahead = head.timestamp if next_timestamp is None else next_timestamp
        places = head.number, where, packed.count, head.timestamp, ahead
        words = _BLOCK.pack(head.hash, head.parent_hash, *places, gas_price_wei)
        self._block_bytes[: len(words)] = np.frombuffer(words, "u1")
        return self._block_address

    def apply(self, block: Block, gas_price_wei: float = 0.0, next_timestamp: int | None = None) -> int:
        """Apply a block that follows the head; return the number of dirty pools.

        Raises: OutOfOrder: it does not follow the head.
        """
        count: int = self._compiled.apply_batch(self.state, self.pack(block, gas_price_wei, next_timestamp))
        if count == self._compiled.REFUSED:
            raise self.out_of_order(block)
        return count

    def roll_back(self, block: Hash) -> None:
        """Undo the newest block. Raises: UndoLost: it is not `block`, or is no longer held."""
        if self._compiled.roll_back(self.state, self.hold_hash(block)) == self._compiled.REFUSED:
            raise self.undo_lost(block)

    def reload(self, pool: int, row: bytes, *, block: Hash) -> bool:
        """Take a fresh row of `pool`, loaded as of `block`, and enable it.

        Returns False, with nothing done, when `block` is no longer the head: load the row again.
        Raises: PluginError: the row's size is no multiple of 64.
        """
        address, home = self.hold_row(pool, row)
        status: int = self._compiled.put_row(self.state, pool, address, len(row), home, self.hold_hash(block))
        return status == 0

    def refresh_prices(self) -> None:
        """Price tokens anew after the dirty pools changed, all of them the first time.

        The lane does so with each block, and the router where it compares by prices.
        """
        self._pricing.refresh_prices(self.state)
        self._is_priced = True

    def set_gas_price(self, wei: float) -> None:
        """Set what one gas costs; `apply` does so with each block."""
        self._memory.market[0]["gas_price_wei"] = wei

    def settle(self) -> None:
        """Forget the dirty pools: detection has looked at them. Prices that were asked for follow first."""
        if self._is_priced:
            self.refresh_prices()
        self._compiled.clear_dirty(self.state)

    def hold_hash(self, block: Hash) -> int:
        """Return the address of a copy of `block`, valid until the next call."""
        self._hash[:] = np.frombuffer(block, "u1")
        return self._hash_address

    def hold_row(self, pool: int, row: bytes) -> tuple[int, int]:
        """Return the address of a copy of `row`, valid until the next call, and where it moves if it grew."""
        self.shape.check_number(pool)
        check_row(self.shape.holdings[self.shape.kinds[pool]], self.shape.pools[pool].address, row)
        home = self._memory.home_for(pool, len(row))
        if len(row) > self._scratch.size:
            self._scratch = Region(2 * len(row))
        self._scratch.view("u1", len(row))[:] = np.frombuffer(row, "u1")
        return self._scratch.address, home

    def out_of_order(self, block: Block) -> OutOfOrder:
        """Return the error for a refused block."""
        number, head = block.head.number, self.head
        return OutOfOrder(
            f"block {number} ({hex_text(block.head.hash)}) does not follow the market's head"
            f" {head.number} ({hex_text(head.hash)})",
            way_out="roll back to the common ancestor first, or build the market afresh",
        )

    def undo_lost(self, block: Hash) -> UndoLost:
        """Return the error for a refused rollback."""
        return UndoLost(
            f"block {hex_text(block)} cannot be undone: the market's head is {hex_text(self.head.hash)}"
            f" and its journal holds {self.statistics().blocks} blocks",
            way_out="build the market afresh from the chain",
        )

    def statistics(self) -> JournalStatistics:
        """Return how far back the journal reaches."""
        record = self._memory.journal[0]
        blocks = int(record["last"] - record["first"])
        oldest = (
            self._memory.entries[int(record["first"] & record["entry_mask"])]["start"]
            if blocks
            else record["tail"]
        )
        used = int(record["tail"] - oldest)
        return JournalStatistics(blocks, int(record["entry_mask"]) + 1, used, int(record["arena_bytes"]))

    def close(self) -> None:
        """Give the memory back. No lane may use it any more, and quoters refuse."""
        self._close_quoters()
        self._memory.close()
        self._memory = cast("MarketMemory", ClosedMemory())
        self._scratch.close()
        self._logs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _record(self, pool: int, i: int, j: int) -> int:
        """Return the address of the pool's record, if it sells token `i` for token `j`."""
        pools = self.shape.pools
        if 0 <= pool < len(pools):
            count = len(pools[pool].tokens)
            if 0 <= i < count and 0 <= j < count and i != j:
                return self._memory.pools_address + pool * _POOL_BYTES
        self.shape.check_number(pool)
        raise ConfigError(
            f"pool {pool} sells no token {i} for a token {j}: it holds {len(pools[pool].tokens)}",
            way_out="number the tokens as `PoolSpec.tokens` does",
        )

    def _hold(self, packed: Batch) -> int:
        if len(packed.data) > self._logs.size:
            self._logs = Region(1 << math.ceil(math.log2(len(packed.data))))
        if packed.data:
            self._logs.view("u1", len(packed.data))[:] = np.frombuffer(packed.data, "u1")
        return self._logs.address
