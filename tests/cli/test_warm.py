"""`tallyio warm`: a configuration's code, compiled before its first start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from tallyio.cli import main

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "arbitrage" / "tallyio.toml"


def test_a_second_time_finds_everything_compiled(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["warm", str(EXAMPLE), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["functions"] > 10
    kept = sorted(path for path in Path(first["directory"]).rglob("*") if path.is_file())
    assert kept
    stamps = [path.stat().st_mtime_ns for path in kept]
    assert main(["warm", str(EXAMPLE)]) == 0
    assert f"{first['functions']} functions are compiled" in capsys.readouterr().out
    assert [path.stat().st_mtime_ns for path in kept] == stamps


def test_a_configuration_that_is_wrong_is_refused_as_at_a_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text(
        EXAMPLE.read_text()
        .replace('"uniswap_v2"', '"uniswap_v22"', 1)
        .replace("[protocols.uniswap_v2]", "[protocols.uniswap_v22]")
    )
    assert main(["warm", str(config)]) == 3
    assert "did you mean" in capsys.readouterr().err
