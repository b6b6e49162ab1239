"""A pool's compiled functions; `tallyio.market.abi` states what each must do.

`quote` equals `reference.quote` to the unit. A larger input pays more, but the contract's own solution
may be some units off, and then the output falls where it should rise.

`curve` is smooth where `quote` is a staircase: see the README for how far they may differ.
"""

from __future__ import annotations

from tallyio.market.abi import (
    APPLY_LOG_SIGNATURE,
    CURVE_SIGNATURE,
    GAS_SIGNATURE,
    LOG_RELOAD,
)
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio_protocol_curve_crypto.hot_curve import curve_of
from tallyio_protocol_curve_crypto.hot_state import advance
from tallyio_protocol_curve_crypto.hot_swap import is_direction, quote
from tallyio_protocol_curve_crypto.layout import GAS

__all__ = ["advance", "apply_log", "curve", "gas", "quote"]


@hot(CURVE_SIGNATURE)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope at `amount_in` in float64; (0, 0) where the pool does not pay."""
    if not is_direction(row, i, j) or not amount_in >= 0.0:
        return 0.0, 0.0
    return curve_of(row, i, j, amount_in)


@hot(GAS_SIGNATURE)
def gas(row: int, i: int, j: int, amount_in: int) -> int:  # noqa: ARG001 - the same for every exchange
    """Return the configured gas of one exchange."""
    return load(row + GAS, 0)


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:  # noqa: ARG001 - see `events`
    """Ask for a reload: no event tells enough."""
    return LOG_RELOAD
