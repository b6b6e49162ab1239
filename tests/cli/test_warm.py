"""`tallyio warm`: a configuration's code, compiled before its first start."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import Any, Final

import pytest
from numba.core.event import install_recorder

from tallyio.cli import main
from tallyio.engine import warming
from tallyio.market.exports import Progress
from tallyio.native import cache
from tallyio.native.jit import HotFunction, warm_all

EXAMPLES: Final = Path(__file__).parents[2] / "examples"


def demo(name: str, folder: Path) -> Path:
    """Return one of the demo's configurations with facts in it that no lab has."""
    template = (EXAMPLES / "demo" / name).read_text(encoding="utf-8")
    facts = dict.fromkeys(re.findall(r"\$(\w+)", template), "0x" + "11" * 20)
    facts |= {"chain_id": "1", "morpho_markets": '"0x' + "22" * 32 + '"', "url": "ws://127.0.0.1:9"}
    config = folder / name
    config.write_text(Template(template).substitute(facts), encoding="utf-8")
    return config


def test_a_second_time_finds_everything_compiled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = demo("tallyio.toml", tmp_path)
    assert main(["warm", str(config), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["functions"] > 10
    assert Path(first["directory"]).is_dir()
    with install_recorder("numba:compile") as compiled:
        assert main(["warm", str(config)]) == 0
    assert f"{first['functions']} functions are compiled" in capsys.readouterr().out
    assert not compiled.buffer


def test_a_configuration_that_is_wrong_is_refused_as_at_a_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text(
        (EXAMPLES / "arbitrage" / "tallyio.toml")
        .read_text()
        .replace('"uniswap_v2"', '"uniswap_v22"', 1)
        .replace("[protocols.uniswap_v2]", "[protocols.uniswap_v22]")
    )
    assert main(["warm", str(config)]) == 3
    assert "did you mean" in capsys.readouterr().err


def test_code_that_is_not_kept_is_not_warm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cache that cannot be used is refused before the work, a disk that fills up meanwhile after it."""
    config = demo("tallyio.toml", tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setattr(cache, "_faults", [])
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TALLYIO_CACHE", str(tmp_path / "file" / "cache"))
        elsewhere.setattr(warming, "build", None)
        assert main(["warm", str(config), "--json"]) == 4
    said = json.loads(capsys.readouterr().out)["error"]
    assert said["message"].startswith(f"compiled code is not kept: cannot use {tmp_path}/file/cache (")
    assert said["way_out"].startswith("set TALLYIO_CACHE")

    monkeypatch.setattr(cache, "_faults", [])
    monkeypatch.setattr(warming, "warm_all", lambda *_: cache._faults.append("cannot write to x (full)"))
    assert main(["warm", str(config)]) == 4
    assert "compiled code is not kept: cannot write to x (full)" in capsys.readouterr().err


def test_what_books_need_is_compiled_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = demo("lending.toml", tmp_path)
    compiled: list[HotFunction[..., Any]] = []

    def noted(functions: Iterable[HotFunction[..., Any]], progress: Progress | None) -> None:
        compiled.extend(functions)
        warm_all(compiled, progress)

    monkeypatch.setattr(warming, "warm_all", noted)
    assert main(["warm", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["functions"] == len(compiled)
    modules = {function.__module__ for function in compiled}
    assert {"tallyio.engine.market_program", "tallyio.lending.program"} <= modules
    assert any(module.startswith("tallyio_strategy_liquidation.") for module in modules)
