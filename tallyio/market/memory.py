"""The market's memory: pools, rows, journal, prices, and the record that leads to all of them.

Layer: market. Python's side of what `tallyio.market.apply` changes; `Market` is the only user. Rows of a
protocol lie next to each other, in the order of its pools. A row that outgrows its place moves to a
region of its own, and the old place stays mapped, so a reader that still copies from it is safe.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import numpy as np
import numpy.typing as npt

from tallyio.market import abi, layout
from tallyio.market.price_plan import PriceMemory
from tallyio.market.shape import Holding, Shape
from tallyio.model.errors import PluginError
from tallyio.model.units import Address, Hash, checksum
from tallyio.native.memory import Region

LINE: Final = 64
_FIELDS_PER_POOL: Final = ("row_bytes", "sequences", "saved", "saved_bytes", "marked")


class MarketMemory:
    """All records of a market over `shape`; `prices` are towards `native`.

    Raises: PluginError: a row has a size that is no multiple of 64.
    """

    def __init__(self, shape: Shape, native: Address | None) -> None:
        self._regions: list[Region] = []
        self.shape: Final = shape
        self.pools: Final = self.array(abi.POOL, len(shape.pools))
        self.pools_address: Final = address_of(self.pools)
        self.journal: Final = self.array(layout.JOURNAL, 1)
        self.market: Final = self.array(abi.MARKET, 1)
        self.state: Final = self.array(layout.STATE, 1)
        self.dirty: Final = self.array("i8", len(shape.pools))
        self.per_pool: Final = {field: self.array("i8", len(shape.pools)) for field in _FIELDS_PER_POOL}
        self._room = np.zeros(len(shape.pools), np.int64)
        self._levels = np.zeros(len(shape.pools), np.int64)
        self._fill_rows()
        self._fill_pools()
        self.prices: Final = PriceMemory(shape, native, self.array)
        self._fill_state()

    def array(self, dtype: npt.DTypeLike, count: int) -> npt.NDArray[Any]:
        """Return zeroed memory for `count` of `dtype` that stays where it is until `close`."""
        region = Region(max(1, np.dtype(dtype).itemsize * count))
        self._regions.append(region)
        return region.view(dtype, count)

    def open_journal(self, head: Hash, number: int, *, window: int, journal_bytes: int) -> None:
        """Set the journal up at block `head`; see `Market`."""
        least = self._least_arena()
        wanted = max(least, min(journal_bytes, window * least), layout.SAVED.itemsize)
        # Rounded down to a power of two where that still holds what one block may need.
        power = 1 << (wanted.bit_length() - 1)
        self._arena = self.array("u1", power if power >= least else 2 * power)
        self.entries = self.array(layout.ENTRY, 1 << (window - 1).bit_length())
        record = self.journal[0]
        record["head"], record["number"] = np.frombuffer(head, "i8"), number
        record["entries"], record["entry_mask"] = address_of(self.entries), len(self.entries) - 1
        record["arena"], record["arena_bytes"] = address_of(self._arena), len(self._arena)

    def home_for(self, pool: int, size: int) -> int:
        """Return where a row of `size` bytes of `pool` can move to, or 0 if it fits where it is.

        The journal grows with it, so that it still holds what one block may save.
        """
        if size <= self._room[pool]:
            return 0
        self._room[pool] = size
        least = self._least_arena()
        while len(self._arena) < least:
            self._double_arena()
        return address_of(self.array("u1", size))

    def close(self) -> None:
        """Give the memory back."""
        for region in self._regions:
            region.close()

    @property
    def bytes_of_rows(self) -> int:
        """How much the rows take, with the room that they have."""
        return int(self._room.sum())

    def _fill_rows(self) -> None:
        pool = 0
        for holding in self.shape.holdings:
            for spec, row in zip(holding.pools, holding.rows, strict=True):
                check_row(holding, spec.address, row)
            sizes = np.fromiter((len(row) for row in holding.rows), np.int64, len(holding.rows))
            table = self.array("u1", int(sizes.sum()))
            table[:] = np.frombuffer(b"".join(holding.rows), "u1")
            end = pool + len(sizes)
            self._room[pool:end] = self.per_pool["row_bytes"][pool:end] = sizes
            self.pools["row"][pool:end] = address_of(table) + np.cumsum(sizes) - sizes
            self._levels[pool:end] = 1 + len({size for size in holding.compiled.event_bytes if size})
            pool = end

    def _fill_pools(self) -> None:
        self.pools["kind"] = self.shape.kinds
        counts = np.array([len(spec.tokens) for spec in self.shape.pools], np.int64)
        can_flash = np.array(self.shape.pool_can_flash, np.int64)
        ages = np.array([spec.ages for spec in self.shape.pools], np.int64)
        self.pools["token_count"] = counts
        self.pools["flags"] = abi.POOL_ENABLED + abi.POOL_CAN_FLASH * can_flash + abi.POOL_AGES * ages
        tokens = np.fromiter(itertools.chain.from_iterable(self.shape.pool_tokens), np.int32, counts.sum())
        places = np.arange(len(tokens)) - np.repeat(np.cumsum(counts) - counts, counts)
        self.pools["tokens"][np.repeat(np.arange(len(counts)), counts), places] = tokens

    def _fill_state(self) -> None:
        market, state = self.market[0], self.state[0]
        market["pools"], market["pool_count"] = self.pools_address, len(self.pools)
        market["token_count"] = len(self.shape.tokens)
        market["dirty"], market["native_per_unit"] = address_of(self.dirty), self.prices.table_address
        state["market"], state["journal"] = address_of(self.market), address_of(self.journal)
        state["prices"], state["round"] = self.prices.address, 1
        for field, array in self.per_pool.items():
            state[field] = address_of(array)
        ageing = np.flatnonzero(self.pools["flags"] & abi.POOL_AGES)
        self._ageing = self.array("i8", len(ageing))
        self._ageing[:] = ageing
        state["ageing"], state["ageing_count"] = address_of(self._ageing), len(ageing)

    def _least_arena(self) -> int:
        # One block saves each row once, in as many parts as events differ in what they change.
        parts = self._room + self._levels * layout.SAVED.itemsize
        return int(parts.sum() + parts.max(initial=0))

    def _double_arena(self) -> None:
        # What lies at place p of a ring of c bytes goes to p of a ring of 2 c. No saved part crosses a
        # multiple of c, and padding says its own size, so every part stays whole.
        record, old = self.journal[0], self._arena
        tail, first, last = (int(record[field]) for field in ("tail", "first", "last"))
        start = int(self.entries[first & int(record["entry_mask"])]["start"]) if first < last else tail
        self._arena = self.array("u1", 2 * len(old))
        for place in range(start - start % len(old), tail, len(old)):
            begin, end = max(place, start), min(place + len(old), tail)
            target = begin % len(self._arena)
            self._arena[target : target + end - begin] = old[begin - place : end - place]
        record["arena"], record["arena_bytes"] = address_of(self._arena), len(self._arena)


class ClosedMemory:
    """What stands in the place of a market's memory once that was given back: whoever asks is told."""

    def close(self) -> None:
        """Closing twice is fine."""

    def __getattr__(self, name: str) -> NoReturn:
        refuse()


def refuse(*_: object) -> NoReturn:
    """Raise what every question to a closed market raises."""
    raise ValueError("the market is closed; keep it open as long as anything is asked of it")


def address_of(array: npt.NDArray[Any]) -> int:
    """Return where the array starts."""
    return int(array.ctypes.data)


def check_row(holding: Holding, pool: Address, row: bytes) -> None:
    """Raise PluginError unless the row's size is a positive multiple of 64."""
    if not row or len(row) % LINE:
        raise PluginError(
            holding.protocol,
            f"loaded a row of {len(row)} bytes for pool {checksum(pool)}",
            way_out=f"a row's size must be a multiple of {LINE}",
        )


def check_holdings(protocols: Sequence[str], holdings: Sequence[Holding]) -> None:
    """Raise PluginError unless holding number k is of the k-th fused protocol."""
    for number, holding in enumerate(holdings):
        if tuple(protocols[number : number + 1]) != (holding.protocol,):
            raise PluginError(
                holding.protocol,
                f"brings pools as kind {number}, but the fused protocols are {', '.join(protocols)}",
                way_out="fuse the same protocols in the same order",
            )
