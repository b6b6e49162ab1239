"""The price matrix in compiled code: update, read, compare over all chains, scan.

Layer: market. Each chain's lane writes its own column, and anybody reads. A cell has a sequence number
like a pool's row (`tallyio.market.rows`): `read` tries again while the cell changes, and a comparison
leaves such a cell out, because it will be looked at again when it has changed. Comparisons choose without
branches, since which chain is best is what nobody can predict.
"""

from __future__ import annotations

import math
from typing import Final

from tallyio.market.abi import word
from tallyio.market.matrix_layout import COLUMNS, MATRIX, ROW, SPREAD
from tallyio.native.atomics import (
    fence_acquire,
    fence_release,
    load,
    load_acquire,
    load_f64,
    load_relaxed,
    pause,
    store,
    store_f64,
    store_relaxed,
    store_release,
)
from tallyio.native.floats import float_of_bits
from tallyio.native.jit import hot

_ROWS: Final = word(MATRIX, "rows")
_MAX_AGE: Final = word(MATRIX, "max_age_ns")
_MIN_CONFIDENCE: Final = word(MATRIX, "min_confidence")
_ROW_BYTES: Final = ROW.itemsize
_SEQUENCE: Final = word(ROW, "sequence")
_BID: Final = word(ROW, "bid")
_ASK: Final = word(ROW, "ask")
_STAMP: Final = word(ROW, "stamp_ns")
_CONFIDENCE: Final = word(ROW, "confidence")
_BID_BEND: Final = word(ROW, "bid_bend")
_ASK_BEND: Final = word(ROW, "ask_bend")
_SPREAD_BYTES: Final = SPREAD.itemsize
_PAIR: Final = word(SPREAD, "pair")
_BUY: Final = word(SPREAD, "buy")
_SELL: Final = word(SPREAD, "sell")
_RATIO: Final = word(SPREAD, "ratio")
_AMOUNT_IN: Final = word(SPREAD, "amount_in")
_PROFIT: Final = word(SPREAD, "profit")

NOBODY: Final = -1
_NO_ASK: Final = (1 << 63) - 1


@hot("int64(int64, int64)", inline=True)
def row_of(matrix: int, pair: int) -> int:
    """Return the address of a pair's row."""
    return load(matrix, _ROWS) + pair * _ROW_BYTES


@hot("void(int64, int64, float64, float64, int64, float64, float64, float64)", inline=True)
def update(  # noqa: PLR0913, PLR0917 - the facts of one price
    row: int,
    chain: int,
    bid: float,
    ask: float,
    stamp_ns: int,
    confidence: float,
    bid_bend: float,
    ask_bend: float,
) -> None:
    """Write a chain's column of a row; that chain's lane alone does."""
    sequence = load(row, _SEQUENCE + chain)
    store_relaxed(row, _SEQUENCE + chain, sequence + 1)
    fence_release()
    store_f64(row, _BID + chain, bid)
    store_f64(row, _ASK + chain, ask)
    store(row, _STAMP + chain, stamp_ns)
    store_f64(row, _CONFIDENCE + chain, confidence)
    store_f64(row, _BID_BEND + chain, bid_bend)
    store_f64(row, _ASK_BEND + chain, ask_bend)
    store_release(row, _SEQUENCE + chain, sequence + 2)


@hot("Tuple(float64, float64, int64, float64)(int64, int64)", inline=True)
def read(row: int, chain: int) -> tuple[float, float, int, float]:
    """Return bid, ask, stamp and confidence of a chain, all of one update."""
    while True:
        before = load_acquire(row, _SEQUENCE + chain)
        bid, ask = load_f64(row, _BID + chain), load_f64(row, _ASK + chain)
        stamp, confidence = load(row, _STAMP + chain), load_f64(row, _CONFIDENCE + chain)
        fence_acquire()
        if before & 1 == 0 and load_relaxed(row, _SEQUENCE + chain) == before:
            return bid, ask, stamp, confidence
        pause()


