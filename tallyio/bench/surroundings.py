"""Where benchmarks run: the machine, and the PUs that the placement gives each role of lanes.

Layer: bench.
"""

from __future__ import annotations

import importlib.metadata
import platform
import statistics
from typing import Final

import msgspec

from tallyio.bench.records import CoreToCore, Surroundings
from tallyio.bench.script import require_pyperf
from tallyio.kernel.c2c import measure_matrix
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import place
from tallyio.kernel.profile import LANES, choose_profile
from tallyio.model.errors import TallyError

MEASURED_LANE: Final = "hot"
"""Where the core's own scripts are measured, as they are about compiled loops."""
_COUNTED: Final = ("tallyio", "numba", "llvmlite", "numpy", "trio")
_ROUNDS: Final = 100


def look_around(profile: str = "auto") -> Surroundings:
    """Return this machine and where to measure on it; an unreadable machine costs only the pinning.

    Raises: MissingExtraError: no pyperf. ConfigError: a profile that does not exist.
    """
    python = f"{platform.python_implementation()} {platform.python_version()}"
    ruler = str(require_pyperf().__version__)
    versions = {name: importlib.metadata.version(name) for name in _COUNTED}
    try:
        machine = Machine.this_system()
    except TallyError as fault:
        return Surroundings(
            python=python,
            pyperf=ruler,
            model="",
            topology_hash=None,
            pus=(),
            placement=None,
            note=f"not pinned: {fault}",
            versions=versions,
        )
    choice = choose_profile(profile, machine)
    placement = place(machine, choice.profile)
    lanes = {role: placement.lane(role).cpuset for role in LANES if choice.profile.lanes[role].count}
    return Surroundings(
        python=python,
        pyperf=ruler,
        model=machine.model,
        topology_hash=machine.topology_hash,
        pus=lanes[MEASURED_LANE],
        placement=placement.to_json(),
        note=f"each in the place of its lane; {choice.why}",
        lanes=lanes,
        profile=choice.profile.name,
        versions=versions,
    )


def with_core_to_core(around: Surroundings) -> Surroundings:
    """Return `around` with the latency between cores as it is now, where it can be measured."""
    try:
        pairs = measure_matrix(Machine.this_system(), rounds=_ROUNDS).pairs_ns
    except TallyError:
        return around
    latency = CoreToCore(
        pairs=len(pairs), median_ns=statistics.median(pairs), low_ns=pairs[0], high_ns=pairs[-1]
    )
    return msgspec.structs.replace(around, core_to_core=latency)
