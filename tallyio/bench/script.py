"""Run one pyperf script in processes of its own and read what it measured.

Layer: bench. The script is a program: nothing of it is imported here.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

import msgspec

from tallyio.bench.records import Calls
from tallyio.model.errors import EnvironmentFault, MissingExtraError

EFFORTS: Final = {"fast": ("--fast",), "rigorous": ("--rigorous",)}
"""pyperf's options by how sure the answer has to be; each script takes about a minute, or ten."""

WORKER: Final = Path(__file__).with_name("worker.py")

TIMEOUT_S: Final = 1_800.0
_OWN: Final = "tallyio_"
"""What `worker` adds to pyperf's metadata starts with this."""


Timings = Mapping[str, Sequence[float]]
"""Seconds per operation, every value that was measured, by the benchmark's name."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a script measured, by the benchmark's name."""

    runs: dict[str, tuple[tuple[float, ...], ...]]
    """Seconds per operation, process by process."""
    calls: dict[str, Calls] = {}
    instructions: dict[str, float] = {}

    @property
    def timings(self) -> Timings:
        """Every value, whichever process measured it."""
        return {name: tuple(value for run in runs for value in run) for name, runs in self.runs.items()}

    def __add__(self, other: Measured) -> Measured:
        """Return the processes of both; single calls are those of `other`."""
        names = {**self.runs, **other.runs}
        return Measured(
            runs={name: self.runs.get(name, ()) + other.runs.get(name, ()) for name in names},
            calls=self.calls | other.calls,
            instructions=self.instructions | other.instructions,
        )


class ScriptFailed(EnvironmentFault):
    """A benchmark script ended with an error, too late, or without a result."""

    code = "bench"


def require_pyperf() -> ModuleType:
    """Return pyperf. Raises: MissingExtraError: it is not installed."""
    try:
        return importlib.import_module("pyperf")
    except ImportError:
        raise MissingExtraError("bench", "measuring") from None


def run_script(
    script: Path,
    options: Sequence[str] = EFFORTS["fast"],
    *,
    pus: Iterable[int] = (),
    timeout_s: float = TIMEOUT_S,
) -> Measured:
    """Return what `script` measures, with a histogram of single calls from the last of its processes.

    Args:
        script: A pyperf program; it runs under this interpreter and with this environment.
        options: Its command line, such as one of `EFFORTS`.
        pus: OS indexes that the measuring processes are bound to. Without any, pyperf takes the
            isolated CPUs where there are some, else the OS chooses.
        timeout_s: Limit for the whole script.

    Raises: MissingExtraError: no pyperf. ScriptFailed: with the script's last words.
    """
    pyperf = require_pyperf()
    with tempfile.TemporaryDirectory(prefix="tallyio-bench-") as folder:
        output = Path(folder) / "result.json"
        affinity = ",".join(map(str, sorted(pus)))
        # -P keeps the script's folder off sys.path, where its modules would hide the standard
        # library's; pyperf's own processes learn the same from the environment.
        command = [
            sys.executable,
            "-P",
            str(WORKER),
            "calls",
            str(script),
            "--quiet",
            "--copy-env",
            "-o",
            str(output),
            *options,
        ]
        _run([*command, "--affinity", affinity] if affinity else command, script, timeout_s)
        if not output.is_file():
            raise failed_script(script, "it wrote no result")
        suite = pyperf.BenchmarkSuite.load(str(output))
    benchmarks = {bench.get_name(): bench.get_runs() for bench in suite.get_benchmarks()}
    return Measured(
        runs={
            name: tuple(tuple(run.values) for run in runs if run.values) for name, runs in benchmarks.items()
        },
        calls={
            name: calls for name, runs in benchmarks.items() if (calls := _calls(runs[-1].get_metadata()))
        },
    )


def _calls(metadata: Mapping[str, object]) -> Calls | None:
    own = {name.removeprefix(_OWN): value for name, value in metadata.items() if name.startswith(_OWN)}
    return msgspec.convert(own, Calls) if {"count", "operations"} <= own.keys() else None


def _run(command: Sequence[str], script: Path, timeout_s: float) -> None:
    # A process group of its own, so that what the script started ends with it.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        process_group=0,
    ) as process:
        try:
            said, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise failed_script(script, f"it was not done after {timeout_s:g} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise failed_script(script, last_line(said) or f"exit code {process.returncode}")


def last_line(text: str) -> str:
    """Return the last line that says something, or an empty string."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def failed_script(script: Path, fault: str) -> ScriptFailed:
    """Return the error that says what became of `script`."""
    return ScriptFailed(
        f"benchmark {script.name} failed: {fault}", way_out=f"run it by hand: python {script}"
    )
