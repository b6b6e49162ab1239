"""The token's compiled functions; `tallyio.market.abi` states what each must do.

`i` and `j` are 0 (native currency) and 1 (the token) in either order; anything else quotes 0. There are no
events, for nothing that happens changes the rate.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import (
    APPLY_LOG_SIGNATURE,
    CURVE_SIGNATURE,
    GAS_SIGNATURE,
    LOG_RELOAD,
    QUOTE_EXACT_OUT_SIGNATURE,
    QUOTE_SIGNATURE,
)
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const
from tallyio_protocol_wrapped_native.layout import GAS, MOST

_ZERO: Final = const(0)
_MOST: Final = const(MOST)
_MOST_F64: Final = float(MOST)


@hot("boolean(int64, int64)", inline=True)
def _is_direction(i: int, j: int) -> bool:
    return (i | j) == 1 and i != j


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:  # noqa: ARG001 - the rate is no data
    """Return as much as `amount_in`; 0 beyond what a call can carry."""
    return amount_in if _is_direction(i, j) and amount_in <= _MOST else _ZERO


@hot(QUOTE_EXACT_OUT_SIGNATURE)
def quote_exact_out(row: int, i: int, j: int, amount_out: int) -> int:
    """Return as much as `amount_out`; 0 beyond what a call can carry."""
    return quote(row, i, j, amount_out)


@hot(CURVE_SIGNATURE)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:  # noqa: ARG001 - the rate is no data
    """Return `amount_in` and the slope 1, without any error."""
    if _is_direction(i, j) and 0.0 <= amount_in <= _MOST_F64:
        return amount_in, 1.0
    return 0.0, 0.0


@hot(GAS_SIGNATURE)
def gas(row: int, i: int, j: int, amount_in: int) -> int:  # noqa: ARG001 - the same for every amount
    """Return the configured gas of wrapping or unwrapping."""
    return load(row + GAS + 8 * i, 0) if _is_direction(i, j) else 0


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:  # noqa: ARG001 - none is known
    """Ask for a reload: the adapter names no event, so none is expected."""
    return LOG_RELOAD
