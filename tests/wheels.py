"""Build the wheels of TallyIO and of every plugin here: `make wheels`, or `python -m tests.wheels FOLDER`.

The build backend runs in this process: no network, no environment of its own per package, and the
same time stamp in every file, so that equal sources give equal wheels.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hatchling.builders.wheel import WheelBuilder

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = (ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/*/pyproject.toml")))
"""The folders of all distributions, the core first."""
EPOCH: Final = "1577836800"
"""2020-01-01: what archives of reproducible builds say."""


def build(folder: Path, packages: Sequence[Path] = PACKAGES) -> list[Path]:
    """Build the wheel of each package into `folder`, and return their paths."""
    os.environ.setdefault("SOURCE_DATE_EPOCH", EPOCH)
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for package in packages:
        with contextlib.chdir(package):
            made += [Path(wheel) for wheel in WheelBuilder(str(package)).build(directory=str(folder))]
    return made


def main() -> None:
    """Build all wheels into the folder that the command line names, `dist` by default."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "dist").resolve()
    for wheel in build(folder):
        sys.stdout.write(f"{wheel.name}\n")


if __name__ == "__main__":
    main()
