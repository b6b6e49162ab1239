"""The adaptive rate curve, compiled: `curve` is its specification, to the unit.

Signed numbers whose magnitude may pass 2**63 go as a magnitude and a sign; all divisions round the
magnitude down, which is toward zero, as Solidity's.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, i64, lo64, u256
from tallyio_protocol_morpho_blue import curve

_WAD64: Final = curve.WAD
_WAD: Final = const(curve.WAD)
_ZERO: Final = const(0)
_TARGET: Final = curve.TARGET
_TO_FULL: Final = curve.WAD - curve.TARGET
_SPEED: Final = const(curve.SPEED)
_STEEP: Final = const(curve.STEEPNESS - curve.WAD)
_FLAT: Final = const(curve.WAD - curve.WAD * curve.WAD // curve.STEEPNESS)
_INITIAL: Final = curve.INITIAL_RATE
_LEAST: Final = const(curve.MIN_RATE)
_MOST: Final = const(curve.MAX_RATE)
_LN_2: Final = const(curve.LN_2)
_HALF_LN_2: Final = const(curve.LN_2 // 2)
_LN_WEI: Final = const(-curve.LN_WEI)
_EXP_BOUND: Final = const(curve.EXP_UPPER_BOUND)
_EXP_MOST: Final = const(curve.EXP_UPPER_VALUE)


@hot("int64(int64, int64)", inline=True)
def _scaled(factor: int, by: int) -> int:
    """Return factor * by / 1e18 toward zero; |factor| and |by| below 2**63, the result too."""
    negative = by < 0
    product = u256(factor) * u256(-by if negative else by)
    quotient = i64(lo64(divmod256(product, _WAD)[0]))
    return -quotient if negative else quotient


@hot("int64(u256, u256)")
def curve_error(supply_assets: int, borrow_assets: int) -> int:
    """Return `curve.curve_error`; borrow_assets <= supply_assets < 2**128."""
    utilization = 0
    if supply_assets != _ZERO:
        # Below 2**188 / supply, and at most 1e18.
        utilization = i64(lo64(divmod256(borrow_assets * _WAD, supply_assets)[0]))
    away = utilization - _TARGET
    norm = _TO_FULL if away > 0 else _TARGET
    # |away| <= norm, so the product is below 2**120 and the quotient at most 1e18.
    size = i64(lo64(divmod256(u256(-away if away < 0 else away) * _WAD, u256(norm))[0]))
    return -size if away < 0 else size


@hot("u256(u256, boolean)")
def exponential(size: int, negative: bool) -> int:  # noqa: FBT001 - compiled functions take no keywords
    """Return `curve.exponential` of `size`, or of -`size`; below 2**196."""
    if negative and size > _LN_WEI:
        return _ZERO
    if not negative and size >= _EXP_BOUND:
        return _EXP_MOST
    # size < 94e18 < 2**67, so q <= 135.
    q = i64(lo64(divmod256(size + _HALF_LN_2, _LN_2)[0]))
    whole = u256(q) * _LN_2
    # r has the sign of size - whole, turned round where the argument is negative; |r| <= ln(2) / 2.
    over = size >= whole
    r = i64(lo64(size - whole if over else whole - size))
    square = i64(lo64(divmod256(u256(r) * u256(r), _WAD)[0])) // 2
    # 1e18 + 0.35e18 + 0.07e18 < 2**63.
    power = u256(_WAD64 + (r if over != negative else -r) + square)
    return power >> q if negative else power << q


@hot("int64(int64, u256, boolean)")
def new_rate(rate_at_target: int, size: int, negative: bool) -> int:  # noqa: FBT001 - as above
    """Return `curve.new_rate` for an adaptation of `size`, or of -`size`."""
    # The rate is at most 6.4e10 < 2**36, so the product is below 2**232.
    grown = divmod256(u256(rate_at_target) * exponential(size, negative), _WAD)[0]
    return i64(lo64(max(min(grown, _MOST), _LEAST)))


@hot("int64(int64, int64)", inline=True)
def _on_curve(rate_at_target: int, error: int) -> int:
    # |error| <= 1e18 and the slope is at most 3e18, so the first product is at most 3e36 and the factor
    # between 0.25e18 and 4e18.
    slope = i64(lo64(_FLAT if error < 0 else _STEEP))
    return _scaled(_scaled(slope, error) + _WAD64, rate_at_target)


@hot("int64(u256, u256, int64, int64)")
def borrow_rate(supply_assets: int, borrow_assets: int, rate_at_target: int, elapsed: int) -> int:
    """Return the average borrow rate of `curve.borrow_rate`; below 2**38.

    borrow_assets <= supply_assets < 2**128, and 0 < elapsed < 2**40.
    """
    error = curve_error(supply_assets, borrow_assets)
    if rate_at_target == 0:
        return _on_curve(_INITIAL, error)
    negative = error < 0
    # At most 1.6e12 * 2**40 < 2**81.
    speed = divmod256(_SPEED * u256(-error if negative else error), _WAD)[0]
    adaptation = speed * u256(elapsed)
    if adaptation == _ZERO:
        return _on_curve(rate_at_target, error)
    end = new_rate(rate_at_target, adaptation, negative)
    middle = new_rate(rate_at_target, adaptation >> 1, negative)
    return _on_curve((rate_at_target + end + 2 * middle) // 4, error)
