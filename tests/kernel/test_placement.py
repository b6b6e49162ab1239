"""Placement: where lanes run, on named machines and on random ones."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyio.kernel.machine import CoreKind, Machine
from tallyio.kernel.placement import Placement, place
from tallyio.kernel.profile import LANES, Fit, LaneNeeds, MeantFor, Profile, load_profile, profile_names

EPYC = load_profile("epyc_9454p")


def machine(text: str, allowed: set[int] | None = None, quota: float | None = None) -> Machine:
    """Return a synthetic machine, of which only some PUs may be ours."""
    whole = Machine.from_synthetic(text)
    return msgspec.structs.replace(
        whole, allowed=whole.pus if allowed is None else frozenset(allowed), cpu_quota=quota
    )


def profile(**lanes: LaneNeeds) -> Profile:
    """Return a profile in which every other lane asks for nothing."""
    return Profile(
        name="test",
        summary="",
        machine=MeantFor(synthetic="pu:1", topology_hash=""),
        fits=Fit(),
        lanes={lane: lanes.get(lane, LaneNeeds()) for lane in LANES},
    )


def cpusets(placement: Placement) -> dict[str, set[int]]:
    """Return the PUs of each lane."""
    return {lane.lane: set(lane.cpuset) for lane in placement.lanes}


@pytest.fixture(scope="module")
def epyc() -> Placement:
    """EPYC 9454P with its own profile."""
    return place(Machine.from_synthetic(EPYC.machine.synthetic), EPYC)


MARKET = ("hot", "control", "feeds", "risk", "network")


def test_lanes_that_talk_share_an_l3(epyc: Placement) -> None:
    assert {epyc.lane(lane).domain for lane in MARKET} == {"L3#1"}
    inside = [ring for ring in epyc.rings if {ring.source, ring.target} <= {*MARKET}]
    assert len(inside) == 7
    assert all(ring.one_cache and ring.distance_ns == 30 for ring in inside)


def test_the_housekeeping_core_and_its_cache_are_left_to_those_with_time(epyc: Placement) -> None:
    assert epyc.reasons == ("PUs 0,48 stay common: interrupts arrive there first",)
    assert {epyc.lane(lane).domain for lane in epyc.lanes_on(0)} == {"L3#0"}
    assert not {*epyc.lanes_on(0)} & {*MARKET, "simulation"}


def test_siblings_of_exclusive_cores_are_idle(epyc: Placement) -> None:
    assert epyc.lane("hot").cpuset == (6,)
    assert epyc.lane("hot").idle_siblings == (54,)
    assert epyc.lanes_on(54) == ()


def test_simulation_fills_another_chiplet(epyc: Placement) -> None:
    assert epyc.lane("simulation").cpuset == (*range(12, 18), *range(60, 66))


def test_nothing_is_lost(epyc: Placement) -> None:
    assert not any(lane.degraded for lane in epyc.lanes)
    assert epyc.lane("hot").wait == "poll"
    assert epyc.lane("hot").reasons == ("1 core of its own in L3#1, PU 54 beside it left idle",)


def test_every_choice_is_explained(epyc: Placement) -> None:
    assert epyc.lane("hot").choices == (
        "under one cache with feeds and control: their rings stay there",
        "not under one cache with analytics (100 ns): its group has L3#1 for itself",
        "L3#1 is its group's alone",
        "away from PUs 0,48, where interrupts arrive",
    )
    assert all(lane.choices for lane in epyc.lanes)


def test_two_cores_leave_one_to_the_market() -> None:
    asking = load_profile("ci")
    control = msgspec.structs.replace(asking.lanes["control"], exclusive=True)
    asking = msgspec.structs.replace(asking, lanes={**asking.lanes, "control": control})
    placement = place(machine("l3:1 core:2 pu:1"), asking)
    assert cpusets(placement) == {"hot": {1}, **{lane: {0} for lane in LANES[1:]}}
    assert placement.lane("control").degraded
    assert placement.lane("control").wait == "park"
    assert placement.lane("control").reasons == (
        "shares its PUs in L3#0 with feeds, risk, network, simulation, analytics and background",
        "the profile asks for 1 core of its own: 2 PUs on 2 cores must do for 8 lanes",
    )


def test_two_siblings_are_shared_out_and_polling_becomes_hybrid() -> None:
    hot = place(machine("core:1 pu:2"), EPYC).lane("hot")
    assert (hot.level, hot.cpuset, hot.wait, hot.wait_budget_us) == ("pu", (1,), "hybrid", 50)
    assert "polling slows the other PU" in hot.reasons[-1]


def test_on_one_pu_everything_parks() -> None:
    placement = place(machine("pu:1"), EPYC)
    assert {lane.cpuset for lane in placement.lanes} == {(0,)}
    assert {lane.wait for lane in placement.lanes} == {"park"}
    assert placement.lane("hot").reasons[-1] == "waits by parking instead of poll: other lanes need its PU"


def test_two_cores_with_siblings_give_control_a_pu() -> None:
    placement = place(machine("core:2 pu:2"), EPYC)
    assert placement.lane("hot").level == "cores"
    assert placement.lane("control").level == "pu"
    assert placement.lane("control").wait == "hybrid"
    assert placement.lane("feeds").level == "shared"


def test_a_lane_of_many_cores_takes_what_is_left() -> None:
    simulation = place(machine("core:8 pu:1"), EPYC).lane("simulation")
    assert simulation.level == "cores"
    assert len(simulation.cpuset) == 3
    assert simulation.degraded


def test_when_every_lane_has_cores_none_is_withheld() -> None:
    alone = profile(**dict.fromkeys(LANES, LaneNeeds(exclusive=True)))
    placement = place(machine("core:8 pu:1"), alone)
    assert {lane.level for lane in placement.lanes} == {"cores"}
    assert set().union(*cpusets(placement).values()) == set(range(8))


def test_a_group_that_does_not_fit_says_so() -> None:
    placement = place(machine("package:2 l3:3 core:1 pu:1"), EPYC)
    risk = placement.lane("risk")
    home = placement.lane("hot").domain
    assert risk.degraded
    assert f"not in {home} with hot: no core is left there" in risk.reasons


def test_what_does_not_fit_in_an_l3_stays_near_it() -> None:
    placement = place(machine("package:2 l3:8 core:1 pu:1"), EPYC)
    market = [placement.lane(lane) for lane in ("hot", "control", "feeds", "risk")]
    assert len({lane.domain for lane in market}) == 4
    assert len({lane.cpuset[0] // 8 for lane in market}) == 1


def test_a_sibling_outside_our_cpuset_is_pointed_out() -> None:
    placement = place(machine("core:4 pu:2", allowed={0, 1, 2, 4, 6}), EPYC)
    hot = placement.lane("hot")
    assert hot.cpuset == (2,)
    assert hot.idle_siblings == ()
    assert "PU 3 beside it is not ours: another process may run there" in hot.reasons
    assert "PUs 3,5,7 not used: this process is not allowed there" in placement.reasons


def test_fast_cores_go_to_urgent_lanes() -> None:
    kinds = (
        CoreKind(name="efficiency", rank=0, pus=frozenset({0, 1, 2, 3})),
        CoreKind(name="performance", rank=1, pus=frozenset({4, 5, 6, 7})),
    )
    placement = place(msgspec.structs.replace(machine("l3:1 core:8 pu:1"), core_kinds=kinds), EPYC)
    assert placement.lane("hot").cpuset == (4,)
    assert placement.lane("control").cpuset == (5,)


@pytest.mark.parametrize(
    ("quota", "hot", "control"),
    [(None, "poll", "hybrid"), (3.0, "poll", "hybrid"), (2.0, "poll", "park"), (1.5, "park", "park")],
)
def test_lanes_stay_awake_while_a_cpu_is_left(quota: float | None, hot: str, control: str) -> None:
    placement = place(machine("core:8 pu:1", quota=quota), EPYC)
    assert (placement.lane("hot").wait, placement.lane("control").wait) == (hot, control)


def test_the_quota_is_said() -> None:
    placement = place(machine("core:8 pu:1", quota=1.5), EPYC)
    assert "the cgroup's quota is 1.5 CPUs of time" in placement.reasons
    assert placement.lane("hot").reasons[-1].endswith("staying awake would use up the CPU quota")


def test_json_is_plain_and_complete() -> None:
    placement = place(machine("core:2 pu:1"), load_profile("ci"))
    plain = json.loads(json.dumps(placement.to_json()))
    assert [lane["lane"] for lane in plain["lanes"]] == list(LANES)
    assert plain["lanes"][0]["cpuset"] == [1]
    assert plain["profile"] == "ci"


def test_an_unknown_lane_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="accounts"):
        place(machine("pu:1"), EPYC).lane("accounts")


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Return random machines: packages, L3 groups, cores, SMT, any numbering, any allowed set."""
    packages, l3, cores, smt = (draw(st.integers(1, high)) for high in (2, 4, 4, 3))
    pus = packages * l3 * cores * smt
    # hwloc wants a whole permutation: shuffle the OS indexes of all PUs.
    indexes = draw(st.permutations(range(pus))) if draw(st.booleans()) else list(range(pus))
    text = f"package:{packages} l3:{l3} core:{cores} pu:{smt}(indexes={','.join(map(str, indexes))})"
    allowed = draw(st.sets(st.sampled_from(range(pus)), min_size=1))
    quota = draw(st.none() | st.floats(0.1, 64))
    return machine(text, allowed if draw(st.booleans()) else None, quota)


