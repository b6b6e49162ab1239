"""How much to repay, in compiled code: which amount to try next, and what was learnt of the last.

The bonus is a share of what is repaid, and swapping more collateral brings less for each unit, so profit
rises to one highest point and falls. Mostly that point lies beyond what is lawful, and the most is best: two
evaluations say so. Otherwise it is bracketed by halving and then closed in on. Rules against dust and other
paths through the market make exceptions, which is why every amount that counts is evaluated exactly, and the
best of them wins.

    start(sizing, most)
    while amount := next_amount(sizing): learn(sizing, net_of(amount))
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.market.abi import word
from tallyio.native.atomics import load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load256, store256
from tallyio_strategy_liquidation.layout import SIZING

_MOST: Final = 8 * word(SIZING, "most")
_BEST: Final = 8 * word(SIZING, "best")
_LOW: Final = 8 * word(SIZING, "low")
_HIGH: Final = 8 * word(SIZING, "high")
_STAGE: Final = word(SIZING, "stage")
_STEP: Final = word(SIZING, "step")
_TOP: Final = word(SIZING, "top")
_LEFT: Final = word(SIZING, "left")
_FALLS: Final = word(SIZING, "falls")

_AT_MOST: Final = 0
_BELOW: Final = 1
_HALVING: Final = 2
_ON_THE_LEFT: Final = 3
_ON_THE_RIGHT: Final = 4

_HALVINGS: Final = 12
_MOST_FALLS: Final = 3
"""After so many halves in a row that bring less, the highest point lies above them."""
_STEPS: Final = 16
_NUDGE: Final = 6
_NEVER: Final = float("-inf")
_END: Final = const(0)
_ONE: Final = const(1)
_TWO: Final = const(2)
_THREE: Final = const(3)
_FIVE: Final = const(5)
_NEAR: Final = const(16)


@hot("void(int64, u256)")
def start(sizing: int, most: int) -> None:
    """Begin with the most that is lawful."""
    store256(sizing, most)
    store256(sizing + _MOST, most)
    store256(sizing + _BEST, most)
    store(sizing, _STAGE, _AT_MOST)
    store(sizing, _STEP, 0)
    store(sizing, _FALLS, 0)
    store_f64(sizing, _TOP, _NEVER)


@hot("u256(int64)", inline=True)
def next_amount(sizing: int) -> int:
    """Return the amount to try; 0: enough were."""
    return load256(sizing)


@hot("u256(int64, u256)", inline=True)
def _within(sizing: int, fifths: int) -> int:
    low, high = load256(sizing + _LOW), load256(sizing + _HIGH)
    return low + divmod256((high - low) * fifths, _FIVE)[0]


@hot("void(int64)")
def _halve(sizing: int) -> None:
    """Take half of the amount, or begin to close in on the best of the halves."""
    step = load(sizing, _STEP) + 1
    store(sizing, _STEP, step)
    if step < _HALVINGS and load(sizing, _FALLS) < _MOST_FALLS:
        store(sizing, _STAGE, _HALVING)
        store256(sizing, load256(sizing + _MOST) >> step)
        return
    if load_f64(sizing, _TOP) == _NEVER:
        store256(sizing, _END)
        return
    best = load256(sizing + _BEST)
    store256(sizing + _LOW, best >> 1)
    store256(sizing + _HIGH, min(best * _TWO, load256(sizing + _MOST)))
    store(sizing, _STEP, 0)
    _narrow(sizing)


@hot("void(int64)")
def _narrow(sizing: int) -> None:
    """Look at the lower of two amounts within, or end where they are close."""
    is_near = load256(sizing + _HIGH) - load256(sizing + _LOW) < _NEAR
    store(sizing, _STAGE, _ON_THE_LEFT)
    store256(sizing, _END if is_near or load(sizing, _STEP) == _STEPS else _within(sizing, _TWO))


@hot("void(int64, float64)")
def learn(sizing: int, net: float) -> None:
    """Take the net of the amount that was to be tried; minus infinity: it is not lawful."""
    stage, amount = load(sizing, _STAGE), load256(sizing)
    if stage == _AT_MOST:
        store_f64(sizing, _TOP, net)
        store256(sizing, amount - max(amount >> _NUDGE, _ONE))
        store(sizing, _STAGE, _BELOW)
    elif stage == _BELOW:
        # Smaller amounts may be lawful where the most is not.
        if net > load_f64(sizing, _TOP) or load_f64(sizing, _TOP) == _NEVER:
            _halve(sizing)
        else:
            store256(sizing, _END)
    elif stage == _HALVING:
        if net > load_f64(sizing, _TOP):
            store_f64(sizing, _TOP, net)
            store256(sizing + _BEST, amount)
            store(sizing, _FALLS, 0)
        elif load_f64(sizing, _TOP) > _NEVER:
            store(sizing, _FALLS, load(sizing, _FALLS) + 1)
        _halve(sizing)
    elif stage == _ON_THE_LEFT:
        store_f64(sizing, _LEFT, net)
        store256(sizing, _within(sizing, _THREE))
        store(sizing, _STAGE, _ON_THE_RIGHT)
    else:
        if load_f64(sizing, _LEFT) < net:
            store256(sizing + _LOW, _within(sizing, _TWO))
        else:
            store256(sizing + _HIGH, amount)
        store(sizing, _STEP, load(sizing, _STEP) + 1)
        _narrow(sizing)
