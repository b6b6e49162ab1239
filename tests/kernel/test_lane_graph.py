"""Lanes and their rings."""

from __future__ import annotations

import msgspec
import pytest

from tallyio.kernel.lane_graph import LaneGraph, LaneSpec, RingSpec, standard_graph
from tallyio.kernel.profile import LANES, Profile, load_profile
from tallyio.model.errors import ConfigError

CI = load_profile("ci")


def counted(**counts: int) -> Profile:
    """Return the ci profile with other numbers of lanes."""
    lanes = {role: msgspec.structs.replace(CI.lanes[role], count=counts.get(role, 1)) for role in LANES}
    return msgspec.structs.replace(CI, lanes=lanes)


def test_the_standard_pipeline_has_a_lane_of_each_role() -> None:
    graph = standard_graph(CI)
    assert [lane.name for lane in graph.lanes] == list(LANES)
    assert RingSpec("feeds", "hot", 8.0) in graph.rings


def test_lanes_of_one_role_are_numbered_and_connected_in_turn() -> None:
    graph = standard_graph(counted(feeds=3, hot=2))
    assert [lane.name for lane in graph.lanes[:2]] == ["hot", "hot.1"]
    assert [(ring.source, ring.target) for ring in graph.rings if ring.target.startswith("hot")][:3] == [
        ("feeds", "hot"),
        ("feeds.1", "hot.1"),
        ("feeds.2", "hot"),
    ]


def test_a_role_without_lanes_has_no_rings() -> None:
    graph = standard_graph(counted(risk=0))
    assert all("risk" not in (ring.source, ring.target) for ring in graph.rings)


@pytest.mark.parametrize(
    ("lanes", "rings", "message"),
    [
        ((), (), "it has no lanes"),
        ((LaneSpec("a", "warm"),), (), "lane 'a' has the unknown role 'warm'; roles are hot, control"),
        ((LaneSpec("a", "hot"), LaneSpec("a", "risk")), (), "two lanes are called 'a'"),
        ((LaneSpec("a", "hot"),), (RingSpec("a", "b"),), "the ring a to b ends at 'b', which is no lane"),
        ((LaneSpec("a", "hot"),), (RingSpec("a", "a"),), "lane 'a' has a ring to itself"),
        (
            (LaneSpec("a", "hot"), LaneSpec("b", "hot")),
            (RingSpec("a", "b", float("nan")),),
            "the ring a to b has the traffic nan; it must be > 0",
        ),
    ],
)
def test_a_graph_that_makes_no_sense_is_refused(
    lanes: tuple[LaneSpec, ...], rings: tuple[RingSpec, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        LaneGraph(lanes=lanes, rings=rings)
