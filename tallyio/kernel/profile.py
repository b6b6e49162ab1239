"""Hardware profiles: what every lane asks of a machine, kept in `hardware_profiles/*/profile.toml`.

Layer: kernel. A profile names needs, never PU numbers; `placement` turns needs into PUs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from string import whitespace
from typing import Any, Literal

import msgspec

from tallyio.kernel.machine import Machine
from tallyio.kernel.resources import data_path
from tallyio.model.errors import ConfigError

LANES = ("hot", "control", "network", "simulation", "background")
"""All lanes, the most urgent first. hot: the market's compiled loop; control: the Trio thread;
network and background: worker threads; simulation: EVM runs."""

Wait = Literal["park", "hybrid", "poll"]
"""How a lane waits: asleep in the OS; awake for a budget, then asleep; always awake."""

Scheduling = Literal["normal", "fifo"]
"""The OS's policy for the lane's threads; fifo is best effort and for pure native lanes only."""


class LaneNeeds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one lane asks for: the table `[lanes.NAME]` of a profile."""

    cores: int = 1
    """How many cores; a lane that is not exclusive may find itself on fewer."""
    exclusive: bool = False
    """Nobody else of ours runs on these cores."""
    smt: Literal["idle", "use"] = "idle"
    """What an exclusive lane does with the second PU of its core: leaves it idle, or uses it."""
    group: str = ""
    """Lanes of one group talk to each other and belong under one L3; "" talks to nobody."""
    wait: Wait = "park"
    wait_budget_us: int = 0
    """How long a hybrid lane stays awake before it parks, in microseconds."""
    scheduling: Scheduling = "normal"
    priority: int = 0
    """1 to 99 with fifo, else 0."""


class Fit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The least machine a profile is for: `auto` takes the most demanding one that fits."""

    cores: int = 1
    pus: int = 1
    l3_groups: int = 0
    hybrid: bool = False


class MeantFor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine a profile was written for: the table `[machine]`."""

    synthetic: str
    topology_hash: str


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One checked profile; every lane of `LANES` is in `lanes`."""

    name: str
    summary: str
    machine: MeantFor
    fits: Fit
    lanes: dict[str, LaneNeeds]


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
    if name.endswith(".toml"):
        return read_profile(Path(name))
    names = profile_names()
    if name not in names:
        raise ConfigError(
            f"there is no hardware profile {name!r}{_did_you_mean(name, (*names, 'auto'))}",
            way_out=f"take auto, one of {', '.join(names)}, or the path of a profile.toml",
        )
    return read_profile(data_path("hardware_profiles") / name / "profile.toml")


def read_profile(path: Path) -> Profile:
    """Read and check the profile file at `path`. Raises: ConfigError: as `load_profile`."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ConfigError(
            f"cannot read the profile {path}: {fault.strerror}", way_out="check the path"
        ) from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path} is not TOML: {fault}", way_out="correct that line") from fault
    _check_keys(path, table)
    lanes = {
        lane: _convert(path, f"lanes.{lane}", needs, LaneNeeds) for lane, needs in _items(table.get("lanes"))
    }
    profile = _convert(path, "", {**table, "name": path.parent.name, "lanes": lanes}, Profile)
    _check_lanes(path, profile)
    return profile


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
    needs (hybrid cores, cores, PUs, L3 groups; only what we are allowed counts) are met.
    Raises: ConfigError: none fits.
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
    """Say how `machine` differs from the one `profile` was written for; empty if it does not."""
    if profile.machine.topology_hash == machine.topology_hash:
        return ()
    meant = Machine.from_synthetic(profile.machine.synthetic)
    pairs = [
        (what, len(getattr(meant, part)), len(getattr(machine, part)))
        for what, part in (
            ("packages", "packages"),
            ("NUMA nodes", "numa_nodes"),
            ("L3 groups", "l3_groups"),
            ("cores", "cores"),
            ("PUs", "pus"),
        )
    ]
    counted = tuple(
        f"{what}: {profile.name} is for {wanted}, this machine has {found}"
        for what, wanted, found in pairs
        if wanted != found
    )
    return counted or ("the counts agree, but other PUs share cores or caches",)


