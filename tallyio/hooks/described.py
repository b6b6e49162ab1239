"""What a plugin's settings are: their type, and the words that stand below each key in its source.

Layer: hooks. The contract names the type, `settings = "package.module:Name"`; only that module is
imported, never the plugin's adapter.
"""

from __future__ import annotations

import ast
import inspect
import itertools
from functools import cache
from textwrap import dedent
from typing import Any, cast

import msgspec

from tallyio.hooks.catalog import Installed
from tallyio.hooks.contract import CONTRACT_FILE
from tallyio.hooks.host import import_module
from tallyio.model.errors import PluginError

Record = type[msgspec.Struct]


def settings_type(plugin: Installed) -> Record | None:
    """Return the record that `plugin` reads its table as; None where its contract names none.

    Raises: PluginError: the name is wrong, or leads to no record.
    """
    place = plugin.contract.settings if plugin.contract else ""
    if not place:
        return None
    module, _, name = place.partition(":")
    own = plugin.module.partition(".")[0]
    if module.partition(".")[0] != own:
        raise _wrong(plugin, place, f"lies outside {own}")
    try:
        found = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:
        raise _wrong(plugin, place, f"cannot be imported ({type(error).__name__}: {error})") from error
    if not (isinstance(found, type) and issubclass(found, msgspec.Struct)):
        raise _wrong(plugin, place, "is no msgspec.Struct")
    return found


def nested_records(kind: Record) -> list[Record]:
    """Return `kind` and every record inside it, each once."""
    found: dict[Record, None] = {}
    waiting: list[Any] = [msgspec.inspect.type_info(kind)]
    while waiting:
        each = waiting.pop()
        if isinstance(each, msgspec.inspect.StructType):
            if each.cls in found:
                continue
            found[each.cls] = None
            waiting += [field.type for field in each.fields]
        elif isinstance(each, msgspec.inspect.Type):
            waiting += [part for name in each.__struct_fields__ for part in _parts(getattr(each, name))]
    return list(found)


def attribute_docs(kind: type) -> dict[str, str]:
    """Return the texts that stand below the attributes of a class and of its bases; Python forgets them."""
    said: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if each.__module__ not in {"builtins", "msgspec"}:
            said |= _own_docs(each)
    return said


@cache
def _own_docs(kind: type) -> dict[str, str]:
    try:
        tree = ast.parse(dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        return {}  # no source: an interactive session, or a frozen program
    body = cast("ast.ClassDef", tree.body[0]).body
    return {
        node.target.id: " ".join(after.value.value.split())
        for node, after in itertools.pairwise(body)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    }


def _parts(value: object) -> list[object]:
    return list(value) if isinstance(value, tuple) else [value]


def _wrong(plugin: Installed, place: str, fault: str) -> PluginError:
    return PluginError(
        plugin.name,
        f"names its settings {place!r} in {CONTRACT_FILE}, which {fault}",
        way_out='name the record that the plugin reads its table as: settings = "package.module:Name"',
    )
