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
from tallyio.market.matrix_layout import MATRIX, ROW, SPREAD
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
from tallyio.native.jit import hot
from tallyio.native.lanes import most_and_least_16, sum_16
from tallyio.native.vector import lowest_bit

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


@hot("Tuple(int64, int64, float64)(int64, int64, int64)")
def compare(matrix: int, pair: int, now_ns: int) -> tuple[int, int, float]:
    """Return the chain where the pair costs least, the one where it brings most, and sell over buy price.

    Prices that are old, doubted or changing right now take no part; (-1, -1, 0.0) where that leaves
    nobody to buy from or nobody to sell to. The two chains may be the same.
    """
    row = row_of(matrix, pair)
    oldest, least = now_ns - load(matrix, _MAX_AGE), load_f64(matrix, _MIN_CONFIDENCE)
    while True:
        # Sequence numbers only grow, so two equal sums mean that no column changed in between.
        before = sum_16(row + 8 * _SEQUENCE)
        fence_acquire()
        bids, asks, sequences = row + 8 * _BID, row + 8 * _ASK, row + 8 * _SEQUENCE
        stamps, confidences = row + 8 * _STAMP, row + 8 * _CONFIDENCE
        bid, ask, sell, buy = most_and_least_16(bids, asks, sequences, stamps, confidences, oldest, least)
        fence_acquire()
        if sum_16(row + 8 * _SEQUENCE) == before:
            break
        pause()
    if not bid > 0.0 or ask == math.inf:
        return NOBODY, NOBODY, 0.0
    return lowest_bit(buy), lowest_bit(sell), bid / ask


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
