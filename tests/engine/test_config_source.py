"""Environment variables go before the file, and a misspelt one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallyio.engine.config import SHAPE, Config, load_config
from tallyio.engine.config_source import Source, parse_source
from tallyio.model.errors import ConfigError
from tests.engine.test_config import GOOD

LAB = "TALLYIO__CHAINS__LAB__"


def load(folder: Path, **environment: str) -> Config:
    """Load the good file with `environment`, whose names leave out what all begin with."""
    path = folder / "bot.toml"
    path.write_text(GOOD.replace("[strategies.s]", "[strategies.my-bot]"))
    return load_config(path, {f"TALLYIO__{name}": value for name, value in environment.items()})


def test_a_variable_goes_before_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, CHAINS__LAB__URL="wss://secret", RUN__PROFILE="ci", LIMITS__MAX_GAS="2_000")
    assert config.chain.settings == {"url": "wss://secret"}
    assert config.profile == "ci"
    assert config.limits.max_gas == 2_000
    assert config.limits_given


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x11", "0x11"),
        ("wss://a/b", "wss://a/b"),
        ("12", 12),
        ("-1.5", -1.5),
        ("true", True),
        ('["a", "b"]', ["a", "b"]),
        ('"12"', "12"),
        ("", ""),
    ],
)
def test_a_value_is_toml_where_it_can_be_nothing_else(text: str, value: object, tmp_path: Path) -> None:
    """An address is text, though TOML would read a number."""
    assert load(tmp_path, STRATEGIES__MY_BOT__KEY=text).strategies[0].settings == {"key": value}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("RUNN__PROFILE", r"RUNN is no table \(did you mean \"RUN\"\?\)"),
        ("RUN__PROFIL", r"PROFIL is no key of \[run\] \(did you mean \"PROFILE\"\?\)"),
        ("CHAINS__LAP__URL", r"LAP is no table of \[chains\] \(did you mean \"LAB\"\?\)"),
        ("NOTIFIERS__CONSOLE__LEVEL", r"CONSOLE is no table of \[notifiers\].*known: none"),
        ("CHAINS__LAB", "names no key; the form is TALLYIO__CHAINS__NAME__KEY"),
        ("RUN", "names no key; the form is TALLYIO__RUN__KEY"),
        ("CHAINS__LAB__URL__X", r"\[chains.lab.url\] is no table"),
    ],
)
def test_a_variable_that_stands_for_no_key_is_refused(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, **{name: "1"})


def test_a_value_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TALLYIO__RUN__PROFILE is not a TOML value"):
        load(tmp_path, RUN__PROFILE='"open')
    with pytest.raises(ConfigError, match=r"TALLYIO__LIMITS__MAX_GAS is not a TOML value that .* too long"):
        load(tmp_path, LIMITS__MAX_GAS="9" * 5_000)


@pytest.mark.parametrize("others", [("a-b", "a_b"), ("A", "a")])
def test_a_variable_that_stands_for_two_tables_is_refused(others: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_text(GOOD + "".join(f"[notifiers.{name}]\n" for name in others))
    variable = f"TALLYIO__NOTIFIERS__{others[1].upper()}__LEVEL"
    assert len(load_config(path, {}).notifiers) == 2
    with pytest.raises(ConfigError, match=f"{variable}: .* stands for {others[0]} and {others[1]}; rename"):
        load_config(path, {variable: "info"})


def test_what_a_file_gives_stays_as_it_was() -> None:
    source: Source = parse_source(GOOD, SHAPE, {f"{LAB}URL": "x"}, name="bot.toml", folder=Path())
    assert source.from_environment == {("chains", "lab", "url"): f"{LAB}URL"}
    assert source.lines()["chains", "lab", "url"] == 4