def _demand(fit: Fit) -> tuple[bool, int, int, int]:
    return (fit.hybrid, fit.cores, fit.pus, fit.l3_groups)


def _met(wanted: Fit, have: Fit) -> bool:
    return all(need <= found for need, found in zip(_demand(wanted), _demand(have), strict=True))


def _fit_of(machine: Machine) -> Fit:
    return Fit(
        cores=len(machine.allowed_cores()),
        pus=len(machine.allowed),
        l3_groups=sum(bool(l3.pus & machine.allowed) for l3 in machine.l3_groups),
        hybrid=len({kind.rank for kind in machine.core_kinds}) > 1,
    )


def _words(fit: Fit) -> str:
    parts = [_count(fit.cores, "core"), _count(fit.pus, "PU")]
    if fit.l3_groups:
        parts.append(_count(fit.l3_groups, "L3 group"))
    return f"{', '.join(parts[:-1])} and {parts[-1]}{' of several kinds' if fit.hybrid else ''}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _check_keys(path: Path, table: Mapping[str, Any]) -> None:
    _known(path, "", table, ("summary", "machine", "fits", "lanes"))
    for part, struct in (("machine", MeantFor), ("fits", Fit)):
        _known(path, f"{part}.", table.get(part), struct.__struct_fields__)
    _known(path, "lanes.", table.get("lanes"), LANES)
    for lane, needs in _items(table.get("lanes")):
        _known(path, f"lanes.{lane}.", needs, LaneNeeds.__struct_fields__)


def _known(path: Path, prefix: str, table: object, allowed: Iterable[str]) -> None:
    names = tuple(allowed)
    for key, _ in _items(table):
        if key not in names:
            raise ConfigError(
                f"{path}: unknown key {prefix + key!r}{_did_you_mean(key, names)}",
                way_out=f"the keys here are {', '.join(names)}",
            )


def _items(table: object) -> Iterable[tuple[str, Any]]:
    return table.items() if isinstance(table, dict) else ()


def _check_lanes(path: Path, profile: Profile) -> None:
    for name in LANES:
        if name not in profile.lanes:
            raise ConfigError(f"{path}: the lane {name!r} is missing", way_out=f"add a table [lanes.{name}]")
        for broken, rule in _rules(profile.lanes[name]):
            if broken:
                raise ConfigError(f"{path}: lanes.{name}: {rule}", way_out="correct that table")


def _rules(needs: LaneNeeds) -> tuple[tuple[bool, str], ...]:
    fifo = needs.scheduling == "fifo"
    return (
        (needs.cores < 1, f"cores must be >= 1, was {needs.cores}"),
        (
            needs.wait != "park" and not needs.exclusive,
            f"a lane that waits by {needs.wait} must be exclusive",
        ),
        (needs.smt == "use" and not needs.exclusive, 'smt = "use" is for exclusive lanes; others always do'),
        ((needs.wait == "hybrid") != (needs.wait_budget_us > 0), "wait_budget_us > 0 goes with hybrid only"),
        (not set(needs.group).isdisjoint(whitespace), f"a group's name has no spaces, was {needs.group!r}"),
        (fifo != (needs.priority > 0), "priority > 0 goes with fifo only"),
        (not 0 <= needs.priority <= 99, f"priority must be 0 to 99, was {needs.priority}"),  # noqa: PLR2004 - sched(7)
    )


def _convert[T](path: Path, where: str, value: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        # msgspec ends its messages with " - at `$.path`"; readers know the dotted keys of TOML.
        text, _, inside = str(fault).partition(" - at `$")
        key = f"{where}{inside.rstrip('`')}".lstrip(".")
        raise ConfigError(
            f"{path}: {key + ': ' if key else ''}{text}", way_out="compare with a shipped profile"
        ) from fault


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
