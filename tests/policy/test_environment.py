"""Every environment variable that anything here reads is in the one list, and none that nothing reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from tallyio.hooks.environment import VARIABLES
from tests.policy.modules import (
    ROOT,
    Module,
    core_modules,
    modules_of_tests,
    plugin_modules,
    require_none,
    snippet,
    told,
)

LIST: Final = "tallyio/hooks/environment.py"
TRIED: Final = frozenset({"tests/hooks/test_environment.py", "tests/cli/test_config.py"})
"""Tests with misspelt names."""
_NAME: Final = re.compile(r"\bTALLYIO_[A-Z][A-Z_]*\b")


def names_in(modules: Iterable[Module]) -> Iterator[tuple[str, str]]:
    """Yield path and name of each variable that a module's text mentions."""
    for module in modules:
        if module.path not in {LIST, __file__} | TRIED:
            yield from ((module.path, name) for name in _NAME.findall(module.text))


def unlisted(modules: Iterable[Module]) -> Iterator[str]:
    """Yield variables that are not in the list."""
    known = {each.name for each in VARIABLES}
    for path, name in sorted(set(names_in(modules))):
        if name not in known:
            yield f"{path}:1: {name} is in no list; add it to VARIABLES in {LIST}"


def test_every_variable_is_in_the_list() -> None:
    require_none(unlisted([*core_modules(), *plugin_modules(), *modules_of_tests()]))


def test_every_variable_of_the_list_is_read() -> None:
    for each in VARIABLES:
        readers = modules_of_tests() if each.is_for_tests else [*core_modules(), *plugin_modules()]
        assert each.name in {name for _, name in names_in(readers)}, f"nothing reads {each.name}"


def test_every_variable_for_users_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert [
        each.name for each in VARIABLES if not each.is_for_tests and f"| `{each.name}` |" not in page
    ] == []


def test_an_unlisted_variable_is_found() -> None:
    name = LIST.partition("/")[0].upper() + "_NEW"
    assert told(unlisted([snippet(f"os.environ.get('{name}')")])).startswith("tallyio/model/snippet.py:1: ")
