"""Peers that are asked over a pipe, each installed into an environment of its own outside the repository.

What cannot be had (no interpreter, no package) is a sentence in `absent`, never an error: the row that
wants it says so and is measured without.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tallyio.native.cache import cache_root

DEGENBOT: Final = "degenbot==0.6.0a17"
_DRIVER: Final = Path(__file__).with_name("degenbot_driver.py")
_INSTALL_S: Final = 600
_ANSWERS: Final = "import degenbot._ffi"
_NEWEST: Final = "3.13"
"""Its import fails on CPython 3.12.1."""


class Peers:
    """The peers of one run, started when the first row asks for them; a context that ends them."""

    def __init__(self, *, wanted: bool = True) -> None:
        self._wanted = wanted

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "_degenbot" in self.__dict__ and isinstance(self._degenbot, Degenbot):
            self._degenbot.close()

    @property
    def degenbot(self) -> Degenbot | None:
        """The process of degenbot, or None: then `degenbot_absent` says why."""
        return self._degenbot if isinstance(self._degenbot, Degenbot) else None

    @property
    def degenbot_absent(self) -> str:
        """Why there is no degenbot, or an empty string."""
        return self._degenbot if isinstance(self._degenbot, str) else ""

    @functools.cached_property
    def _degenbot(self) -> Degenbot | str:
        if not self._wanted:
            return "not asked for"
        environment = cache_root() / "peers" / DEGENBOT
        python = environment / "bin" / "python"
        if fault := "" if _imports(python) else _install(environment):
            return fault
        return Degenbot(python)


class Degenbot:
    """A running driver; `ask` names one of its methods."""

    def __init__(self, python: Path) -> None:
        home = python.parents[1] / "home"  # it keeps files in its home, and versions do not share one
        home.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [python, _DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            env={**os.environ, "HOME": str(home)},
        )

    def ask(self, method: str, *arguments: object) -> Any:
        """Return the driver's answer. Raises: RuntimeError: it ended instead."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("degenbot's process has no pipes")
        self._process.stdin.write(json.dumps([method, *arguments]) + "\n")
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"degenbot's process ended while it was asked for {method}")
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def _imports(python: Path) -> bool:
    if not python.is_file():
        return False
    home = {**os.environ, "HOME": str(python.parents[1])}
    return (
        subprocess.run([python, "-c", _ANSWERS], capture_output=True, check=False, env=home).returncode == 0
    )


def _install(environment: Path) -> str:
    """Make the environment; return why that cannot be done, or an empty string."""
    interpreter = next(_interpreters(), None)
    if interpreter is None:
        return f"{DEGENBOT}: no CPython {_NEWEST} on this machine, and its import fails on 3.12.1"
    shutil.rmtree(environment, ignore_errors=True)
    environment.parent.mkdir(parents=True, exist_ok=True)
    pip: list[str | Path] = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", DEGENBOT]
    make: list[str | Path] = [interpreter, "-m", "venv", environment]
    for command in (make, pip):
        try:
            ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_S)
        except subprocess.TimeoutExpired:
            return f"{DEGENBOT}: not installed after {_INSTALL_S} s"
        if ran.returncode:
            return f"{DEGENBOT}: {_last_line(ran.stderr)}"
    return "" if _imports(environment / "bin" / "python") else f"{DEGENBOT}: its import fails"


def _interpreters() -> Iterator[str]:
    found = shutil.which(f"python{_NEWEST}")
    kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{_NEWEST}.*/bin/python"))
    managed = sorted((Path.home() / ".local/share/uv/python").glob(f"cpython-{_NEWEST}.*/bin/python3"))
    for candidate in filter(None, (found, *map(str, kept), *map(str, managed))):
        # A shim of pyenv is a file that runs nothing where no such version is chosen.
        ran = subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False)
        if ran.returncode == 0:
            yield candidate


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")
