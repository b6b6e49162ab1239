"""Measure a script in seconds: one process, some short values of each benchmark.

Layer: bench. Enough to see whether promises are kept, whose ratios have room; `compare` wants more processes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from tallyio.bench.records import Calls, Job
from tallyio.bench.script import TIMEOUT_S, Measured
from tallyio.bench.turns import Script

VALUE_S: Final = 0.012
"""About how long a value takes: shorter than what a busy machine usually leaves alone."""
VALUES: Final = 10
_LEAST_VALUES: Final = 5
_LIMIT_S: Final = 0.4
"""Per benchmark, where a single call takes long."""


def measure_quickly(job: Job, pus: Sequence[int] = (), *, timeout_s: float = TIMEOUT_S) -> Measured:
    """Return some values of what `job` promises and of its references. Raises: ScriptFailed."""
    promised = {promise.name for promise in job.promises}
    wanted = promised | {promise.reference for promise in job.promises}
    runs: dict[str, tuple[tuple[float, ...], ...]] = {}
    calls: dict[str, Calls] = {}
    instructions: dict[str, float] = {}
    with Script(job.script, pus=pus, timeout_s=timeout_s) as script:
        while stop := script.stop():
            if stop.name in wanted:
                runs[stop.name] = (_values(script, stop.operations),)
            if stop.name in promised:
                calls[stop.name] = script.calls(stop.operations)
                if (counted := script.instructions()) is not None:
                    instructions[stop.name] = counted / stop.operations
            script.go_on()
    return Measured(runs=runs, calls=calls, instructions=instructions)


def _values(script: Script, operations: int) -> tuple[float, ...]:
    loops, start = script.loops_for(VALUE_S), time.perf_counter()
    values: list[float] = []
    while len(values) < VALUES:
        values.append(script.seconds(loops) / (loops * operations))
        if len(values) >= _LEAST_VALUES and time.perf_counter() - start > _LIMIT_S:
            break
    return tuple(values)
