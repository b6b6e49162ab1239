"""How much to repay, in compiled code: which amount to try next, and what was learnt of the last.

The bonus is a share of what is repaid, and swapping more collateral brings less for each unit, so profit
rises to one highest point and falls. Mostly that point lies beyond what is lawful, and the most is best: two
evaluations say so. Otherwise it is bracketed by halving and then closed in on (`hill`). Rules against dust
and other paths through the market make exceptions, which is why every amount that counts is evaluated
exactly, and the best of them wins.

    start(sizing, most)
    while amount := next_amount(sizing): learn(sizing, net_of(amount))
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.market.abi import word
from tallyio.native.atomics import load, load_f64, store
from tallyio.native.jit import hot
from tallyio.native.u256 import const, from_f64, load256, store256, to_f64
from tallyio_strategy_liquidation.hill import NEVER, begin, climb, enclose, is_higher, note
from tallyio_strategy_liquidation.layout import HILL, SIZING

_MOST: Final = 8 * word(SIZING, "most")
_HILL: Final = 8 * word(SIZING, "hill")
_TOP: Final = word(SIZING, "hill") + word(HILL, "top")
_STAGE: Final = word(SIZING, "stage")
_STEP: Final = word(SIZING, "step")
_FALLS: Final = word(SIZING, "falls")

_AT_MOST: Final = 0
_BELOW: Final = 1
_HALVING: Final = 2
_CLOSING_IN: Final = 3

HALVINGS: Final = 12
_MOST_FALLS: Final = 3
"""After so many halves in a row that bring less, the highest point lies above them."""
_NUDGE: Final = 10
"""In the last 1,024th an edge may be passed over: at most what falls from it to the most is lost there."""
_END: Final = const(0)
_ONE: Final = const(1)


@hot("void(int64, u256)")
def start(sizing: int, most: int) -> None:
    """Begin with the most that is lawful."""
    store256(sizing, most)
    store256(sizing + _MOST, most)
    store(sizing, _STAGE, _AT_MOST)
    store(sizing, _STEP, 0)
    store(sizing, _FALLS, 0)


@hot("u256(int64)", inline=True)
def next_amount(sizing: int) -> int:
    """Return the amount to try; 0: enough were."""
    return load256(sizing)


@hot("void(int64)")
def _halve(sizing: int) -> None:
    """Take half of the amount, or begin to close in on the best of the halves."""
    step = load(sizing, _STEP) + 1
    store(sizing, _STEP, step)
    if step < HALVINGS and load(sizing, _FALLS) < _MOST_FALLS:
        store(sizing, _STAGE, _HALVING)
        store256(sizing, load256(sizing + _MOST) >> step)
    else:
        store(sizing, _STAGE, _CLOSING_IN)
        is_lawful = load_f64(sizing, _TOP) > NEVER
        store256(sizing, from_f64(enclose(sizing + _HILL)) if is_lawful else _END)


@hot("void(int64, float64)")
def learn(sizing: int, net: float) -> None:
    """Take the net of the amount that was to be tried; minus infinity: it is not lawful."""
    stage, amount, hill = load(sizing, _STAGE), load256(sizing), sizing + _HILL
    if stage == _AT_MOST:
        begin(hill, to_f64(amount), net)
        store256(sizing, amount - max(amount >> _NUDGE, _ONE))
        store(sizing, _STAGE, _BELOW)
        return
    rises = is_higher(hill, net)
    if stage == _BELOW and net == NEVER:
        # What lies below a gap in what is lawful is a hill of its own; the most was looked at already.
        begin(hill, to_f64(amount), net)
        _halve(sizing)
        return
    if stage == _BELOW and not rises:
        store256(sizing, _END)
        return
    note(hill, to_f64(amount), net)
    if stage == _CLOSING_IN:
        store256(sizing, from_f64(climb(hill)))
        return
    if rises:
        store(sizing, _FALLS, 0)
    else:
        store(sizing, _FALLS, load(sizing, _FALLS) + 1)
    _halve(sizing)