needs = st.builds(
    lambda exclusive, cores, group, smt: LaneNeeds(
        exclusive=exclusive,
        cores=cores,
        group=group,
        smt=smt if exclusive else "idle",
        wait="poll" if exclusive else "park",
    ),
    st.booleans(),
    st.integers(1, 6),
    st.sampled_from(["", "market", "other"]),
    st.sampled_from(["idle", "use"]),
)
profiles = st.one_of(
    st.sampled_from([load_profile(name) for name in profile_names()]),
    st.fixed_dictionaries(dict.fromkeys(LANES, needs)).map(lambda lanes: profile(**lanes)),
)


@given(machines(), profiles)
def test_every_lane_runs_on_pus_we_are_allowed(subject: Machine, asked: Profile) -> None:
    for lane in place(subject, asked).lanes:
        assert lane.cpuset
        assert list(lane.cpuset) == sorted(set(lane.cpuset))
        assert subject.allowed.issuperset(lane.cpuset)


@given(machines(), profiles)
def test_the_same_question_has_the_same_answer(subject: Machine, asked: Profile) -> None:
    assert place(subject, asked) == place(subject, asked)


@given(machines(), profiles)
def test_nobody_else_runs_on_exclusive_cores(subject: Machine, asked: Profile) -> None:
    placement = place(subject, asked)
    for lane in placement.lanes:
        if lane.level == "cores":
            cores = {pu for own in lane.cpuset for pu in subject.core_of(own).pus}
            others = [other for other in placement.lanes if other is not lane]
            assert cores.isdisjoint(pu for other in others for pu in other.cpuset)


