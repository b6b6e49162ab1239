"""A module says what it is for and which floor it belongs to, and stays small enough to read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Final

import pytest

from tests.policy.modules import Module, core_modules, plugin_modules, require_none, snippet, told

MOST_LINES: Final = 400
_LAYER: Final = re.compile(r"^Layer: (\w+)\b", re.MULTILINE)


def undocumented(modules: Iterable[Module]) -> Iterator[str]:
    """Yield modules without a docstring."""
    for module in modules:
        if not ast.get_docstring(module.tree):
            yield module.problem(
                1, "has no docstring", "open it with what the module is for, in one sentence"
            )


def without_layer(modules: Iterable[Module]) -> Iterator[str]:
    """Yield modules whose docstring does not name the floor that they lie on; a package is its floor."""
    for module in modules:
        if module.is_package:
            continue
        said = _LAYER.search(ast.get_docstring(module.tree) or "")
        if said is None or said[1] != module.floor:
            found = f"says layer {said[1]!r}" if said else "names no layer"
            yield module.problem(1, f"the docstring {found}", f'add a line "Layer: {module.floor}."')


def too_long(modules: Iterable[Module]) -> Iterator[str]:
    """Yield modules that hold more than one idea, by their length."""
    for module in modules:
        lines = len(module.text.splitlines())
        if lines > MOST_LINES:
            yield module.problem(
                lines, f"has {lines} lines", f"split it: {MOST_LINES} at most, one idea per file"
            )


def test_every_module_says_what_it_is_for() -> None:
    require_none(undocumented([*core_modules(), *plugin_modules()]))


def test_every_module_of_the_core_names_its_floor() -> None:
    require_none(without_layer(core_modules()))


def test_no_module_is_too_long_to_read() -> None:
    require_none(too_long([*core_modules(), *plugin_modules()]))


def test_a_module_without_a_docstring_is_found() -> None:
    assert "model/snippet.py:1: has no docstring" in told(undocumented([snippet("x = 1")]))
    assert not told(undocumented([snippet('"""Units."""')]))


@pytest.mark.parametrize(
    "text", ["x = 1", '"""Units."""', '"""Units.\n\nLayer: engine.\n"""', '"""Layer model."""']
)
def test_a_module_on_no_floor_or_the_wrong_one_is_found(text: str) -> None:
    assert 'add a line "Layer: model."' in told(without_layer([snippet(text)]))


def test_a_module_on_its_floor_is_not_found() -> None:
    assert not told(without_layer([snippet('"""Units.\n\nLayer: model. In smallest units.\n"""')]))


def test_a_long_module_is_found() -> None:
    assert "has 401 lines" in told(too_long([snippet("\n" * 401)]))
    assert not told(too_long([snippet("\n" * 400)]))
