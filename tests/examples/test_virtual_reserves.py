"""A plugin in a repository of its own, pinned on hook_api 1: typed, built, installed, tested.

It is the recipe of every plugin downstream: what breaks it breaks others, so it breaks here first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from shutil import copytree

import pytest

from tests.policy.modules import ROOT, Module, require_none
from tests.policy.public_api import is_public
from tests.policy.test_plugins_apart import private_imports
from tests.strict_types import found_by_mypy
from tests.wheels import build

SOURCE = ROOT / "examples" / "virtual_reserves"
ALSO_PUBLIC = frozenset({"tallyio.testing"})
"""The test kit, which tests of a plugin import."""


@pytest.fixture(scope="module")
def downstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the project to where nothing of the checkout is near."""
    return copytree(SOURCE, tmp_path_factory.mktemp("downstream") / "project")


def ran(folder: Path, *words: str, **environment: str) -> str:
    """Run a module of this Python in `folder`; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def modules() -> list[Module]:
    """Return the modules of the project and of its tests."""
    paths = sorted([*SOURCE.rglob("src/*/*.py"), *SOURCE.glob("tests/*.py")])
    return [
        Module(
            name=f"{path.parent.name}.{path.stem}", path=str(path.relative_to(ROOT)), text=path.read_text()
        )
        for path in paths
    ]


def test_it_speaks_the_first_interface() -> None:
    (contract,) = SOURCE.glob("src/*/contract.toml")
    assert tomllib.loads(contract.read_text())["hook_api"] == 1


def test_it_uses_public_names_only() -> None:
    used = {each.module for module in modules() for each in module.imports if each.top == "tallyio"}
    public = {name for name in used if is_public(Module(name=name, path="", text=""))}
    assert used - ALSO_PUBLIC == public
    require_none(private_imports(modules()))


def test_its_types_are_strict(downstream: Path, tmp_path: Path) -> None:
    assert not found_by_mypy([downstream / "src", downstream / "tests"], tmp_path)


def test_its_own_tests_pass_with_its_wheel_installed(downstream: Path, tmp_path: Path) -> None:
    (wheel,) = build(tmp_path / "dist", [downstream])
    site = tmp_path / "site"
    ran(
        downstream,
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--target",
        str(site),
        str(wheel),
    )
    words = ("pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".")
    said = ran(downstream, *words, PYTHONPATH=str(site))
    assert "protocol virtual_reserves: 16 passed, 2 skipped (P08 P14)" in said
    assert ", 2 skipped in " in said
