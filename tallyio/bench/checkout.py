"""Another checkout of the same project: with which interpreter and packages its scripts run.

Layer: bench.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from tallyio.bench.records import Job
from tallyio.model.errors import ConfigError

_FIND: Final = """
import importlib.util, json, sys
specs = {name: importlib.util.find_spec(name) for name in sys.argv[1:]}
print(json.dumps({name: spec.submodule_search_locations[0] for name, spec in specs.items() if spec}))
"""


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """Where one side of a comparison lives."""

    python: str
    environment: dict[str, str]

    def folders(self, packages: list[str]) -> dict[str, Path]:
        """Return the folders of those packages that it has. Raises: ConfigError: its Python does not run."""
        command = [self.python, "-P", "-c", _FIND, *packages]
        ran = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise ConfigError(
                f"{self.python} does not run: {ran.stderr.strip().splitlines()[-1:]}",
                way_out="set that checkout up",
            )
        return {
            name: Path(folder)
            for name, folder in msgspec.json.decode(ran.stdout, type=dict[str, str]).items()
        }

    def script(self, job: Job, folder: Path) -> Path:
        """Return the script of `job` in the package that lies in `folder` there."""
        return folder / job.script.relative_to(package_folder(job))


def this_one() -> Checkout:
    """Return the side that runs: this interpreter with this environment."""
    return Checkout(python=sys.executable, environment=dict(os.environ))


def other(root: Path) -> Checkout:
    """Return the checkout in `root`: with its own `.venv`, else with this interpreter and its packages first.

    Raises: ConfigError: nothing of ours is there.
    """
    root = root.resolve()
    if not (root / "tallyio" / "__init__.py").is_file():
        raise ConfigError(
            f"{root} is no checkout of TallyIO", way_out="name the folder that holds `tallyio/`"
        )
    own = root / ".venv" / "bin" / "python"
    if own.is_file():
        return Checkout(python=str(own), environment=dict(os.environ))
    return Checkout(python=sys.executable, environment=_first(root, os.environ))


def package_folder(job: Job) -> Path:
    """Return the folder of the package that the script of `job` is in: the highest with an `__init__.py`."""
    inside = [folder for folder in job.script.parents if (folder / "__init__.py").is_file()]
    return inside[-1] if inside else job.script.parent


def _first(root: Path, environment: Mapping[str, str]) -> dict[str, str]:
    packages = [root, *sorted(path.parent for path in root.glob("plugins/*/*/pyproject.toml"))]
    before = [path for path in [environment.get("PYTHONPATH", "")] if path]
    return {**environment, "PYTHONPATH": os.pathsep.join([*map(str, packages), *before])}
