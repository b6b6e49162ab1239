"""Read a profile file and hold it to the rules; every refusal names the file, the key and the rule.

Layer: kernel.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from string import whitespace
from typing import Any

import msgspec

from tallyio.kernel.machine import Machine
from tallyio.kernel.profile import LANES, Expects, Fit, LaneNeeds, MeantFor, Profile
from tallyio.model.errors import ConfigError

LANES_MAX = 1_024
"""More lanes than PUs of the largest machines: a larger count is a mistake."""

NEVER_ABSENT = ("hot", "control")
"""Roles that every engine has."""


def read(path: Path) -> Profile:
    """Return the profile in the file at `path`, checked. Raises: ConfigError: see above."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ConfigError(
            f"cannot read the profile {path}: {fault.strerror}", way_out="check the path"
        ) from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path} is not TOML: {fault}", way_out="correct that line") from fault
    _check_keys(path, table)
    profile = _build(path, table)
    _check_roles(path, profile)
    return msgspec.structs.replace(profile, machine=_check_machine(path, profile))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the nearest of `known`, or ""."""
    near = get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _build(path: Path, table: Mapping[str, Any]) -> Profile:
    given = dict(_items(table.get("lanes")))
    for role in NEVER_ABSENT:
        if role not in given:
            raise ConfigError(f"{path}: the role {role!r} is missing", way_out=f"add a table [lanes.{role}]")
    lanes = {role: _convert(path, f"lanes.{role}", given.get(role, {}), LaneNeeds) for role in LANES}
    profile = _convert(path, "", {**table, "name": path.parent.name, "lanes": lanes}, Profile)
    if not profile.machine.xml:
        return profile
    beside = msgspec.structs.replace(profile.machine, xml=str(path.parent / profile.machine.xml))
    return msgspec.structs.replace(profile, machine=beside)


def _check_keys(path: Path, table: Mapping[str, Any]) -> None:
    _known(path, "", table, ("summary", "machine", "fits", "expects", "lanes"))
    for part, struct in (("machine", MeantFor), ("fits", Fit), ("expects", Expects)):
        _known(path, f"{part}.", table.get(part), struct.__struct_fields__)
    _known(path, "lanes.", table.get("lanes"), LANES)
    for lane, needs in _items(table.get("lanes")):
        _known(path, f"lanes.{lane}.", needs, LaneNeeds.__struct_fields__)


def _known(path: Path, prefix: str, table: object, allowed: Iterable[str]) -> None:
    names = tuple(allowed)
    what = "role" if prefix == "lanes." else "key"
    for key, _ in _items(table):
        if key not in names:
            raise ConfigError(
                f"{path}: unknown {what} {prefix + key!r}{did_you_mean(key, names)}",
                way_out=f"the {what}s here are {', '.join(names)}",
            )


def _items(table: object) -> Iterable[tuple[str, Any]]:
    return table.items() if isinstance(table, dict) else ()


def _check_roles(path: Path, profile: Profile) -> None:
    for role in LANES:
        for broken, rule in _rules(role, profile.lanes[role]):
            if broken:
                raise ConfigError(f"{path}: lanes.{role}: {rule}", way_out="correct that table")


def _rules(role: str, needs: LaneNeeds) -> tuple[tuple[bool, str], ...]:
    fifo, least = needs.scheduling == "fifo", int(role in NEVER_ABSENT)
    return (
        (not least <= needs.count <= LANES_MAX, f"count must be {least} to {LANES_MAX}, was {needs.count}"),
        (needs.cores < 1, f"cores must be >= 1, was {needs.cores}"),
        (
            needs.wait != "park" and not needs.exclusive,
            f"a lane that waits by {needs.wait} must be exclusive",
        ),
        (needs.smt == "use" and not needs.exclusive, 'smt = "use" is for exclusive lanes; others always do'),
        ((needs.wait == "hybrid") != (needs.wait_budget_us > 0), "wait_budget_us > 0 goes with hybrid only"),
        (not set(needs.group).isdisjoint(whitespace), f"a group's name has no spaces, was {needs.group!r}"),
        (needs.l3 == "own" and not needs.exclusive, 'l3 = "own" is for exclusive lanes'),
        (fifo != (needs.priority > 0), "priority > 0 goes with fifo only"),
        (fifo and not needs.exclusive, "a fifo lane must be exclusive, or it starves its neighbours"),
        (fifo and role == "control", "the Trio thread holds the GIL: as fifo it can hang the process"),
        (not 0 <= needs.priority <= 99, f"priority must be 0 to 99, was {needs.priority}"),  # noqa: PLR2004 - sched(7)
    )


def _check_machine(path: Path, profile: Profile) -> MeantFor:
    """Return the profile's machine with its hash.

    Raises: ConfigError: the machine does not exist or cannot give what the profile's lanes ask for.
    """
    if bool(profile.machine.synthetic) == bool(profile.machine.xml):
        raise ConfigError(
            f"{path}: machine: give either synthetic or xml", way_out="describe the machine in one way"
        )
    try:
        machine = profile.machine.read()
    except ConfigError as fault:
        raise ConfigError(f"{path}: machine: {fault.message}", way_out=fault.way_out) from fault
    if profile.machine.topology_hash not in ("", machine.topology_hash):
        raise ConfigError(
            f"{path}: machine.topology_hash is {profile.machine.topology_hash!r}, but the machine described "
            f"has {machine.topology_hash!r}",
            way_out="write the latter, if the description is right",
        )
    for wrong in (*_impossible(profile, machine), *_overlaps(profile, machine)):
        raise ConfigError(f"{path}: {wrong}", way_out="lower cores or count, or describe a larger machine")
    return msgspec.structs.replace(profile.machine, topology_hash=machine.topology_hash)


def _impossible(profile: Profile, machine: Machine) -> Iterator[str]:
    wanted = {
        role: needs.count * needs.cores
        for role, needs in profile.lanes.items()
        if needs.exclusive and needs.count
    }
    shares = any(needs.count and not needs.exclusive for needs in profile.lanes.values())
    have = len(machine.cores) - shares
    if sum(wanted.values()) > have:
        listed = ", ".join(f"{role} {cores}" for role, cores in wanted.items())
        kept = " besides the one that the others share" if shares else ""
        total = sum(wanted.values())
        yield f"the exclusive lanes want {total} cores ({listed}); its machine has {have}{kept}"


def _overlaps(profile: Profile, machine: Machine) -> Iterator[str]:
    """Two groups cannot have one L3 to themselves, nor one group both share and own it."""
    lanes = {role: needs for role, needs in profile.lanes.items() if needs.count}
    owners = {needs.group or role for role, needs in lanes.items() if needs.l3 == "own"}
    for role, needs in lanes.items():
        if needs.exclusive and needs.l3 == "share" and needs.group in owners:
            yield f'lanes.{role}: its group {needs.group!r} has an L3 of its own; say l3 = "own" here, too'
    if len(owners) > len(machine.l3_groups):
        yield (
            f"{len(owners)} groups want an L3 of their own ({', '.join(sorted(owners))}): on its machine, "
            f"with {len(machine.l3_groups)}, they overlap"
        )
    for owner in sorted(owners):
        cores = sum(
            n.count * n.cores for role, n in lanes.items() if n.exclusive and (n.group or role) == owner
        )
        largest = max((len(domain.cores) for domain in machine.domains if domain.l3_bytes), default=0)
        if largest < cores:
            yield f"group {owner!r} wants an L3 of its own for {cores} cores; the largest has {largest}"


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
