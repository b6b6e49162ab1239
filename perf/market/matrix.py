"""Prices of one pair on sixteen chains: update, read, compare, scan."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from perf.market.row import Case, require_equal, row
from perf.peers.session import Peers
from tallyio.bench.rounds import timed
from tallyio.market.hot_matrix import compare, read, row_of, scan, update
from tallyio.market.matrix_layout import COLUMNS, MATRIX, ROW, SPREAD
from tallyio.native.jit import entry, hot
from tallyio.native.memory import Region

PAIRS: Final = 4_096
"""More than branch predictors learn."""
IN_CACHE: Final = 8
TIMES: Final = 16
_PRICES: Final = TIMES * IN_CACHE * COLUMNS
TEN: Final = 10
NOW: Final = 2 * 10**9
AGE: Final = 10**9
CROSSED: Final = 1.0
"""About half of the pairs sell for more than this times what they cost."""


@hot("int64(int64, int64, int64)")
def compare_all(matrix: int, count: int, now_ns: int) -> int:
    """Compare one pair after the other."""
    total = 0
    for pair in range(count):
        buy, sell, _ = compare(matrix, pair, now_ns)
        total += buy + sell
    return total


@hot("int64(int64, int64, int64, int64, int64)")
def scan_all(matrix: int, pairs: int, count: int, at_once: int, found: int) -> int:
    """Scan all pairs, so many in one call."""
    total = 0
    for k in range(0, count, at_once):
        total += scan(matrix, pairs + 8 * k, at_once, NOW, CROSSED, found, at_once)
    return total


@hot("void(int64, int64, int64)")
def update_all(matrix: int, pairs: int, times: int) -> None:
    """Write the price of each pair on each chain so many times."""
    for k in range(times):
        for pair in range(pairs):
            for chain in range(COLUMNS):
                update(row_of(matrix, pair), chain, 1.0, 1.1, k, 1.0, 0.1, 0.1)


@hot("float64(int64, int64, int64)")
def read_all(matrix: int, pairs: int, times: int) -> float:
    """Read the price of each pair on each chain so many times."""
    total = 0.0
    for _ in range(times):
        for pair in range(pairs):
            for chain in range(COLUMNS):
                bid, ask, stamp_ns, confidence = read(row_of(matrix, pair), chain)
                total += bid + ask + confidence + stamp_ns
    return total


@dataclass(frozen=True, kw_only=True)
class Made:
    """A matrix from a seed, half of whose prices are too old."""

    memory: Region
    rows: Any

    @property
    def address(self) -> int:
        """Where the MATRIX record is."""
        return self.memory.address

    @property
    def pairs(self) -> int:
        """Where the numbers of all pairs are."""
        return self.address + MATRIX.itemsize + PAIRS * ROW.itemsize

    @property
    def found(self) -> int:
        """Where spreads go."""
        return self.pairs + 8 * PAIRS


@functools.cache
def make_matrix() -> Made:
    """Return a matrix of sixteen chains."""
    sizes = MATRIX.itemsize, PAIRS * ROW.itemsize, 8 * PAIRS, TEN * SPREAD.itemsize
    memory = Region(sum(sizes))
    draw = np.random.default_rng(1)
    rows = memory.view(ROW, PAIRS, sizes[0])
    shape = (PAIRS, COLUMNS)
    rows["bid"] = draw.uniform(0.99, 1.0, shape)
    rows["ask"] = rows["bid"] * 1.005
    rows["stamp_ns"] = draw.integers(NOW - 2 * AGE, NOW, shape)
    rows["confidence"], rows["bid_bend"], rows["ask_bend"] = 1.0, 1e-6, 1e-6
    memory.view("i8", PAIRS, sizes[0] + sizes[1])[:] = np.arange(PAIRS)
    record = memory.view(MATRIX, 1)[0]
    record["rows"], record["pairs"] = memory.address + sizes[0], PAIRS
    record["max_age_ns"], record["min_confidence"] = AGE, 0.5
    return Made(memory=memory, rows=rows)


def _compared(rows: Any, count: int) -> int:
    total = 0
    for pair in range(count):
        usable = rows["stamp_ns"][pair] >= NOW - AGE
        bids, asks = np.where(usable, rows["bid"][pair], 0.0), np.where(usable, rows["ask"][pair], np.inf)
        total += int(asks.argmin()) + int(bids.argmax()) if usable.any() else -2
    return total


@row("matrix.compare_16", goal_ns=15.0)
def compare_sixteen(_: Peers) -> Case:
    """The best of sixteen chains to buy and to sell on, among fresh prices; numpy beside it."""
    made = make_matrix()
    require_equal(compare_all(made.address, PAIRS, NOW), _compared(made.rows, PAIRS), "numpy")
    return Case(
        ours=timed(entry(compare_all), made.address, PAIRS, NOW, operations=PAIRS),
        reference=timed(_compared, made.rows, TEN, operations=TEN),
        bytes_each=ROW.itemsize,
        counted=lambda count: compare_all(made.address, count, NOW),
        keeps=made,
    )


@row("matrix.scan_one", goal_ns=25.0)
def scan_one(_: Peers) -> Case:
    """One pair: compared, and sized where it sells for more than it costs."""
    made = make_matrix()
    arguments = made.address, made.pairs, PAIRS, 1, made.found
    return Case(ours=timed(entry(scan_all), *arguments, operations=PAIRS), keeps=made)


@row("matrix.scan_ten", goal_ns=250.0)
def scan_ten(_: Peers) -> Case:
    """Ten pairs in one call."""
    made = make_matrix()
    calls = PAIRS // TEN
    arguments = made.address, made.pairs, calls * TEN, TEN, made.found
    return Case(ours=timed(entry(scan_all), *arguments, operations=calls), keeps=made)


@row("matrix.update", goal_ns=1.0)
def update_one(_: Peers) -> Case:
    """A price written, its reader's sequence number included; in cache."""
    memory, made = Region(MATRIX.itemsize + IN_CACHE * ROW.itemsize), make_matrix()
    memory.view(MATRIX, 1)[0] = made.memory.view(MATRIX, 1)[0]
    memory.view(MATRIX, 1)[0]["rows"] = memory.address + MATRIX.itemsize
    arguments = memory.address, IN_CACHE, TIMES
    return Case(ours=timed(entry(update_all), *arguments, operations=_PRICES), keeps=memory)


@row("matrix.read", goal_ns=1.0)
def read_one(_: Peers) -> Case:
    """A price read whole, beside a writer or not; in cache."""
    made = make_matrix()
    return Case(ours=timed(entry(read_all), made.address, IN_CACHE, TIMES, operations=_PRICES), keeps=made)
