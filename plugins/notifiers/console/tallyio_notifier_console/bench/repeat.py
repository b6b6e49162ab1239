"""What a repeated notice costs the engine, beside the redaction of one line."""

from __future__ import annotations

from time import perf_counter

import pyperf
import trio

from tallyio.hooks.interfaces import Notice
from tallyio.hooks.notices import Gatekeeper, redact

NOTICE = Notice(level="info", title="landed", body="see wss://node.example/v3/secret", key="k")


async def repeats(count: int) -> float:
    """Return the seconds that `count` repeats of one notice take."""
    gate = Gatekeeper(repeat_s=3_600.0, most=10)
    gate.admit(NOTICE)
    start = perf_counter()
    for _ in range(count):
        gate.admit(NOTICE)
    return perf_counter() - start


def main() -> None:
    """Measure both in one run."""
    runner = pyperf.Runner()
    runner.bench_func("console.redact", redact, NOTICE.body)
    runner.bench_time_func("console.repeat", lambda loops: trio.run(repeats, loops))


if __name__ == "__main__":
    main()
