"""What a newcomer has: an environment of his own with TallyIO as a wheel, and nothing of the checkout.

Third-party packages come from the environment that runs the tests, link by link, without what is ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from tests.policy.modules import ROOT

TIMEOUT_S: Final = 600
_OURS: Final = ("tallyio", "_tallyio", "_editable_impl_tallyio", "__editable__")
"""How what the checkout put into this environment begins."""

_DRIVER: Final = """
import json, os, sys, traceback
from pathlib import Path
import copier, rich.console, tallyio.cli.plugins, tallyio.cli.new, tallyio.authoring.check, tallyio.hooks.host
from tallyio.cli import main

def run(number, folder, words):
    os.chdir(folder)
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(sys.argv[1]) / f"{number}.{name}", os.O_WRONLY | os.O_CREAT), stream)
    try:
        code = main(words)
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

running, codes = {}, {}
def wait():
    child, status = os.wait()
    codes[running.pop(child)] = os.waitstatus_to_exitcode(status)

for number, line in enumerate(json.load(sys.stdin)):
    if len(running) == int(sys.argv[2]):
        wait()
    child = os.fork()
    if not child:
        run(number, *line)
    running[child] = number
while running:
    wait()
print(*(codes[number] for number in sorted(codes)))
"""
"""Runs command lines, so many at a time, each in a process of its own: forked, so imports happen once."""

_BUILD: Final = """
import os, sys
from hatchling.build import build_wheel

for source in sys.argv[2:]:
    os.chdir(source)
    print(build_wheel(sys.argv[1]))
"""
"""What `build` and `pip` call, once they have made an environment for it (PEP 517)."""


class Said(NamedTuple):
    """What one command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        assert self.out, self.err
        return json.loads(self.out)


class Newcomer(msgspec.Struct, frozen=True):
    """A folder with an environment in it."""

    folder: Path

    @property
    def python(self) -> str:
        """The environment's interpreter."""
        return str(self.folder / "env" / "bin" / "python")

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its processes."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return {**kept, "COLUMNS": "80", "VIRTUAL_ENV": str(self.folder / "env")}

    def run(self, *words: str, cwd: Path | None = None) -> str:
        """Run a program of the environment; return what it prints. It must succeed."""
        command = [str(self.folder / "env" / "bin" / words[0]), *words[1:]]
        done = subprocess.run(
            command,
            cwd=cwd or self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def tallyio(self, lines: Sequence[tuple[Path, Sequence[str]]], *, at_once: int = 1) -> list[Said]:
        """Run `tallyio` with each line of words, in its folder; return what they said, in order."""
        said = self.folder / f"said-{len(list(self.folder.glob('said-*')))}"
        said.mkdir()
        done = subprocess.run(
            [self.python, "-c", _DRIVER, str(said), str(at_once)],
            cwd=self.folder,
            env=self.environment,
            input=json.dumps([(str(folder), list(words)) for folder, words in lines]),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
        codes = [int(line) for line in done.stdout.split()]
        return [
            Said(code, *((said / f"{number}.{name}").read_text() for name in ("out", "err")))
            for number, code in enumerate(codes)
        ]

    def install(self, wheels: Iterable[Path]) -> None:
        """Install wheels, with whatever they depend on present already."""
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", self.python]
        command = [*pip, "install", "--quiet", "--no-compile", "--no-index", *map(str, wheels)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode == 0, done.stderr

    def unpack(self, wheels: Iterable[Path]) -> None:
        """Do what an installer does with pure wheels without scripts, in a moment."""
        (site,) = (self.folder / "env" / "lib").glob("python*/site-packages")
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as packed:
                packed.extractall(site)


def build_wheels(sources: Iterable[Path], target: Path) -> list[Path]:
    """Build the wheel of each source, without network; return their paths."""
    target.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", _BUILD, str(target), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    return [target / name for name in done.stdout.split()]


def arrive(folder: Path, *sources: Path) -> Newcomer:
    """Make an environment in `folder` with TallyIO in it, and the wheels of `sources` of this repository."""
    venv.create(folder / "env", symlinks=True, with_pip=False)
    others = folder / "others"
    _link_third_party(others)
    newcomer = Newcomer(folder)
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    (site / "others.pth").write_text(f"{others}\n")
    newcomer.install(build_wheels((ROOT, *sources), folder / "wheels"))
    return newcomer


def _link_third_party(folder: Path) -> None:
    folder.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(_OURS) and path.suffix != ".pth":
            (folder / path.name).symlink_to(path)
