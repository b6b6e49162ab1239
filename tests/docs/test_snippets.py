"""Snippets mean what they say: configurations load, programs compile."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tallyio.engine.config import Config, load_config, parse_config
from tallyio.hooks.catalog import Catalog
from tallyio.hooks.contract import Contract
from tallyio.hooks.host import PluginHost
from tallyio.hooks.settings import parse_settings
from tallyio.kernel.profile import read_profile
from tallyio.kernel.resources import data_path
from tallyio.model.errors import ConfigError
from tests.docs.pages import ROOT, Snippet, all_blocks, all_snippets

CONFIGURATION_TABLES = {
    "run",
    "chains",
    "protocols",
    "strategies",
    "execution",
    "feeds",
    "limits",
    "signers",
    "notifiers",
}
EXAMPLE = data_path("examples") / "arbitrage" / "tallyio.toml"


def by_name(snippet: Snippet) -> str:
    return snippet.name


@pytest.mark.parametrize("snippet", all_snippets("toml"), ids=by_name)
def test_a_toml_snippet_is_accepted_where_it_belongs(snippet: Snippet, tmp_path: Path) -> None:
    table = tomllib.loads(snippet.text)
    if "hook_api" in table:
        parse_settings(Contract, table, where=snippet.name)
    elif "lanes" in table:
        path = tmp_path / "profile.toml"
        path.write_text(snippet.text)
        read_profile(path)
    elif "project" in table:
        assert next(iter(table["project"]["entry-points"])).startswith("tallyio.")
    else:
        assert set(table) <= CONFIGURATION_TABLES, "what is this snippet for?"
        build(merged(snippet, table))


def merged(snippet: Snippet, table: dict[str, object]) -> Config:
    """Return the example with the tables of the snippet in place of its own."""
    parts = re.split(r"^(?=\[)", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    kept = [part for part in parts if re.split(r"[.\]]", part.lstrip("["))[0] not in table]
    return parse_config("\n".join([*kept, snippet.text]), source=snippet.name, folder=Path.cwd())


def build(config: Config) -> None:
    """Let each installed plugin that the configuration names read its table."""
    host = PluginHost(Catalog.scan())
    installed = {plugin.name for plugin in Catalog.scan().all()}
    host.chain(config.chain.plugin, config.chain.settings)
    for each in config.protocols:
        if each.plugin in installed:
            host.protocol(each.plugin, each.settings)
    for each in config.strategies:
        host.strategy(each.plugin, each.settings)
    if config.signer:
        host.signer(config.signer.plugin, config.signer.settings)
    for each in config.notifiers:
        if each.plugin in installed and "urls_file" not in each.settings:
            host.notifier(each.plugin, each.settings)


def test_the_example_is_accepted() -> None:
    build(load_config(EXAMPLE))


def test_a_misspelt_key_in_a_snippet_is_noticed() -> None:
    snippet = next(each for each in all_snippets("toml") if "max_reverts = 3" in each.text)
    wrong = msgspec.structs.replace(snippet, text=snippet.text.replace("max_reverts", "max_revert"))
    with pytest.raises(ConfigError, match='did you mean "max_reverts"'):
        merged(wrong, tomllib.loads(wrong.text))


@pytest.mark.parametrize("snippet", all_snippets("python"), ids=by_name)
def test_a_python_snippet_compiles(snippet: Snippet) -> None:
    ast.parse(snippet.text, snippet.name)


def test_every_python_snippet_is_a_file_that_a_test_runs_or_comes_from_code() -> None:
    assert [each.name for each in all_snippets("python") if each.path is None and not each.is_generated] == []


CHECKED: Final = {
    "console": "run, or parsed with a reason; its output is compared",
    "sh": "the same, without output",
    "{screen}": "run when the pages are built",
    "python": "a file of a project that a test builds and runs",
    "toml": "read by what it configures",
    "vyper": "compiled and run by the page's own test",
    "sql": "written from code",
    "text": "a drawing, or what a program says of itself",
}
"""What a block of each language is held to."""

REASONS: Final = (
    "needs a node",
    "needs the ledger",
    "needs root",
    "needs another checkout",
    "takes ",
    "installs ",
    "tests/",
)
"""Why a test may leave commands alone, by how the reason begins."""


def test_every_block_is_of_a_language_that_is_checked() -> None:
    unknown = [f"{each.name}: {each.language!r}" for each in all_blocks() if each.language not in CHECKED]
    assert not unknown, f"give the block a language of {sorted(CHECKED)}"


def test_only_commands_are_left_alone_and_only_for_a_known_reason() -> None:
    left = [each for each in all_blocks() if each.why_not is not None]
    assert left
    assert {each.language for each in left} <= {"console", "sh"}
    assert [each.name for each in left if not (each.why_not or "").startswith(REASONS)] == []


def test_who_leaves_commands_to_another_test_names_one_that_exists() -> None:
    named = [place for each in all_blocks() for place in re.findall(r"\btests/[\w/.]+", each.why_not or "")]
    assert named
    assert [place for place in named if not (ROOT / place).exists()] == []


def test_no_text_block_hides_a_command() -> None:
    texts = [each for each in all_snippets("text") if not each.is_generated]
    assert [each.name for each in texts if re.search(r"^\$ ", each.text, re.MULTILINE)] == []
