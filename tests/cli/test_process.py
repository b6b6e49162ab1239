"""A command's process has what it needs, and nothing else."""

from __future__ import annotations

import subprocess
import sys

COUNTED = """
import os, sys
from tallyio import cli
cli._run = lambda words: 0
cli.main()
import numpy
print(len(os.listdir("/proc/self/task")), os.environ["OPENBLAS_NUM_THREADS"])
"""


def counted(environment: dict[str, str]) -> list[str]:
    """Return how many threads a command has once numpy is imported, and how many numpy may start."""
    ran = subprocess.run(
        [sys.executable, "-c", COUNTED], env=environment, capture_output=True, text=True, check=True
    )
    return ran.stdout.split()


def test_nobody_runs_beside_the_lanes_but_who_is_asked_for() -> None:
    assert counted({}) == ["1", "1"]
    assert counted({"OPENBLAS_NUM_THREADS": "3"})[1] == "3"
