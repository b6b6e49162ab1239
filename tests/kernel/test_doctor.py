"""The doctor's checks, on machines made of files."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tallyio.kernel import doctor_cpu, doctor_lanes, doctor_memory, doctor_os
from tallyio.kernel.doctor import Facts, Finding
from tallyio.kernel.doctor_script import script
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import place
from tallyio.kernel.profile import load_profile

CPU = "sys/devices/system/cpu"
EPYC = load_profile("epyc_9454p").machine.synthetic
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
        expects=chosen.expects,
    )


Check = Callable[[Facts], Finding]


@pytest.mark.parametrize(
    ("check", "path", "text", "grade", "remedy"),
    [
        (doctor_cpu.check_governor, f"{CPU}/cpu3/cpufreq/scaling_governor", "performance", "good", ""),
        (
            doctor_cpu.check_governor,
            f"{CPU}/cpu3/cpufreq/scaling_governor",
            "powersave",
            "could_cost",
            "echo performance",
        ),
        (doctor_cpu.check_smt, f"{CPU}/smt/control", "on", "good", ""),
        (doctor_cpu.check_isolated, f"{CPU}/isolated", "", "could_cost", "isolcpus=managed_irq,domain,2-5"),
        (doctor_cpu.check_isolated, f"{CPU}/isolated", "2-5", "good", ""),
        (doctor_cpu.check_nohz_full, f"{CPU}/nohz_full", "(null)", "could_cost", "nohz_full=2-5"),
        (doctor_cpu.check_nohz_full, f"{CPU}/nohz_full", "1-15", "good", ""),
        (
            doctor_memory.check_thp,
            "sys/kernel/mm/transparent_hugepage/enabled",
            "[always] madvise never",
            "could_cost",
            "echo",
        ),
        (
            doctor_memory.check_thp,
            "sys/kernel/mm/transparent_hugepage/enabled",
            "always [madvise] never",
            "good",
            "",
        ),
        (doctor_memory.check_numa_balancing, "proc/sys/kernel/numa_balancing", "1", "could_cost", "sysctl"),
        (doctor_memory.check_numa_balancing, "proc/sys/kernel/numa_balancing", "0", "good", ""),
        (doctor_os.check_clocksource, f"{CLOCK}/current_clocksource", "tsc", "good", ""),
        (doctor_os.check_clocksource, f"{CLOCK}/current_clocksource", "hpet", "could_cost", ""),
        (
            doctor_memory.check_memlock,
            "proc/self/limits",
            LIMITS.format(memlock="unlimited", rtprio=0),
            "good",
            "",
        ),
        (
            doctor_memory.check_memlock,
            "proc/self/limits",
            LIMITS.format(memlock=8 << 20, rtprio=0),
            "could_cost",
            "ulimit -l",
        ),
        (doctor_os.check_clock_sync, "run/systemd/timesync/synchronized", "", "good", ""),
        (doctor_cpu.check_command_line, "proc/cmdline", "quiet nohz_full=2-5", "good", ""),
        (doctor_cpu.check_command_line, "proc/cmdline", "quiet ro", "could_cost", "rcu_nocbs=2-5"),
        (doctor_cpu.check_command_line, "proc/cmdline", "rcu_nocbs=all", "could_cost", "rcu_nocbs=2-5"),
        (doctor_os.check_irq_affinity, "proc/irq/24/smp_affinity_list", "0-1", "good", ""),
        (
            doctor_os.check_irq_affinity,
            "proc/irq/24/smp_affinity_list",
            "0-15",
            "could_cost",
            "echo 0-1,6-15 >",
        ),
        (doctor_os.check_work_queues, "sys/devices/virtual/workqueue/cpumask", "ffc3", "good", ""),
        (
            doctor_os.check_work_queues,
            "sys/devices/virtual/workqueue/cpumask",
            "ffff",
            "could_cost",
            "echo 0000ffc3 > /sys/devices/virtual/workqueue/cpumask",
        ),
        (doctor_os.check_pressure, "proc/pressure/cpu", "some avg10=0.00 avg60=3.10 avg300=0", "good", ""),
        (doctor_os.check_pressure, "proc/pressure/cpu", "some avg60=30.5", "could_cost", "find who"),
        (doctor_os.check_open_files, "proc/self/limits", "Max open files   20000  20000 files", "good", ""),
        (
            doctor_os.check_open_files,
            "proc/self/limits",
            "Max open files  1024  4096 files",
            "could_cost",
            "ulimit -n 4096",
        ),
        (
            doctor_memory.check_huge_pages,
            "proc/meminfo",
            "HugePages_Total: 0\nHugepagesize: 2048 kB",
            "good",
            "",
        ),
        (doctor_os.check_capabilities, "proc/self/status", "CapEff:\t0000000000000000", "good", ""),
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
        doctor_cpu.check_governor,
        doctor_cpu.check_smt,
        doctor_cpu.check_isolated,
        doctor_cpu.check_nohz_full,
        doctor_memory.check_thp,
        doctor_memory.check_numa_balancing,
        doctor_os.check_clocksource,
        doctor_memory.check_memlock,
        doctor_os.check_clock_sync,
        doctor_cpu.check_idle_states,
        doctor_cpu.check_command_line,
        doctor_memory.check_huge_pages,
        doctor_os.check_irq_affinity,
        doctor_os.check_work_queues,
        doctor_os.check_pressure,
        doctor_os.check_open_files,
        doctor_os.check_capabilities,
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
    assert doctor_os.check_rtprio(calm).grade == doctor_os.check_sched_rt_runtime(calm).grade == "good"
    assert doctor_os.check_rtprio(asking).what == "0 allowed, 50 wanted"
    assert doctor_os.check_rtprio(asking).grade == "could_cost"
    assert doctor_os.check_sched_rt_runtime(asking).grade == "could_cost"


def test_enough_real_time_rights_are_good(tmp_path: Path) -> None:
    asking = facts(tmp_path, {"proc/self/limits": LIMITS.format(memlock=0, rtprio=99)}, fifo=True)
    assert doctor_os.check_rtprio(asking).grade == "good"


def idle_states(pu: int) -> dict[str, str]:
    """Return the files of two idle states of one PU, of which the second is slow."""
    folder = f"{CPU}/cpu{pu}/cpuidle"
    return {
        f"{folder}/state0/latency": "1\n",
        f"{folder}/state1/latency": "100\n",
        f"{folder}/state1/disable": "0\n",
    }


def test_slow_idle_states_of_quiet_pus_cost(tmp_path: Path) -> None:
    files = {f"{CPU}/cpuidle/current_driver": "acpi_idle"} | idle_states(7)
    subject = facts(tmp_path, files, synthetic=EPYC, profile="epyc_9454p")
    finding = doctor_cpu.check_idle_states(subject)
    assert finding.grade == "could_cost"
    assert finding.what == "acpi_idle; the slowest enabled state wakes in 100 us, 2 us wanted"
    assert "/cpu7/cpuidle/state*" in finding.remedy
    (tmp_path / CPU / "cpu7/cpuidle/state1/disable").write_text("1\n")
    assert doctor_cpu.check_idle_states(subject).grade == "good"


def test_huge_pages_are_counted_in_what_the_profile_wants(tmp_path: Path) -> None:
    files = {"proc/meminfo": "HugePages_Total:     100\nHugepagesize:   2048 kB\n"}
    finding = doctor_memory.check_huge_pages(facts(tmp_path, files, synthetic=EPYC, profile="epyc_9454p"))
    assert finding.what == "200 MiB set aside, 256 MiB wanted"
    assert finding.commands == ("sysctl -w vm.nr_hugepages=128",)


def test_smt_that_the_profile_counts_on_is_missed(tmp_path: Path) -> None:
    files = {f"{CPU}/smt/control": "off"}
    finding = doctor_cpu.check_smt(facts(tmp_path, files, synthetic=EPYC, profile="epyc_9454p"))
    assert finding.what == "off (on wanted); no lane suffers"
    assert finding.commands == (f"echo on > /{CPU}/smt/control",)


def test_what_the_profile_does_not_ask_for_is_good(tmp_path: Path) -> None:
    files = {
        f"{CPU}/isolated": "\n",
        f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave",
        "proc/irq/9/smp_affinity_list": "0-7",
        "sys/devices/virtual/workqueue/cpumask": "ff",
        "proc/cmdline": "ro",
    }
    calm = facts(tmp_path, files, synthetic="l3:1 core:4 pu:2", profile="laptop")
    for check in (
        doctor_cpu.check_isolated,
        doctor_cpu.check_governor,
        doctor_os.check_irq_affinity,
        doctor_os.check_work_queues,
        doctor_cpu.check_command_line,
    ):
        assert check(calm).grade == "good"


def test_capabilities_lift_limits(tmp_path: Path) -> None:
    files = {
        "proc/self/limits": LIMITS.format(memlock=0, rtprio=0),
        "proc/self/status": "CapEff:\t0000000000804000\n",
    }
    asking = facts(tmp_path, files, fifo=True)
    for check in (doctor_memory.check_memlock, doctor_os.check_rtprio, doctor_os.check_capabilities):
        assert check(asking).grade == "good"
    (tmp_path / "proc/self/status").write_text("CapEff:\t0000000000000000\n")
    assert doctor_os.check_capabilities(asking).grade == "could_cost"


def test_masks_of_many_pus_are_written_in_words_of_32_bits(tmp_path: Path) -> None:
    files = {"sys/devices/virtual/workqueue/cpumask": "ffffffff,ffffffff,ffffffff\n"}
    finding = doctor_os.check_work_queues(facts(tmp_path, files, synthetic=EPYC, profile="epyc_9454p"))
    # Lanes sit on PUs 6-9; their siblings 54-57 stay idle for them.
    assert finding.commands == ("echo ffffffff,fc3fffff,fffffc3f > /sys/devices/virtual/workqueue/cpumask",)


def test_lanes_that_talk_much_want_one_cache(tmp_path: Path) -> None:
    assert doctor_lanes.check_cache_sharing(facts(tmp_path)).grade == "good"
    apart = doctor_lanes.check_cache_sharing(facts(tmp_path, synthetic="l3:8 core:1 pu:1"))
    assert apart.grade == "could_cost"
    assert "feeds to hot" in apart.what
    assert doctor_lanes.check_cache_sharing(facts(tmp_path, synthetic="core:8 pu:1")).grade == "unknown"


def shell(tmp_path: Path, text: str) -> None:
    """Let a shell read a script without running it."""
    path = tmp_path / "remedies.sh"
    path.write_text(text)
    subprocess.run(["/bin/sh", "-n", str(path)], check=True)


def test_the_script_holds_every_command_and_changes_nothing_by_itself(tmp_path: Path) -> None:
    files = {
        f"{CPU}/isolated": "\n",
        f"{CPU}/cpu3/cpufreq/scaling_governor": "powersave",
        f"{CPU}/smt/control": "off",
        "proc/sys/kernel/numa_balancing": "1",
        "proc/irq/9/smp_affinity_list": "0-95",
        "proc/cmdline": "ro",
        "proc/pressure/memory": "some avg60=50.0",
        "sys/kernel/mm/transparent_hugepage/enabled": "[always]\nset -x madvise never",
        "sys/devices/virtual/workqueue/cpumask": "ffffffff,ffffffff,ffffffff",
        "proc/meminfo": "HugePages_Total: 0\nHugepagesize: 2048 kB\n",
    } | idle_states(6)
    findings = list(doctor_lanes.examine(facts(tmp_path, files, synthetic=EPYC, profile="epyc_9454p")))
    text = script(findings, machine="a\nmachine", profile="epyc_9454p")
    shell(tmp_path, text)
    assert text.startswith("#!/bin/sh\n# What `tallyio doctor --script` advises for a machine, profile")
    lines = text.splitlines()
    assert "set -eu" in lines
    commands = [command for finding in findings for command in finding.commands]
    assert len(commands) >= 7
    assert all(command in lines for command in commands)
    assert any(line.startswith("echo 'isolcpus=managed_irq,domain,6-9,54-57") for line in lines)
    assert any(line.startswith("#   pressure: find who uses it") for line in lines)


def test_a_script_without_remedies_says_so(tmp_path: Path) -> None:
    text = script([], machine="this system", profile="ci")
    shell(tmp_path, text)
    assert text.endswith("# Nothing to do.\n")


def test_a_better_clock_is_named_if_there_is_one(tmp_path: Path) -> None:
    files = {f"{CLOCK}/current_clocksource": "hpet", f"{CLOCK}/available_clocksource": "tsc hpet acpi_pm"}
    assert (
        doctor_os.check_clocksource(facts(tmp_path, files)).remedy
        == f"echo tsc > /{CLOCK}/current_clocksource"
    )


def test_a_lane_beside_a_busy_sibling_is_named(tmp_path: Path) -> None:
    finding = doctor_cpu.check_smt(facts(tmp_path, {f"{CPU}/smt/control": "on"}, synthetic="core:2 pu:2"))
    assert finding.grade == "could_cost"
    assert finding.what == "on; lanes beside a busy sibling: control"


def test_only_lanes_on_one_pu_want_isolation(tmp_path: Path) -> None:
    files = {f"{CPU}/isolated": "\n"}
    assert (
        doctor_cpu.check_isolated(facts(tmp_path, files, synthetic="pu:1")).what
        == "no lane has a PU of its own"
    )
    assert "12" not in doctor_cpu.check_isolated(facts(tmp_path, files)).remedy


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


def test_a_cache_below_a_folder_that_may_not_be_read_could_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the OS says to users other than root, who may look anywhere."""
    below = msgspec.structs.replace(facts(tmp_path), cache=tmp_path / "locked" / "cache")
    below.cache.parent.mkdir()
    stat = os.stat

    def refusing(path: str | Path, **options: bool) -> os.stat_result:
        if Path(path) == below.cache:
            raise PermissionError(errno.EACCES, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", refusing)
    monkeypatch.setattr(os, "access", lambda path, mode: path == below.cache.parent and mode == os.F_OK)
    assert doctor_lanes.check_cache(below).grade == "could_cost"


def test_a_round_gives_one_finding_per_check_and_changes_nothing(tmp_path: Path) -> None:
    before = facts(tmp_path, {f"{CPU}/smt/control": "on"})
    names = [finding.name for finding in doctor_lanes.examine(before)]
    assert len(set(names)) == len(doctor_lanes.CHECKS)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["control"]


def test_every_cost_has_a_remedy_or_a_reason(tmp_path: Path) -> None:
    for finding in doctor_lanes.examine(facts(tmp_path, synthetic="pu:1")):
        assert finding.why
        assert finding.remedy or finding.grade != "could_cost"
