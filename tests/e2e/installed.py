"""An environment with TallyIO and its plugins from wheels, far from the checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.policy.modules import ROOT
from tests.wheels import PACKAGES, build

UV: Final = ROOT / ".tool" / "bin" / "uv"


class Environment:
    """A virtual environment in `folder`, at first with nothing in it."""

    def __init__(self, folder: Path) -> None:
        venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.tallyio = folder / "bin" / "tallyio"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.site = folder / "lib" / version / "site-packages"

    def install_third_party(self) -> str:
        """Install what `requirements.lock` pins, without network; return how.

        Where the installer's cache does not hold it all, the packages of the tests' own environment
        are lent: not by their `.pth` files, so nothing of the checkout comes with them.
        """
        lock = str(ROOT / "requirements.lock")
        if UV.is_file() and self._uv("--require-hashes", "-r", lock) == 0:
            return "lock"
        (self.site / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        return "lent"

    def install(self, wheels: Sequence[Path]) -> None:
        """Install wheels without what they depend on."""
        words = ["--no-deps", "--no-index", *map(str, wheels)]
        if UV.is_file() and self._uv(*words) == 0:
            return
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.python)]
        subprocess.run([*pip, "install", "--quiet", *words], check=True)

    def _uv(self, *words: str) -> int:
        command = [str(UV), "pip", "install", "--quiet", "--offline", "--python", str(self.python), *words]
        return subprocess.run(command, capture_output=True, check=False).returncode


def build_wheels(folder: Path) -> list[Path]:
    """Build the wheel of every distribution of the repository."""
    wheels = build(folder)
    assert len(wheels) == len(PACKAGES)
    return wheels
