"""Let mypy look at sources of others, as strictly as at ours and without doing it all again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree

from tests.policy.modules import ROOT

CACHE = ROOT / ".mypy_cache"
"""What `make lint` leaves. A copy is used: two that write to one would wait for each other."""


def found_by_mypy(paths: Sequence[Path], work: Path) -> str:
    """Return what mypy, with the repository's configuration, finds in `paths`, which it may import; or ""."""
    cache = work / "mypy"
    if CACHE.is_dir():
        copytree(CACHE, cache)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")),
            *("--cache-dir", str(cache), *map(str, paths)),
        ],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
