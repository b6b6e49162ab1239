"""The market: pools, their rows, their undo journal, in native memory with one writer.

Layer: market. `Market` owns the memory and is the Python side of the compiled functions; it is not
thread-safe. While a lane works on `state`, nobody else may call its methods.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from tallyio.market import abi, layout
from tallyio.market.batch import Batch, pack_logs, routes
from tallyio.market.fusion import Fused
from tallyio.market.price_plan import PriceMemory
from tallyio.market.shape import Holding, Shape
from tallyio.model.chain import Block
from tallyio.model.errors import EnvironmentFault, PluginError
from tallyio.model.units import HASH_BYTES, Address, Hash, checksum, hex_text
from tallyio.native.memory import Region

MIN_WINDOW: Final = 64
DEFAULT_WINDOW: Final = 128
DEFAULT_JOURNAL_BYTES: Final = 256 << 20
"""Untouched pages cost nothing, so this is an upper bound, not a cost."""
_LINE: Final = 64
_BLOCK: Final = struct.Struct("<32s32s3qd")


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
    forgotten first.

    Raises: PluginError: a holding does not match `fused`, or a row has the wrong size. ValueError:
    `window` is below 64.
    """

    # Guarantees
    # - No address changes while the market is open.
    # - A refused block, rollback or reload changes nothing.

    def __init__(
        self,
        fused: Fused,
        holdings: Sequence[Holding],
        head: Head,
        *,
        native: Address | None = None,
        window: int = DEFAULT_WINDOW,
        journal_bytes: int = DEFAULT_JOURNAL_BYTES,
    ) -> None:
        if window < MIN_WINDOW:
            raise ValueError(f"the undo window must be at least {MIN_WINDOW} blocks, was {window}")
        _check_holdings(fused, holdings)
        self.fused: Final = fused
        self.shape: Final = Shape(holdings)
        self._regions: list[Region] = []
        self._compiled: Any = fused.load("tallyio.market.apply")
        self._pools = self._array(abi.POOL, len(self.shape.pools))
        self._journal = self._array(layout.JOURNAL, 1)
        self._market = self._array(abi.MARKET, 1)
        self._state = self._array(layout.STATE, 1)
        self._rows = [self._table(holding) for holding in holdings]
        self._row_bytes = self._array("i8", len(holdings))
        self._row_bytes[:] = [holding.compiled.row_bytes for holding in holdings]
        self._fill_pools()
        self._fill_journal(head, window, journal_bytes)
        self.prices: Final = PriceMemory(self.shape, native, self._array)
        self._fill_state()
        self._routes = routes(self.shape)
        self._block_bytes = self._array("u1", layout.BLOCK.itemsize)
        self._block_address = _address(self._block_bytes)
        self._hash = self._array("u1", HASH_BYTES)
        self._hash_address = _address(self._hash)
        self._scratch = self._array("u1", max(map(_row_size, holdings), default=0) + _LINE)
        self._logs = Region(1)

    @property
    def state(self) -> int:
        """Address of the `STATE` record, for compiled code."""
        return _address(self._state)

    @property
    def address(self) -> int:
        """Address of the `MARKET` record, for strategies."""
        return _address(self._market)

    @property
    def head(self) -> Head:
        """The block that the rows stand for."""
        record = self._journal[0]
        return Head(Hash(record["head"].tobytes()), int(record["number"]))

    @property
    def dirty(self) -> tuple[int, ...]:
        """Pool ids changed since the last detection."""
        marked = self._dirty[: int(self._market[0]["dirty_count"])]
        return tuple(marked.tolist())

    @property
    def waiting(self) -> tuple[int, ...]:
        """Dirty pools whose row is void: load them afresh as of `head`, then `reload`."""
        return tuple(pool for pool in self.dirty if not self.is_enabled(pool))

    def is_enabled(self, pool: int) -> bool:
        """Return whether the pool's row is valid."""
        return bool(self._pools[pool]["flags"] & abi.POOL_ENABLED)

    def pool_address(self, pool: int) -> int:
        """Return the address of the pool's POOL record, for compiled code."""
        return _address(self._pools) + pool * abi.POOL.itemsize

    def row(self, pool: int) -> bytes:
        """Return a copy of the pool's row."""
        kind = self.shape.kinds[pool]
        size = int(self._row_bytes[kind])
        start = int(self._pools[pool]["row"]) - _address(self._rows[kind])
        return self._rows[kind][start : start + size].tobytes()

    def quote(self, pool: int, i: int, j: int, amount_in: int) -> int:
        """Return the exact output of selling `amount_in` of the pool's token `i` for its token `j`."""
        answer: int = self.fused.function("quote")(self.pool_address(pool), i, j, amount_in)
        return answer

    def pack(self, block: Block, gas_price_wei: float) -> int:
        """Write `block` where compiled code can read it, and return the address of its `BLOCK` record.

        Valid until the next call.
        """
        packed, head = pack_logs(block.logs, self._routes), block.head
        where = self._hold(packed)
        # The fields of a BLOCK record in order.
        words = _BLOCK.pack(head.hash, head.parent_hash, head.number, where, packed.count, gas_price_wei)
        self._block_bytes[: len(words)] = np.frombuffer(words, "u1")
        return self._block_address

    def apply(self, block: Block, gas_price_wei: float = 0.0) -> int:
        """Apply a block that follows the head; return the number of dirty pools.

        Raises: OutOfOrder: it does not follow the head.
        """
        count: int = self._compiled.apply_batch(self.state, self.pack(block, gas_price_wei))
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
        Raises: PluginError: the row has the wrong size.
        """
        address = self.hold_row(pool, row)
        return bool(self._compiled.put_row(self.state, pool, address, self.hold_hash(block)) == 0)

    def set_gas_price(self, wei: float) -> None:
        """Set what one gas costs; `apply` does so with each block."""
        self._market[0]["gas_price_wei"] = wei

    def settle(self) -> None:
        """Forget the dirty pools: detection has looked at them."""
        self._compiled.clear_dirty(self.state)

    def hold_hash(self, block: Hash) -> int:
        """Return the address of a copy of `block`, valid until the next call."""
        self._hash[:] = np.frombuffer(block, "u1")
        return self._hash_address

    def hold_row(self, pool: int, row: bytes) -> int:
        """Return the address of a copy of `row`, valid until the next call."""
        _check_row(self.shape.holdings[self.shape.kinds[pool]], self.shape.pools[pool].address, row)
        self._scratch[: len(row)] = np.frombuffer(row, "u1")
        return _address(self._scratch)

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
        record = self._journal[0]
        blocks = int(record["last"] - record["first"])
        oldest = (
            self._entries[int(record["first"] & record["entry_mask"])]["start"] if blocks else record["tail"]
        )
        used = int(record["tail"] - oldest)
        return JournalStatistics(blocks, int(record["entry_mask"]) + 1, used, int(record["arena_bytes"]))

    def close(self) -> None:
        """Give the memory back. No lane may use it any more."""
        for region in (*self._regions, self._logs):
            region.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _array(self, dtype: npt.DTypeLike, count: int) -> npt.NDArray[Any]:
        region = Region(max(1, np.dtype(dtype).itemsize * count))
        self._regions.append(region)
        return region.view(dtype, count)

    def _table(self, holding: Holding) -> npt.NDArray[Any]:
        size = holding.compiled.row_bytes
        for pool, row in zip(holding.pools, holding.rows, strict=True):
            _check_row(holding, pool.address, row)
        table = self._array("u1", size * len(holding.rows))
        table[:] = np.frombuffer(b"".join(holding.rows), "u1")
        return table

    def _fill_pools(self) -> None:
        next_row = [_address(rows) for rows in self._rows]
        for number, (kind, spec) in enumerate(zip(self.shape.kinds, self.shape.pools, strict=True)):
            record = self._pools[number]
            record["kind"], record["row"] = kind, next_row[kind]
            record["token_count"] = len(spec.tokens)
            record["flags"] = abi.POOL_ENABLED | (abi.POOL_CAN_FLASH if spec.can_flash else 0)
            record["tokens"][: len(spec.tokens)] = self.shape.pool_tokens[number]
            next_row[kind] += int(self._row_bytes[kind])

    def _fill_journal(self, head: Head, window: int, journal_bytes: int) -> None:
        sizes = [layout.SAVED.itemsize + int(self._row_bytes[kind]) for kind in self.shape.kinds]
        least = sum(sizes) + max(sizes, default=0)
        wanted = max(least, min(journal_bytes, window * least), layout.SAVED.itemsize)
        # Rounded down to a power of two where that still holds what one block may need.
        power = 1 << (wanted.bit_length() - 1)
        arena = self._array("u1", power if power >= least else 2 * power)
        self._entries = self._array(layout.ENTRY, 1 << (window - 1).bit_length())
        record = self._journal[0]
        record["head"], record["number"] = np.frombuffer(head.hash, "i8"), head.number
        record["entries"], record["entry_mask"] = _address(self._entries), len(self._entries) - 1
        record["arena"], record["arena_bytes"] = _address(arena), len(arena)

    def _fill_state(self) -> None:
        pools, market, state = len(self.shape.pools), self._market[0], self._state[0]
        self._dirty = self._array("i8", pools)
        market["pools"], market["pool_count"] = _address(self._pools), pools
        market["token_count"] = len(self.shape.tokens)
        market["dirty"], market["native_per_unit"] = _address(self._dirty), self.prices.table_address
        state["market"], state["journal"] = _address(self._market), _address(self._journal)
        state["prices"], state["row_bytes"] = self.prices.address, _address(self._row_bytes)
        state["saved"], state["marked"] = (_address(self._array("i8", pools)) for _ in range(2))
        state["round"] = 1

    def _hold(self, packed: Batch) -> int:
        if len(packed.data) > self._logs.size:
            self._logs = Region(1 << math.ceil(math.log2(len(packed.data))))
        if packed.data:
            self._logs.view("u1", len(packed.data))[:] = np.frombuffer(packed.data, "u1")
        return self._logs.address


def _address(array: npt.NDArray[Any]) -> int:
    return int(array.ctypes.data)


def _row_size(holding: Holding) -> int:
    return holding.compiled.row_bytes


def _check_holdings(fused: Fused, holdings: Sequence[Holding]) -> None:
    for number, holding in enumerate(holdings):
        if fused.protocols[number : number + 1] != (holding.protocol,):
            raise PluginError(
                holding.protocol,
                f"brings pools as kind {number}, but the fused protocols are {', '.join(fused.protocols)}",
                way_out="fuse the same protocols in the same order",
            )
        if holding.compiled.row_bytes < _LINE or holding.compiled.row_bytes % _LINE:
            raise PluginError(
                holding.protocol,
                f"says row_bytes = {holding.compiled.row_bytes}",
                way_out=f"it must be a multiple of {_LINE}",
            )


def _check_row(holding: Holding, pool: Address, row: bytes) -> None:
    if len(row) != holding.compiled.row_bytes:
        raise PluginError(
            holding.protocol,
            f"loaded a row of {len(row)} bytes for pool {checksum(pool)}",
            way_out=f"its compiled functions expect {holding.compiled.row_bytes}",
        )
