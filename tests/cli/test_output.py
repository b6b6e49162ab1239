"""What others named is printed as it is, wherever a command prints it."""

from __future__ import annotations

import pytest
from rich.table import Table

from tallyio.bench.show import show_progress
from tallyio.cli.live import screen
from tallyio.cli.output import console
from tallyio.cli.positions import _print
from tallyio.engine.report import Report, Trade
from tallyio.engine.survey import Near, Survey
from tallyio.model.market import Token
from tallyio.model.units import Address, Hash, Wei

ODD = "[red]x[/red] [/b] :bomb:"
"""Rich would take it for a style, an error and a picture."""


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no line wrap."""
    monkeypatch.setenv("COLUMNS", "200")


def test_a_table_shows_brackets_and_colons_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(ODD)
    table.add_row(ODD)
    console().print(table)
    console().print(ODD)
    assert capsys.readouterr().out.count(ODD) == 3


def test_the_live_view_shows_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    token = Address(bytes(20))
    report.tokens = {token: Token(address=token, symbol=ODD, decimals=0)}
    report.trade(
        Trade(
            opportunity=1,
            block_number=1,
            path=ODD,
            token=token,
            predicted=5,
            simulated=5,
            realised=5,
            gas_cost_wei=Wei(1),
            transaction=Hash(bytes(32)),
        ),
        None,
    )
    report.say(ODD)
    console().print(screen(report, ODD, None))
    shown = capsys.readouterr().out
    assert shown.count(ODD) == 5, "profit, the path and gain of the trade, what was said, the machine"
    assert "landed         1 " in shown


def test_positions_show_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    position = Near(
        venue=ODD,
        account="0x" + "11" * 20,
        part=0,
        health=0.99,
        liquidatable=True,
        asset=ODD,
        dies_at=1.01,
        profit=None,
        reason=ODD,
        auction=ODD,
    )
    _print(Survey(chain=1, block=7, positions=9, near=(position,)))
    assert capsys.readouterr().out.count(ODD) == 4


def test_a_bar_of_benchmarks_shows_names_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    with show_progress(console()) as progress:
        progress(ODD, 1, 2)
    assert ODD in capsys.readouterr().out
