"""Which lanes there are and which of them talk: what `placement` brings close together.

Layer: kernel. A program hands over its own graph; without one, `standard_graph` is the pipeline
of a whole engine with as many lanes of each role as the profile counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import msgspec

from tallyio.kernel.profile import LANES, Profile
from tallyio.model.errors import ConfigError

STANDARD_TRAFFIC = (
    ("feeds", "hot", 8.0),
    ("hot", "control", 8.0),
    ("control", "hot", 4.0),
    ("control", "risk", 4.0),
    ("risk", "control", 4.0),
    ("network", "feeds", 4.0),
    ("control", "simulation", 2.0),
    ("simulation", "control", 2.0),
    ("control", "network", 2.0),
    ("hot", "analytics", 1.0),
    ("control", "background", 0.5),
)
"""The pipeline: from role, to role, traffic. A block is 1; what decides within a block weighs more
than what only has to arrive."""


class LaneSpec(msgspec.Struct, frozen=True):
    """A lane and its role, whose needs the profile knows."""

    name: str
    role: str


class RingSpec(msgspec.Struct, frozen=True):
    """A ring from one lane to another, by name; `traffic` is relative, above 0."""

    source: str
    target: str
    traffic: float = 1.0


class LaneGraph(msgspec.Struct, frozen=True, kw_only=True):
    """Lanes, and the rings between them. Raises: ConfigError: names, roles or traffic make no sense."""

    lanes: tuple[LaneSpec, ...]
    rings: tuple[RingSpec, ...] = ()

    def __post_init__(self) -> None:
        names = [lane.name for lane in self.lanes]
        for fault in (*_lane_faults(self.lanes, names), *_ring_faults(self.rings, names)):
            raise ConfigError(f"the lane graph is wrong: {fault}", way_out="correct the graph")


def standard_graph(profile: Profile) -> LaneGraph:
    """Return the pipeline of `STANDARD_TRAFFIC` with `count` lanes of each role.

    The first lane of a role has the role's name, the next ones "hot.1", "hot.2" and so on. Where
    roles have several lanes they are connected in turn: feeds.3 with hot.1 of two.
    """
    lanes = tuple(
        LaneSpec(role if number == 0 else f"{role}.{number}", role)
        for role in LANES
        for number in range(profile.lanes[role].count)
    )
    of_role = {
        role: [lane.name for lane in members] for role, members in groupby(lanes, key=lambda x: x.role)
    }
    rings = tuple(
        RingSpec(sources[turn % len(sources)], targets[turn % len(targets)], traffic)
        for source, target, traffic in STANDARD_TRAFFIC
        if (sources := of_role.get(source)) and (targets := of_role.get(target))
        for turn in range(max(len(sources), len(targets)))
    )
    return LaneGraph(lanes=lanes, rings=rings)


def _lane_faults(lanes: tuple[LaneSpec, ...], names: list[str]) -> Iterator[str]:
    if not lanes:
        yield "it has no lanes"
    for lane in lanes:
        if lane.role not in LANES:
            yield f"lane {lane.name!r} has the unknown role {lane.role!r}; roles are {', '.join(LANES)}"
        if names.count(lane.name) > 1:
            yield f"two lanes are called {lane.name!r}"


def _ring_faults(rings: tuple[RingSpec, ...], names: list[str]) -> Iterator[str]:
    known = set(names)
    for ring in rings:
        for end in (ring.source, ring.target):
            if end not in known:
                yield f"the ring {ring.source} to {ring.target} ends at {end!r}, which is no lane"
        if ring.source == ring.target:
            yield f"lane {ring.source!r} has a ring to itself"
        if not ring.traffic > 0:
            yield f"the ring {ring.source} to {ring.target} has the traffic {ring.traffic:g}; it must be > 0"
