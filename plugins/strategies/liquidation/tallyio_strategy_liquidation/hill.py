"""Where a hill is highest, in compiled code: which amount to try next, and what was learnt of it.

Between two amounts that bring less than a third one a highest point is closed in on by parabolas through the
three best amounts, and by golden sections where those do not help. That takes some five amounts on a smooth
hill, and never many more than golden sections alone.

Source: R. Brent, Algorithms for Minimization without Derivatives, 1973, chapter 5, turned upside down.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import word
from tallyio.native.atomics import load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio_strategy_liquidation.layout import HILL

_LOW: Final = word(HILL, "low")
_HIGH: Final = word(HILL, "high")
_BEST: Final = word(HILL, "best")
_TOP: Final = word(HILL, "top")
_SECOND: Final = word(HILL, "second")
_SECOND_NET: Final = word(HILL, "second_net")
_THIRD: Final = word(HILL, "third")
_THIRD_NET: Final = word(HILL, "third_net")
_MOVE: Final = word(HILL, "move")
_MOVE_BEFORE: Final = word(HILL, "move_before")
_STEPS: Final = word(HILL, "steps")

NEVER: Final = float("-inf")
"""The net of what is not lawful."""
NOWHERE: Final = 0.0
"""No amount: it is known where the hill is highest."""
_CLOSE: Final = 1.0 / 8_192.0
"""Of the best amount: what is closer is not looked at. That far from the highest point a hill is flat."""
_GOLDEN: Final = 0.3819660112501051
"""The smaller part of a golden section."""
_MOST_STEPS: Final = 32


@hot("void(int64, float64, float64)")
def begin(hill: int, amount: float, net: float) -> None:
    """Know one amount alone, and nothing above it."""
    for field in (_BEST, _SECOND, _THIRD, _HIGH):
        store_f64(hill, field, amount)
    for field in (_TOP, _SECOND_NET, _THIRD_NET):
        store_f64(hill, field, net)
    store_f64(hill, _LOW, 0.0)


@hot("boolean(int64, float64)", inline=True)
def is_higher(hill: int, net: float) -> bool:
    """Return whether `net` is more than everything known; everything is, if nothing lawful is known."""
    top = load_f64(hill, _TOP)
    return bool((net > top) | (top == NEVER))


@hot("void(int64, float64, float64)")
def note(hill: int, amount: float, net: float) -> None:
    """Know one amount more, and what it brings."""
    if is_higher(hill, net):
        _lead(hill, amount, net)
    else:
        _follow(hill, amount, net)


@hot("void(int64, float64, float64)")
def _lead(hill: int, amount: float, net: float) -> None:
    best = load_f64(hill, _BEST)
    store_f64(hill, _LOW if amount > best else _HIGH, best)
    if load_f64(hill, _LOW) > amount:  # halves may bring less before one brings more
        store_f64(hill, _LOW, 0.0)
    store_f64(hill, _THIRD, load_f64(hill, _SECOND))
    store_f64(hill, _THIRD_NET, load_f64(hill, _SECOND_NET))
    store_f64(hill, _SECOND, best)
    store_f64(hill, _SECOND_NET, load_f64(hill, _TOP))
    store_f64(hill, _BEST, amount)
    store_f64(hill, _TOP, net)


@hot("void(int64, float64, float64)")
def _follow(hill: int, amount: float, net: float) -> None:
    best, second, third = load_f64(hill, _BEST), load_f64(hill, _SECOND), load_f64(hill, _THIRD)
    if amount > best:
        store_f64(hill, _HIGH, min(amount, load_f64(hill, _HIGH)))
    else:
        store_f64(hill, _LOW, max(amount, load_f64(hill, _LOW)))
    if (net >= load_f64(hill, _SECOND_NET)) | (second == best):
        store_f64(hill, _THIRD, second)
        store_f64(hill, _THIRD_NET, load_f64(hill, _SECOND_NET))
        store_f64(hill, _SECOND, amount)
        store_f64(hill, _SECOND_NET, net)
    elif (net >= load_f64(hill, _THIRD_NET)) | (third == best) | (third == second):
        store_f64(hill, _THIRD, amount)
        store_f64(hill, _THIRD_NET, net)


@hot("float64(int64)")
def enclose(hill: int) -> float:
    """Begin to close in on the highest point; return the first amount to try, as `climb` does."""
    if load_f64(hill, _LOW) == 0.0:
        store_f64(hill, _LOW, 0.5 * load_f64(hill, _BEST))
    width = load_f64(hill, _HIGH) - load_f64(hill, _LOW)
    store_f64(hill, _MOVE, width)
    store_f64(hill, _MOVE_BEFORE, width)
    store(hill, _STEPS, 0)
    return climb(hill)


@hot("float64(int64)")
def climb(hill: int) -> float:
    """Return the amount to try next, or NOWHERE when the best is close enough to the highest point."""
    low, best, high = load_f64(hill, _LOW), load_f64(hill, _BEST), load_f64(hill, _HIGH)
    least, middle, steps = max(_CLOSE * best, 1.0), 0.5 * (low + high), load(hill, _STEPS)
    if abs(best - middle) + 0.5 * (high - low) <= 2.0 * least or steps == _MOST_STEPS:
        return NOWHERE
    store(hill, _STEPS, steps + 1)
    move, before = _parabola(hill), load_f64(hill, _MOVE_BEFORE)
    target = best + move
    # Not a number, where something that is not lawful is among the three: that is not less than anything.
    if abs(move) < 0.5 * abs(before) and low < target < high:
        store_f64(hill, _MOVE_BEFORE, load_f64(hill, _MOVE))
        if min(target - low, high - target) < 2.0 * least:
            move = least if best < middle else -least
    else:
        part = high - best if best < middle else low - best
        store_f64(hill, _MOVE_BEFORE, part)
        move = _GOLDEN * part
    store_f64(hill, _MOVE, move)
    if abs(move) < least:
        move = least if move > 0.0 else -least
    return best + move


@hot("float64(int64)", inline=True)
def _parabola(hill: int) -> float:
    """Return how far from the best amount the parabola through the three best has its highest point."""
    best, top = load_f64(hill, _BEST), load_f64(hill, _TOP)
    one, other = best - load_f64(hill, _SECOND), best - load_f64(hill, _THIRD)
    # Nothing is divided by zero: where the three are on a line, or are not three, the sum below is zero.
    weight_one = one * (top - load_f64(hill, _THIRD_NET))
    weight_other = other * (top - load_f64(hill, _SECOND_NET))
    total = 2.0 * (weight_other - weight_one)
    return (one * weight_one - other * weight_other) / total if total != 0.0 else NEVER
