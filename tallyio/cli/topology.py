"""`tallyio topology`: the machine, and where every lane runs on it.

Layer: cli.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tallyio.cli.output import console, print_json

if TYPE_CHECKING:
    from tallyio.kernel.machine import Machine


def topology(*, profile: str = "auto", machine: str | None = None, json: bool = False) -> None:
    """Draw the machine with its lanes, and say why each lane runs where it does.

    Args:
        profile: a hardware profile by name, a path ending in .toml, or auto.
        machine: a machine to look at instead of this one: an hwloc XML file, or a synthetic
            description such as "Package:1 L3:2 Core:4 PU:2".
        json: print one JSON object: {machine: {name, model, topology_hash, ..., l3_groups,
            cores}, profile: {name, summary, why, differences}, placement: {lanes, free, ...}}.

    """
    from tallyio.kernel.placement import place  # noqa: PLC0415 - the kernel loads when the command runs
    from tallyio.kernel.profile import choose_profile, differences  # noqa: PLC0415 - as above

    subject = read_machine(machine)
    choice = choose_profile(profile, subject)
    placement = place(subject, choice.profile)
    unlike = differences(choice.profile, subject)
    if json:
        print_json(
            {
                "machine": subject.to_json(),
                "profile": {
                    "name": choice.profile.name,
                    "summary": choice.profile.summary,
                    "why": choice.why,
                    "differences": list(unlike),
                },
                "placement": placement.to_json(),
            }
        )
        return
    from tallyio.kernel.draw import MachineMap  # noqa: PLC0415 - rich is for people only

    out = console()
    out.print(MachineMap(subject, placement))
    out.print(f"\n[bold]{choice.profile.name}[/bold]: {choice.why}")
    for line in (*unlike, *placement.reasons):
        out.print(f"  {line}", style="dim")


def read_machine(description: str | None) -> Machine:
    """Return the machine of an XML file or a synthetic string; this system for None.

    Raises: ConfigError: it is neither; EnvironmentFault: this system cannot be read.
    """
    from tallyio.kernel.machine import Machine  # noqa: PLC0415 - hwloc's records load when needed

    if description is None:
        return Machine.this_system()
    if description.lower().endswith(".xml") or "/" in description:
        return Machine.from_xml(Path(description))
    return Machine.from_synthetic(description)
