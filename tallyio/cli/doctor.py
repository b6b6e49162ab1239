"""`tallyio doctor`: grade the machine's settings, and say what mends them.

Layer: cli.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tallyio.cli.output import console, print_json

if TYPE_CHECKING:
    from tallyio.kernel.doctor import Facts, Finding

_MARKS = {"good": ("ok", "green"), "could_cost": ("cost", "yellow"), "unknown": ("?", "dim")}


def doctor(*, profile: str = "auto", json: bool = False, script: bool = False) -> None:
    """Grade every setting that a run depends on. Changes nothing.

    Each is good, could cost you latency, or unknown, with the reason and what mends it.

    Args:
        profile: the hardware profile whose lanes are judged: a name, a path ending in .toml,
            or auto.
        json: print one JSON object: {machine, topology_hash, profile, counts: {good,
            could_cost, unknown}, findings: [{name, grade, what, why, remedy, commands, boot}]}.
        script: print the remedies as a shell script, to be read and run by you.

    """
    from tallyio.kernel.doctor_lanes import examine  # noqa: PLC0415 - the kernel loads when the command runs

    facts = _facts(profile)
    findings = list(examine(facts))
    counts = {grade: sum(finding.grade == grade for finding in findings) for grade in _MARKS}
    if json:
        print_json(
            {
                "machine": facts.machine.name,
                "topology_hash": facts.machine.topology_hash,
                "profile": facts.placement.profile,
                "counts": counts,
                "findings": findings,
            }
        )
        return
    if script:
        from tallyio.kernel.doctor_script import script as written  # noqa: PLC0415 - as above

        text = written(findings, machine=facts.machine.name, profile=facts.placement.profile)
        sys.stdout.write(text)
        return
    _show(findings, counts)


def _facts(profile: str) -> Facts:
    from tallyio.kernel.core_matrix import load_matrix  # noqa: PLC0415 - as above
    from tallyio.kernel.doctor import Facts  # noqa: PLC0415 - the kernel loads when the command runs
    from tallyio.kernel.machine import Machine  # noqa: PLC0415 - as above
    from tallyio.kernel.placement import place  # noqa: PLC0415 - as above
    from tallyio.kernel.profile import choose_profile, differences  # noqa: PLC0415 - as above
    from tallyio.native.cache import cache_root  # noqa: PLC0415 - numba takes half a second

    machine = Machine.this_system()
    chosen = choose_profile(profile, machine).profile
    return Facts(
        machine=machine,
        placement=place(machine, chosen, matrix=load_matrix(machine)),
        differences=differences(chosen, machine),
        cache=cache_root(),
        expects=chosen.expects,
    )


def _show(findings: list[Finding], counts: dict[str, int]) -> None:
    from rich.table import Table  # noqa: PLC0415 - rich is for people only
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        mark, style = _MARKS[finding.grade]
        said = Text(finding.what)
        if finding.grade != "good":
            said.append(f"\n{finding.why}", style="dim")
        if finding.remedy:
            said.append(f"\n{finding.remedy}", style="bold")
        table.add_row(Text(mark, style=style), finding.name, said)
    out = console()
    out.print(table)
    out.print(
        f"\n{counts['good']} good, {counts['could_cost']} could cost you, {counts['unknown']} unknown; "
        "nothing was changed"
    )
