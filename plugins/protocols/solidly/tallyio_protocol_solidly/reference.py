"""What a pool pays, in Python integers: the specification of `hot.quote`.

Sources, line by line: `Pool.getAmountOut`, `_getAmountOut`, `_get_y`, `_f`, `_d`, `_k` and `swap` of
Velodrome V2 and Aerodrome; `Pair` of Velodrome V1, which took them from Solidly's `BaseV1Pair`.
Solidity checks its arithmetic: what leaves uint256, and what divides by zero, reverts. `Reverts` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tallyio_protocol_solidly.layout import (
    SOLVER_SOLIDLY,
    SOLVER_SUPERCHAIN,
    SOLVER_VELODROME_V2,
    UINT256_MAX,
    VOLATILE,
)

E18: Final = 10**18
STEPS: Final = 255
"""How often `_get_y` takes a Newton step before it gives up."""


class Reverts(Exception):
    """The contract reverts here."""


@dataclass(frozen=True)
class Pool:
    """What a swap reads: reserves, 10**decimals of each token, fee, and which contract computes."""

    reserves: tuple[int, int]
    units: tuple[int, int] = (E18, E18)
    kind: int = VOLATILE
    fee_numerator: int = 30
    fee_denominator: int = 10_000


def quote(pool: Pool, i: int, amount_in: int) -> int:
    """Return what selling `amount_in` of token `i` pays; 0 where the pool reverts or pays nothing."""
    try:
        amount_out = get_amount_out(pool, i, amount_in)
        swap(pool, i, amount_in, amount_out)
    except Reverts:
        return 0
    return amount_out


def get_amount_out(pool: Pool, i: int, amount_in: int) -> int:
    """Return `getAmountOut`. Raises: Reverts."""
    amount_in = _sub(amount_in, fee_of(pool, amount_in))
    if pool.kind == VOLATILE:
        reserve_a, reserve_b = pool.reserves[i], pool.reserves[1 - i]
        return _div(_mul(amount_in, reserve_b), _add(reserve_a, amount_in))
    xy = k_of(pool, *pool.reserves)
    scaled = [_scale(reserve, unit) for reserve, unit in zip(pool.reserves, pool.units, strict=True)]
    x0 = _add(_scale(amount_in, pool.units[i]), scaled[i])
    y = _sub(scaled[1 - i], get_y(pool, x0, xy, scaled[1 - i]))
    return _mul(y, pool.units[1 - i]) // E18


def swap(pool: Pool, i: int, amount_in: int, amount_out: int) -> tuple[int, int]:
    """Return the reserves after `swap` paid `amount_out` for `amount_in`. Raises: Reverts.

    Its checks in order: an output; outputs of both tokens, 0 of what is sold, less than the reserves; an
    input; the accounting of fees; K.
    """
    if amount_out == 0 or amount_out >= pool.reserves[1 - i] or pool.reserves[i] <= 0 or amount_in == 0:
        raise Reverts
    balance_in = _add(pool.reserves[i], amount_in)
    fee = fee_of(pool, amount_in)
    _mul(fee, E18)  # `_update0` and `_update1` share it among the liquidity
    after = (_sub(balance_in, fee), pool.reserves[1 - i] - amount_out)
    balances = after if i == 0 else after[::-1]
    if k_of(pool, *balances) < k_of(pool, *pool.reserves):
        raise Reverts
    return balances


def fee_of(pool: Pool, amount_in: int) -> int:
    """Return the part of the input that leaves the pool before the curve. Raises: Reverts."""
    return _mul(amount_in, pool.fee_numerator) // pool.fee_denominator


def k_of(pool: Pool, x: int, y: int) -> int:
    """Return `_k`. Raises: Reverts."""
    if pool.kind == VOLATILE:
        return _mul(x, y)
    return f_velodrome(_scale(x, pool.units[0]), _scale(y, pool.units[1]))


def get_y(pool: Pool, x0: int, xy: int, y: int) -> int:
    """Return `_get_y`, of the contract that the pool's kind names. Raises: Reverts."""
    return get_y_solidly(x0, xy, y) if pool.kind == SOLVER_SOLIDLY else get_y_velodrome(pool, x0, xy, y)


def get_y_solidly(x0: int, xy: int, y: int) -> int:
    """Return `_get_y` of Solidly and Velodrome V1. Raises: Reverts.

    It stops wherever a step is at most 1, on either side of the curve.
    """
    for _ in range(STEPS):
        k = f_solidly(x0, y)
        dy = _div(_mul(abs(xy - k), E18), d_of(x0, y))
        y = _add(y, dy) if k < xy else _sub(y, dy)
        if dy <= 1:
            return y
    return y


def get_y_velodrome(pool: Pool, x0: int, xy: int, y: int) -> int:
    """Return `_get_y` of Velodrome V2, in either of its versions. Raises: Reverts.

    The first version asks `_k` about y + 1, which scales by decimals what is scaled already; the
    version of the superchain's pools asks `_f`.
    """
    for _ in range(STEPS):
        k = f_velodrome(x0, y)
        dy = _div(_mul(abs(xy - k), E18), d_of(x0, y))
        if k < xy:
            if dy == 0:
                if _above(pool, x0, _add(y, 1)) > xy:
                    return y + 1
                dy = 1
            y = _add(y, dy)
        else:
            if dy == 0:
                if k == xy or f_velodrome(x0, _sub(y, 1)) < xy:
                    return y
                dy = 1
            y = _sub(y, dy)
    raise Reverts


def f_solidly(x0: int, y: int) -> int:
    """Return `_f` of Solidly and Velodrome V1. Raises: Reverts."""
    left = _mul(x0, _mul(_mul(y, y) // E18, y) // E18) // E18
    right = _mul(_mul(_mul(x0, x0) // E18, x0) // E18, y) // E18
    return _add(left, right)


def f_velodrome(x0: int, y: int) -> int:
    """Return `_f` of Velodrome V2, which is every version's `_k` after scaling. Raises: Reverts."""
    a = _mul(x0, y) // E18
    b = _add(_mul(x0, x0) // E18, _mul(y, y) // E18)
    return _mul(a, b) // E18


def d_of(x0: int, y: int) -> int:
    """Return `_d`, the derivative of `_f` by y. Raises: Reverts."""
    left = _mul(_mul(3, x0), _mul(y, y) // E18) // E18
    return _add(left, _mul(_mul(x0, x0) // E18, x0) // E18)


def _above(pool: Pool, x0: int, y: int) -> int:
    return k_of(pool, x0, y) if pool.kind == SOLVER_VELODROME_V2 else f_velodrome(x0, y)


def _scale(amount: int, unit: int) -> int:
    return _mul(amount, E18) // unit


def _checked(value: int) -> int:
    if not 0 <= value <= UINT256_MAX:
        raise Reverts
    return value


def _add(a: int, b: int) -> int:
    return _checked(a + b)


def _sub(a: int, b: int) -> int:
    return _checked(a - b)


def _mul(a: int, b: int) -> int:
    return _checked(a * b)


def _div(a: int, b: int) -> int:
    if b == 0:
        raise Reverts
    return a // b


__all__ = [
    "SOLVER_SOLIDLY",
    "SOLVER_SUPERCHAIN",
    "SOLVER_VELODROME_V2",
    "VOLATILE",
    "Pool",
    "Reverts",
    "get_amount_out",
    "quote",
    "swap",
]
