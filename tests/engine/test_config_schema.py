"""The JSON Schema accepts what the parser accepts, and refuses what it refuses."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from tallyio.engine.config_schema import REFERENCE, Schema, config_schema
from tallyio.hooks.catalog import Catalog
from tallyio.kernel.resources import data_path

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def schema() -> Schema:
    """Return the schema of all installed plugins."""
    return config_schema(plugin for plugin in Catalog.scan().all() if plugin.fault is None)


@pytest.fixture
def table() -> dict[str, Any]:
    """Return a sound configuration."""
    return tomllib.loads((data_path("examples") / "arbitrage" / "tallyio.toml").read_text())


def is_valid(schema: Schema, table: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(table))


def test_it_is_a_schema(schema: Schema) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_shipped_configuration_is_valid(schema: Schema, table: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema).validate(table)


@pytest.mark.parametrize(
    "edit",
    [
        lambda table: table.update(limit={}),
        lambda table: table["limits"].update(max_gass=1),
        lambda table: table["limits"].update(max_gas="much"),
        lambda table: table["limits"].update(max_pending=0),
        lambda table: table["execution"].update(settle_blocks=0),
        lambda table: table["chains"]["ethereum"].update(windw=1),
        lambda table: table["chains"]["ethereum"].update(window=0),
        lambda table: table["chains"]["ethereum"].update(plugin="evn"),
        lambda table: table["chains"]["ethereum"].pop("plugin"),
        lambda table: table["chains"].update(other=table["chains"]["ethereum"]),
        lambda table: table["protocols"]["uniswap_v2"]["venues"][0].update(fee=1),
        lambda table: table["strategies"]["arbitrage"].pop("base_tokens"),
        lambda table: table.update(strategies={}),
        lambda table: table.pop("execution"),
    ],
)
def test_a_mistake_is_invalid(edit: Edit, schema: Schema, table: dict[str, Any]) -> None:
    edit(table)
    assert not is_valid(schema, table)


@pytest.mark.parametrize(
    "edit",
    [
        lambda table: table["strategies"].update(mine={"plugin": "liquidation", "top_k": 3}),
        lambda table: table["strategies"].update(arbitrage={"plugin": "liquidation"}),
        lambda table: table.pop("limits"),
    ],
)
def test_another_sound_configuration_is_valid(edit: Edit, schema: Schema, table: dict[str, Any]) -> None:
    edit(table)
    assert is_valid(schema, table)


def test_keys_are_described_in_the_words_of_the_source(schema: Schema) -> None:
    definitions = schema["$defs"]
    assert "Hardware profile" in definitions["RunTable"]["properties"]["profile"]["description"]
    assert "another chain is refused" in definitions["chain.evm"]["properties"]["chain_id"]["description"]


def test_a_selection_of_plugins_knows_no_others(table: dict[str, Any]) -> None:
    catalog = Catalog.scan()
    only = config_schema([catalog.sound("chain", "evm"), catalog.sound("strategy", "arbitrage")])
    assert not is_valid(only, table)
    assert set(only["properties"]["strategies"]["properties"]) == {"arbitrage"}


def test_editors_find_the_schema_by_the_first_line() -> None:
    assert REFERENCE == "#:schema ./tallyio.schema.json"
