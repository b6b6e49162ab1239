"""What a repeated notice costs the engine, beside the redaction of one line."""

from __future__ import annotations

import io
from time import perf_counter

import pyperf
import trio
from tallyio_notifier_console.notifier import ConsoleNotifier, ConsoleSettings

from tallyio.hooks.interfaces import Notice
from tallyio.hooks.notices import redact

NOTICE = Notice(level="warning", title="halted", body="see wss://node.example/v3/secret", key="k")


async def repeats(count: int) -> float:
    """Return the seconds that `count` repeats of one notice take."""
    notifier = ConsoleNotifier(ConsoleSettings(), io.StringIO())
    await notifier.notify(NOTICE)
    start = perf_counter()
    for _ in range(count):
        await notifier.notify(NOTICE)
    return perf_counter() - start


def main() -> None:
    """Measure both in one run."""
    runner = pyperf.Runner()
    runner.bench_func("console.redact", redact, NOTICE.body)
    runner.bench_time_func("console.repeat", lambda loops: trio.run(repeats, loops))


if __name__ == "__main__":
    main()
