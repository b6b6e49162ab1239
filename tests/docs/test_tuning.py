"""The page about the EPYC 9454P says what the doctor says of an untuned one."""

from __future__ import annotations

from typing import Final

import pytest

from tallyio.kernel.doctor import Facts, Finding
from tallyio.kernel.doctor_lanes import examine
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import place
from tallyio.kernel.profile import load_profile
from tests.docs.pages import DOCS, snippets, text_of

PAGE: Final = DOCS / "how-to" / "tune-an-epyc-9454p.md"
CPU: Final = "sys/devices/system/cpu"
CLOCK: Final = "sys/devices/system/clocksource/clocksource0"
ANY: Final = "ffffffff,ffffffff,ffffffff"
UNTUNED: Final = {
    f"{CPU}/isolated": "",
    f"{CPU}/nohz_full": "(null)",
    f"{CPU}/smt/control": "on",
    f"{CPU}/cpuidle/current_driver": "acpi_idle",
    "proc/cmdline": "ro quiet",
    "proc/irq/33/smp_affinity_list": "0-95",
    "proc/meminfo": "HugePages_Total: 0\nHugepagesize: 2048 kB",
    "proc/sys/kernel/numa_balancing": "1",
    "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never",
    "sys/devices/virtual/workqueue/cpumask": ANY,
    "sys/bus/workqueue/devices/writeback/cpumask": ANY,
    f"{CLOCK}/current_clocksource": "hpet",
    f"{CLOCK}/available_clocksource": "tsc hpet acpi_pm",
    **{f"{CPU}/cpu{pu}/cpufreq/scaling_governor": "schedutil" for pu in range(96)},
    **{f"{CPU}/cpu{pu}/cpuidle/state3/latency": "350" for pu in range(96)},
}
"""What such a server says of itself when nobody has tuned it."""


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    """Return what the doctor finds on an untuned EPYC 9454P."""
    root = tmp_path_factory.mktemp("untuned")
    for name, text in UNTUNED.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    profile = load_profile("epyc_9454p")
    machine = Machine.from_synthetic(profile.machine.synthetic)
    placement = place(machine, profile)
    facts = Facts(
        machine=machine, placement=placement, differences=(), cache=root, root=root, expects=profile.expects
    )
    return list(examine(facts))


def test_the_kernel_parameters_are_those_of_the_doctor(findings: list[Finding]) -> None:
    advised = [parameter for each in findings for parameter in each.boot]
    (shown,) = [each.text.split() for each in snippets(PAGE) if each.language == "text"]
    assert advised == shown


def test_the_commands_are_those_of_the_doctor(findings: list[Finding]) -> None:
    # The idle states take a line of a page's width per PU; the page says what it does.
    advised = [command for each in findings if each.name != "idle_states" for command in each.commands]
    (shown,) = [each.text.splitlines()[1:] for each in snippets(PAGE) if "needs root" in (each.why_not or "")]
    assert advised == shown


def test_every_setting_that_costs_is_explained(findings: list[Finding]) -> None:
    costly = [each.name for each in findings if each.grade == "could_cost"]
    assert len(costly) > 8
    assert [name for name in costly if f"`{name}`" not in text_of(PAGE)] == []
