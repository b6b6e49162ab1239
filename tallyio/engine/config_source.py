"""A configuration as it was given: a TOML file, and environment variables that go before it.

Layer: engine. `TALLYIO__CHAINS__MAINNET__URL` stands for `url` of `[chains.mainnet]`, so that a secret
need not lie in the file. Tables of plugins must be in the file; a variable sets one key of theirs.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Final

import msgspec

from tallyio.engine.toml_lines import Path as KeyPath
from tallyio.engine.toml_lines import value_lines
from tallyio.hooks.environment import OVERRIDE
from tallyio.hooks.settings import did_you_mean
from tallyio.model.errors import ConfigError

_TOML: Final = re.compile(r"""["'\[{].*|true|false|[+-]?\d[\d_]*(\.\d[\d_]*)?([eE][+-]?\d+)?""", re.DOTALL)
"""Values that are read as TOML; all others are text, such as addresses and URLs."""
_LEAST_DEPTH: Final = 2


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What was given, before anything is checked but its form."""

    name: str
    """The file, for messages."""
    folder: Path
    """What relative paths in the file are relative to."""
    text: str
    table: dict[str, object]
    """The file's values, with those of the environment in their places."""
    from_environment: dict[KeyPath, str]
    """Which variable a value came from."""

    def lines(self) -> dict[KeyPath, int]:
        """Return the line of each value in the file."""
        return value_lines(self.text)


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration may hold at its top."""

    core: dict[str, frozenset[str]]
    """The keys of each table that the core reads."""
    plugins: frozenset[str]
    """The tables of tables, one per plugin instance."""


def read_source(path: Path, shape: Shape, environment: Mapping[str, str] | None = None) -> Source:
    """Read the file at `path`, and `environment` (the process's by default). Raises: ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the configuration {path} cannot be read: {error}",
            way_out="`tallyio init DIR` writes one to start from",
        ) from None
    given = os.environ if environment is None else environment
    return parse_source(text, shape, given, name=str(path), folder=path.parent)


def parse_source(
    text: str, shape: Shape, environment: Mapping[str, str], *, name: str, folder: Path
) -> Source:
    """Return the configuration in `text`, with what `environment` overrides. Raises: ConfigError."""
    table = _loaded(text, f"{name} is not TOML")
    origins: dict[KeyPath, str] = {}
    for variable in sorted(environment):
        if variable.startswith(OVERRIDE):
            path = _place(table, shape, variable)
            _put(table, path, _value(variable, environment[variable]))
            origins[path] = variable
    return Source(name=name, folder=folder, text=text, table=table, from_environment=origins)


def _place(table: Mapping[str, object], shape: Shape, variable: str) -> KeyPath:
    """Return the key that `variable` stands for. Raises: ConfigError: there is no such table or key."""
    words = variable.removeprefix(OVERRIDE).split("__")
    top = _known(variable, words[0], [*shape.core, *shape.plugins], "table")
    of_plugin = top in shape.plugins
    if len(words) < _LEAST_DEPTH + of_plugin or not all(words):
        form = f"{OVERRIDE}{top.upper()}__{'NAME__' if of_plugin else ''}KEY"
        raise ConfigError(f"{variable} names no key", way_out=f"the form is {form}")
    if not of_plugin:
        return (top, _known(variable, words[1], shape.core[top], f"key of [{top}]"))
    instances = table.get(top, {})
    names = list(instances) if isinstance(instances, Mapping) else []
    return (top, _known(variable, words[1], names, f"table of [{top}]"), *map(str.lower, words[2:]))


def _known(variable: str, word: str, choices: Iterable[str], what: str) -> str:
    by_word: dict[str, list[str]] = {}
    for choice in choices:
        by_word.setdefault(choice.upper().replace("-", "_"), []).append(choice)
    found = by_word.get(word.upper(), [])
    if len(found) > 1:
        raise ConfigError(
            f"{variable}: {word} stands for {' and '.join(found)}", way_out=f"rename one {what}"
        )
    if found:
        return found[0]
    hint = did_you_mean(word.upper(), by_word)
    raise ConfigError(
        f"{variable}: {word} is no {what}{hint}",
        way_out=f"unset it; known: {', '.join(sorted(by_word)) or 'none'}",
    )


def _put(table: dict[str, object], path: KeyPath, value: object) -> None:
    inside = table
    for name in path[:-1]:
        below = inside.setdefault(str(name), {})
        if not isinstance(below, dict):
            where = ".".join(map(str, path[:-1]))
            raise ConfigError(f"[{where}] is no table, so no variable can set a key of it")
        inside = below
    inside[str(path[-1])] = value


def _value(variable: str, text: str) -> object:
    if not _TOML.fullmatch(text):
        return text
    return _loaded(f"value = {text}", f"{variable} is not a TOML value")["value"]


def _loaded(text: str, complaint: str) -> dict[str, object]:
    """Return what `text` says, in tables of our own. Raises: ConfigError: it begins with `complaint`."""
    try:
        return deepcopy(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{complaint}: {error}") from None
    except (ValueError, RecursionError):  # of Python's own limits on digits and on calls within calls
        raise ConfigError(
            f"{complaint} that can be read: a number is too long, or tables or lists are nested too deep"
        ) from None
