"""What `perf/bench_market.py` makes of measured rounds, and what becomes of a peer that is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from perf import bench_market
from perf.bench_market import Result
from perf.market.row import Case, Differs, Row, beside_degenbot, require_equal
from perf.peers import session
from perf.peers.session import Peers
from tallyio.bench.calibrate import EXPECTED_STEP_NS
from tallyio.bench.rounds import Series


def series(*ns: float) -> Series:
    """Rounds on a core of 4.5 GHz: calibrated times are the measured ones."""
    return Series(ns=ns, step_ns=(EXPECTED_STEP_NS,) * len(ns))


def result(
    goal_ns: float | None = None, goal_ratios: Mapping[str, float] | None = None, absent: str = ""
) -> Result:
    """A row that took 10 ns, beside Python with 100 and a peer with 40."""
    case = Case(
        ours=lambda: 0.0,
        peers={"peer": lambda: 0.0},
        absent={"other": absent} if absent else {},
        bytes_each=64,
    )
    row = Row(name="x.y", make=lambda _: case, goal_ns=goal_ns, goal_ratios=goal_ratios or {})
    beside = {"": series(10.0, 12.0), "python": series(100.0, 120.0), "peer": series(40.0, 48.0)}
    return Result(row=row, case=case, series=beside)


@pytest.mark.parametrize(
    ("goal_ns", "most", "verdict"),
    [
        (None, {}, "shown"),
        (10.1, {}, "met"),
        (9.0, {}, "missed: goal"),
        (None, {"peer": 0.25}, "met"),
        (9.0, {"peer": 0.2}, "missed: goal, peer"),
        (None, {"absent": 0.1}, "shown"),
    ],
)
def test_a_row_is_judged_by_its_fastest_round_and_by_the_middle_ratio(
    goal_ns: float | None, most: dict[str, float], verdict: str
) -> None:
    assert result(goal_ns, most).verdict == verdict


def test_a_row_is_one_figure_beside_each_of_the_others() -> None:
    figures = result(10.1, {"peer": 0.2, "other": 0.1}, absent="no such interpreter").figures()
    python, peer, other, memory = figures
    assert (python.name, python.reference, python.state) == ("market.x.y", "python", "met")
    assert python.value == pytest.approx(10.0)
    assert python.ratio == pytest.approx(0.1)
    assert (peer.name, peer.reference, peer.state) == ("market.x.y.peer", "peer", "missed")
    assert peer.reference_value == pytest.approx(40.0)
    assert peer.ratio == pytest.approx(0.25)
    assert (other.name, other.reference_value, other.state) == ("market.x.y.other", None, "absent")
    assert other.goal is not None
    assert (other.goal.aim, other.goal.calm) == ("<= 0.1x", "no such interpreter")
    assert (memory.name, memory.value, memory.unit) == ("market.x.y.memory", 64, "bytes")


@pytest.mark.parametrize(("instructions", "state"), [(248.0, "shown"), (None, "absent")])
def test_instructions_are_a_figure_that_says_how_they_were_counted(
    monkeypatch: pytest.MonkeyPatch, instructions: float | None, state: str
) -> None:
    monkeypatch.setattr(bench_market, "counter", lambda: (None, "in some way"))
    made = result(10.1)
    case = replace(made.case, counted=lambda _: None)
    *_, figure = replace(made, case=case, instructions=instructions).figures()
    assert figure.goal is not None
    assert (figure.name, figure.state) == ("market.x.y.instructions", state)
    assert (figure.value, figure.goal.calm) == (instructions or 0.0, "in some way")


def test_a_row_says_what_was_absent_and_what_it_needs() -> None:
    text = "\n".join(result(None, {"peer": 0.5}, absent="no such interpreter").lines())
    assert "4.0 times as fast as peer, goal 2" in text
    assert "without other: no such interpreter" in text
    assert "64 bytes each" in text


def test_every_row_has_one_name() -> None:
    names = [row.name for row in bench_market.declared([])]
    assert len(names) == len(set(names)) > 15
    assert all(row.name.startswith("u256.") for row in bench_market.declared(["u256."]))


def test_different_answers_end_the_run() -> None:
    with pytest.raises(Differs, match="degenbot answers 2, ours 1"):
        require_equal(1, 2, "degenbot")


def test_a_peer_without_an_interpreter_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYIO_CACHE", str(tmp_path))
    monkeypatch.setattr(session, "_interpreters", lambda: iter(()))
    with Peers() as peers:
        assert beside_degenbot(peers, 1, ("v2", "name")) == ({}, {"degenbot": peers.degenbot_absent})
        assert "no CPython 3.13 on this machine" in peers.degenbot_absent


def test_peers_that_nobody_wants_are_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYIO_CACHE", str(tmp_path))
    with Peers(wanted=False) as peers:
        assert peers.degenbot is None
    assert not list(tmp_path.iterdir())
