"""Measure several things in turns, and a ruler between them, so that all of them see the same machine.

Layer: bench. One after the other, two benchmarks would each meet another moment of a busy machine. Here
every round runs every kernel once, and before each the calibration chain; what is reported are the
minimum and the median over the rounds, and between which values nine of ten rounds lie.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from tallyio.bench.calibrate import calibrated
from tallyio.bench.judge import spread
from tallyio.bench.records import Spread

Timer = Callable[[], float]
"""Runs something and returns the nanoseconds of one operation."""

PASSES: Final = 3


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """What the rounds of one kernel took, in ns per operation."""

    minimum: float
    median: float
    calibrated_minimum: float
    """The fastest round, by the fastest chain: what the code can do."""
    calibrated_median: float
    calibrated_spread: Spread
    """Each round by the chain that ran before it."""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The rounds of one kernel: its nanoseconds, and those of a chain's step right before it."""

    ns: tuple[float, ...]
    step_ns: tuple[float, ...]

    @property
    def timing(self) -> Timing:
        """Return the rounds in a few numbers."""
        fastest, middle = min(self.ns), statistics.median(self.ns)
        return Timing(
            minimum=fastest,
            median=middle,
            calibrated_minimum=calibrated(fastest, min(self.step_ns)),
            calibrated_median=calibrated(middle, statistics.median(self.step_ns)),
            calibrated_spread=spread([calibrated(*pair) for pair in zip(self.ns, self.step_ns, strict=True)]),
        )

    def ratio_to(self, other: Series) -> Spread:
        """Return how these rounds compare with another kernel's of the same rounds."""
        return spread([ours / theirs for ours, theirs in zip(self.ns, other.ns, strict=True)])


def timed(function: Callable[..., Any], *arguments: Any, operations: int) -> Timer:
    """Return a timer of one call of `function`, which does so many operations.

    It calls `PASSES` times and returns the fastest: the first one fetches what other kernels drove out of
    the caches and the branch predictor.
    """

    def once() -> int:
        start = time.perf_counter_ns()
        function(*arguments)
        return time.perf_counter_ns() - start

    return lambda: min(once() for _ in range(PASSES)) / operations


def measure_in_turns(
    kernels: Mapping[str, Timer],
    step_ns: Timer,
    *,
    rounds: int,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Series]:
    """Run every kernel in every one of `rounds` rounds, at least 1, after one round that does not count.

    `progress` is called with the number of rounds that are done.
    """
    times: dict[str, list[float]] = {name: [] for name in kernels}
    steps: dict[str, list[float]] = {name: [] for name in kernels}
    for done in range(rounds + 1):
        progress(done)
        for name, timer in kernels.items():
            step, taken = step_ns(), timer()
            if done:
                steps[name].append(step)
                times[name].append(taken)
    return {name: Series(ns=tuple(times[name]), step_ns=tuple(steps[name])) for name in kernels}
