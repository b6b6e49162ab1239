"""Measure two checkouts in turns: both scripts run at the same time, and one of them works at a time.

Layer: bench. A first look takes a few pairs of processes for every benchmark. What looks different there is
measured anew with as many pairs as a decision needs, and decided by the new pairs alone. So a hundred
benchmarks that did not change cost little, and a look that chance made interesting cannot decide anything.

Each process gets an environment of another length, because the length alone moves the stack, and with it the
time (T. Mytkowicz et al., "Producing wrong data without doing anything obviously wrong!", 2009).
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tallyio.bench.checkout import Checkout, package_folder
from tallyio.bench.compare import Change, Comparison, in_turns, observation, pairs_needed
from tallyio.bench.records import Job
from tallyio.bench.run import Progress
from tallyio.bench.script import failed_script
from tallyio.bench.turns import Script, Stop
from tallyio.model.errors import EnvironmentFault

TURN_S: Final = 0.004
"""About how long a turn takes: many fit between two disturbances."""
TURNS: Final = 24
_LEAST_TURNS: Final = 8
_LIMIT_S: Final = 1.5
"""Of all turns of one pair, where a single call takes long."""
FIRST_PAIRS: Final = 3
SUSPICIOUS: Final = math.log(1.02)
"""A first look above this is followed by a second; a change of 5 % or more does not get past it."""
SPARE_PAIRS: Final = 7
"""More than a decision needs if all agree: one pair may be wildly wrong."""
_PADDING: Final = 4_096

Observed = dict[str, list[float]]


def compare_in_turns(
    jobs: Sequence[Job],
    sides: tuple[Checkout, Checkout],
    *,
    lanes: Mapping[str, Sequence[int]],
    progress: Progress,
    seed: int = 0,
) -> Comparison:
    """Compare what `jobs` promise: A is the other build, B this one. References are not measured.

    Raises: ScriptFailed: a script of either side.
    """
    pairs = Pairs(sides, lanes, random.Random(seed))
    alone = pairs.acquaint(jobs, progress)
    first = pairs.look(jobs, FIRST_PAIRS, progress)
    suspects = {name for name, values in first.items() if abs(statistics.median(values)) > SUSPICIOUS}
    again = [job for job in jobs if any(promise.name in suspects for promise in job.promises)]
    decided: Observed = {}
    if again:
        count = pairs_needed(len(suspects)) + SPARE_PAIRS
        decided = pairs.look(again, count, progress, suspects)
    comparison = in_turns(decided, {name: values for name, values in first.items() if name not in suspects})
    lonely = [Change(name=name, outcome="alone", why=where) for name, where in alone.items()]
    return Comparison(
        way="in turns", changes=tuple(sorted((*comparison.changes, *lonely), key=lambda each: each.name))
    )


class Pairs:
    """Starts scripts of both sides, and knows which benchmarks both have."""

    def __init__(
        self, sides: tuple[Checkout, Checkout], lanes: Mapping[str, Sequence[int]], draw: random.Random
    ) -> None:
        self._sides, self._lanes, self._draw = sides, lanes, draw
        self._common: dict[Path, set[str]] = {}
        self._folders: tuple[dict[str, Path], ...] = ()

    def acquaint(self, jobs: Sequence[Job], progress: Progress) -> dict[str, str]:
        """Run every script of both sides once without measuring, which also compiles what was never compiled.

        Return the promised benchmarks that only one side has, with the side.
        """
        packages = [package_folder(job).name for job in jobs]
        self._folders = tuple(side.folders(packages) for side in self._sides)
        alone: dict[str, str] = {}
        for done, job in enumerate(jobs):
            progress(f"{job.subject}: warming up", done, len(jobs))
            names = [self._names(job, number) for number in (0, 1)]
            promised = {promise.name for promise in job.promises}
            self._common[job.script] = names[0] & names[1] & promised
            alone |= dict.fromkeys(promised & names[1] - names[0], "only in B")
            alone |= dict.fromkeys(promised & names[0] - names[1], "only in A")
        return alone

    def look(
        self, jobs: Sequence[Job], pairs: int, progress: Progress, only: AbstractSet[str] | None = None
    ) -> Observed:
        """Return an observation of each benchmark, or of `only` these, per pair of processes."""
        observed: Observed = defaultdict(list)
        turns = [job for _ in range(pairs) for job in jobs]
        for done, job in enumerate(turns):
            progress(f"{job.subject}: {job.script.name}, in turns", done, len(turns))
            common = self._common[job.script]
            self._pair(job, common if only is None else common & only, observed)
        progress("done", len(turns), len(turns))
        return dict(observed)

    def _names(self, job: Job, number: int) -> set[str]:
        names: set[str] = set()
        if package_folder(job).name in self._folders[number]:
            with self._open(job, number) as script:
                while stop := script.stop():
                    names.add(stop.name)
                    script.go_on()
        return names

    def _pair(self, job: Job, wanted: AbstractSet[str], observed: Observed) -> None:
        if not wanted:
            return
        with ExitStack() as stack:
            order = [0, 1]
            self._draw.shuffle(order)
            opened = {number: stack.enter_context(self._open(job, number)) for number in order}
            both = opened[0], opened[1]
            for _ in wanted:
                stops = [_next_of(script, wanted) for script in both]
                if stops[0].name != stops[1].name:
                    raise failed_script(
                        job.script, f"A comes to {stops[0].name} where B comes to {stops[1].name}"
                    )
                observed[stops[0].name].append(observation(_turns(both, stops)))
                for script in both:
                    script.go_on()

    def _open(self, job: Job, number: int) -> Script:
        side = self._sides[number]
        padding = {"PADDING": "x" * self._draw.randrange(_PADDING)}
        return Script(
            side.script(job, self._folders[number][package_folder(job).name]),
            python=side.python,
            environment={**side.environment, **padding},
            pus=self._lanes.get(job.lane, ()),
        )


def _next_of(script: Script, wanted: AbstractSet[str]) -> Stop:
    while stop := script.stop():
        if stop.name in wanted:
            return stop
        script.go_on()
    raise EnvironmentFault("a script skipped a benchmark that it had before", way_out="run it by hand")


def _turns(both: Sequence[Script], stops: Sequence[Stop]) -> Iterator[tuple[float, float]]:
    """Let A and B time as many calls each in turns; yield the seconds of one operation of both."""
    loops = max(script.loops_for(TURN_S) for script in both)
    end = time.perf_counter() + _LIMIT_S
    for turn in range(TURNS):
        taken = [0.0, 0.0]
        # Who comes second finds what the first one left in the caches, so they change places.
        for side in (0, 1) if turn % 2 else (1, 0):
            taken[side] = both[side].seconds(loops) / stops[side].operations
        yield taken[0], taken[1]
        if turn >= _LEAST_TURNS and time.perf_counter() > end:
            return
