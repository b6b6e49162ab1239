"""Where benchmarks run: the machine, and the PUs that the placement gives compiled loops.

Layer: bench.
"""

from __future__ import annotations

import platform
from typing import Final

from tallyio.bench.records import Surroundings
from tallyio.bench.script import require_pyperf
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import place
from tallyio.kernel.profile import choose_profile
from tallyio.model.errors import TallyError

MEASURED_LANE: Final = "hot"
"""Promises are about compiled loops, so all are measured where those run."""


def look_around(profile: str = "auto") -> Surroundings:
    """Return this machine and where to measure on it; an unreadable machine costs only the pinning.

    Raises: MissingExtraError: no pyperf.
    """
    versions = {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "pyperf": str(require_pyperf().__version__),
    }
    try:
        machine = Machine.this_system()
        choice = choose_profile(profile, machine)
    except TallyError as fault:
        return Surroundings(
            **versions, model="", topology_hash=None, pus=(), placement=None, note=f"not pinned: {fault}"
        )
    placement = place(machine, choice.profile)
    return Surroundings(
        **versions,
        model=machine.model,
        topology_hash=machine.topology_hash,
        pus=placement.lane(MEASURED_LANE).cpuset,
        placement=placement.to_json(),
        note=f"in the place of the {MEASURED_LANE} lane; {choice.why}",
    )
