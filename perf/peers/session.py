"""Peers that are asked over a pipe, each installed into an environment of its own outside the repository.

What cannot be had (no interpreter, no package) is a sentence in `absent`, never an error: the row that
wants it says so and is measured without.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tallyio.native.cache import cache_root

_INSTALL_S: Final = 600
_NEWEST: Final = "3.13"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A library to stand beside."""

    requirement: str
    """As an installer reads it, and the name of its environment."""
    driver: str
    """The script in this folder that speaks for it."""
    answers: str
    """A statement that works where it is installed."""
    beside: tuple[str, ...] = ()
    """What its users install to make it faster."""
    python: str = ""
    """The version that it needs; empty: the one that runs this."""
    why: str = ""
    """What goes wrong with others."""

    @property
    def name(self) -> str:
        """The requirement for people."""
        helped = f" with {' and '.join(self.beside)}" if self.beside else ""
        return self.requirement.replace("==", " ") + helped


DEGENBOT: Final = Peer(
    requirement="degenbot==0.6.0a17",
    driver="degenbot_driver.py",
    answers="import degenbot._ffi",
    python=_NEWEST,
    why="its import fails on 3.12.1",
)
ETH_ACCOUNT: Final = Peer(
    requirement="eth-account==0.14.0",
    driver="ethereum_driver.py",
    answers="import coincurve, eth_account",
    beside=("coincurve",),  # without it, a signature takes a hundred times as long, in plain Python
)
ETH_ABI: Final = Peer(requirement="eth-abi==6.0.0", driver="ethereum_driver.py", answers="import eth_abi")
WEB3: Final = Peer(requirement="web3==8.0.0", driver="ethereum_driver.py", answers="import web3")


class Peers:
    """The peers of one run, started when the first row asks for them; a context that ends them."""

    def __init__(self, *, wanted: bool = True) -> None:
        self._wanted = wanted
        self._known: dict[Peer, Process | str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._known.values():
            if isinstance(process, Process):
                process.close()

    def process(self, peer: Peer) -> Process | None:
        """Return the running driver of `peer`, or None: then `absent` says why."""
        process = self._get(peer)
        return process if isinstance(process, Process) else None

    def absent(self, peer: Peer) -> str:
        """Return why there is no such peer, or an empty string."""
        process = self._get(peer)
        return process if isinstance(process, str) else ""

    @property
    def degenbot(self) -> Process | None:
        """The process of degenbot, or None: then `degenbot_absent` says why."""
        return self.process(DEGENBOT)

    @property
    def degenbot_absent(self) -> str:
        """Why there is no degenbot, or an empty string."""
        return self.absent(DEGENBOT)

    def _get(self, peer: Peer) -> Process | str:
        if peer not in self._known:
            self._known[peer] = self._start(peer)
        return self._known[peer]

    def _start(self, peer: Peer) -> Process | str:
        if not self._wanted:
            return "not asked for"
        environment = cache_root() / "peers" / peer.requirement
        python = environment / "bin" / "python"
        if fault := "" if _imports(peer, python) else _install(peer, environment):
            return fault
        return Process(peer, python)


class Process:
    """A running driver; `ask` names one of its methods."""

    def __init__(self, peer: Peer, python: Path) -> None:
        home = python.parents[1] / "home"  # some keep files in their home, and versions do not share one
        home.mkdir(exist_ok=True)
        self._name = peer.name
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name(peer.driver)],
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
            raise RuntimeError(f"the process of {self._name} has no pipes")
        self._process.stdin.write(json.dumps([method, *arguments]) + "\n")
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process of {self._name} ended while it was asked for {method}")
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def _imports(peer: Peer, python: Path) -> bool:
    if not python.is_file():
        return False
    home = {**os.environ, "HOME": str(python.parents[1])}
    command: list[str | Path] = [python, "-c", peer.answers]
    return subprocess.run(command, capture_output=True, check=False, env=home).returncode == 0


def _install(peer: Peer, environment: Path) -> str:
    """Make the environment; return why that cannot be done, or an empty string."""
    interpreter = next(_interpreters(), None) if peer.python else sys.executable
    if interpreter is None:
        return f"{peer.name}: no CPython {peer.python} on this machine, and {peer.why}"
    shutil.rmtree(environment, ignore_errors=True)
    environment.parent.mkdir(parents=True, exist_ok=True)
    python = environment / "bin" / "python"
    make: list[str | Path] = [interpreter, "-m", "venv", environment]
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", peer.requirement, *peer.beside]
    for command in (make, pip):
        try:
            ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_S)
        except subprocess.TimeoutExpired:
            return f"{peer.name}: not installed after {_INSTALL_S} s"
        if ran.returncode:
            return f"{peer.name}: {_last_line(ran.stderr)}"
    return "" if _imports(peer, python) else f"{peer.name}: its import fails"


def _interpreters() -> Iterator[str]:
    """Yield interpreters of the version that some peers need."""
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
