"""Decide whether a benchmark became slower or faster, from measured times alone.

Layer: bench. Pure. What counts as one observation is one *process*: its values share memory layout, hash seed
and a moment of the machine, so a hundred values of one process are no more evidence than one.

Two kinds of evidence are understood:

- *in turns*: pairs of processes, one of each side, that took turns of milliseconds. An observation is the
  middle of log(B / A) over the turns of one pair; whatever slowed the machine slowed both.
- *apart*: two result files. An observation is the log of a process's ratio to its reference, since a raw time
  says which machine was busier.

A difference is called one if it is larger than `MARGIN`, beyond what chance explains at `LEVEL` for all
compared benchmarks together. Below the fewest observations with which that could be shown, nothing is said.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from tallyio.bench.records import BenchReport, Run, Verdict
from tallyio.bench.significance import holm, rank_sum_p, signed_rank_p

MARGIN: Final = math.log(1.03)
"""Three percent. Where functions and buffers happen to lie in memory makes differences of this size."""
LEVEL: Final = 0.01
"""How likely it may be that two identical builds are called different, all benchmarks together."""
_SIDES: Final = 2
"""Slower and faster are asked both."""

Outcome = Literal["slower", "faster", "same", "undecided", "alone"]
"""same: no difference above the margin was shown; undecided: too few processes; alone: one side has it."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark, then and now."""

    name: str
    outcome: Outcome
    factor: float | None = None
    """Time of B over time of A, the middle of all observations; None where one side has none."""
    low: float | None = None
    high: float | None = None
    """Of the observations: nine of ten lie between these."""
    chance: float | None = None
    """Of such observations if nothing changed by more than the margin; corrected for how many there are."""
    processes: tuple[int, int] = (0, 0)
    why: str = ""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two builds beside each other."""

    way: Literal["in turns", "apart"]
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def has_slower(self) -> bool:
        """Whether anything became slower."""
        return any(change.outcome == "slower" for change in self.changes)


def in_turns(
    pairs: Mapping[str, Sequence[float]], screened: Mapping[str, Sequence[float]] | None = None
) -> Comparison:
    """Decide from observations log(B / A), one for each pair of processes, by benchmark.

    `screened` are observations of benchmarks that a first look found unsuspicious; they are called the same.
    The observations in `pairs` must be others than those that made a benchmark suspicious: chosen for being
    large, those would prove nothing.
    """
    chances = holm({name: _signed(values) for name, values in pairs.items()})
    changes = [
        _change(name, values, chances[name], enough=_enough_pairs(len(values), len(pairs)))
        for name, values in pairs.items()
    ]
    changes += [
        _change(name, values, None, enough=True) for name, values in (screened or {}).items() if values
    ]
    return Comparison(way="in turns", changes=tuple(sorted(changes, key=lambda each: each.name)))


def apart(before: BenchReport, after: BenchReport) -> Comparison:
    """Decide from two result files."""
    old, new = (_measured(report.promises) for report in (before, after))
    both = [name for name in old if name in new]
    sides = {name: (_ratios(old[name].runs), _ratios(new[name].runs)) for name in both}
    chances = holm({name: _rank_sum(*pair) for name, pair in sides.items()})
    changes = [
        _change_apart(
            name, *pair, chances[name], enough=_enough_apart(len(pair[0]), len(pair[1]), compared=len(both))
        )
        for name, pair in sides.items()
    ]
    changes += [
        Change(name=name, outcome="alone", why=f"only in {'A' if name in old else 'B'}")
        for name in {**old, **new}
        if (name in old) != (name in new)
    ]
    notes = tuple(_warnings(before, after))
    return Comparison(way="apart", changes=tuple(sorted(changes, key=lambda each: each.name)), notes=notes)


def observation(turns: Iterable[tuple[float, float]]) -> float:
    """Return the middle of log(B / A) over the turns (A, B) of one pair of processes."""
    return statistics.median(math.log(b / a) for a, b in turns)


def pairs_needed(compared: int) -> int:
    """Return how many pairs of processes a difference can be shown with, where so many are compared."""
    return math.ceil(math.log2(_SIDES * max(compared, 1) / LEVEL))


def _change(name: str, values: Sequence[float], chance: float | None, *, enough: bool) -> Change:
    middle = statistics.median(values)
    return Change(
        name=name,
        outcome=_outcome(middle, chance, enough=enough),
        factor=math.exp(middle),
        **_range(values),
        chance=chance,
        processes=(len(values), len(values)),
        why="" if enough else f"{len(values)} pairs of processes cannot show it",
    )


def _change_apart(
    name: str, old: Sequence[float], new: Sequence[float], chance: float, *, enough: bool
) -> Change:
    middle = statistics.median(new) - statistics.median(old)
    return Change(
        name=name,
        outcome=_outcome(middle, chance, enough=enough),
        factor=math.exp(middle),
        **_range([after - before for after in new for before in old]),
        chance=chance,
        processes=(len(old), len(new)),
        why="" if enough else f"{len(old)} and {len(new)} processes cannot show it: measure with --rounds",
    )


def _outcome(middle: float, chance: float | None, *, enough: bool) -> Outcome:
    if not enough:
        return "undecided"
    if chance is None or chance > LEVEL or abs(middle) <= MARGIN:
        return "same"
    return "slower" if middle > 0 else "faster"


def _range(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    last = len(ordered) - 1
    return {"low": math.exp(ordered[round(0.05 * last)]), "high": math.exp(ordered[round(0.95 * last)])}


def _signed(values: Sequence[float]) -> float:
    up = signed_rank_p(values, MARGIN)
    down = signed_rank_p([-value for value in values], MARGIN)
    return min(1.0, _SIDES * min(up, down))


def _rank_sum(old: Sequence[float], new: Sequence[float]) -> float:
    return min(1.0, _SIDES * min(rank_sum_p(old, new, MARGIN), rank_sum_p(new, old, MARGIN)))


def _enough_pairs(count: int, compared: int) -> bool:
    return count >= pairs_needed(compared)


def _enough_apart(old: int, new: int, *, compared: int) -> bool:
    """Tell whether the most one-sided outcome of so many processes would be beyond chance."""
    return _SIDES * compared / math.comb(old + new, old) <= LEVEL


def _measured(promises: Iterable[Verdict]) -> dict[str, Verdict]:
    # A benchmark may be promised against several references; one of them is enough to compare by.
    return {promise.name: promise for promise in promises if promise.runs}


def _ratios(runs: Iterable[Run]) -> list[float]:
    return [
        math.log(statistics.median(run.seconds) / statistics.median(run.reference_seconds)) for run in runs
    ]


def _warnings(before: BenchReport, after: BenchReport) -> Iterable[str]:
    yield "measured apart: by their ratios to the references, which have noise of their own"
    old, new = before.surroundings, after.surroundings
    for what in ("model", "topology_hash", "python"):
        if getattr(old, what) != getattr(new, what):
            yield f"{what} differs: {getattr(old, what)} and {getattr(new, what)}"
    if before.effort != after.effort:
        yield f"effort differs: {before.effort} and {after.effort}"
