"""Whether two builds are called different, decided on simulated machines: quiet, noisy, drifting.

Nothing here is timed. A simulated process has a layout that makes it a little faster or slower than the build
as such, and turns that a neighbour disturbs, as recorded on a shared machine of two cores.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import msgspec
import pytest

from tallyio.bench.against import FIRST_PAIRS, SPARE_PAIRS, SUSPICIOUS
from tallyio.bench.compare import Comparison, Outcome, apart, in_turns, observation, pairs_needed
from tallyio.bench.records import BenchReport, Run, Surroundings, Verdict

NAMES = [f"toy.{number}" for number in range(12)]
TURNS = 24
LAYOUT = 0.008
AROUND = Surroundings(
    python="CPython 3.12", pyperf="2", model="chip", topology_hash="x", pus=(), placement=None, note=""
)


class Machine:
    """A busy machine on which pairs of processes take turns."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)

    def time(self, build: float) -> float:
        """Return a turn's time of a build that takes `build` by itself."""
        disturbed = 1 + self._draw.random() / 2 if self._draw.random() < 0.1 else 1.0
        return build * math.exp(self._draw.gauss(0, 0.02)) * disturbed

    def pair(self, factor: float) -> float:
        """Return what one pair of processes observes where B takes `factor` times as long as A."""
        load = 1 + self._draw.random()  # whatever slows this moment slows both
        a, b = (each * load * math.exp(self._draw.gauss(0, LAYOUT)) for each in (1.0, factor))
        return observation((self.time(a), self.time(b)) for _ in range(TURNS))

    def compare(self, factors: dict[str, float]) -> Comparison:
        """Do what `compare_in_turns` does: a first look, and a second one at what looked different."""
        first = {name: [self.pair(factor) for _ in range(FIRST_PAIRS)] for name, factor in factors.items()}
        suspects = {name for name, seen in first.items() if abs(sorted(seen)[1]) > SUSPICIOUS}
        count = pairs_needed(len(suspects)) + SPARE_PAIRS
        decided = {name: [self.pair(factors[name]) for _ in range(count)] for name in suspects}
        return in_turns(decided, {name: seen for name, seen in first.items() if name not in suspects})

    def report(self, factors: dict[str, float], rounds: int) -> BenchReport:
        """Return a result file: runs one after the other, each beside its reference."""
        verdicts = tuple(self._verdict(name, factor, rounds) for name, factor in factors.items())
        return BenchReport(effort="quick", surroundings=AROUND, promises=verdicts)

    def _verdict(self, name: str, factor: float, rounds: int) -> Verdict:
        runs = []
        for _ in range(rounds):
            load = 1 + self._draw.random()
            layout = math.exp(self._draw.gauss(0, LAYOUT))
            seconds = tuple(self.time(factor * load * layout) for _ in range(10))
            runs.append(Run(seconds=seconds, reference_seconds=tuple(self.time(9 * load) for _ in range(10))))
        return Verdict(subject="protocol toy", name=name, state="kept", runs=tuple(runs))


def different(comparison: Comparison) -> dict[str, Outcome]:
    """Return what was called different."""
    return {each.name: each.outcome for each in comparison.changes if each.outcome != "same"}


@pytest.mark.parametrize("seed", range(10))
def test_two_identical_builds_are_not_called_different(seed: int) -> None:
    comparison = Machine(seed).compare(dict.fromkeys(NAMES, 1.0))
    assert different(comparison) == {}
    assert not comparison.has_slower


@pytest.mark.parametrize("seed", range(10))
def test_a_slowdown_of_ten_percent_is_found_and_it_alone(seed: int) -> None:
    comparison = Machine(seed).compare(dict.fromkeys(NAMES, 1.0) | {"toy.7": 1.10})
    assert different(comparison) == {"toy.7": "slower"}
    assert comparison.has_slower
    [change] = [each for each in comparison.changes if each.name == "toy.7"]
    assert change.factor == pytest.approx(1.10, abs=0.02)


def test_a_speedup_of_ten_percent_is_found() -> None:
    assert different(Machine(3).compare({"toy.1": 0.90, "toy.2": 1.0})) == {"toy.1": "faster"}


def test_what_is_below_the_margin_is_not_called_a_change_however_sure_it_is() -> None:
    assert different(in_turns({"toy.1": [math.log(1.02)] * 40})) == {}


def test_few_pairs_say_nothing_either_way() -> None:
    [change] = in_turns({"toy.1": [0.2] * 7}).changes
    assert (change.outcome, change.why) == ("undecided", "7 pairs of processes cannot show it")
    [change] = in_turns({"toy.1": [0.2] * pairs_needed(1)}).changes
    assert change.outcome == "slower"


def test_one_wild_pair_of_processes_does_not_decide() -> None:
    assert different(in_turns({"toy.1": [0.0] * 9 + [3.0]})) == {}
    assert different(in_turns({"toy.1": [0.1] * (pairs_needed(1) + SPARE_PAIRS - 1) + [-3.0]})) == {
        "toy.1": "slower"
    }


def test_the_middle_of_the_turns_ignores_those_that_were_disturbed() -> None:
    assert observation([(1.0, 1.1)] * 5 + [(1.0, 9.0), (5.0, 1.1)]) == pytest.approx(math.log(1.1))


@pytest.mark.parametrize("seed", range(10))
def test_result_files_of_identical_builds_are_not_called_different(seed: int) -> None:
    machine, same = Machine(seed), dict.fromkeys(NAMES, 1.0)
    assert different(apart(machine.report(same, 12), machine.report(same, 12))) == {}


def test_result_files_show_a_slowdown_of_ten_percent_by_the_ratio_to_the_reference() -> None:
    machine, same = Machine(5), dict.fromkeys(NAMES, 1.0)
    found = apart(machine.report(same, 12), machine.report(same | {"toy.7": 1.10}, 12))
    assert different(found) == {"toy.7": "slower"}


def test_result_files_of_one_process_are_undecided_and_say_what_to_do() -> None:
    machine = Machine(1)
    found = apart(machine.report({"toy.1": 1.0}, 1), machine.report({"toy.1": 1.5}, 1))
    [change] = found.changes
    assert change.outcome == "undecided"
    assert "--rounds" in change.why
    assert not found.has_slower


def test_a_benchmark_of_one_side_and_other_surroundings_are_told() -> None:
    machine = Machine(1)
    before, after = machine.report({"a": 1.0}, 2), machine.report({"b": 1.0}, 2)
    after = msgspec.structs.replace(
        after, effort="fast", surroundings=msgspec.structs.replace(AROUND, model="another")
    )
    found = apart(before, after)
    assert [(each.name, each.outcome, each.why) for each in found.changes] == [
        ("a", "alone", "only in A"),
        ("b", "alone", "only in B"),
    ]
    assert {"model differs: chip and another", "effort differs: quick and fast"} <= set(found.notes)


def test_the_machine_of_these_tests_scatters_as_the_recorded_one_does() -> None:
    recorded = [1.003, 0.997, 0.995, 1.009, 0.977, 0.990, 0.996, 1.004]  # one kernel of two equal builds
    assert spread([Machine(1).pair(1.0) for _ in range(200)]) >= spread([math.log(each) for each in recorded])


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation around zero."""
    return math.sqrt(sum(value * value for value in values) / len(values))
