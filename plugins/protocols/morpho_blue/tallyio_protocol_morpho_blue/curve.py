"""The adaptive rate curve in Python integers: the specification of `rates`.

Source: `AdaptiveCurveIrm`, `ExpLib`, `ConstantsLib` (morpho-blue-irm). All in 1e-18, rates per second.
Signed divisions there round toward zero, which is what `_divide` does.
"""

from __future__ import annotations

from typing import Final

WAD: Final = 10**18
_YEAR: Final = 365 * 24 * 3600
STEEPNESS: Final = 4 * WAD
SPEED: Final = 50 * WAD // _YEAR
TARGET: Final = 9 * WAD // 10
INITIAL_RATE: Final = 4 * WAD // 100 // _YEAR
MIN_RATE: Final = WAD // 1000 // _YEAR
MAX_RATE: Final = 2 * WAD // _YEAR

LN_2: Final = 693147180559945309
LN_WEI: Final = -41446531673892822312
EXP_UPPER_BOUND: Final = 93859467695000404319
EXP_UPPER_VALUE: Final = 57716089161558943949701069502944508345128422502756744429568


def borrow_rate(
    supply_assets: int, borrow_assets: int, *, rate_at_target: int, elapsed: int
) -> tuple[int, int]:
    """Return the average borrow rate over `elapsed` seconds, and the rate at target after them."""
    error = curve_error(supply_assets, borrow_assets)
    if rate_at_target == 0:
        return _curve(INITIAL_RATE, error), INITIAL_RATE
    adaptation = _divide(SPEED * error, WAD) * elapsed
    if adaptation == 0:
        return _curve(rate_at_target, error), rate_at_target
    end = new_rate(rate_at_target, adaptation)
    middle = new_rate(rate_at_target, _divide(adaptation, 2))
    return _curve((rate_at_target + end + 2 * middle) // 4, error), end


def curve_error(supply_assets: int, borrow_assets: int) -> int:
    """Return how far utilisation is from its target, as a share of the way to its end."""
    utilization = borrow_assets * WAD // supply_assets if supply_assets else 0
    norm = WAD - TARGET if utilization > TARGET else TARGET
    return _divide((utilization - TARGET) * WAD, norm)


def new_rate(rate_at_target: int, adaptation: int) -> int:
    """Return the rate at target after it grew by the exponential of `adaptation`, within its bounds."""
    return max(min(_divide(rate_at_target * exponential(adaptation), WAD), MAX_RATE), MIN_RATE)


def exponential(x: int) -> int:
    """Return e**x, as `ExpLib.wExp`."""
    if x < LN_WEI:
        return 0
    if x >= EXP_UPPER_BOUND:
        return EXP_UPPER_VALUE
    q = _divide(x + (-(LN_2 // 2) if x < 0 else LN_2 // 2), LN_2)
    r = x - q * LN_2
    power = WAD + r + r * r // WAD // 2
    return power << q if q >= 0 else power >> -q


def _curve(rate_at_target: int, error: int) -> int:
    slope = WAD - WAD * WAD // STEEPNESS if error < 0 else STEEPNESS - WAD
    return _divide((_divide(slope * error, WAD) + WAD) * rate_at_target, WAD)


def _divide(n: int, d: int) -> int:
    """Return n / d rounded toward zero; d > 0."""
    return n // d if n >= 0 else -(-n // d)
