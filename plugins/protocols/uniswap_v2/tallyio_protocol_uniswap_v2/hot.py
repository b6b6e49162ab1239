"""A pair's compiled functions; `tallyio.market.abi` states what each must do.

`quote` and `quote_exact_out` equal those of `reference` to the unit. `i` and `j` are 0 and 1, in either
order; anything else quotes 0. The output grows with the input up to the largest that the pair can hold
(uint112); beyond, the pair reverts and the quote is 0.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import (
    APPLY_LOG_SIGNATURE,
    CURVE_SIGNATURE,
    GAS_SIGNATURE,
    LOG_APPLIED,
    LOG_RELOAD,
    QUOTE_EXACT_OUT_SIGNATURE,
    QUOTE_SIGNATURE,
)
from tallyio.native.atomics import load, load_be256
from tallyio.native.jit import hot
from tallyio.native.u256 import (
    const,
    divmod256,
    load128,
    quotient128,
    store128,
    to_f64,
    u64,
    u128,
    u256,
)
from tallyio_protocol_uniswap_v2.layout import (
    FEE_DENOMINATOR,
    FEE_NUMERATORS,
    GAS,
    RESERVE_BYTES,
    RESERVES,
    UINT112_MAX,
)

_ZERO: Final = const(0)
_ZERO128: Final = const(0, 128)
_ONE: Final = const(1)
_UINT112_MAX: Final = const(UINT112_MAX)
_UINT112_MAX128: Final = const(UINT112_MAX, 128)
_UINT112_MAX_F64: Final = float(UINT112_MAX)
_SYNC_BYTES: Final = 64
_WORD: Final = 32


@hot(QUOTE_SIGNATURE, brief=True)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return what the pair pays for `amount_in`, exactly; 0 where it reverts or pays nothing."""
    if (i | j) != 1 or i == j:
        return _ZERO
    reserve_in = load128(row + RESERVES + RESERVE_BYTES * i)
    reserve_out = load128(row + RESERVES + RESERVE_BYTES * j)
    # The first comparison keeps the sum below 2**113; a zero input or output reserve makes the
    # quotient 0.
    amount = u128(amount_in)
    if reserve_in == _ZERO128 or amount_in > _UINT112_MAX or amount + reserve_in > _UINT112_MAX128:
        return _ZERO
    # Fees are at most 10**6 < 2**20, so each product below is < 2**132, the numerator < 2**244 and the
    # sum < 2**133. The pair's own K check then holds: rounding the output down only adds to K, and the
    # output is below reserve_out, with that below 2**112, because the denominator exceeds the input with fee.
    with_fee = u256(amount) * u256(_fee_numerator(row, i))
    denominator = u256(reserve_in) * u256(_fee_denominator(row)) + with_fee
    return quotient128(with_fee * u256(reserve_out), denominator)


@hot(QUOTE_EXACT_OUT_SIGNATURE, brief=True)
def quote_exact_out(row: int, i: int, j: int, amount_out: int) -> int:
    """Return what the pair takes for `amount_out`, exactly; 0 where it reverts, and for 0."""
    if (i | j) != 1 or i == j:
        return _ZERO
    reserve_in = u256(load128(row + RESERVES + RESERVE_BYTES * i))
    reserve_out = u256(load128(row + RESERVES + RESERVE_BYTES * j))
    if reserve_in == _ZERO or not _ZERO < amount_out < reserve_out:
        return _ZERO
    # The numerator is < 2**112 * 2**112 * 2**20 = 2**244, the denominator above 0 and < 2**132. The pair's
    # K check then holds: what is added after rounding down exceeds what K needs.
    numerator = reserve_in * amount_out * u256(_fee_denominator(row))
    denominator = (reserve_out - amount_out) * u256(_fee_numerator(row, i))
    amount_in = divmod256(numerator, denominator)[0] + _ONE
    # Both are below 2**245, and so is the sum.
    return _ZERO if amount_in + reserve_in > _UINT112_MAX else amount_in


@hot("uint64(int64, int64)", inline=True)
def _fee_numerator(row: int, i: int) -> int:
    return u64(load(row + FEE_NUMERATORS + 8 * i, 0))


@hot("uint64(int64)", inline=True)
def _fee_denominator(row: int) -> int:
    return u64(load(row + FEE_DENOMINATOR, 0))


@hot(CURVE_SIGNATURE, brief=True)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope at `amount_in` in float64; relative error < 1e-14, and the floor's unit."""
    if (i | j) != 1 or i == j:
        return 0.0, 0.0
    reserve_in = to_f64(u256(load128(row + RESERVES + RESERVE_BYTES * i)))
    reserve_out = to_f64(u256(load128(row + RESERVES + RESERVE_BYTES * j)))
    if reserve_in == 0.0 or not 0.0 <= amount_in <= _UINT112_MAX_F64 - reserve_in:
        return 0.0, 0.0
    keep = float(load(row + FEE_NUMERATORS + 8 * i, 0)) / float(load(row + FEE_DENOMINATOR, 0))
    depth = reserve_in + keep * amount_in
    share = reserve_out / depth
    return keep * amount_in * share, keep * share * (reserve_in / depth)


@hot(GAS_SIGNATURE, brief=True)
def gas(row: int, i: int, j: int, amount_in: int) -> int:  # noqa: ARG001 - the same for every swap
    """Return the configured gas of one swap."""
    return load(row + GAS, 0)


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:  # noqa: ARG001 - Sync has no topics
    """Take the reserves of a `Sync(uint112 reserve0, uint112 reserve1)`, the only event."""
    if event != 0 or data_bytes != _SYNC_BYTES:
        return LOG_RELOAD
    reserve0 = load_be256(data)
    reserve1 = load_be256(data + _WORD)
    if reserve0 > _UINT112_MAX or reserve1 > _UINT112_MAX:
        return LOG_RELOAD
    store128(row + RESERVES, u128(reserve0))
    store128(row + RESERVES + RESERVE_BYTES, u128(reserve1))
    return LOG_APPLIED
