"""Source files as the policy tests read them: parsed, never imported.

A check is a function from modules to problems. A problem is one line: the file and line, what is
wrong there, and the way out.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest

ROOT: Final = Path(__file__).parents[2]
CORE: Final = "tallyio"
PLUGIN_FOLDERS: Final = tuple(sorted(path.parent for path in ROOT.glob("plugins/*/*/pyproject.toml")))


class Import(NamedTuple):
    """One imported name: `from module import name`, or `import module` without a name."""

    module: str
    name: str
    line: int

    @property
    def full(self) -> str:
        """The dotted path of what was imported."""
        return f"{self.module}.{self.name}" if self.name else self.module

    @property
    def top(self) -> str:
        """The distribution's top-level package."""
        return self.module.partition(".")[0]


class Module(msgspec.Struct, frozen=True, dict=True):
    """One Python file."""

    name: str
    """Dotted, as it is imported."""
    path: str
    """Relative to the repository, or any label for a snippet."""
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed file."""
        return ast.parse(self.text, self.path)

    @property
    def is_package(self) -> bool:
        """Whether this is a package's `__init__`."""
        return self.path.endswith("__init__.py")

    @property
    def floor(self) -> str:
        """The folder under `tallyio/` that holds it; "" for `tallyio` itself."""
        return floor_of(self.name)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Everything imported anywhere in the file, also for type checkers only."""
        return tuple(self._imports())

    def _imports(self) -> Iterator[Import]:
        package = self.name if self.is_package else self.name.rpartition(".")[0]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (Import(each.name, "", node.lineno) for each in node.names)
            elif isinstance(node, ast.ImportFrom):
                relative = "." * node.level + (node.module or "")
                module = importlib.util.resolve_name(relative, package)
                yield from (Import(module, each.name, node.lineno) for each in node.names)

    def problem(self, line: int, what: str, way_out: str) -> str:
        """Return one problem in this file as text."""
        return f"{self.path}:{line}: {what}; {way_out}"


def floor_of(name: str) -> str:
    """Return the folder under `tallyio/` of a dotted module or name in it; "" for `tallyio` itself."""
    part = name.split(".")[1] if name.startswith(f"{CORE}.") else ""
    return "" if part.startswith("__") else part


def snippet(text: str, name: str = "tallyio.model.snippet") -> Module:
    """Return a made-up module, to show that a check can fail."""
    return Module(name=name, path=f"{name.replace('.', '/')}.py", text=text)


@cache
def core_modules() -> tuple[Module, ...]:
    """Return every module of `tallyio/`."""
    return tuple(_read(path, ROOT) for path in sorted((ROOT / CORE).rglob("*.py")))


@cache
def plugin_modules() -> tuple[Module, ...]:
    """Return every module of the plugins' packages, without their tests."""
    return tuple(
        _read(path, folder)
        for folder in PLUGIN_FOLDERS
        for path in sorted(folder.rglob("*.py"))
        if path.relative_to(folder).parts[0] != "tests"
    )


@cache
def modules_of_tests() -> tuple[Module, ...]:
    """Return every module of the tests, of the core and of the plugins."""
    folders = [ROOT / "tests", *(folder / "tests" for folder in PLUGIN_FOLDERS)]
    return tuple(_read(path, ROOT) for folder in folders for path in sorted(folder.rglob("*.py")))


def decorated_with(module: Module, decorator: str) -> Iterator[tuple[ast.FunctionDef, ast.Call]]:
    """Yield the functions of `module` under `@decorator(...)`, with that call."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef):
            for each in node.decorator_list:
                if (
                    isinstance(each, ast.Call)
                    and isinstance(each.func, ast.Name)
                    and each.func.id == decorator
                ):
                    yield node, each


def told(problems: Iterable[str]) -> str:
    """Return problems as one text; "" for none."""
    return "\n".join(problems)


def require_none(problems: Iterable[str]) -> None:
    """Fail the test with every problem, one per line."""
    if found := list(problems):
        pytest.fail(f"{len(found)} against the policy:\n{told(found)}", pytrace=False)


def _read(path: Path, root: Path) -> Module:
    parts = path.relative_to(root).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(name=name, path=str(path.relative_to(ROOT)), text=path.read_text(encoding="utf-8"))
