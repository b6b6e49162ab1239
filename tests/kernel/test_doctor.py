"""The doctor's checks, on machines made of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tallyio.kernel import doctor, doctor_lanes
from tallyio.kernel.doctor import Facts, Finding
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import place
from tallyio.kernel.profile import load_profile

CPU = "sys/devices/system/cpu"
CLOCK = "sys/devices/system/clocksource/clocksource0"

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max locked memory         {memlock:<20} 8388608              bytes
Max realtime priority     {rtprio:<20} 0
"""


def facts(
    root: Path,
    files: dict[str, str] | None = None,
    *,
    synthetic: str = "l3:1 core:8 pu:2",
    profile: str = "workstation",
    fifo: bool = False,
) -> Facts:
    """Return facts about a synthetic machine whose files are `files`."""
    for name, text in (files or {}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    machine = Machine.from_synthetic(synthetic)
    chosen = load_profile(profile)
    if fifo:
        hot = msgspec.structs.replace(chosen.lanes["hot"], scheduling="fifo", priority=50)
        chosen = msgspec.structs.replace(chosen, lanes={**chosen.lanes, "hot": hot})
    return Facts(
        machine=machine,
        placement=place(machine, chosen),
        differences=(),
        cache=root / "cache" / "tallyio",
        root=root,
    )


Check = Callable[[Facts], Finding]


@pytest.mark.parametrize(
    ("check", "path", "text", "grade", "remedy"),
    [
        (doctor.check_governor, f"{CPU}/cpu3/cpufreq/scaling_governor", "performance", "good", ""),
        (
            doctor.check_governor,
            f"{CPU}/cpu3/cpufreq/scaling_governor",
            "powersave",
            "could_cost",
            "cpupower",
        ),
        (doctor.check_smt, f"{CPU}/smt/control", "on", "good", ""),
        (doctor.check_isolated, f"{CPU}/isolated", "", "could_cost", "isolcpus=managed_irq,domain,2-5"),
        (doctor.check_isolated, f"{CPU}/isolated", "2-5", "good", ""),
        (doctor.check_nohz_full, f"{CPU}/nohz_full", "(null)", "could_cost", "nohz_full=2-5"),
        (doctor.check_nohz_full, f"{CPU}/nohz_full", "1-15", "good", ""),
        (
            doctor.check_thp,
            "sys/kernel/mm/transparent_hugepage/enabled",
            "[always] madvise never",
            "could_cost",
            "echo",
        ),
        (
            doctor.check_thp,
            "sys/kernel/mm/transparent_hugepage/enabled",
            "always [madvise] never",
            "good",
            "",
        ),
        (doctor.check_numa_balancing, "proc/sys/kernel/numa_balancing", "1", "could_cost", "sysctl"),
        (doctor.check_numa_balancing, "proc/sys/kernel/numa_balancing", "0", "good", ""),
        (doctor.check_clocksource, f"{CLOCK}/current_clocksource", "tsc", "good", ""),
        (doctor.check_clocksource, f"{CLOCK}/current_clocksource", "hpet", "could_cost", ""),
        (doctor.check_memlock, "proc/self/limits", LIMITS.format(memlock="unlimited", rtprio=0), "good", ""),
        (
            doctor.check_memlock,
            "proc/self/limits",
            LIMITS.format(memlock=8 << 20, rtprio=0),
            "could_cost",
            "ulimit -l",
        ),
        (doctor.check_clock_sync, "run/systemd/timesync/synchronized", "", "good", ""),
    ],
)
def test_a_setting_is_graded(
    tmp_path: Path, check: Check, path: str, text: str, grade: str, remedy: str
) -> None:
    finding = check(facts(tmp_path, {path: text + "\n"}))
    assert finding.grade == grade, finding
    assert remedy in finding.remedy
    assert bool(remedy) == bool(finding.remedy)


@pytest.mark.parametrize(
    "check",
    [
        doctor.check_governor,
        doctor.check_smt,
        doctor.check_isolated,
        doctor.check_nohz_full,
        doctor.check_thp,
        doctor.check_numa_balancing,
        doctor.check_clocksource,
        doctor.check_memlock,
        doctor.check_clock_sync,
    ],
)
def test_what_cannot_be_read_is_unknown(tmp_path: Path, check: Check) -> None:
    finding = check(facts(tmp_path))
    assert finding.grade == "unknown"
    assert finding.what


def test_real_time_settings_matter_only_to_lanes_that_ask(tmp_path: Path) -> None:
    files = {
        "proc/self/limits": LIMITS.format(memlock=0, rtprio=0),
        "proc/sys/kernel/sched_rt_runtime_us": "950000\n",
    }
    calm = facts(tmp_path, files)
    asking = facts(tmp_path, files, fifo=True)
    assert doctor.check_rtprio(calm).grade == doctor.check_sched_rt_runtime(calm).grade == "good"
    assert doctor.check_rtprio(asking).what == "0 allowed, 50 wanted"
    assert doctor.check_rtprio(asking).grade == "could_cost"
    assert doctor.check_sched_rt_runtime(asking).grade == "could_cost"


def test_enough_real_time_rights_are_good(tmp_path: Path) -> None:
    asking = facts(tmp_path, {"proc/self/limits": LIMITS.format(memlock=0, rtprio=99)}, fifo=True)
    assert doctor.check_rtprio(asking).grade == "good"


def test_a_better_clock_is_named_if_there_is_one(tmp_path: Path) -> None:
    files = {f"{CLOCK}/current_clocksource": "hpet", f"{CLOCK}/available_clocksource": "tsc hpet acpi_pm"}
    assert (
        doctor.check_clocksource(facts(tmp_path, files)).remedy == f"echo tsc > /{CLOCK}/current_clocksource"
    )


def test_a_lane_beside_a_busy_sibling_is_named(tmp_path: Path) -> None:
    finding = doctor.check_smt(facts(tmp_path, {f"{CPU}/smt/control": "on"}, synthetic="core:2 pu:2"))
    assert finding.grade == "could_cost"
    assert finding.what == "on; lanes beside a busy sibling: control"


def test_only_lanes_on_one_pu_want_isolation(tmp_path: Path) -> None:
    files = {f"{CPU}/isolated": "\n"}
    assert (
        doctor.check_isolated(facts(tmp_path, files, synthetic="pu:1")).what == "no lane has a PU of its own"
    )
    assert "12" not in doctor.check_isolated(facts(tmp_path, files)).remedy


def test_pus_that_are_not_ours_are_listed(tmp_path: Path) -> None:
    whole = facts(tmp_path)
    narrow = msgspec.structs.replace(
        whole, machine=msgspec.structs.replace(whole.machine, allowed=frozenset({0, 1}))
    )
    assert doctor_lanes.check_allowed(whole).grade == "good"
    assert doctor_lanes.check_allowed(narrow).what == "0-1; online but not ours: 2-15"


@pytest.mark.parametrize(("quota", "grade"), [(None, "good"), (16.0, "good"), (1.5, "could_cost")])
def test_a_quota_below_the_pus_could_cost(tmp_path: Path, quota: float | None, grade: str) -> None:
    whole = facts(tmp_path)
    limited = msgspec.structs.replace(whole, machine=msgspec.structs.replace(whole.machine, cpu_quota=quota))
    assert doctor_lanes.check_quota(limited).grade == grade


def test_a_profile_that_loses_something_could_cost(tmp_path: Path) -> None:
    assert doctor_lanes.check_profile(facts(tmp_path)).grade == "good"
    finding = doctor_lanes.check_profile(facts(tmp_path, synthetic="core:2 pu:1"))
    assert finding.what == "workstation; lanes with less than asked: control, simulation"
    assert finding.grade == "could_cost"


def test_a_cache_that_cannot_be_made_could_cost(tmp_path: Path) -> None:
    fine = facts(tmp_path)
    (tmp_path / "a_file").touch()
    blocked = msgspec.structs.replace(fine, cache=tmp_path / "a_file" / "cache")
    assert doctor_lanes.check_cache(fine).grade == "good"
    assert doctor_lanes.check_cache(blocked).grade == "could_cost"


def test_a_round_gives_one_finding_per_check_and_changes_nothing(tmp_path: Path) -> None:
    before = facts(tmp_path, {f"{CPU}/smt/control": "on"})
    names = [finding.name for finding in doctor_lanes.examine(before)]
    assert len(set(names)) == len(doctor_lanes.CHECKS)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["control"]


def test_every_cost_has_a_remedy_or_a_reason(tmp_path: Path) -> None:
    for finding in doctor_lanes.examine(facts(tmp_path, synthetic="pu:1")):
        assert finding.why
        assert finding.remedy or finding.grade != "could_cost"
