"""The public names of TallyIO as its sources have them: what `public_api.txt` must hold.

    python -m tests.policy.public_api      adds new names to the list, and strikes none

A line is a name, a class's member, or a hook with its arguments. Dates follow what is deprecated:

    tallyio.model.units.old deprecated 2026-11-28 until 2027-12-01
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from tests.policy.modules import ROOT, Module, core_modules, decorated_with

LIST: Final = Path(__file__).with_name("public_api.txt")
FLOORS: Final = frozenset({"hooks", "model"})
"""Floors that are public altogether."""
MODULES: Final = frozenset(
    {
        "tallyio.lending.abi",
        "tallyio.market.abi",
        "tallyio.native.atomics",
        "tallyio.native.jit",
        "tallyio.native.memory",
        "tallyio.native.u256",
    }
)
"""Public modules of other floors: what compiled code of a plugin is made of."""


class Dates(NamedTuple):
    """From when on something warns, and until when it works."""

    since: date
    until: date


Listed = dict[str, Dates | None]


def is_public(module: Module) -> bool:
    """Return whether the names of `module` are for plugins."""
    return module.floor in FLOORS or module.name in MODULES


def public_names(modules: Iterable[Module]) -> Iterator[str]:
    """Yield every public name, and every hook with its arguments."""
    for module in modules:
        hooks = {function.name for function, _ in decorated_with(module, "hookspec")}
        for node in module.tree.body:
            for name in _defined(node):
                if not name.startswith("_"):
                    yield f"hook {name}" if name in hooks else f"{module.name}.{name}"
            if isinstance(node, ast.FunctionDef) and node.name in hooks:
                yield from (f"hook {node.name}({each.arg})" for each in node.args.args)
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                members = {name for each in node.body for name in _defined(each)}
                public = sorted(name for name in members if not name.startswith("_"))
                yield from (f"{module.name}.{node.name}.{name}" for name in public)


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Assign):
        yield from (each.id for each in node.targets if isinstance(each, ast.Name))
    elif isinstance(node, ast.TypeAlias):
        yield node.name.id


def deprecations(modules: Iterable[Module]) -> Iterator[tuple[str, Dates]]:
    """Yield what is marked `@deprecated(since=…, until=…)`, by its public name."""
    for module in modules:
        for node in module.tree.body:
            yield from _marked(node, module.name)
            if isinstance(node, ast.ClassDef):
                for each in node.body:
                    yield from _marked(each, f"{module.name}.{node.name}")


def _marked(node: ast.stmt, inside: str) -> Iterator[tuple[str, Dates]]:
    for each in getattr(node, "decorator_list", ()):
        if isinstance(each, ast.Call) and ast.unparse(each.func).endswith("deprecated"):
            said = {word.arg: ast.literal_eval(word.value) for word in each.keywords if word.arg != "instead"}
            dates = Dates(date.fromisoformat(said["since"]), date.fromisoformat(said["until"]))
            yield f"{inside}.{getattr(node, 'name', '')}", dates


def listed(text: str) -> Listed:
    """Return what a list holds."""
    found: Listed = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, dates = line.partition(" deprecated ")
            since, _, until = dates.partition(" until ")
            found[name] = Dates(date.fromisoformat(since), date.fromisoformat(until)) if dates else None
    return found


def main() -> None:
    """Add what is new; what is gone stays, for the test to judge."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    head = [line for line in lines if line.startswith("#")]
    known = {line.partition(" deprecated ")[0] for line in lines}
    new = {name for name in public_names(filter(is_public, core_modules())) if name not in known}
    kept = [line for line in lines if line and not line.startswith("#")]
    LIST.write_text("\n".join([*head, *sorted([*kept, *new])]) + "\n", encoding="utf-8")
    print(f"{len(new)} new names in {LIST.relative_to(ROOT)}")  # noqa: T201 - a command of its own


if __name__ == "__main__":
    main()
