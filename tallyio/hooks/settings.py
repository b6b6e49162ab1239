"""Turn a configuration table into a typed record, with errors that name the key and the way out.

Layer: hooks. Plugins parse their own table with `parse_settings`; the core uses the same function,
so every mistake in a configuration file reads alike.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, get_args, get_type_hints

import msgspec

from tallyio.model.errors import ConfigError
from tallyio.model.units import Address, address

Secret = Annotated[
    str, msgspec.Meta(extra={"secret": True}, extra_json_schema={"writeOnly": True, "format": "password"})
]
"""The type of a key whose value is never shown; `tallyio config show` prints `***` in its place."""

_UNKNOWN_FIELD = re.compile(r"unknown field `(?P<field>[^`]*)`")
_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_UNKNOWN_VALUE = re.compile(r"Invalid enum value '(?P<value>[^']*)'")
_STEP = re.compile(r"\.(\w+)")


def parse_settings[T: msgspec.Struct](kind: type[T], settings: Mapping[str, object], *, where: str) -> T:
    """Return `settings` as a `kind`; unknown keys and wrong types are errors.

    Args:
        kind: A `msgspec.Struct` declared with `forbid_unknown_fields=True`. Addresses are `str`
            fields, read with `parse_address`, so that a message can name the key.
        settings: The table, as TOML gave it.
        where: The table's name in the file, e.g. "chains.mainnet", for messages; "" is the whole file.

    Raises: ConfigError: names table, key and rule; an unknown key comes with "did you mean".
    """
    try:
        # Naming bytes as built in switches off msgspec's own reading of text as base64.
        return msgspec.convert(settings, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), kind, where)) from None


def parse_address(text: str, *, where: str) -> Address:
    """Return the address that key `where` holds. Raises: ConfigError: it is not one."""
    try:
        return address(text)
    except ValueError as error:
        raise ConfigError(f"[{where}] {error}") from None


def parse_addresses(texts: Iterable[str], *, where: str) -> tuple[Address, ...]:
    """Return the addresses that the list `where` holds, in order, each once. Raises: ConfigError."""
    return tuple(dict.fromkeys(parse_address(text, where=where) for text in texts))


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return ' (did you mean "x"?)' for the closest of `choices`, or nothing."""
    close = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f' (did you mean "{close[0]}"?)' if close else ""


def unknown_name(what: str, name: str, choices: Iterable[str], *, where: str) -> ConfigError:
    """Return the error for a `name` that is none of `choices`."""
    known = sorted(choices)
    hint = did_you_mean(name, known)
    return ConfigError(f"[{where}] unknown {what} {name!r}{hint}; known: {', '.join(known) or 'none'}")


def _explain(reason: str, kind: type[msgspec.Struct], where: str) -> str:
    found = _PATH.search(reason)
    path = found["path"] if found else ""
    key = f"{where}{path}".removeprefix(".") or "top level"
    said = _PATH.sub("", reason)
    value = _UNKNOWN_VALUE.search(said)
    if value is not None:
        choices = _choices(kind, path)
        hint = did_you_mean(value["value"], choices)
        return f"[{key}] has an unknown value {value['value']!r}{hint}; known values: {', '.join(choices)}"
    field = _UNKNOWN_FIELD.search(said)
    if field is None:
        return f"[{key}] {said[:1].lower()}{said[1:]}"
    names = sorted(_names(kind, path))
    hint = did_you_mean(field["field"], names)
    return f"[{key}] has an unknown key {field['field']!r}{hint}; known keys: {', '.join(names)}"


def _choices(kind: type[msgspec.Struct], path: str) -> list[str]:
    """Return the texts that the field at `path` below `kind` may be."""
    parent, _, last = path.rpartition(".")
    hints = [_field_type(record, last) for record in _reached(kind, parent)]
    return sorted({value for hint in hints for value in _texts(hint)})


def _texts(hint: object) -> Iterator[str]:
    """Yield the texts that a `Literal` in `hint` allows."""
    for part in get_args(hint):
        if isinstance(part, str):
            yield part
        else:
            yield from _texts(part)


def _reached(kind: type[msgspec.Struct], path: str) -> list[type[msgspec.Struct]]:
    """Return the records that may stand at `path` below `kind`: msgspec names no type."""
    there = [kind]
    for step in _STEP.findall(path):
        there = [record for each in there for record in _records(_field_type(each, step))]
    return there


def _names(kind: type[msgspec.Struct], path: str) -> set[str]:
    """Return the keys of the records that may stand at `path` below `kind`."""
    reached = _reached(kind, path)
    return {field.encode_name for each in reached for field in msgspec.structs.fields(each)}


def _field_type(kind: type[msgspec.Struct], name: str) -> object:
    field = next((each for each in msgspec.structs.fields(kind) if each.encode_name == name), None)
    return get_type_hints(kind)[field.name] if field else None


def _records(hint: object) -> Iterator[type[msgspec.Struct]]:
    """Yield the records that `hint` allows, such as the values of a mapping."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    for part in get_args(hint):
        yield from _records(part)