@given(machines(), profiles)
def test_idle_siblings_are_idle_and_all_named(subject: Machine, asked: Profile) -> None:
    placement = place(subject, asked)
    for lane in placement.lanes:
        assert all(placement.lanes_on(pu) == () for pu in lane.idle_siblings)
        if lane.level == "cores":
            siblings = {pu for own in lane.cpuset for pu in subject.siblings(own)} - set(lane.cpuset)
            assert set(lane.idle_siblings) == siblings & subject.allowed


@given(machines(), profiles)
def test_a_pu_of_its_own_is_nobody_elses(subject: Machine, asked: Profile) -> None:
    placement = place(subject, asked)
    for lane in placement.lanes:
        if lane.level == "pu":
            assert len(lane.cpuset) == 1
            assert placement.lanes_on(lane.cpuset[0]) == (lane.lane,)


@given(machines(), profiles)
def test_enough_cores_mean_that_nothing_is_lost(subject: Machine, asked: Profile) -> None:
    wanted = sum(needs.cores for needs in asked.lanes.values() if needs.exclusive)
    all_exclusive = all(needs.exclusive for needs in asked.lanes.values())
    placement = place(subject, asked)
    if len(subject.allowed_cores()) >= wanted + (not all_exclusive):
        for lane in placement.lanes:
            lane_needs = asked.lanes[lane.lane]
            assert (lane.level == "cores") == lane_needs.exclusive
            if lane_needs.exclusive:
                assert len({subject.core_of(pu) for pu in lane.cpuset}) == lane_needs.cores


@given(machines(), profiles)
def test_whoever_shares_parks_and_says_why(subject: Machine, asked: Profile) -> None:
    for lane in place(subject, asked).lanes:
        lane_needs = asked.lanes[lane.lane]
        if lane.level == "shared":
            assert lane.wait == "park"
        if lane.wait != lane_needs.wait or (lane_needs.exclusive and lane.level != "cores"):
            assert lane.degraded
        assert lane.degraded == (len(lane.reasons) > 1)
