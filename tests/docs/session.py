"""Run the commands of a page, in order, in a folder of their own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from cyclopts import App

from tallyio.cli import COMMANDS, GROUPS
from tests.docs.pages import ROOT, Step
from tests.docs.shown import agrees

PROGRAMS: Final = {
    "python": [sys.executable],
    "tallyio": [str(Path(sys.executable).with_name("tallyio"))],
}
TIMEOUT_S: Final = 240
READY: Final = "ready:"
OTHERS: Final = {"git", "mypy", "pip", "pytest", "for", "echo", "sysctl"}
"""Programs and words of a shell that pages name and tests never start."""


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """A demo that ran once for all pages that show one."""

    folder: Path
    printed: str


def start(words: Sequence[str], folder: Path, **more: str) -> subprocess.Popen[str]:
    """Start a program in `folder`, its output and errors in one stream."""
    return subprocess.Popen(
        [*PROGRAMS[words[0]], *words[1:]],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80", "FORCE_COLOR": "", "PYTEST_ADDOPTS": "", **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def printed_by(words: Sequence[str], folder: Path, **more: str) -> str:
    """Return what a command prints. It must succeed."""
    with start(words, folder, **more) as process:
        printed, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, f"{shlex.join(words)} ended with {process.returncode}:\n{printed}"
    return printed


class Session:
    """What the steps of one page share: the folder, and what goes on behind them."""

    def __init__(self, folder: Path, demos: Mapping[str, Demo], **environment: str) -> None:
        """`demos` are by what they show: "pools", "lending", or "json"."""
        self._folder = folder
        self._demos = demos
        self._environment = environment
        self._behind: list[subprocess.Popen[str]] = []
        self._has_own = False

    def take(self, step: Step) -> None:
        """Run a step, or only parse it, and compare what it prints with what the page shows."""
        words = shlex.split(step.command)
        if words[0] == "cd":
            self._folder /= words[1]
            return
        if words[0] == "make":
            words = _made(words)
        if words[0] == "tallyio":
            parse(words[1:])
            self._check_configurations(step, words)
        elif not step.is_run:
            assert words[0] in OTHERS | {"make"}, f"{step.where}: what is {step.command}?"
            subprocess.run(["sh", "-n", "-c", step.command], check=True)  # noqa: S607 - as a reader's shell
        if not step.is_run or words[0] == "make":
            return
        if step.is_behind:
            self._start_behind(words)
        else:
            self._compare(step, self._printed(words))

    def close(self) -> None:
        """End what goes on behind."""
        for process in self._behind:
            process.terminate()
            process.communicate(timeout=TIMEOUT_S)

    def _check_configurations(self, step: Step, words: list[str]) -> None:
        """After `init`, commands that are not run name a configuration from where the reader is, too."""
        self._has_own |= step.is_run and words[1:2] == ["init"]
        named = [word for word in words if word.endswith(".toml")] if self._has_own else []
        missing = [word for word in named if not (self._folder / word).is_file()]
        assert not missing, f"{step.where}: `{step.command}` is in {self._folder}, which has no {missing}"

    def _printed(self, words: list[str]) -> str:
        if words[:2] == ["tallyio", "demo"]:
            demo = self._demos["json" if "--json" in words else "lending" if "lending" in words else "pools"]
            shutil.copytree(demo.folder, self._folder, dirs_exist_ok=True)
            return demo.printed
        return printed_by(words, self._folder, **self._environment)

    def _compare(self, step: Step, printed: str) -> None:
        assert not step.shown or agrees(step.shown, printed), (
            f"{step.where} shows for `{step.command}`:\n{step.shown}\nbut it printed:\n{printed}"
        )

    def _start_behind(self, words: list[str]) -> None:
        process = start(words, self._folder, **self._environment)
        self._behind.append(process)
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith(READY), said


@contextmanager
def session(folder: Path, demos: Mapping[str, Demo], **environment: str) -> Iterator[Session]:
    """Yield a session, and end at its exit what it started."""
    made = Session(folder, demos, **environment)
    try:
        yield made
    finally:
        made.close()


def parse(words: Sequence[str]) -> None:
    """Let the command line read `words` and do nothing. Raises: CycloptsError: it would refuse them."""
    app = App(name="tallyio", result_action="return_value")
    for name in COMMANDS:
        app.command(f"tallyio.cli.{name}:{name}", name=name)
    for name in GROUPS:
        app.command(f"tallyio.cli.{name}:app", name=name)
    app.parse_args(words, exit_on_error=False, print_error=False)


def _made(words: list[str]) -> list[str]:
    """Return what `make` would run last, or the words themselves where that is not our command line."""
    dry = ["make", "--dry-run", "--always-make", "--no-print-directory", *words[1:]]
    # The tests themselves may run under make, which would take this for a part of it.
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "ARGS"))}
    done = subprocess.run(dry, cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    program, _, arguments = lines[-1].partition(" ")
    return ["tallyio", *shlex.split(arguments)] if program.endswith("/tallyio") else words


def install(folder: Path) -> dict[str, str]:
    """Write what an installer would for the project in `folder`; return the environment to use it in."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {module}\n" for name, module in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups))
    return {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
