"""Builds the wheel of this package with nothing but Python, so that it installs without network."""

from __future__ import annotations

import tomllib
from pathlib import Path
from zipfile import ZipFile

HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
NAME = f"{PROJECT['name'].replace('-', '_')}-{PROJECT['version']}"


def build_wheel(
    wheel_directory: str,
    config_settings: object = None,
    metadata_directory: object = None,
) -> str:
    """Write the wheel; return its name (PEP 517, PEP 427)."""
    files = {str(path.relative_to(HERE)): path.read_text() for path in (HERE / "pond").glob("*.*")}
    files |= {f"{NAME}.dist-info/{name}": text for name, text in _metadata().items()}
    record = "".join(f"{name},,\n" for name in files)
    wheel = f"{NAME}-py3-none-any.whl"
    with ZipFile(Path(wheel_directory) / wheel, "w") as archive:
        for name, text in {**files, f"{NAME}.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    return wheel


def _metadata() -> dict[str, str]:
    needs = "".join(f"Requires-Dist: {each}\n" for each in PROJECT["dependencies"])
    groups = PROJECT["entry-points"].items()
    return {
        "WHEEL": "Wheel-Version: 1.0\nGenerator: backend\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "METADATA": f"Metadata-Version: 2.1\nName: {PROJECT['name']}\nVersion: {PROJECT['version']}\n{needs}",
        "entry_points.txt": "".join(
            f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
            for group, entries in groups
        ),
    }
