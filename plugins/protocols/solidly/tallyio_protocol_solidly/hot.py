"""A pool's compiled functions; `tallyio.market.abi` states what each must do.

`quote` equals `reference.quote` to the unit: the pool's `getAmountOut` where its `swap` accepts that, and 0
where either reverts. `i` and `j` are 0 and 1, in either order; anything else quotes 0.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import (
    APPLY_LOG_SIGNATURE,
    CURVE_SIGNATURE,
    GAS_SIGNATURE,
    LOG_APPLIED,
    LOG_IGNORED,
    LOG_RELOAD,
    QUOTE_SIGNATURE,
)
from tallyio.native.atomics import load, load_be256
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load256, mul_wide, store256, u256
from tallyio_protocol_solidly.hot_curve import stable_curve, volatile_curve
from tallyio_protocol_solidly.hot_stable import (
    E18,
    MOST_TIMES_E18,
    REVERTS,
    ZERO,
    f_velodrome,
    get_y_solidly,
    get_y_velodrome,
    over_e18,
    scaled,
)
from tallyio_protocol_solidly.layout import (
    ADDRESS,
    CLOSED,
    FEE_DENOMINATOR,
    FEE_NUMERATOR,
    GAS,
    KIND,
    RESERVES,
    SOLVER_SOLIDLY,
    SOLVER_VELODROME_V2,
    UNITS,
    VOLATILE,
    WORD_BYTES,
)

SYNC_EVENT: Final = 0
CUSTOM_FEE_EVENT: Final = 1
"""Events from this number on are the factory's."""

_ADDRESS_BITS: Final = const((1 << 160) - 1)
_SYNC_BYTES: Final = 64


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return what the pool pays for `amount_in`, exactly; 0 where it reverts or pays nothing."""
    kind = load(row + KIND, 0)
    if (i | j) != 1 or i == j or kind == CLOSED:
        return ZERO
    high, product = mul_wide(amount_in, u256(load(row + FEE_NUMERATOR, 0)))
    fee = divmod256(product, u256(load(row + FEE_DENOMINATOR, 0)))[0]
    reserve_in = load256(row + RESERVES + WORD_BYTES * i)
    # `swap` wants the output of both tokens below the reserve, also the 0 of the token that is sold. And not
    # to overflow: the fee's product, its share per liquidity (`_update0`, `_update1`), and the balance that
    # the input makes. The fee is at most the input, as its numerator is at most the denominator.
    if reserve_in == ZERO or high != ZERO or fee > MOST_TIMES_E18 or reserve_in + amount_in < amount_in:
        return ZERO
    if kind == VOLATILE:
        return _volatile(reserve_in, load256(row + RESERVES + WORD_BYTES * j), amount_in - fee)
    return _stable(row, i, j, amount_in - fee)


@hot("u256(u256, u256, u256)")
def _volatile(reserve_in: int, reserve_out: int, net_in: int) -> int:
    # reserve_in + net_in fits, as the caller has checked for more.
    high, product = mul_wide(net_in, reserve_out)
    balance_in = reserve_in + net_in
    amount_out = divmod256(product, balance_in)[0]
    if high != ZERO or amount_out >= reserve_out:
        return ZERO
    # K holds: the output is at most net_in * reserve_out / balance_in, so balance_in times what is left is
    # at least balance_in * reserve_out - net_in * reserve_out = reserve_in * reserve_out. It must fit.
    if mul_wide(balance_in, reserve_out - amount_out)[0] != ZERO:
        return ZERO
    return amount_out


@hot("u256(int64, int64, int64, u256)")
def _stable(row: int, i: int, j: int, net_in: int) -> int:
    reserve_in = load256(row + RESERVES + WORD_BYTES * i)
    reserve_out = load256(row + RESERVES + WORD_BYTES * j)
    unit_in, unit_out = load256(row + UNITS + WORD_BYTES * i), load256(row + UNITS + WORD_BYTES * j)
    scaled_out = scaled(reserve_out, unit_out)
    # `_f` is symmetric, so that in and out may stand for 0 and 1.
    xy = f_velodrome(scaled(reserve_in, unit_in), scaled_out)
    added = scaled(net_in, unit_in)
    # `_get_y` squares reserve and input together; both below 2**128 have a sum that fits.
    if xy == REVERTS or added >> 128 != ZERO:
        return ZERO
    y = _get_y(row, added + scaled(reserve_in, unit_in), xy, scaled_out)
    if y > scaled_out:
        return ZERO
    left = scaled_out - y
    high, product = mul_wide(left, unit_out)
    amount_out = over_e18(product)
    if high != ZERO or amount_out == ZERO or amount_out >= reserve_out:
        return ZERO
    # K, as `swap` checks it.
    after = f_velodrome(scaled(reserve_in + net_in, unit_in), scaled(reserve_out - amount_out, unit_out))
    if after == REVERTS or after < xy:
        return ZERO
    return amount_out


@hot("u256(int64, u256, u256, u256)")
def _get_y(row: int, x: int, xy: int, y: int) -> int:
    kind = load(row + KIND, 0)
    if kind == SOLVER_SOLIDLY:
        return get_y_solidly(x, xy, y)
    if kind == SOLVER_VELODROME_V2:
        return get_y_velodrome(x, xy, y, load256(row + UNITS), load256(row + UNITS + WORD_BYTES))
    return get_y_velodrome(x, xy, y, E18, E18)


@hot(CURVE_SIGNATURE)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope at `amount_in` in float64, within the bounds that `hot_curve` states."""
    kind = load(row + KIND, 0)
    if (i | j) != 1 or i == j or kind == CLOSED:
        return 0.0, 0.0
    return volatile_curve(row, i, j, amount_in) if kind == VOLATILE else stable_curve(row, i, j, amount_in)


@hot(GAS_SIGNATURE)
def gas(row: int, i: int, j: int, amount_in: int) -> int:  # noqa: ARG001 - the same for every swap
    """Return the configured gas of one swap."""
    return load(row + GAS, 0)


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:
    """Take the reserves of a `Sync(uint256 reserve0, uint256 reserve1)`; ask for a reload otherwise.

    `SetCustomFee(address indexed pool, uint256 fee)` of another pool is ignored. A closed pool asks for a
    reload at its Sync, which may open it.
    """
    if event == CUSTOM_FEE_EVENT and load_be256(topics) & _ADDRESS_BITS != load256(row + ADDRESS):
        return LOG_IGNORED
    if event != SYNC_EVENT or data_bytes != _SYNC_BYTES or load(row + KIND, 0) == CLOSED:
        return LOG_RELOAD
    store256(row + RESERVES, load_be256(data))
    store256(row + RESERVES + WORD_BYTES, load_be256(data + WORD_BYTES))
    return LOG_APPLIED
