"""When an opportunity passed each stage, and how long stages take over a run.

Layer: engine. Times are `time.perf_counter_ns()`. A stage's time runs from the stage before it, so
the stages of one opportunity add up to its total with no gap.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import Final, NamedTuple

from tallyio.model.stages import Stage
from tallyio.native.histogram import Histogram

STAGES: Final = tuple(Stage)
TO_SIGNED: Final = "bytes_in_to_signed"
TOTAL: Final = "total"


class Arrived(NamedTuple):
    """When what opportunities were found in came, and when they were found."""

    bytes_in_ns: int
    decoded_ns: int
    detected_ns: int


class Trace:
    """The stamps of one opportunity, in the order of `Stage`."""

    def __init__(self, *, bytes_in_ns: int, decoded_ns: int, detected_ns: int) -> None:
        self._stamps = [bytes_in_ns, decoded_ns, detected_ns]

    def reach(self, stage: Stage) -> None:
        """Stamp `stage` with now. Stages come in order, none left out."""
        if STAGES[len(self._stamps)] is not stage:
            expected = STAGES[len(self._stamps)]
            raise ValueError(f"stage {stage} follows {STAGES[len(self._stamps) - 1]}; {expected} is next")
        self._stamps.append(perf_counter_ns())

    def durations_ns(self) -> dict[Stage, int]:
        """Return the time of each stage reached, without the first, which starts the clock."""
        pairs = zip(self._stamps, self._stamps[1:], strict=False)
        return {stage: after - before for stage, (before, after) in zip(STAGES[1:], pairs, strict=False)}

    def elapsed_ns(self, stage: Stage) -> int | None:
        """Return the time from the first bytes to `stage`, or None if it was not reached."""
        index = STAGES.index(stage)
        return self._stamps[index] - self._stamps[0] if index < len(self._stamps) else None


class StageTimes:
    """Histograms of every stage and of two sums: to the signature, and to inclusion."""

    def __init__(self) -> None:
        self._histograms = {name: Histogram() for name in (*STAGES[1:], TO_SIGNED, TOTAL)}

    def add(self, trace: Trace) -> None:
        """Count every stage that `trace` reached."""
        for stage, nanoseconds in trace.durations_ns().items():
            self._histograms[stage].record(nanoseconds)
        for name, stage in ((TO_SIGNED, Stage.SIGNED), (TOTAL, Stage.INCLUDED)):
            elapsed = trace.elapsed_ns(stage)
            if elapsed is not None:
                self._histograms[name].record(elapsed)

    def summary_us(self) -> dict[str, dict[str, float]]:
        """Return p50 and p99 in microseconds per stage that was reached at least once."""
        return {
            str(name): {
                "p50": round(histogram.percentile(50) / 1_000, 1),
                "p99": round(histogram.percentile(99) / 1_000, 1),
                "count": histogram.count,
            }
            for name, histogram in self._histograms.items()
            if histogram.count
        }
