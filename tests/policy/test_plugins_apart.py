"""Core and plugins know each other by contract only: no name of a plugin below, no private part above."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import pytest

from tallyio.hooks.catalog import Catalog
from tallyio.hooks.contract import KINDS
from tests.policy.modules import CORE, Module, core_modules, plugin_modules, require_none, snippet, told

PLUGIN_PACKAGES: Final = tuple(f"{CORE}_{kind}_" for kind in KINDS)

EXCUSED: Final = {
    ("tallyio/cli/init.py", "arbitrage"): "a folder of examples/, written by `init`",
    ("tallyio/lab/lending/facts.py", "venus"): "where somebody borrows in the lab's world: contracts",
    ("tallyio/lab/lending/world.py", "venus"): "the same",
}
"""Text that equals a plugin's name and means something else: file, text, and what it means."""


def named_plugins(
    modules: Iterable[Module], names: Collection[str], excused: Collection[tuple[str, str]] = ()
) -> Iterator[str]:
    """Yield imports of a plugin's package, and string constants that equal a plugin's name."""
    for module in modules:
        for each in module.imports:
            if each.top.startswith(PLUGIN_PACKAGES):
                yield module.problem(
                    each.line,
                    f"imports the plugin {each.top}",
                    "ask PluginHost for what a configuration names",
                )
        for line, name in names_in(module, names):
            if (module.path, name) not in excused:
                yield module.problem(
                    line,
                    f"names the plugin {name!r}",
                    "the core knows kinds only; let configuration or the contract say it",
                )


def names_in(module: Module, names: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string constant that equals one of `names`."""
    extras = {id(node) for node in _extras(module.tree)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and node.value in names and id(node) not in extras:
            yield node.lineno, str(node.value)


def _extras(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield the first argument of each `MissingExtraError`: an extra may be named like a plugin."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "MissingExtraError"
        ):
            yield from node.args[:1]


def private_imports(modules: Iterable[Module]) -> Iterator[str]:
    """Yield what a plugin takes from `tallyio` under a private name."""
    for module in modules:
        for each in module.imports:
            if each.top == CORE and any(_is_private(part) for part in each.full.split(".")):
                yield _reaches_into(module, each.line, each.full)
        ours = _bound_to_core(module)
        for line, name, attribute in _attributes(module.tree):
            if name in ours and _is_private(attribute):
                yield _reaches_into(module, line, f"{ours[name]}.{attribute}")


def foreign_packages(modules: Iterable[Module]) -> Iterator[str]:
    """Yield a plugin's imports of another plugin's package."""
    for module in modules:
        own = module.name.partition(".")[0]
        for each in module.imports:
            if each.top.startswith(PLUGIN_PACKAGES) and each.top != own:
                yield module.problem(
                    each.line,
                    f"imports another plugin, {each.top}",
                    "what both need is a hook, or a public function of tallyio",
                )


def _reaches_into(module: Module, line: int, what: str) -> str:
    return module.problem(line, f"uses {what}, which is private", "ask for a public function")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _attributes(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Yield line, name and attribute of each `name.attribute`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.lineno, node.value.id, node.attr


def _bound_to_core(module: Module) -> Mapping[str, str]:
    """Return the local names that stand for something of `tallyio`, and what each is."""
    bound: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == CORE:
            bound |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
        elif isinstance(node, ast.Import):
            bound |= {
                each.asname: each.name for each in node.names if each.asname and each.name.startswith(CORE)
            }
    return bound


def installed_names() -> frozenset[str]:
    """Return the name of every installed plugin."""
    return frozenset(plugin.name for plugin in Catalog.scan().all())


def test_the_core_names_no_plugin() -> None:
    names = installed_names()
    assert names, "no plugin is installed, so this would check nothing; run `make setup`"
    require_none(named_plugins(core_modules(), names, EXCUSED))


def test_every_excuse_is_still_needed() -> None:
    names = installed_names()
    found = {(module.path, name) for module in core_modules() for _, name in names_in(module, names)}
    assert found == set(EXCUSED), "strike what is gone from EXCUSED"


def test_plugins_use_public_names_only() -> None:
    require_none(private_imports(plugin_modules()))


def test_plugins_do_not_import_each_other() -> None:
    require_none(foreign_packages(plugin_modules()))


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("from tallyio_signer_toy import key", "imports the plugin tallyio_signer_toy"),
        ("def f():\n    import tallyio_chain_toy.rpc", "imports the plugin tallyio_chain_toy"),
        ("name = 'toy'", "names the plugin 'toy'"),
        ("if kind in {'toy': 1}:\n    pass", "names the plugin 'toy'"),
    ],
)
def test_a_plugin_named_in_the_core_is_found(code: str, what: str) -> None:
    (problem,) = named_plugins([snippet(code)], {"toy"})
    assert what in problem


@pytest.mark.parametrize(
    "code",
    [
        "raise MissingExtraError('toy', 'playing')",
        "'a toy of a sentence'",
        "from tallyio_toolbox import toys",
    ],
)
def test_text_that_means_something_else_is_not_found(code: str) -> None:
    assert not told(named_plugins([snippet(code)], {"toy"}))


@pytest.mark.parametrize(
    "code",
    [
        "from tallyio.market._rows import row",
        "from tallyio.market.layout import _row",
        "import tallyio._secret",
        "from tallyio.market import layout\nlayout._row()",
        "import tallyio.market.layout as layout\nlayout._row()",
    ],
)
def test_a_plugin_that_uses_a_private_part_is_found(code: str) -> None:
    (problem,) = private_imports([snippet(code, "tallyio_protocol_toy.adapter")])
    assert "which is private" in problem


def test_a_plugins_own_private_parts_are_not_found() -> None:
    code = "from tallyio import __version__\nfrom tallyio_protocol_toy import _maths\n_maths._step()\nself._x"
    assert not told(private_imports([snippet(code, "tallyio_protocol_toy.adapter")]))


def test_a_plugin_that_imports_another_is_found() -> None:
    code = "from tallyio_protocol_toy import maths\nfrom tallyio_protocol_other import tables"
    (problem,) = foreign_packages([snippet(code, "tallyio_protocol_toy.adapter")])
    assert "another plugin, tallyio_protocol_other" in problem
