"""What a benchmark run is asked, and what it found.

Layer: bench. All records are frozen; times are seconds per operation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from tallyio.hooks.contract import Bench

State = Literal["kept", "broken", "failed"]
"""Of a promise. failed: it could not be measured, and `fault` says why."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One script to run, and the promises that its measurements decide."""

    subject: str
    """Who promises: "protocol NAME" for a plugin."""
    script: Path
    promises: tuple[Bench, ...]
    lane: str = "hot"
    """The role of the lane in whose place it is measured."""


class Calls(msgspec.Struct, frozen=True, kw_only=True):
    """Single calls timed one by one, in ns of a whole call, from a histogram with an error below 1/64.

    A call is what the script hands to pyperf; it does `operations` of what the benchmark is about. Some
    0.1 us of each are the clock's own.
    """

    count: int
    p50_ns: int
    p99_ns: int
    p999_ns: int
    max_ns: int
    operations: int = 1


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one process measured of a benchmark, and one of its reference: seconds per operation."""

    seconds: tuple[float, ...]
    reference_seconds: tuple[float, ...]


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Something that should be measured and cannot be, known before anything runs."""

    subject: str
    fault: str


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A middle value, and the range that nine of ten values lie in."""

    median: float
    low: float
    """The 5th percentile."""
    high: float
    """The 95th percentile."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One promise and what became of it. Without a measurement, the spreads are None."""

    subject: str
    name: str
    state: State
    reference: str | None = None
    max_ratio: float | None = None
    ratio: Spread | None = None
    """Time over the reference's time, in the same run."""
    seconds: Spread | None = None
    reference_seconds: Spread | None = None
    samples: int = 0
    """Values measured of `name`; each is a mean over many loops."""
    lane: str = "hot"
    calls: Calls | None = None
    instructions: float | None = None
    """Of one operation; None where the machine does not lend its counter out, or nobody asked."""
    runs: tuple[Run, ...] = ()
    """The values that all of this comes from, process by process."""
    fault: str | None = None


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """What a figure should come to on a good machine, and what the rounds of this run say of it."""

    aim: str
    """In words, such as "<= 0.8x"; "" where nothing is aimed at."""
    verdict: Literal["met", "missed", "shown", "absent"]
    """shown: nothing is aimed at; absent: what it would be compared with is not there."""
    values: Spread
    """The figure, over the rounds of the run: the median, and the least and the largest value."""
    ratios: Spread | None
    """The ratio to the reference, round by round."""
    core_to_core_ns: float | None = None
    """One way between the two cores, measured beside it, where two are at work."""
    calm: str
    """How many of the rounds others left alone."""
    why: str = ""
    """Where the time of a missed goal goes; empty where none was missed."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number of a whole run, beside a reference of the same run or a budget, if it has one.

    A budget is absolute, so it belongs to one named hardware profile; elsewhere it is not judged.
    """

    name: str
    value: float
    unit: str
    reference: str | None = None
    reference_value: float | None = None
    """In the same unit, above zero."""
    budget: float | None = None
    """The value promised on this machine's profile; None where nothing is promised."""
    goal: Goal | None = None
    """What is aimed at and not promised: to miss it breaks nothing."""

    @property
    def ratio(self) -> float | None:
        """The value over the reference's."""
        return self.value / self.reference_value if self.reference_value else None

    @property
    def state(self) -> Literal["kept", "broken", "met", "missed", "shown", "absent"]:
        """Whether the budget is kept, or the goal met; shown: there is neither."""
        if self.goal is not None:
            return self.goal.verdict
        if self.budget is None:
            return "shown"
        return "kept" if self.value <= self.budget else "broken"


class CoreToCore(msgspec.Struct, frozen=True, kw_only=True):
    """One way of one cache line between two cores, in ns, over all pairs of cores: the machine's weather."""

    pairs: int
    median_ns: float
    low_ns: float
    high_ns: float


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a result was measured: without this, figures of two machines cannot be told apart."""

    python: str
    pyperf: str
    model: str
    """The vendor's name of the chip, "" where unknown."""
    topology_hash: str | None
    """None where the machine could not be read; then nothing is pinned and `note` says why."""
    pus: tuple[int, ...]
    """The PUs that the measured processes are bound to; empty: the OS chooses."""
    placement: dict[str, object] | None
    """As `tallyio topology --json` prints it."""
    note: str
    lanes: dict[str, tuple[int, ...]] = {}
    """The PUs of each role's first lane; a benchmark is bound to those of its own."""
    profile: str = ""
    core_to_core: CoreToCore | None = None
    """Measured right before; None where there is one core, or nobody asked."""
    versions: dict[str, str] = {}
    """Of TallyIO and of what its speed comes from."""


class BenchReport(msgspec.Struct, frozen=True, kw_only=True):
    """One run of `tallyio bench`."""

    effort: str
    surroundings: Surroundings
    promises: tuple[Verdict, ...]

    @property
    def all_kept(self) -> bool:
        """Whether every promise was measured and kept."""
        return all(verdict.state == "kept" for verdict in self.promises)
