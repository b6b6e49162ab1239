"""What ratios came to when somebody last looked, kept per hardware profile beside the code.

Layer: bench. A baseline holds ratios and what they depend on, no times: in a review it says what a change
does to each benchmark, and why that is meant, by the line of the changelog that it names. It finds large
steps that promises have room for; `compare` finds small ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from tallyio.bench.records import BenchReport, Spread
from tallyio.model.errors import ConfigError

STEP: Final = 1.25
"""A ratio of one run wanders by a tenth from run to run."""


class Baseline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of a file, which is named for its profile."""

    profile: str
    changelog: str
    """Words of the line in CHANGELOG.md that says why these ratios are what they are."""
    effort: str
    model: str
    python: str
    versions: dict[str, str]
    ratios: dict[str, Spread]


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """A benchmark's ratio, kept and now."""

    name: str
    kept: Spread
    now: Spread
    state: Literal["slower", "faster", "same"]

    @property
    def factor(self) -> float:
        """Now over then."""
        return self.now.median / self.kept.median


def baseline_of(report: BenchReport, changelog: str) -> Baseline:
    """Return what is kept of a run. Raises: ConfigError: it measured no promise, or not every one."""
    failed = [promise.name or promise.subject for promise in report.promises if promise.ratio is None]
    if failed or not report.promises:
        raise ConfigError(f"a baseline wants every ratio, without: {failed}", way_out="mend those first")
    around = report.surroundings
    return Baseline(
        profile=around.profile,
        changelog=changelog,
        effort=report.effort,
        model=around.model,
        python=around.python,
        versions=around.versions,
        ratios={each.name: _rounded(each.ratio) for each in report.promises if each.ratio is not None},
    )


def read_baseline(folder: Path, profile: str) -> Baseline:
    """Return the baseline of a profile. Raises: ConfigError: there is none, or it is no baseline."""
    path = folder / f"{profile}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Baseline)
    except (OSError, msgspec.MsgspecError) as fault:
        raise ConfigError(
            f"{path} is no baseline: {fault}", way_out="make bench ARGS='--keep-baseline WORDS'"
        ) from None


def write_baseline(folder: Path, baseline: Baseline) -> Path:
    """Write a baseline where `read_baseline` finds it, and return the path."""
    path = folder / f"{baseline.profile}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(baseline)) + b"\n")
    return path


def drifts(report: BenchReport, baseline: Baseline) -> list[Drift]:
    """Return each measured ratio beside the kept one, where one is kept."""
    return [
        Drift(name=each.name, kept=kept, now=each.ratio, state=_state(kept, each.ratio))
        for each in report.promises
        if each.ratio is not None and (kept := baseline.ratios.get(each.name)) is not None
    ]


def differences(report: BenchReport, baseline: Baseline) -> Iterator[str]:
    """Yield in what the baseline's surroundings differ from this run's: ratios may differ for that alone."""
    around = report.surroundings
    for what, kept, now in (
        ("chip", baseline.model, around.model),
        ("Python", baseline.python, around.python),
        ("numba", baseline.versions.get("numba"), around.versions.get("numba")),
    ):
        if kept != now:
            yield f"{what}: the baseline has {kept}, this run {now}"


def _state(kept: Spread, now: Spread) -> Literal["slower", "faster", "same"]:
    # The ranges must not touch either: one that is wide says that the run was disturbed.
    if now.median > kept.median * STEP and now.low > kept.median:
        return "slower"
    if now.median * STEP < kept.median and now.high < kept.median:
        return "faster"
    return "same"


def _rounded(spread: Spread) -> Spread:
    low, median, high = (float(f"{value:.4g}") for value in (spread.low, spread.median, spread.high))
    return Spread(median=median, low=low, high=high)
