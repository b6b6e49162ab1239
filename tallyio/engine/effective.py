"""Every value of a configuration as it takes effect, and where each came from.

Layer: engine. Secrets are not in it: a key declared `Secret`, one named like a password, and whatever
stands behind the host of a URL are `***`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, cast, get_args, get_type_hints

import msgspec

from tallyio.engine.config import CORE_TABLES, KIND_OF, SHARED, divide_table
from tallyio.engine.config_source import Source
from tallyio.engine.toml_lines import Path
from tallyio.hooks.catalog import Catalog
from tallyio.hooks.contract import Kind
from tallyio.hooks.described import settings_type
from tallyio.hooks.notices import redact
from tallyio.hooks.settings import parse_settings
from tallyio.model.errors import ConfigError, PluginError

DEFAULT: Final = "default"
HIDDEN: Final = "***"
_SECRET_NAME: Final = re.compile(
    r"(^|_)(password|passphrase|secret|mnemonic|bearer|(private|api|auth)_?key)($|_(?!(file|path|dir)$))"
)
_TABLES: Final = (Mapping, msgspec.Struct)

Values = Iterator[tuple[Path, object]]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One value in effect."""

    key: str
    """Its path, such as `protocols.uniswap_v2.venues[0].name`."""
    value: object
    """Plain data; what must not be shown is `***`."""
    origin: str
    """`default`, FILE:LINE, or the name of an environment variable."""


def effective(source: Source, catalog: Catalog) -> list[Setting]:
    """Return every setting of `source`, which `check_source` has passed, in the order of the tables.

    Keys of a plugin that names no settings in its contract are shown as given, without defaults.
    Raises: PluginError, ConfigError: a plugin is not installed, or its table is wrong.
    """
    lines = source.lines()
    try:
        values = list(_all_values(source.table, catalog))
    except PluginError:
        raise
    except ConfigError as error:
        raise ConfigError(f"{source.name}: {error.message}", way_out=error.way_out) from None
    return [
        Setting(key=written(path), value=value, origin=_origin(path, source, lines)) for path, value in values
    ]


def written(path: Path) -> str:
    """Return a path as messages write it."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _all_values(table: Mapping[str, Any], catalog: Catalog) -> Values:
    for name, kind in CORE_TABLES.items():
        yield from _below((name,), _shown(parse_settings(kind, table.get(name, {}), where=name)))
    for name, plugin_kind in KIND_OF.items():
        for instance, settings in table.get(name, {}).items():
            path = (name, instance)
            yield from _below(path, _instance_values(plugin_kind, path, settings, catalog))


def _instance_values(
    kind: Kind, path: tuple[str, str], settings: Mapping[str, Any], catalog: Catalog
) -> Values:
    plugin, where = settings.get("plugin", path[1]), written(path)
    yield ("plugin",), plugin
    shared, own = divide_table(kind, settings)
    if kind in SHARED:
        yield from _shown(parse_settings(SHARED[kind], shared, where=where))
    record = settings_type(catalog.sound(kind, plugin))
    yield from _shown(parse_settings(record, own, where=where) if record else own)


def _below(path: Path, values: Values) -> Values:
    return (((*path, *rest), value) for rest, value in values)


def _shown(value: object, name: str = "") -> Values:
    """Yield path and plain value of everything inside `value`, which stands at key `name`."""
    if isinstance(value, msgspec.Struct):
        hidden = _secrets(type(value))
        for field in msgspec.structs.fields(type(value)):
            key = field.encode_name
            inside = HIDDEN if field.name in hidden else getattr(value, field.name)
            yield from _below((key,), _shown(inside, key))
    elif isinstance(value, Mapping):
        for key, inside in value.items():
            yield from _below((str(key),), _shown(inside, str(key)))
    elif isinstance(value, list | tuple) and any(isinstance(each, _TABLES) for each in value):
        for number, inside in enumerate(value):
            yield from _below((number,), _shown(inside, name))
    else:
        yield (), _without_secrets(msgspec.to_builtins(value), name)


def _without_secrets(value: object, name: str) -> object:
    if isinstance(value, list):
        return [_without_secrets(each, name) for each in value]
    if isinstance(value, str) and value:
        return HIDDEN if _SECRET_NAME.search(name.lower()) else redact(value)
    return value


@cache
def _secrets(kind: type[msgspec.Struct]) -> frozenset[str]:
    """Return the fields of `kind` that are declared `Secret`."""
    hints = get_type_hints(kind, include_extras=True)
    return frozenset(name for name, hint in hints.items() if _is_secret(hint))


def _is_secret(hint: object) -> bool:
    marks = [cast("msgspec.Meta", each) for each in getattr(hint, "__metadata__", ())]
    declared = any(isinstance(mark, msgspec.Meta) and (mark.extra or {}).get("secret") for mark in marks)
    return declared or any(_is_secret(part) for part in get_args(hint))


def _origin(path: Path, source: Source, lines: Mapping[Path, int]) -> str:
    for depth in range(len(path), 0, -1):
        if path[:depth] in source.from_environment:
            return source.from_environment[path[:depth]]
        if path[:depth] in lines:
            return f"{source.name}:{lines[path[:depth]]}"
    return DEFAULT
