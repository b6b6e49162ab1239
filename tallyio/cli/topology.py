"""`tallyio topology`: a machine, and where every lane runs on it.

Layer: cli.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tallyio.cli.output import console, print_json

if TYPE_CHECKING:
    from tallyio.kernel.machine import Machine
    from tallyio.kernel.placement import Placement
    from tallyio.kernel.profile import Choice

THIS: Final = "this"


def topology(
    *, profile: str = "auto", machine: str | None = None, svg: Path | None = None, json: bool = False
) -> None:
    """Draw a machine with its lanes, and say why each lane runs where it does.

    With --profile alone this is the machine that the profile was written for; without it, this system.

    Args:
        profile: a hardware profile by name, a path ending in .toml, or auto.
        machine: the machine to look at: "this" for this system, an hwloc XML file, or a synthetic
            description such as "Package:1 L3:2 Core:4 PU:2".
        svg: a file to draw it into, for a slide.
        json: print one JSON object: {subject, machine: {name, model, topology_hash, ..., l3_groups,
            cores}, profile: {name, summary, why, differences}, placement: {lanes, rings, free, ...}}.

    """
    from tallyio.kernel.core_matrix import load_matrix  # noqa: PLC0415 - the kernel loads when the command runs
    from tallyio.kernel.placement import place  # noqa: PLC0415 - as above
    from tallyio.kernel.profile import differences  # noqa: PLC0415 - as above

    subject, choice, words = _subject(profile, machine)
    matrix = load_matrix(subject) if subject.is_this_system else None
    placement = place(subject, choice.profile, matrix=matrix)
    if svg is not None:
        _write_svg(svg, subject, placement, choice)
    unlike = differences(choice.profile, subject)
    if json:
        print_json(
            {
                "subject": words,
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
    from rich.text import Text  # noqa: PLC0415 - rich is for people only

    from tallyio.kernel.draw import MachineMap  # noqa: PLC0415 - as above

    out = console()
    out.print(MachineMap(subject, placement))
    out.print(Text.assemble("\n", (choice.profile.name, "bold"), f": {choice.why}"))
    lost = [lane.lane for lane in placement.lanes if lane.degraded]
    weaker = [f"lanes with less than the profile asks for: {', '.join(lost)}"] if lost else []
    for line in (words, *unlike, *weaker, *placement.reasons, *([f"drawn into {svg}"] if svg else [])):
        out.print(f"  {line}", style="dim")


def read_machine(description: str | None) -> Machine:
    """Return the machine of an XML file or a synthetic string; this system for None and "this".

    Raises: ConfigError: it is neither; EnvironmentFault: this system cannot be read.
    """
    from tallyio.kernel.machine import Machine  # noqa: PLC0415 - hwloc's records load when needed

    if description is None or description == THIS:
        return Machine.this_system()
    if description.lower().endswith(".xml") or "/" in description:
        return Machine.from_xml(Path(description))
    return Machine.from_synthetic(description)


def _subject(profile: str, machine: str | None) -> tuple[Machine, Choice, str]:
    """Return the machine to draw, the profile for it, and which machine it is in words."""
    from tallyio.kernel.profile import choose_profile, load_profile  # noqa: PLC0415 - as in `topology`

    if machine is None and profile != "auto":
        meant = load_profile(profile).machine.read()
        said = f"drawn on the machine that {profile} was written for; --machine this puts it on this system"
        return meant, choose_profile(profile, meant), said
    subject = read_machine(machine)
    where = "this system" if subject.is_this_system else f"a described machine ({subject.name})"
    return subject, choose_profile(profile, subject), f"drawn on {where}"


def _write_svg(path: Path, machine: Machine, placement: Placement, choice: Choice) -> None:
    from tallyio.kernel.svg import draw_svg  # noqa: PLC0415 - as in `topology`
    from tallyio.model.errors import EnvironmentFault  # noqa: PLC0415 - as in `topology`

    summary = choice.profile.summary.partition(":")[0]
    meant = choice.profile.machine.topology_hash == machine.topology_hash and not machine.is_this_system
    try:
        path.write_text(
            draw_svg(machine, placement, title=summary[:1].upper() + summary[1:] if meant else ""),
            encoding="utf-8",
        )
    except OSError as fault:
        raise EnvironmentFault(
            f"cannot write the drawing {path}: {fault.strerror}",
            way_out="name a file in a folder of your own",
        ) from fault
