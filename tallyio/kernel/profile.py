"""Hardware profiles: what every lane asks of a machine, kept in `hardware_profiles/*/profile.toml`.

Layer: kernel. A profile names needs, never PU numbers; `placement` turns needs into PUs.
`profile_check` reads the files and holds the rules; this module has the records and the choice.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from tallyio.kernel.machine import Machine
from tallyio.kernel.resources import data_path
from tallyio.model.errors import ConfigError

LANES = ("hot", "control", "feeds", "risk", "network", "simulation", "analytics", "background")
"""All roles of lanes, the most urgent first.

hot: the market's compiled loop. control: the Trio thread. feeds: decodes what the chain says.
risk: limits, and the choice among findings. network: worker threads that wait for sockets and
files. simulation: EVM runs. analytics: watches and counts. background: what has time."""

Wait = Literal["park", "hybrid", "poll"]
"""How a lane waits: asleep in the OS; awake for a budget, then asleep; always awake."""

Scheduling = Literal["normal", "fifo"]
"""The OS's policy for the lane's threads; fifo is best effort and for pure native lanes only."""

MemoryPolicy = Literal["local", "bind", "interleave"]
"""Where a lane's memory comes from: its NUMA node first; only its NUMA node; all nodes in turn."""


class LaneNeeds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the lanes of one role ask for: the table `[lanes.ROLE]` of a profile."""

    count: int = 1
    """How many lanes of this role; 0 for none."""
    cores: int = 1
    """How many cores each has; a lane that is not exclusive may find itself on fewer."""
    exclusive: bool = False
    """Nobody else of ours runs on these cores."""
    smt: Literal["idle", "use"] = "idle"
    """What an exclusive lane does with the second PU of its core: leaves it idle, or uses it."""
    group: str = ""
    """Lanes of one group belong under one L3; "" belongs to nobody."""
    l3: Literal["share", "own"] = "share"
    """With own, lanes of other groups stay out of the group's L3 as long as there is room elsewhere."""
    memory: MemoryPolicy = "local"
    """Where its memory comes from: its NUMA node first; only its NUMA node; all nodes in turn."""
    huge_pages: bool = False
    """Its tables and rings want huge pages; best effort."""
    wait: Wait = "park"
    """How it waits: asleep in the OS; awake for a budget, then asleep; always awake."""
    wait_budget_us: int = 0
    """How long a hybrid lane stays awake before it parks, in microseconds."""
    scheduling: Scheduling = "normal"
    """The OS's policy; fifo is best effort, for native lanes with cores of their own."""
    priority: int = 0
    """1 to 99 with fifo, else 0."""


class Fit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The least machine a profile is for: `auto` takes the most demanding one that fits."""

    cores: int = 1
    """Cores, at least; here and below only what we are allowed counts."""
    pus: int = 1
    """PUs, at least."""
    l3_groups: int = 0
    """L3 groups, at least."""
    numa_nodes: int = 0
    """NUMA nodes with PUs, at least."""
    packages: int = 0
    """Packages, at least."""
    hybrid: bool = False
    """Cores of several kinds."""


class MeantFor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine a profile was written for: the table `[machine]`, with one of the two descriptions."""

    synthetic: str = ""
    """An hwloc synthetic string; either this or `xml`."""
    xml: str = ""
    """An hwloc XML file (version 2) beside the profile; its whole path once the profile is read."""
    topology_hash: str = ""
    """The hash of that machine's topology, checked when it is given."""

    def read(self) -> Machine:
        """Return the machine. Raises: ConfigError: hwloc refuses the description."""
        return Machine.from_xml(Path(self.xml)) if self.xml else Machine.from_synthetic(self.synthetic)


