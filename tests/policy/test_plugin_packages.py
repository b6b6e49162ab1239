"""Every plugin package has the same shape, a sound contract, and a reference beside compiled code."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tallyio.hooks.catalog import Catalog
from tests.policy.modules import (
    PLUGIN_FOLDERS,
    ROOT,
    Module,
    core_modules,
    decorated_with,
    modules_of_tests,
    plugin_modules,
    require_none,
    snippet,
    told,
)
from tests.policy.repository import repository_files

INSIDE: Final = ("__init__.py", "plugin.py", "contract.toml", "py.typed")
"""What the wheel of a plugin must hold: all of it lies in the package folder."""
README: Final = "README.md"
"""What an index shows of it."""


KIND_OF: Final = {
    "chains": "chain",
    "notifiers": "notifier",
    "protocols": "protocol",
    "signers": "signer",
    "strategies": "strategy",
}
"""Kind by the folder of plugins/ that holds its plugins."""


def by_name(folder: Path) -> str:
    """Return how a test's parameter shows a plugin."""
    return folder.name


def package_faults(folder: Path, pyproject: dict[str, Any], files: Iterable[str]) -> Iterator[str]:
    """Yield how a plugin's `pyproject.toml` and files differ from the shape that all plugins have.

    The folder `plugins/<kind>s/<name>` decides everything else: distribution, package, entry point.
    """
    kind, name = KIND_OF[folder.parent.name], folder.name
    package = f"tallyio_{kind}_{name}"
    project = pyproject["project"]
    where = f"plugins/{folder.parent.name}/{name}/pyproject.toml:1"
    wanted = {
        "name": (project["name"], package.replace("_", "-")),
        "entry points": (project.get("entry-points"), {f"tallyio.{kind}": {name: f"{package}.plugin"}}),
        "licence": (project.get("license"), "MIT"),
        "readme": (project.get("readme"), README),
        "wheel packages": (pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"], [package]),
    }
    for what, (found, right) in wanted.items():
        if found != right:
            yield f"{where}: {what} is {found!r}; make it {right!r}"
    for requirement in project["dependencies"]:
        if requirement.startswith("tallyio") and not _is_floor_only(requirement):
            yield f"{where}: depends on {requirement!r}; name the lowest version only, as tallyio>=0.1"
    present = set(files)
    if README not in present:
        yield f"{where}: has no {README}; say what it reads, its limits, and an example"
    for file in INSIDE:
        if f"{package}/{file}" not in present:
            yield f"{where}: the wheel would lack {package}/{file}; add it to the package folder"
    if not any(file.startswith("tests/test_") for file in present):
        yield f"{where}: has no test; add tests/test_{name}_*.py"


def _is_floor_only(requirement: str) -> bool:
    return ">=" in requirement and not any(mark in requirement for mark in ("==", "<", ",", "~"))


def array_signatures(modules: Iterable[Module]) -> Iterator[str]:
    """Yield compiled functions whose declared signature has an array in it."""
    for module in modules:
        for function, call in decorated_with(module, "hot"):
            for text in (node.value for node in ast.walk(call) if isinstance(node, ast.Constant)):
                if isinstance(text, str) and "[" in text:
                    yield module.problem(
                        function.lineno,
                        f"{function.name} takes an array: {text}",
                        "pass its address as int64",
                    )


def without_reference(modules: Iterable[Module], tests: Iterable[Module]) -> Iterator[str]:
    """Yield plugins with compiled functions and no reference in Python, or one that no test uses."""
    tested = {each.module for test in tests for each in test.imports}
    tested |= {each.full for test in tests for each in test.imports}
    every = list(modules)
    for package in sorted({module.name.partition(".")[0] for module in every}):
        own = [module for module in every if module.name.partition(".")[0] == package]
        compiled = [each for each in own if any(decorated_with(each, "hot")) and "bench" not in each.name]
        references = {each.name for each in own if each.name.rpartition(".")[2].startswith("reference")}
        if compiled and not references:
            yield compiled[0].problem(
                1, "compiled code has no specification", "add reference.py, in Python integers"
            )
        if compiled and references and not references & tested:
            yield compiled[0].problem(
                1, "no test compares it with its reference", "test the two against each other"
            )


@pytest.mark.parametrize("folder", PLUGIN_FOLDERS, ids=by_name)
def test_a_plugin_package_has_the_common_shape(folder: Path) -> None:
    pyproject = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    prefix = f"{folder.relative_to(ROOT)}/"
    files = [file.removeprefix(prefix) for file in repository_files() if file.startswith(prefix)]
    require_none(package_faults(folder, pyproject, files))


def test_every_plugin_of_the_repository_is_installed_and_sound() -> None:
    installed = {plugin.name: plugin.fault for plugin in Catalog.scan().all()}
    missing = {folder.name for folder in PLUGIN_FOLDERS} - set(installed)
    assert not missing, f"not installed: {sorted(missing)}; run `make setup`"
    require_none(f"{name}: {fault}" for name, fault in installed.items() if fault)


def test_the_type_checker_finds_every_plugin() -> None:
    path = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]["mypy_path"]
    wanted = {f"$MYPY_CONFIG_FILE_DIR/{folder.relative_to(ROOT)}" for folder in PLUGIN_FOLDERS}
    assert wanted <= set(path), f"add to mypy_path in pyproject.toml: {sorted(wanted - set(path))}"


