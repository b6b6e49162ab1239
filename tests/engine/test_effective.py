"""Every value in effect says where it came from, and no secret is among them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tallyio.engine.config import SHAPE, check_source
from tallyio.engine.config_source import read_source
from tallyio.engine.effective import Setting, effective
from tallyio.hooks.catalog import Catalog
from tallyio.model.errors import PluginError
from tests.engine.test_config import GOOD
from tests.hooks.conftest import GOOD_CONTRACT, MakePlugin, make_plugin

__all__ = ["make_plugin"]

SETTINGS = """
import msgspec
from tallyio.hooks.settings import Secret

class Place(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    pin: Secret = "0000"

class Settings(msgspec.Struct, forbid_unknown_fields=True):
    places: list[Place] = []
    pins: dict[str, Secret] = {}
    level: int = 3
    api_key: str = ""
    password_file: str = "file"
    native_token: str = "weth"
"""
FILE = """
[notifiers.toy]
api_key = "abc"
[[notifiers.toy.places]]
name = "http://host/secret-path"
pin = "1234"
[[notifiers.toy.places]]
name = "second"
"""


def settings_of(path: Path, **environment: str) -> dict[str, Setting]:
    source = read_source(path, SHAPE, environment)
    check_source(source)
    return {each.key: each for each in effective(source, Catalog.scan())}


@pytest.fixture
def bot(tmp_path: Path, make_plugin: MakePlugin) -> Path:
    """Write a configuration that names a plugin with secrets."""
    contract = GOOD_CONTRACT.format(kind="notifier", name="toy")
    named = contract.replace("[[bench]]", 'settings = "toy_toy.plugin:Settings"\n[[bench]]')
    make_plugin("toy", SETTINGS, contract=named)
    path = tmp_path / "bot.toml"
    good = GOOD.replace("[protocols.pools]", "[protocols.wrapped_native]\ntoken = 'x'")
    path.write_text(
        good.replace("[strategies.s]", "[strategies.liquidation]").replace("url", "chain_id = 1\nurl") + FILE
    )
    return path


def test_each_value_comes_from_a_line_a_variable_or_a_default(bot: Path) -> None:
    variable = "TALLYIO__NOTIFIERS__TOY__LEVEL"
    found = settings_of(bot, **{variable: "9"})
    lines = bot.read_text().splitlines()
    for key, line in (
        ("notifiers.toy.places[1].name", 'name = "second"'),
        ("chains.lab.plugin", 'plugin = "evm"'),
    ):
        assert found[key].origin == f"{bot}:{lines.index(line) + 1}"
    assert (found["notifiers.toy.level"].value, found["notifiers.toy.level"].origin) == (9, variable)
    assert found["run.profile"] == Setting(key="run.profile", value="auto", origin="default")
    assert found["notifiers.toy.plugin"].origin == "default"
    assert found["chains.lab.window"].origin == "default"


def test_no_secret_is_shown(bot: Path) -> None:
    found = settings_of(bot, TALLYIO__NOTIFIERS__TOY__PINS='{ a = "5678" }')
    shown = {key.removeprefix("notifiers.toy."): each.value for key, each in found.items()}
    assert shown["places[0].pin"] == shown["places[1].pin"] == shown["pins"] == shown["api_key"] == "***"
    assert shown["places[0].name"] == "http://host/***"
    assert [shown[key] for key in ("password_file", "native_token")] == ["file", "weth"]
    printed = json.dumps(msgspec.to_builtins(list(found.values())))
    assert not [word for word in ("1234", "5678", "abc", "secret-path", "0000") if f'"{word}' in printed]


def test_every_plugin_of_the_repository_names_its_settings() -> None:
    without = [each.name for each in Catalog.scan().all() if each.contract and not each.contract.settings]
    assert not without, 'add settings = "package.module:Name" to contract.toml, for editors'


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("os:path", "lies outside toy_odd"),
        ("toy_odd.plugin:Missing", r"cannot be imported \(AttributeError"),
        ("toy_odd.plugin:Number", "is no msgspec.Struct"),
    ],
)
def test_a_contract_that_names_no_record_is_refused(place: str, says: str, make_plugin: MakePlugin) -> None:
    from tallyio.hooks.described import settings_type  # noqa: PLC0415 - only this test needs it

    contract = GOOD_CONTRACT.format(kind="notifier", name="odd")
    make_plugin(
        "odd", "Number = 1", contract=contract.replace("[[bench]]", f'settings = "{place}"\n[[bench]]')
    )
    with pytest.raises(PluginError, match=f"plugin 'odd' names its settings .* which {says}"):
        settings_type(Catalog.scan().sound("notifier", "odd"))
