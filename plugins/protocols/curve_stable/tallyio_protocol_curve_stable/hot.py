"""A pool's compiled functions; `tallyio.market.abi` states what each must do.

`quote` equals `reference.quote` to the unit: what `exchange` pays, not what the view `get_dy` says.
A larger input pays more, but the contract's own solution may be a unit off, and then the output
falls by a scaled unit where it should rise.

`curve` is smooth where `quote` is a staircase: see there for how far they may differ.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tallyio.market.abi import (
    ADVANCE_SIGNATURE,
    APPLY_LOG_SIGNATURE,
    CURVE_SIGNATURE,
    GAS_SIGNATURE,
    LOG_APPLIED,
    LOG_IGNORED,
    LOG_RELOAD,
    QUOTE_SIGNATURE,
)
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import load256, u256
from tallyio_protocol_curve_stable.events import MEANINGS, WORDS, Event
from tallyio_protocol_curve_stable.hot_curve import curve_of
from tallyio_protocol_curve_stable.hot_events import (
    WORD,
    follow_amounts,
    follow_exchange,
    follow_removal,
    set_fees,
    set_ramp,
    word_at,
)
from tallyio_protocol_curve_stable.hot_math import ZERO
from tallyio_protocol_curve_stable.hot_state import is_direction, set_time, settle
from tallyio_protocol_curve_stable.hot_swap import estimate_input, solve
from tallyio_protocol_curve_stable.layout import ADMIN_FEE, FEE, FLAGS, GAS, MAX_TIME, MULTIPLIER, RATES_UNTIL
from tallyio_protocol_curve_stable.templates import Flag

_MEANINGS: Final = np.array(MEANINGS, np.int64)
_EVENTS: Final = len(MEANINGS)
_WORDS: Final = np.array([WORDS.get(event, 0) for event in Event], np.int64)
_UNFOLLOWED: Final = int(Flag.BASE_RATE | Flag.DRIFTS)

_EXCHANGE: Final = int(Event.EXCHANGE)
_ADD: Final = int(Event.ADD)
_REMOVE: Final = int(Event.REMOVE)
_REMOVE_IMBALANCE: Final = int(Event.REMOVE_IMBALANCE)
_RAMP: Final = int(Event.RAMP)
_STOP_RAMP: Final = int(Event.STOP_RAMP)
_NEW_FEE: Final = int(Event.NEW_FEE)
_NEW_PARAMETERS: Final = int(Event.NEW_PARAMETERS)
_APPLY_FEE: Final = int(Event.APPLY_FEE)
_APPLY_ADMIN_FEE: Final = int(Event.APPLY_ADMIN_FEE)


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return what an exchange pays for `amount_in`, exactly; 0 where it reverts or pays nothing."""
    if not is_direction(row, i, j):
        return ZERO
    return solve(row, i, j, amount_in)[0]


@hot(QUOTE_SIGNATURE)
def get_dx(row: int, i: int, j: int, amount_out: int) -> int:
    """Return NG's own estimate of the input for `amount_out`, `CurveStableSwapNGViews.get_dx`.

    An estimate: an exchange of it may pay less than `amount_out`, or do with less.
    """
    if not is_direction(row, i, j):
        return ZERO
    return estimate_input(row, i, j, amount_out)


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


@hot(ADVANCE_SIGNATURE)
def advance(row: int, timestamp: int) -> int:
    """Bring A, and the base pool's rate that a metapool keeps, to a block with this time.

    Asks for a reload where the rates of the row are too old.
    """
    until = load(row + RATES_UNTIL, 0)
    if not 0 <= timestamp <= MAX_TIME or (until > 0 and timestamp > until):
        return LOG_RELOAD
    if not set_time(row, timestamp):
        return LOG_IGNORED
    settle(row)
    return LOG_APPLIED


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:  # noqa: ARG001 - topics hold accounts only
    """Follow exchanges, deposits, withdrawals, ramps and fees; see `events`.

    Asks for a reload where the row does not come to what the event says, where an event says too
    little, and always for pools whose balances or rates move without events of their own.
    """
    if not 0 <= event < _EVENTS or load(row + FLAGS, 0) & _UNFOLLOWED:
        return LOG_RELOAD
    meaning = _MEANINGS[event]
    if meaning == _EXCHANGE:
        followed = follow_exchange(row, data, data_bytes)
    elif meaning == _ADD:
        followed = follow_amounts(row, data, data_bytes, 1)
    elif meaning == _REMOVE_IMBALANCE:
        followed = follow_amounts(row, data, data_bytes, -1)
    elif meaning == _REMOVE:
        followed = follow_removal(row, data, data_bytes)
    else:
        followed = _follow_settings(row, meaning, data, data_bytes)
    return LOG_APPLIED if followed else LOG_RELOAD


@hot("boolean(int64, int64, int64, int64)")
def _follow_settings(row: int, meaning: int, data: int, data_bytes: int) -> bool:
    if not _RAMP <= meaning <= _APPLY_ADMIN_FEE or data_bytes != _WORDS[meaning] * WORD:
        return False
    if meaning <= _NEW_PARAMETERS:
        return _follow_ramp(row, meaning, data)
    fee, admin_fee = u256(load(row + FEE, 0)), u256(load(row + ADMIN_FEE, 0))
    multiplier = load256(row + MULTIPLIER)
    if meaning == _APPLY_ADMIN_FEE:
        admin_fee = word_at(data, 0)
    else:
        fee = word_at(data, 0)
    if meaning == _NEW_FEE:
        admin_fee = word_at(data, 1)
    if meaning == _APPLY_FEE:
        multiplier = word_at(data, 1)
    return set_fees(row, fee, admin_fee, multiplier)


@hot("boolean(int64, int64, int64)")
def _follow_ramp(row: int, meaning: int, data: int) -> bool:
    first, second = word_at(data, 0), word_at(data, 1)
    if meaning == _RAMP:
        return set_ramp(row, first, second, word_at(data, 2), word_at(data, 3))
    if meaning == _STOP_RAMP:
        return set_ramp(row, first, first, second, second)
    fees_fit = set_fees(row, second, word_at(data, 2), load256(row + MULTIPLIER))
    return fees_fit and set_ramp(row, first, first, ZERO, ZERO)
