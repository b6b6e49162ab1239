"""What is published works: wheels in an empty environment, and nothing of the checkout."""

from __future__ import annotations

import json
import os
import subprocess
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.e2e.installed import Environment, build_wheels
from tests.policy.modules import ROOT

WHERE = """
import importlib, json
from tallyio.hooks.catalog import Catalog
names = ["tallyio", *(plugin.module for plugin in Catalog.scan().all())]
print(json.dumps({name: importlib.import_module(name).__file__ for name in names}))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Build all wheels, as `make wheels` does."""
    return build_wheels(tmp_path_factory.mktemp("dist"))


def metadata(wheel: Path) -> tuple[Message, list[str]]:
    """Return a wheel's metadata and the names of its files."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        (path,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        return HeaderParser().parsestr(archive.read(path).decode()), names


def outside(environment: Environment, folder: Path, *words: str) -> str:
    """Run a program of `environment` in `folder`, which knows nothing of the checkout."""
    known = ("HOME", "XDG_CACHE_HOME", "LANG")
    clean = {name: os.environ[name] for name in known if name in os.environ}
    clean |= {name: value for name, value in os.environ.items() if name.startswith(("TALLYIO_CACHE", "npm_"))}
    path = f"{environment.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        words, cwd=folder, env={**clean, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_every_wheel_says_what_it_is(wheels: list[Path]) -> None:
    for wheel in wheels:
        said, names = metadata(wheel)
        assert said["License-Expression"] == "MIT", wheel.name
        assert said["Description-Content-Type"] == "text/markdown", wheel.name
        assert said["Summary"], wheel.name
        assert len(str(said.get_payload())) > 200, f"{wheel.name} has no readme"
        assert "Typing :: Typed" in said.get_all("Classifier", []), wheel.name
        assert any(name.endswith("/py.typed") for name in names), wheel.name
        assert not [name for name in names if "/tests/" in name or name.startswith("tests/")]


def test_the_core_wheel_carries_its_data(wheels: list[Path]) -> None:
    _, names = metadata(next(wheel for wheel in wheels if wheel.name.startswith("tallyio-")))
    data = {name.removeprefix("tallyio/_data/") for name in names if name.startswith("tallyio/_data/")}
    kept = {
        str(path.relative_to(ROOT))
        for folder in ("examples", "hardware_profiles")
        for path in (ROOT / folder).rglob("*.toml")
    }
    assert kept <= data


@pytest.fixture(scope="module")
def environment(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install the wheels into an empty environment."""
    made = Environment(tmp_path_factory.mktemp("installed") / "venv")
    assert made.install_third_party() in {"lock", "lent"}
    made.install(wheels)
    return made


def test_nothing_installed_comes_from_the_checkout(environment: Environment, tmp_path: Path) -> None:
    places = json.loads(outside(environment, tmp_path, str(environment.python), "-c", WHERE))
    assert len(places) > 20
    assert [name for name, place in places.items() if not Path(place).is_relative_to(environment.site)] == []


@pytest.mark.node
def test_the_demo_of_an_installed_wheel_is_exact(environment: Environment, tmp_path: Path) -> None:
    """From an empty folder, with the examples and profiles that the wheel carries."""
    told = outside(environment, tmp_path, str(environment.tallyio), "demo", "--blocks", "8", "--json")
    facts = json.loads(told)
    assert facts["exact"] is True
    assert facts["opportunities"]["landed"] == len(facts["trades"]) > 0
    assert {path.name for path in tmp_path.iterdir()} == {"tallyio-data"}
