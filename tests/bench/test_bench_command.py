"""`tallyio bench` end to end, on a toy plugin that looks installed."""

from __future__ import annotations

import json

import pytest

from tallyio.bench import script
from tallyio.cli.bench import bench
from tests.bench.conftest import GLANCE, MakePlugin


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(script.EFFORTS, "fast", GLANCE)


def test_a_promise_that_holds_is_exit_code_0_and_one_json_object(
    make_plugin: MakePlugin, capsys: pytest.CaptureFixture[str]
) -> None:
    make_plugin("toybench")
    assert bench("toybench", json=True) == 0
    output = capsys.readouterr()
    report = json.loads(output.out)
    (promise,) = report["promises"]
    assert (promise["name"], promise["state"], promise["samples"]) == ("toybench.twice", "kept", 3)
    assert promise["ratio"] == {"median": 2.0, "low": 2.0, "high": 2.0}
    assert report["surroundings"]["pyperf"]
    assert "toybench" in output.err


def test_a_broken_promise_is_exit_code_1(make_plugin: MakePlugin, capsys: pytest.CaptureFixture[str]) -> None:
    make_plugin("toybench", max_ratio=1.5)
    assert bench("toybench") == 1
    assert "broken" in capsys.readouterr().out


def test_a_plugin_whose_contract_is_unreadable_is_exit_code_1(
    make_plugin: MakePlugin, capsys: pytest.CaptureFixture[str]
) -> None:
    make_plugin("toybench", contract="kind = ")
    assert bench("toybench", json=True) == 1
    (promise,) = json.loads(capsys.readouterr().out)["promises"]
    assert promise["state"] == "failed"
    assert "contract.toml" in promise["fault"]
