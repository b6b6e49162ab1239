"""Turn a configuration table into a typed record, with errors that name the key and the way out.

Layer: hooks. Plugins parse their own table with `parse_settings`; the core uses the same function,
so every mistake in a configuration file reads alike.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import get_args, get_type_hints

import msgspec

from tallyio.model.errors import ConfigError
from tallyio.model.units import Address, address

_UNKNOWN_FIELD = re.compile(r"unknown field `(?P<field>[^`]*)`")
_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")


def parse_settings[T: msgspec.Struct](kind: type[T], settings: Mapping[str, object], *, where: str) -> T:
    """Return `settings` as a `kind`; unknown keys and wrong types are errors.

    Args:
        kind: A `msgspec.Struct` declared with `forbid_unknown_fields=True`. Addresses are `str`
            fields, read with `parse_address`, so that a message can name the key.
        settings: The table, as TOML gave it.
        where: The table's name in the file, e.g. "chains.mainnet", for messages.

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
    path = _PATH.search(reason)
    key = f"{where}{path['path']}" if path else where
    said = _PATH.sub("", reason)
    field = _UNKNOWN_FIELD.search(said)
    if field is None:
        return f"[{key}] {said[:1].lower()}{said[1:]}"
    names = sorted(_names(kind)) if path else sorted(_own_names(kind))
    hint = did_you_mean(field["field"], names)
    return f"[{key}] has an unknown key {field['field']!r}{hint}; known keys: {', '.join(names)}"


def _own_names(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def _names(kind: type[msgspec.Struct]) -> set[str]:
    """Return the keys of every record nested in `kind`: msgspec names the path, not the type."""
    return {name for nested in _nested(kind) for name in _own_names(nested)}


def _nested(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for hint in get_type_hints(kind).values():
        for part in (hint, *get_args(hint)):
            if isinstance(part, type) and issubclass(part, msgspec.Struct):
                yield part
                yield from _nested(part)