@hot("int64(int64, int64, int64, int64)", inline=True)
def _is_usable(row: int, chain: int, oldest: int, least: int) -> int:
    # All bits or none. Confidences are not negative, and such floats are ordered as their bits are.
    fresh = (load(row, _STAMP + chain) >= oldest) & (load(row, _CONFIDENCE + chain) >= least)
    return -int(fresh & (load(row, _SEQUENCE + chain) & 1 == 0))


@hot("Tuple(int64, int64, float64)(int64, int64, int64)")
def compare(matrix: int, pair: int, now_ns: int) -> tuple[int, int, float]:
    """Return the chain where the pair costs least, the one where it brings most, and sell over buy price.

    Prices that are old, doubted or changing right now take no part; (-1, -1, 0.0) where that leaves
    nobody to buy from or nobody to sell to. The two chains may be the same.
    """
    row = row_of(matrix, pair)
    oldest, least = now_ns - load(matrix, _MAX_AGE), load(matrix, _MIN_CONFIDENCE)
    while True:
        before = _changes(row)
        fence_acquire()
        # On bits, since prices are not negative: integers have a maximum without branches.
        bid, ask = 0, _NO_ASK
        for chain in range(COLUMNS):
            usable = _is_usable(row, chain, oldest, least)
            bid = max(bid, load(row, _BID + chain) & usable)
            asked = load(row, _ASK + chain) & usable
            ask = min(ask, asked if asked > 0 else _NO_ASK)
        sell, buy = COLUMNS, COLUMNS
        for chain in range(COLUMNS):
            usable = _is_usable(row, chain, oldest, least)
            sell = min(sell, chain if load(row, _BID + chain) & usable == bid else COLUMNS)
            buy = min(buy, chain if load(row, _ASK + chain) & usable == ask else COLUMNS)
        fence_acquire()
        if _changes(row) == before:
            break
        pause()
    if bid == 0 or ask == _NO_ASK:
        return NOBODY, NOBODY, 0.0
    return buy, sell, float_of_bits(bid) / float_of_bits(ask)


@hot("int64(int64)", inline=True)
def _changes(row: int) -> int:
    # Sequence numbers only grow, so two equal sums mean that no column changed in between.
    total = 0
    for chain in range(COLUMNS):
        total += load_relaxed(row, _SEQUENCE + chain)
    return total


@hot("boolean(int64, int64, int64, float64, int64)")
def scan_pair(matrix: int, pair: int, now_ns: int, least_ratio: float, found: int) -> bool:
    """Write a SPREAD to `found` if selling brings more than `least_ratio` times what buying costs.

    Spending y on a curve (y / ask) / (1 + a y) and selling on bid x / (1 + b x) gives m y / (1 + k y) with
    m = bid / ask and k = a + b / ask, whose gain over y is greatest at (sqrt(m) - 1) / k and is
    (sqrt(m) - 1)**2 / k there. Two prices without a bend have no best amount: it is infinite.
    """
    buy, sell, ratio = compare(matrix, pair, now_ns)
    if not ratio > least_ratio:
        return False
    row = row_of(matrix, pair)
    bend = load_f64(row, _ASK_BEND + buy) + load_f64(row, _BID_BEND + sell) / load_f64(row, _ASK + buy)
    gain = math.sqrt(ratio) - 1.0
    store(found, _PAIR, pair)
    store(found, _BUY, buy)
    store(found, _SELL, sell)
    store_f64(found, _RATIO, ratio)
    store_f64(found, _AMOUNT_IN, gain / bend if bend > 0.0 else math.inf)
    store_f64(found, _PROFIT, gain * gain / bend if bend > 0.0 else math.inf)
    return True


@hot("int64(int64, int64, int64, int64, float64, int64, int64)")
def scan(  # noqa: PLR0913, PLR0917 - what a scan is
    matrix: int, pairs: int, count: int, now_ns: int, least_ratio: float, found: int, capacity: int
) -> int:
    """Write the spreads among `count` pair numbers at `pairs` to `found`; return how many there are."""
    written = 0
    for k in range(count):
        if written < capacity and scan_pair(matrix, load(pairs, k), now_ns, least_ratio, found):
            written += 1
            found += _SPREAD_BYTES
    return written