class Expects(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of the OS that the profile counts on: the table `[expects]`; the doctor compares.

    A laptop asks for little; a server that does nothing else asks for everything.
    """

    isolated: bool = False
    """PUs of pinned lanes are taken out of the OS's scheduling (isolcpus)."""
    nohz_full: bool = False
    """And have no scheduler's tick."""
    irqs_away: bool = False
    """And no device interrupts them."""
    governor: str = ""
    """The frequency governor; "" for any."""
    idle_latency_us: int | None = None
    """The slowest idle state that is left enabled wakes within this time; None for any."""
    smt: Literal["", "on", "off"] = ""
    """Whether the second PUs of cores are switched on; "" for any."""
    huge_pages_mib: int = 0
    """Huge pages that are set aside at boot."""


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One checked profile; every role of `LANES` is in `lanes`, those left out with `LaneNeeds()`."""

    name: str
    summary: str
    machine: MeantFor
    fits: Fit
    lanes: dict[str, LaneNeeds]
    expects: Expects = Expects()


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A profile and, in words, why it was taken."""

    profile: Profile
    why: str


def profile_names() -> tuple[str, ...]:
    """Return the names of the shipped profiles, sorted."""
    return tuple(sorted(path.parent.name for path in data_path("hardware_profiles").glob("*/profile.toml")))


def load_profile(name: str) -> Profile:
    """Return the shipped profile `name`, or the one in a file if `name` ends in ".toml".

    Raises: ConfigError: unknown name (with the nearest and the list), or a wrong file: it
        names the key and the rule.
    """
    from tallyio.kernel.profile_check import did_you_mean  # noqa: PLC0415 - it imports the records above

    if name.endswith(".toml"):
        return read_profile(Path(name))
    names = profile_names()
    if name not in names:
        raise ConfigError(
            f"there is no hardware profile {name!r}{did_you_mean(name, (*names, 'auto'))}",
            way_out=f"take auto, one of {', '.join(names)}, or the path of a profile.toml",
        )
    return read_profile(data_path("hardware_profiles") / name / "profile.toml")


def read_profile(path: Path) -> Profile:
    """Read and check the profile file at `path`. Raises: ConfigError: as `load_profile`."""
    from tallyio.kernel import profile_check  # noqa: PLC0415 - it imports the records above

    return profile_check.read(path)


def choose_profile(name: str, machine: Machine) -> Choice:
    """Return the profile `name` for `machine`; "auto" picks it by `auto_profile`'s rule.

    Raises: ConfigError: as `load_profile`.
    """
    if name == "auto":
        return auto_profile(machine)
    return Choice(profile=load_profile(name), why=f"profile {name} was asked for")


def auto_profile(machine: Machine, profiles: Iterable[Profile] | None = None) -> Choice:
    """Return the shipped profile that fits `machine` best.

    One written for exactly this topology wins. Otherwise it is the most demanding one whose
    needs (hybrid cores, cores, PUs, L3 groups, NUMA nodes, packages; only what we are allowed
    counts) are met. Raises: ConfigError: none fits.
    """
    known = sorted(
        (load_profile(name) for name in profile_names()) if profiles is None else profiles,
        key=lambda profile: profile.name,
    )
    for profile in known:
        if profile.machine.topology_hash == machine.topology_hash and machine.allowed == machine.pus:
            return Choice(
                profile=profile, why=f"this machine has exactly the shape that {profile.name} was written for"
            )
    have = _fit_of(machine)
    fitting = [profile for profile in known if _met(profile.fits, have)]
    if not fitting:
        raise ConfigError(
            f"no profile fits a machine of {_words(have)}",
            way_out=f"name one of {', '.join(profile.name for profile in known)} with --profile",
        )
    best = max(fitting, key=lambda profile: _demand(profile.fits))
    return Choice(
        profile=best,
        why=f"{best.name} asks for {_words(best.fits)} and is the most demanding profile "
        f"that fits the {_words(have)} here",
    )


def differences(profile: Profile, machine: Machine) -> tuple[str, ...]:
    """Say how `machine` differs from the one `profile` was written for; empty if it does not.

    What a difference costs each lane is in the placement's reasons.
    """
    if profile.machine.topology_hash == machine.topology_hash:
        return ()
    meant = profile.machine.read()
    pairs = (
        ("packages", len(meant.packages), len(machine.packages)),
        ("NUMA nodes", len(meant.numa_nodes), len(machine.numa_nodes)),
        ("L3 groups", len(meant.l3_groups), len(machine.l3_groups)),
        ("cores", len(meant.cores), len(machine.cores)),
        ("PUs", len(meant.pus), len(machine.pus)),
        ("PUs per core", meant.threads_per_core, machine.threads_per_core),
        ("kinds of cores", max(1, len(meant.core_kinds)), max(1, len(machine.core_kinds))),
    )
    counted = tuple(
        f"{what}: {profile.name} is for {wanted}, this machine has {found}"
        for what, wanted, found in pairs
        if wanted != found
    )
    return counted or ("the counts agree, but other PUs share cores or caches",)


def _demand(fit: Fit) -> tuple[bool, int, int, int, int, int]:
    return (fit.hybrid, fit.cores, fit.pus, fit.l3_groups, fit.numa_nodes, fit.packages)


def _met(wanted: Fit, have: Fit) -> bool:
    return all(need <= found for need, found in zip(_demand(wanted), _demand(have), strict=True))


def _fit_of(machine: Machine) -> Fit:
    def usable(parts: Iterable[frozenset[int]]) -> int:
        return sum(bool(pus & machine.allowed) for pus in parts)

    return Fit(
        cores=len(machine.allowed_cores()),
        pus=len(machine.allowed),
        l3_groups=usable(l3.pus for l3 in machine.l3_groups),
        numa_nodes=usable(node.pus for node in machine.numa_nodes),
        packages=usable(package.pus for package in machine.packages),
        hybrid=len({kind.rank for kind in machine.core_kinds}) > 1,
    )


def _words(fit: Fit) -> str:
    parts = [_count(fit.cores, "core"), _count(fit.pus, "PU")]
    parts += [_count(fit.l3_groups, "L3 group")] * bool(fit.l3_groups)
    parts += [_count(fit.numa_nodes, "NUMA node")] * (fit.numa_nodes > 1)
    parts += [_count(fit.packages, "package")] * (fit.packages > 1)
    return f"{', '.join(parts[:-1])} and {parts[-1]}{' of several kinds' if fit.hybrid else ''}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
