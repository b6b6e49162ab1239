"""The detector in plain Python: what `hot` and `shortlist` compute, bit for bit.

It is the specification of the search. Integers are exact; floats only propose. A cycle whose first
unit gains is solved in floats (`reference_walk`); what is left of its profit after gas decides whether
it is on the shortlist; what is on the shortlist is sized in integers (`reference_sizing`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from tallyio_strategy_arbitrage.reference_sizing import size
from tallyio_strategy_arbitrage.reference_walk import Leg, Venue, guess, measure, solve, walk

GENEROUS: Final = 1.0 + 1e-9
"""Floats may understate a profit by this much; the exact sizing decides."""
BUDGET: Final = 48
"""Most chains that the sizing of one cycle tries."""


class Found(NamedTuple):
    """A cycle with exact amounts: amounts[k] enters leg k and the last comes out."""

    legs: tuple[Leg, ...]
    amounts: tuple[int, ...]
    gas: int
    net: float


class Terms(NamedTuple):
    """What makes an opportunity worth reporting."""

    worth: Callable[[Leg], float]
    """Wei of the native currency for one unit of what the leg sells."""
    gas_price_wei: float = 0.0
    plan_gas: int = 0
    min_net: float = 0.0
    top_k: int = 8
    within_gas: int = 1
    """What so much gas costs is not looked for."""


def detect(venue: Venue, cycles: Iterable[Sequence[Leg]], terms: Terms) -> list[Found]:
    """Return the best `top_k` of `cycles`, best net first."""
    shortlist: list[tuple[float, float, Sequence[Leg]]] = []
    for legs in cycles:
        slope = math.prod(measure(venue, leg)[0] for leg in legs)
        if slope > 1.0:
            x = solve(venue, legs, guess(venue, legs))
            gross = (walk(venue, legs, x)[0] - x) * terms.worth(legs[0]) * GENEROUS
            net = gross - float(terms.plan_gas + _gas_of_float(venue, legs, x)) * terms.gas_price_wei
            if gross > 0.0 and net >= terms.min_net:
                shortlist.append((net, x, legs))
    shortlist.sort(key=lambda candidate: candidate[0], reverse=True)
    sized = (_record(venue, legs, x, terms) for _, x, legs in shortlist[: terms.top_k])
    return sorted((found for found in sized if found), key=lambda found: found.net, reverse=True)


def _record(venue: Venue, legs: Sequence[Leg], x: float, terms: Terms) -> Found | None:
    worth = terms.worth(legs[0])
    sized = size(venue, legs, x, float(terms.within_gas) * terms.gas_price_wei / worth, BUDGET)
    if sized is None:
        return None
    amounts = sized.amounts
    gas = terms.plan_gas + sum(venue.gas(leg, amount) for leg, amount in zip(legs, amounts, strict=False))
    gross = float(amounts[-1] - amounts[0]) * worth
    net = gross - float(gas) * terms.gas_price_wei
    return Found(tuple(legs), amounts, gas, net) if net >= terms.min_net else None


def _gas_of_float(venue: Venue, legs: Sequence[Leg], x: float) -> int:
    total = 0
    for leg in legs:
        total += venue.gas(leg, int(x))
        x = venue.curve(leg, x)[0]
    return total
