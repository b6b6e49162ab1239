"""The files of the repository: what is tracked, and what would be."""

from __future__ import annotations

import subprocess
from functools import cache
from shutil import which

import pytest

from tests.policy.modules import ROOT


@cache
def repository_files(*, tracked_only: bool = False) -> tuple[str, ...]:
    """Return the paths of all files that git tracks or does not ignore, relative to the root.

    Skips the test where there is no checkout to ask, as in an unpacked source distribution.
    """
    git = which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    selection = ("--cached",) if tracked_only else ("--cached", "--others", "--exclude-standard")
    listed = subprocess.run(
        [git, "ls-files", "-z", *selection], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return tuple(file for file in listed.stdout.split("\0") if file and (ROOT / file).is_file())
