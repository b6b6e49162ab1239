"""Every input near a sized cycle, and the least input of every output near it; compiled.

It shares nothing with the search that it checks but the fused quote: inputs are found by galloping
and halving alone. A cycle is an array of addresses of POOL records with positions i and j.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.fused import quote
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, from_f64, load256, store256, to_f64, u64

LEG_WORDS: Final = 3
_LEG_BYTES: Final = 8 * LEG_WORDS
_AMOUNT: Final = 32
_ZERO: Final = const(0)
_ONE: Final = const(1)


@hot("u256(int64, int64, int64, u256)")
def run_legs(legs: int, first: int, last: int, amount: int) -> int:
    """Return what legs `first` to `last` - 1 make of `amount`."""
    for k in range(first, last):
        leg = legs + k * _LEG_BYTES
        amount = quote(load(leg, 0), load(leg, 1), load(leg, 2), amount)
    return amount


@hot("u256(int64, int64, u256, u256)")
def least_before(legs: int, leg: int, target: int, near: int) -> int:
    """Return the least input of one leg that gives at least `target`, from `near` on; 0 for none."""
    stride, low, high = _ONE, near, near
    if run_legs(legs, leg, leg + 1, near) >= target:
        while low > _ZERO and run_legs(legs, leg, leg + 1, low) >= target:
            high = low
            low = low - min(low, stride)
            stride = stride << 1
    else:
        for _ in range(200):
            high = high + stride
            stride = stride << 1
            if run_legs(legs, leg, leg + 1, high) >= target:
                break
            low = high
        if run_legs(legs, leg, leg + 1, high) < target:
            return _ZERO
    while high - low > _ONE:
        middle = (low + high) >> 1
        if run_legs(legs, leg, leg + 1, middle) >= target:
            high = middle
        else:
            low = middle
    return high


@hot("boolean(int64, int64, int64, u256)")
def _keep(legs: int, count: int, best: int, amount: int) -> bool:
    """Put input and output of the whole cycle to `best` if they gain more than what is there."""
    if amount == _ZERO:
        return False
    out = run_legs(legs, 0, count, amount)
    if out + load256(best) <= load256(best + _AMOUNT) + amount:
        return False
    store256(best, amount)
    store256(best + _AMOUNT, out)
    return True


@hot("int64(int64, int64, int64, int64, int64)")
def search_inputs(legs: int, count: int, amounts: int, window: int, best: int) -> int:
    """Try every input within `window` of the first of `amounts`; count those that gained more."""
    centre, found = load256(amounts), 0
    step = from_f64(float(window))
    low = centre - min(centre, step)
    for _ in range(2 * window + 1):
        found += _keep(legs, count, best, low)
        low = low + _ONE
    return found


@hot("int64(int64, int64, int64, int64, int64)")
def search_outputs(legs: int, count: int, amounts: int, window: int, best: int) -> int:
    """Try the least input of each amount within `window` of those after the legs; count what gained more."""
    found = 0
    step = from_f64(float(window))
    for place in range(1, count + 1):
        centre = load256(amounts + place * _AMOUNT)
        target = centre - min(centre, step)
        for _ in range(2 * window + 1):
            target = target + _ONE
            needed = target
            for back in range(place):
                leg = place - 1 - back
                needed = least_before(legs, leg, needed, load256(amounts + leg * _AMOUNT))
                if needed == _ZERO:
                    break
            found += _keep(legs, count, best, needed)
    return found


@hot("int64(int64, int64, int64, int64, int64, int64)")
def search_far(legs: int, count: int, amounts: int, tries: int, seed: int, best: int) -> int:
    """Try random inputs, to a thousand times the first of `amounts` and back; count what gained more."""
    found, state = 0, u64(seed) | u64(1)
    centre = to_f64(load256(amounts))
    for k in range(tries):
        state ^= state << u64(13)
        state ^= state >> u64(7)
        state ^= state << u64(17)
        share = float(state >> u64(11)) * 2.0**-53
        reach = 10.0 ** (3.0 * (share - 0.5) * 2.0) if k & 1 else 1.0 + (share - 0.5) * 2.0 ** -float(k % 40)
        found += _keep(legs, count, best, from_f64(centre * reach))
    return found
