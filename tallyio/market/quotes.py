"""Many quotes in one call from Python.

Layer: market. Compiled, and built on `tallyio.market.fused`: import it through `Fused.load`. Amounts lie
as 256-bit little-endian integers one after the other: a numpy array of shape (n, 4) and type uint64.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import POOL
from tallyio.market.fused import quote, quote_exact_out
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import load256, store256

_WIDE: Final = 32
_POOL_BYTES: Final = POOL.itemsize


@hot("void(int64, int64, int64, int64, int64, int64)")
def quote_amounts(pool: int, i: int, j: int, amounts: int, count: int, outputs: int) -> None:
    """Quote `count` amounts at one pool."""
    for k in range(count):
        store256(outputs + k * _WIDE, quote(pool, i, j, load256(amounts + k * _WIDE)))


@hot("void(int64, int64, int64, int64, int64, int64)")
def quote_outputs(pool: int, i: int, j: int, outputs: int, count: int, amounts: int) -> None:
    """Quote the exact input for `count` outputs at one pool."""
    for k in range(count):
        store256(amounts + k * _WIDE, quote_exact_out(pool, i, j, load256(outputs + k * _WIDE)))


@hot("void(int64, int64, int64, int64, int64)")
def quote_pools(pools: int, sales: int, count: int, amounts: int, outputs: int) -> None:
    """Quote `count` sales, each three int64 (pool id, i, j), with an amount of its own."""
    for k in range(count):
        sale = sales + k * 24
        record = pools + load(sale, 0) * _POOL_BYTES
        out = quote(record, load(sale, 1), load(sale, 2), load256(amounts + k * _WIDE))
        store256(outputs + k * _WIDE, out)