def test_compiled_functions_take_addresses_and_no_arrays() -> None:
    require_none(array_signatures([*core_modules(), *plugin_modules()]))


def test_compiled_plugins_have_a_tested_reference() -> None:
    require_none(without_reference(plugin_modules(), modules_of_tests()))


GOOD: Final[dict[str, Any]] = {
    "project": {
        "name": "tallyio-protocol-toy",
        "license": "MIT",
        "readme": README,
        "dependencies": ["tallyio>=0.1", "msgspec<1"],
        "entry-points": {"tallyio.protocol": {"toy": "tallyio_protocol_toy.plugin"}},
    },
    "tool": {"hatch": {"build": {"targets": {"wheel": {"packages": ["tallyio_protocol_toy"]}}}}},
}
FILES: Final = [*(f"tallyio_protocol_toy/{file}" for file in INSIDE), README, "tests/test_toy.py"]
TOY: Final = ROOT / "plugins" / "protocols" / "toy"


def test_a_package_of_the_right_shape_has_no_faults() -> None:
    assert not told(package_faults(TOY, GOOD, FILES))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": "toy"}, "name is 'toy'"),
        ({"license": None}, "licence is None"),
        ({"readme": None}, "readme is None"),
        ({"entry-points": {"tallyio.signer": {"toy": "tallyio_protocol_toy.plugin"}}}, "entry points is"),
        ({"dependencies": ["tallyio==0.1"]}, "depends on 'tallyio==0.1'"),
        ({"dependencies": ["tallyio>=0.1,<1"]}, "depends on 'tallyio>=0.1,<1'"),
    ],
)
def test_a_wrong_pyproject_is_found(change: dict[str, Any], fault: str) -> None:
    (problem,) = package_faults(TOY, GOOD | {"project": GOOD["project"] | change}, FILES)
    assert fault in problem


@pytest.mark.parametrize("missing", FILES)
def test_a_missing_file_is_found(missing: str) -> None:
    (problem,) = package_faults(TOY, GOOD, [file for file in FILES if file != missing])
    assert problem.startswith("plugins/protocols/toy/pyproject.toml:1: ")


def test_an_array_in_a_signature_is_found() -> None:
    code = "@hot('int64(float64[:], int64)')\ndef mean(values, count):\n    return 0"
    assert "mean takes an array" in told(array_signatures([snippet(code)]))
    assert not told(array_signatures([snippet(code.replace("float64[:]", "int64"))]))


def test_compiled_code_without_a_tested_reference_is_found() -> None:
    hot = snippet("@hot('int64()')\ndef f():\n    return 0", "tallyio_protocol_toy.hot")
    reference = snippet("def f():\n    return 0", "tallyio_protocol_toy.reference")
    test = snippet("from tallyio_protocol_toy import reference", "tests.test_toy")
    assert "has no specification" in told(without_reference([hot], []))
    assert "no test compares" in told(without_reference([hot, reference], []))
    assert not told(without_reference([hot, reference], [test]))
