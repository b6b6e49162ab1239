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
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from tallyio.bench.judge import Timings
from tallyio.model.errors import EnvironmentFault, MissingExtraError

EFFORTS: Final = {"fast": ("--fast",), "rigorous": ("--rigorous",)}
"""pyperf's options by how sure the answer has to be; each script takes about a minute, or ten."""

TIMEOUT_S: Final = 1_800.0


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
) -> Timings:
    """Return every value that `script` measures, in seconds per operation, by benchmark.

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
        command = [sys.executable, "-P", str(script), "--quiet", "--copy-env", "-o", str(output), *options]
        _run([*command, "--affinity", affinity] if affinity else command, script, timeout_s)
        if not output.is_file():
            raise _failed(script, "it wrote no result")
        suite = pyperf.BenchmarkSuite.load(str(output))
    return {bench.get_name(): bench.get_values() for bench in suite.get_benchmarks()}


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
            raise _failed(script, f"it was not done after {timeout_s:g} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise _failed(script, _last_line(said) or f"exit code {process.returncode}")


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _failed(script: Path, fault: str) -> ScriptFailed:
    return ScriptFailed(
        f"benchmark {script.name} failed: {fault}", way_out=f"run it by hand: python {script}"
    )
