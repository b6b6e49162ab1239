"""What people see: progress on the way, a table at the end."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tallyio.bench.compare import Change, Comparison
from tallyio.bench.records import Calls, CoreToCore, Figure, Goal, Spread, Surroundings, Verdict
from tallyio.bench.show import about, misses, seconds_text, show_progress, table_of, table_of_changes


def test_without_a_terminal_progress_is_one_line_a_script() -> None:
    text = io.StringIO()
    with show_progress(Console(file=text)) as progress:
        progress("protocol toy: bench.py", 0, 1)
        progress("done", 1, 1)
    assert text.getvalue().splitlines() == ["bench 0/1: protocol toy: bench.py", "bench 1/1: done"]


def test_on_a_terminal_progress_is_a_bar() -> None:
    text = io.StringIO()
    with show_progress(Console(file=text, force_terminal=True, width=100)) as progress:
        progress("protocol toy: bench.py", 1, 2)
    assert "1/2" in text.getvalue()
    assert "protocol toy: bench.py" in text.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.0, "2 s"), (0.0031, "3.1 ms"), (4.25e-6, "4.25 us"), (12.3e-9, "12.3 ns"), (5e-11, "0.05 ns")],
)
def test_a_time_has_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_a_row_shows_time_reference_ratio_promise_and_verdict() -> None:
    def flat(value: float) -> Spread:
        return Spread(median=value, low=value, high=value)

    kept = Verdict(
        subject="protocol toy",
        name="toy.quote",
        state="kept",
        reference="toy.plain",
        max_ratio=0.5,
        ratio=flat(0.25),
        seconds=flat(1e-6),
        reference_seconds=flat(4e-6),
        calls=Calls(count=9, p50_ns=1_000, p99_ns=2_000, p999_ns=2_000, max_ns=2_000, operations=1_000),
    )
    failed = Verdict(subject="protocol other", name="", state="failed", fault="has no contract.toml")
    text = io.StringIO()
    Console(file=text, width=200).print(table_of([kept, failed]))
    _, first, second = (" ".join(line.split()) for line in text.getvalue().splitlines())
    assert first == "toy.quote 1 us ±0% 2 ns toy.plain 4 us 0.25 (0.25 to 0.25) <= 0.5 kept"
    assert second == "protocol other failed: has no contract.toml"


def test_a_figure_is_judged_by_its_budget_and_shown_beside_its_reference() -> None:
    figures = [
        Figure(name="demo.signed.p50", value=1_234.5, unit="us", reference="secp256k1", reference_value=20.0),
        Figure(name="demo.detect.p50", value=51.26, unit="us", budget=100.0),
        Figure(name="demo.rss", value=101.0, unit="MiB", budget=100.0),
    ]
    text = io.StringIO()
    Console(file=text, width=200).print(table_of([], figures))
    rows = [" ".join(line.split()) for line in text.getvalue().splitlines()[1:]]
    assert rows == [
        "demo.signed.p50 1,234 us secp256k1 20 us 61.7 shown",
        "demo.detect.p50 51.3 us <= 100 us kept",
        "demo.rss 101 MiB <= 100 MiB broken",
    ]


def test_a_goal_is_shown_with_its_spread_and_a_miss_says_why() -> None:
    goal = Goal(
        aim="<= 0.8x",
        verdict="missed",
        values=Spread(median=90, low=80, high=95),
        ratios=Spread(median=0.9, low=0.8, high=1.0),
        core_to_core_ns=30.4,
        calm="6 of 7 calm",
        why="half of it is a call",
    )
    figure = Figure(name="a.goal", value=90, unit="ns", reference="peer", reference_value=100, goal=goal)
    text = io.StringIO()
    Console(file=text, width=200).print(table_of([], [figure]))
    assert " ".join(text.getvalue().splitlines()[1].split()) == (
        "a.goal 90 (80 to 95) ns peer 100 0.9 (0.8 to 1) <= 0.8x missed; core to core 30 ns; 6 of 7 calm"
    )
    assert list(misses([figure])) == ["a.goal: half of it is a call"]


def test_a_goal_that_is_held_against_the_fastest_round_shows_that_round_and_the_median() -> None:
    goal = Goal(
        aim="<= 110 ns",
        verdict="met",
        values=Spread(median=130, low=96.4, high=155),
        ratios=None,
        calm="144 ns as measured",
    )
    figure = Figure(name="a.goal", value=98.7, unit="ns", goal=goal)
    text = io.StringIO()
    Console(file=text, width=200).print(table_of([], [figure]))
    assert " ".join(text.getvalue().splitlines()[1].split()) == (
        "a.goal 98.7 ns at best, median 130 (96.4 to 155) <= 110 ns met; 144 ns as measured"
    )


def test_a_comparison_shows_what_changed_first() -> None:
    same = Change(name="a", outcome="same", factor=1.0, low=0.99, high=1.01, processes=(3, 3))
    slower = Change(
        name="b", outcome="slower", factor=1.1, low=1.08, high=1.12, chance=0.002, processes=(9, 9)
    )
    alone = Change(name="c", outcome="alone", why="only in B")
    text = io.StringIO()
    Console(file=text, width=200).print(
        table_of_changes(Comparison(way="in turns", changes=(same, slower, alone)))
    )
    rows = [" ".join(line.split()) for line in text.getvalue().splitlines()[1:]]
    assert rows == [
        "b 1.100x 1.080 to 1.120 0.002 9 + 9 slower",
        "a 1.000x 0.990 to 1.010 first look 3 + 3 same",
        "c alone: only in B",
    ]


def test_a_result_says_where_it_was_measured() -> None:
    around = Surroundings(
        python="CPython 3.12.1",
        pyperf="2",
        model="a chip",
        topology_hash="x",
        pus=(1,),
        placement=None,
        note="each in the place of its lane",
        core_to_core=CoreToCore(pairs=3, median_ns=40.4, low_ns=30, high_ns=90),
        versions={"numba": "1"},
    )
    assert list(about(around)) == [
        "a chip; each in the place of its lane",
        "core to core 40 ns (30 to 90, 3 pairs)",
        "CPython 3.12.1, numba 1",
    ]
