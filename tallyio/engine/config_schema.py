"""The JSON Schema of a configuration, for editors: keys, types, bounds, and what each key means.

Layer: engine. What the core reads is known; what a plugin reads stands in the record that its
contract names. A table without `plugin` belongs to the plugin of its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from tallyio.engine.config import CORE_TABLES, KIND_OF, ConfigFile
from tallyio.hooks.catalog import Installed
from tallyio.hooks.contract import Kind
from tallyio.hooks.described import Record, attribute_docs, nested_records, settings_type

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FILE: Final = "tallyio.schema.json"
"""What `tallyio init` calls it."""
REFERENCE: Final = f"#:schema ./{SCHEMA_FILE}"
"""The first line of a configuration, by which editors find it."""

Schema = dict[str, Any]

_AT_LEAST_ONE: Final = frozenset({"chain", "protocol", "strategy"})
_AT_MOST_ONE: Final = frozenset({"chain", "signer"})
_PLUGIN: Final = "Which plugin reads this table; by default the one that is called like the table."


def config_schema(plugins: Iterable[Installed]) -> Schema:
    """Return the schema of configurations with these plugins, which are sound.

    Imports the module of each plugin's settings. Raises: PluginError: a contract names none.
    """
    chosen = [(plugin, settings_type(plugin)) for plugin in plugins]
    roots = [*CORE_TABLES.values(), *(record for _, record in chosen if record)]
    definitions, names = _definitions(roots)
    tables: dict[Kind, dict[str, Schema]] = {kind: {} for kind in KIND_OF.values()}
    for plugin, record in chosen:
        name = f"{plugin.kind}.{plugin.name}"
        definitions[name] = _plugin_table(plugin, definitions[names[record]] if record else {})
        tables[plugin.kind][plugin.name] = {"$ref": f"#/$defs/{name}"}
    core = {name: {"$ref": f"#/$defs/{names[kind]}"} for name, kind in CORE_TABLES.items()}
    return {
        "$schema": DIALECT,
        "title": "A configuration of TallyIO",
        "type": "object",
        "properties": core | {name: _table_of(kind, tables[kind]) for name, kind in KIND_OF.items()},
        "required": [field.name for field in msgspec.structs.fields(ConfigFile) if field.required],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _definitions(roots: Iterable[Record]) -> tuple[Schema, Mapping[Record, str]]:
    """Return the schemas of all records, described, and the name of each."""
    records = list(dict.fromkeys(each for root in roots for each in nested_records(root)))
    references, definitions = msgspec.json.schema_components(records, ref_template="#/$defs/{name}")
    names = {
        record: reference["$ref"].rpartition("/")[2]
        for record, reference in zip(records, references, strict=True)
    }
    for record, name in names.items():
        said = attribute_docs(record)
        keys = {field.name: field.encode_name for field in msgspec.structs.fields(record)}
        for field, text in said.items():
            definitions[name]["properties"][keys[field]]["description"] = text
    return definitions, names


def _plugin_table(plugin: Installed, settings: Schema) -> Schema:
    """Return the schema of a table that `plugin` reads: its settings, and `plugin` itself."""
    summary = plugin.contract.summary if plugin.contract else ""
    named = {"const": plugin.name, "description": _PLUGIN}
    return {
        "type": "object",
        **settings,
        "title": f"{plugin.kind} {plugin.name}",
        "description": summary,
        "properties": {"plugin": named} | settings.get("properties", {}),
    }


def _table_of(kind: Kind, plugins: Mapping[str, Schema]) -> Schema:
    """Return the schema of `[<kind>s]`: by name, or by the key `plugin`."""
    named = {name: {**own, "required": ["plugin"]} for name, own in plugins.items()}
    schema: Schema = {
        "type": "object",
        "properties": {
            name: {"anyOf": [own, *(named[other] for other in named if other != name)]}
            for name, own in plugins.items()
        },
        "additionalProperties": {"anyOf": list(named.values())} if named else False,
    }
    if kind in _AT_LEAST_ONE:
        schema["minProperties"] = 1
    if kind in _AT_MOST_ONE:
        schema["maxProperties"] = 1
    return schema
