"""A benchmark script that waits at each of its benchmarks and times calls when it is asked to.

Layer: bench. The script runs in a process of its own, `worker`. Whoever holds two of them can let them take
turns of milliseconds, so that both sides of a comparison meet the same moments of a busy machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from tallyio.bench.records import Calls
from tallyio.bench.script import TIMEOUT_S, WORKER, failed_script, last_line, require_pyperf

_MOST_LOOPS: Final = 1 << 30
_END_S: Final = 5.0
"""How long a script may take to end once nobody asks any more."""


class Stop(msgspec.Struct, frozen=True):
    """A benchmark that a script stands at."""

    name: str
    operations: int
    """Of one call."""


class Script:
    """A running script: `stops` comes to each of its benchmarks in turn. A context that ends it."""

    def __init__(
        self,
        script: Path,
        *,
        python: Path | str = sys.executable,
        environment: Mapping[str, str] | None = None,
        pus: Iterable[int] = (),
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Start `script` under `python`, for `timeout_s` at most. Raises: MissingExtraError: no pyperf."""
        require_pyperf()
        self._script = script
        self._said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed by `__exit__`
        ask, self._ask = os.pipe()
        self._answer, answer = os.pipe()
        pinned = ",".join(map(str, sorted(pus)))
        self._process = subprocess.Popen(
            [python, "-P", WORKER, "turns", script, str(ask), str(answer), pinned],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            env={**(os.environ if environment is None else environment), "PYTHONSAFEPATH": "1"},
            pass_fds=(ask, answer),
            process_group=0,
        )
        os.close(ask)
        os.close(answer)
        self._requests = os.fdopen(self._ask, "w", encoding="utf-8")
        self._answers = os.fdopen(self._answer, encoding="utf-8")
        self._expired = False
        self._watch = threading.Timer(timeout_s, self._expire)
        self._watch.daemon = True
        self._watch.start()
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.cancel()
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()
        try:
            self._process.wait(_END_S)  # what the script opened is closed by the script
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()
        self._answers.close()
        self._said.close()

    def stop(self) -> Stop | None:
        """Wait for the next benchmark; None at the end of the script. Raises: ScriptFailed."""
        line = self._answers.readline()
        if line:
            return msgspec.json.decode(line, type=Stop)
        code = self._process.wait()
        if code or self._expired:
            raise self._fault(code)
        return None

    def seconds(self, loops: int) -> float:
        """Return the seconds that so many calls take. Raises: ScriptFailed."""
        return float(self._asked("time", loops))

    def calls(self, operations: int) -> Calls:
        """Time single calls, of so many operations, for some tenth of a second. Raises: ScriptFailed."""
        return msgspec.convert({**self._asked("calls"), "operations": operations}, Calls)

    def instructions(self) -> float | None:
        """Return the instructions of a call, None where this machine does not lend its counter out."""
        counted = self._asked("count")
        return None if counted is None else float(counted)

    def go_on(self) -> None:
        """Leave the benchmark at which the script stands."""
        self._request("next")

    def loops_for(self, least_s: float) -> int:
        """Return how many calls take about `least_s` or longer. The first calls are not counted."""
        loops = 1
        self.seconds(loops)
        while (taken := self.seconds(loops)) < least_s and loops < _MOST_LOOPS:
            loops = max(loops * 2, int(loops * least_s / max(taken, 1e-9)))
        return loops

    def _asked(self, *what: object) -> Any:
        self._request(*what)
        line = self._answers.readline()
        if not line:
            raise self._fault(self._process.wait())
        return json.loads(line)

    def _request(self, *what: object) -> None:
        try:
            self._requests.write(json.dumps(what) + "\n")
            self._requests.flush()
        except BrokenPipeError:
            raise self._fault(self._process.wait()) from None

    def _fault(self, code: int) -> Exception:
        if self._expired:
            return failed_script(self._script, f"it was not done after {self._timeout_s:g} s")
        self._said.seek(0)
        return failed_script(self._script, last_line(self._said.read()) or f"exit code {code}")

    def _expire(self) -> None:
        self._expired = True
        self._kill()

    def _kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
