"""Run one benchmark script, and time what it hands to pyperf as whoever started this asks.

Layer: bench. A program of its own, never imported: `turns` and `script` start it by its path, also under the
interpreter and with the packages of another checkout, so it imports nothing of `tallyio.bench` at its top.
The script is a plain pyperf program and stays one; it is given a `pyperf.Runner` of ours.

    python worker.py turns SCRIPT ASK ANSWER [PUS]   serve: one JSON request a line in, one answer a line out
    python worker.py calls SCRIPT [pyperf options]   pyperf's own run, and a histogram of single calls with it

A served script stops at each of its benchmarks, with everything it has set up alive, until it is told to go
on; that is what lets two checkouts be measured in turns.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO

import pyperf

CALLS_S: Final = 0.15
"""How long single calls are timed."""
_MOST_CALLS: Final = 20_000
_FEWEST_CALLS: Final = 3
_SCHEDSTAT: Final = Path("/proc/thread-self/schedstat")

Seconds = Callable[[int], float]
"""Makes so many calls and returns the seconds they took."""


def repeated(call: Callable[[], object]) -> Seconds:
    """Return a timer of `call`, as pyperf times a function."""

    def seconds(loops: int) -> float:
        turns, clock = range(loops), time.perf_counter
        start = clock()
        for _ in turns:
            call()
        return clock() - start

    return seconds


def single_calls(seconds: Seconds, limit_s: float = CALLS_S) -> dict[str, int]:
    """Time calls one by one; return how many there were and their percentiles, in ns of a whole call."""
    from tallyio.native.histogram import Histogram  # noqa: PLC0415 - of the checkout whose script this is

    with Histogram() as histogram:
        end = time.perf_counter() + limit_s
        while histogram.count < _MOST_CALLS:
            histogram.record(round(seconds(1) * 1e9))
            if histogram.count >= _FEWEST_CALLS and time.perf_counter() > end:
                break
        named = {"p50_ns": 50.0, "p99_ns": 99.0, "p999_ns": 99.9}
        found = {name: histogram.percentile(p) for name, p in named.items()}
        return {"count": histogram.count, **found, "max_ns": histogram.maximum}


class CallsRunner(pyperf.Runner):  # type: ignore[misc]  # pyperf has no types
    """pyperf's own runner; each process that measures also times single calls, told in its metadata."""

    script: str

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, program_args=(__file__, "calls", self.script), **options)

    def bench_func(self, name: str, func: Callable[..., object], *args: Any, **options: Any) -> Any:
        """Measure `func(*args)`."""
        noted = self._noted(repeated(partial(func, *args)), options)
        return super().bench_func(name, func, *args, **noted)

    def bench_time_func(self, name: str, time_func: Callable[..., float], *args: Any, **options: Any) -> Any:
        """Measure `time_func(loops, *args)`."""
        noted = self._noted(lambda loops: time_func(loops, *args), options)
        return super().bench_time_func(name, time_func, *args, **noted)

    def _noted(self, seconds: Seconds, options: dict[str, Any]) -> dict[str, Any]:
        asked = self.parse_args()
        if not asked.worker or asked.calibrate_loops or asked.worker_task not in {None, self._worker_task}:
            return options
        calls = {f"tallyio_{name}": value for name, value in single_calls(seconds).items()}
        operations = {"tallyio_operations": options.get("inner_loops") or 1}
        return options | {"metadata": {**(options.get("metadata") or {}), **calls, **operations}}


class TurnsRunner(pyperf.Runner):  # type: ignore[misc]  # pyperf has no types
    """Hands each benchmark to whoever asks over the pipes."""

    ask: TextIO
    answer: TextIO

    def bench_func(self, name: str, func: Callable[..., object], *args: Any, **options: Any) -> None:
        """Serve `func(*args)`."""
        self._serve(name, repeated(partial(func, *args)), options)

    def bench_time_func(self, name: str, time_func: Callable[..., float], *args: Any, **options: Any) -> None:
        """Serve `time_func(loops, *args)`."""
        self._serve(name, lambda loops: float(time_func(loops, *args)), options)

    def _serve(self, name: str, seconds: Seconds, options: dict[str, Any]) -> None:
        say(self.answer, {"name": name, "operations": options.get("inner_loops") or 1})
        while (asked := json.loads(self.ask.readline() or '["stop"]'))[0] != "next":
            if asked[0] == "stop":
                raise SystemExit(0)
            say(self.answer, _ANSWERS[asked[0]](seconds, *asked[1:]))


def running_seconds(seconds: Seconds, loops: int) -> float:
    """Return what so many calls took without the time that this thread was ready to run and others did.

    A thread that times a part of its work only, or makes its times up, is charged its share of the waiting.
    """
    delayed, start = run_delay_ns(), time.perf_counter_ns()
    taken = seconds(loops)
    elapsed, waited = time.perf_counter_ns() - start, run_delay_ns() - delayed
    counts = taken * 1e9 <= elapsed and 0 < waited < elapsed
    return taken * (1 - waited / elapsed) if counts else taken


def run_delay_ns() -> int:
    """Return how long this thread has waited for a processor since it started; 0 where Linux does not say."""
    try:
        return int(_SCHEDSTAT.read_text().split()[1])
    except (OSError, IndexError):
        return 0


def say(out: TextIO, what: object) -> None:
    """Write one line."""
    out.write(json.dumps(what) + "\n")
    out.flush()


def count(seconds: Seconds) -> float | None:
    """Return the instructions of one call by the processor's counter; None where it is not lent out."""
    from tallyio.bench.instructions import open_counter  # noqa: PLC0415 - asked for under our own checkout only

    try:
        by_counter = open_counter()
    except OSError:
        return None
    many = 8
    once, more = (by_counter(partial(seconds, loops)) for loops in (1, 1 + many))
    return (more - once) / many


_ANSWERS: Final[dict[str, Callable[..., object]]] = {
    "time": running_seconds,
    "calls": single_calls,
    "count": count,
}


def main() -> None:
    """Run the script."""
    way, script, *more = sys.argv[1:]
    if way == "turns":
        ask, answer, *pus = more
        TurnsRunner.ask = os.fdopen(int(ask), encoding="utf-8")
        TurnsRunner.answer = os.fdopen(int(answer), "w", encoding="utf-8")
        if pus and pus[0]:
            os.sched_setaffinity(0, map(int, pus[0].split(",")))
        pyperf.Runner, more = TurnsRunner, []
    else:
        CallsRunner.script = script
        pyperf.Runner = CallsRunner
    sys.argv = [script, *more]
    runpy.run_path(str(Path(script)), run_name="__main__")


if __name__ == "__main__":
    main()
