"""`tallyio config`: shown with origins, checked with every plugin, explained to editors."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from tallyio.cli import main

VARIABLE = "TALLYIO__CHAINS__ETHEREUM__URL"


@pytest.fixture
def bot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Write a configuration as a user would begin."""
    assert main(["init", str(tmp_path / "bot"), "--json"]) == 0
    capsys.readouterr()
    return tmp_path / "bot" / "tallyio.toml"


def test_origins_are_shown_beside_values(
    bot: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "wss://node.example/v3/0123456789abcdef")
    assert main(["config", "show", str(bot), "--origin"]) == 0
    said = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    line = (
        bot.read_text().splitlines().index("max_fee_gwei = 50.0              # highest max-fee per gas") + 1
    )
    assert f"limits.max_fee_gwei = 50.0 # {bot}:{line}" in said
    assert "limits.max_gas = 1500000 # default" in said
    assert f'chains.ethereum.url = "wss://node.example/***" # {VARIABLE}' in said
    assert "0123456789abcdef" not in "".join(said)

    assert main(["config", "show", str(bot), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {"key": "limits.max_gas", "value": 1_500_000, "origin": "default"} in facts["settings"]


def test_what_init_wrote_is_sound_and_fits_the_schema_beside_it(
    bot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check", str(bot), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["strategies"] == ["arbitrage"]
    text = bot.read_text()
    named = text.splitlines()[0].removeprefix("#:schema ")
    schema = json.loads((bot.parent / named).read_text())
    jsonschema.Draft202012Validator(schema).validate(tomllib.loads(text))

    assert main(["config", "schema", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == schema
    assert main(["config", "schema", str(bot)]) == 0
    own = json.loads(capsys.readouterr().out)["properties"]
    assert set(own["protocols"]["properties"]) == {"uniswap_v2"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("chain_id = 1 ", "chain_di = 1 ", 'did you mean "chain_id"'),
        ("chain_id = 1 ", "chain_id = '1' ", "tallyio.toml: [chains.ethereum.chain_id] expected `int`"),
        ("ws://127.0.0.1:8546", "ws://node.example", "tallyio.toml: [chains.ethereum.url] ws://node.example"),
        (
            "[notifiers.console]",
            "[notifiers.me]\nplugin = 'console'\nloud = 1",
            "toml: [notifiers.me] has an un",
        ),
        ('level = "warning"', 'level = "waring"', "tallyio.toml: [notifiers.console.level] has an unknown"),
        ("[signers.hot] ", "[signers.hot]\ndeadline_s = 'soon' ", "tallyio.toml: [signers.hot.deadline_s]"),
        ('preset = "sushiswap"', 'preset = "sushi"', 'did you mean "sushiswap"'),
        ("[strategies.arbitrage]", "[strategies.arbitrag]", 'did you mean "arbitrage"'),
    ],
)
def test_a_mistake_in_a_plugins_table_is_found_without_a_run(
    old: str, new: str, says: str, bot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = bot.read_text()
    assert old in text
    bot.write_text(text.replace(old, new))
    assert main(["config", "check", str(bot)]) == 3
    assert says in capsys.readouterr().err


def test_a_wrong_value_has_the_same_name_where_it_is_shown(
    bot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bot.write_text(bot.read_text().replace("chain_id = 1 ", "chain_id = '1' "))
    says = f"{bot}: [chains.ethereum.chain_id] expected `int`"
    for command in ("check", "show"):
        assert main(["config", command, str(bot)]) == 3
        assert says in capsys.readouterr().err


def test_a_misspelt_variable_stops_every_command_but_not_its_help(
    bot: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLYIO_CAHCE", "x")
    assert main(["config", "check", str(bot)]) == 3
    assert 'did you mean "TALLYIO_CACHE"' in capsys.readouterr().err
    assert main(["config", "check", "--help"]) == 0
