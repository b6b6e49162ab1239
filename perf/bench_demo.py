"""What a run of `tallyio demo` takes in each world: first opportunity, stages, detection, memory.

    python perf/bench_demo.py [--world WORLD] [--blocks N] [--seed N] [--json]

The demo runs as a user starts it, in a process of its own, on a chain of its own: once with pools alone, and
once with lending, where an oracle's event comes in and a signed liquidation goes out. References are
measured here, right after it: what the disk, the signature and the bare imports cost alone. With
`--json` the figures are one JSON list on standard output.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from coincurve import PrivateKey
from rich.console import Console

from tallyio.bench.records import Figure, Goal, Spread
from tallyio.bench.show import table_of

BUDGETS_US: Final = {
    "ci": {"demo.detect.p50": 100.0},
}
"""Promises in microseconds on a named hardware profile, where nothing else keeps it busy."""

GOALS_US: Final = {
    "demo.bytes_in_to_signed.p50": 3_000.0,
    "demo.lending.bytes_in_to_signed.p50": 2_000.0,
}
"""What is aimed at, in microseconds: from a block's first bytes, an oracle's event in the second case, to a
signed transaction."""

WAITS: Final = {
    "decoded": "the node's logs",
    "persisted": "the disk",
    "signed": "the signer's process",
}
"""Stages that end when somebody else has answered, and who."""

POOLS: Final = "pools"
WORLDS: Final = (POOLS, "lending")

LIBRARIES: Final = "msgspec, numba, numpy, pluggy, pyrevm, rich.console, trio, trio_websocket"
SYNC_BYTES: Final = 4_096
SAMPLES: Final = 100


def run_demo(world: str, blocks: int, seed: int, folder: Path) -> dict[str, Any]:
    """Return the demo's own summary; its progress goes to standard error as it comes."""
    command = [str(Path(sys.executable).with_name("tallyio")), "demo", "--json", "--world", world]
    command += ["--blocks", str(blocks), "--seed", str(seed), "--data-dir", str(folder)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
    if ran.returncode:
        raise SystemExit(f"tallyio demo ended with exit code {ran.returncode}: {ran.stdout.strip()[:500]}")
    return dict(msgspec.json.decode(ran.stdout))


def figures(
    summary: Mapping[str, Any], references: Mapping[str, tuple[str, float]], world: str = POOLS
) -> Iterator[Figure]:
    """Yield the figures of a run, each with its reference, its budget or its goal.

    Args:
        summary: What `tallyio demo --json` printed.
        references: Name and value of the reference, by the figure's name in the world of pools.
        world: The world of the run; figures of any but the pools carry its name.
    """
    budgets = BUDGETS_US.get(summary["placement"]["profile"], {})
    prefix = "demo" if world == POOLS else f"demo.{world}"

    def figure(name: str, value: float, unit: str, goal: Goal | None = None) -> Figure:
        reference, reference_value = references.get(name.replace(prefix, "demo", 1), (None, None))
        return Figure(
            name=name,
            value=value,
            unit=unit,
            reference=reference,
            reference_value=reference_value,
            budget=budgets.get(name),
            goal=goal,
        )

    for name, seconds in summary.get("milestones_s", {}).items():
        yield figure(f"{prefix}.start_to_{name}", seconds, "s")
    for stage, times in {"detect": summary["detect_us"], **summary["stages_us"]}.items():
        for point in ("p50", "p99"):
            name = f"{prefix}.{stage}.{point}"
            yield figure(name, times[point], "us", _goal(name, times, summary["stages_us"]))
    yield figure(f"{prefix}.rss", summary["rss_mb"], "MiB")


def _goal(name: str, times: Mapping[str, float], stages: Mapping[str, Mapping[str, float]]) -> Goal | None:
    """Return what is aimed at with a stage's figure, judged by its times in this run."""
    if (most := GOALS_US.get(name)) is None:
        return None
    waits = [f"{what} {stages[stage]['p50']:,.0f} us" for stage, what in WAITS.items() if stage in stages]
    return Goal(
        aim=f"<= {most:g} us",
        verdict="met" if times["p50"] <= most else "missed",
        values=Spread(median=times["p50"], low=times["p50"], high=times["p99"]),
        ratios=None,
        calm=f"{times['count']:g} of the demo's own",
        why=f"of it the loop waits for others: {', '.join(waits)}" if waits else "",
    )


def measure_references(folder: Path) -> dict[str, tuple[str, float]]:
    """Return what the demo's figures are compared with, measured on this machine now."""
    key = PrivateKey(b"\x42" * 32)
    return {
        "demo.start_to_first_block": ("import", _import_s()),
        "demo.persisted.p50": ("fsync", _median_us(lambda: _sync(folder / "sync"))),
        "demo.signed.p50": ("secp256k1", _median_us(lambda: key.sign_recoverable(b"\x24" * 32, None))),
        "demo.rss": ("import", _import_mib()),
    }


def _median_us(work: Callable[[], object]) -> float:
    times = []
    for _ in range(SAMPLES):
        start = time.perf_counter_ns()
        work()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1_000


def _sync(path: Path) -> None:
    """Make a page durable, as one commit of a journal does."""
    with path.open("ab", buffering=0) as file:
        file.write(bytes(SYNC_BYTES))
        os.fdatasync(file.fileno())


def _import_s() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {LIBRARIES}"], check=True)
    return time.perf_counter() - start


def _import_mib() -> float:
    """Return the peak memory of a process that imports the libraries and does nothing."""
    code = f"import {LIBRARIES}, resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    return int(ran.stdout) / 1_024


def main() -> None:
    """Run, measure, print. Exit code 1 where a budget of this machine's profile is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--world", choices=WORLDS, action="append", help="only this; repeat for more")
    parser.add_argument("--blocks", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found: list[Figure] = []
    for world in asked.world or WORLDS:
        with tempfile.TemporaryDirectory(prefix="tallyio-perf-") as folder:
            summary = run_demo(world, asked.blocks, asked.seed, Path(folder))
            found += figures(summary, measure_references(Path(folder)), world)
    if asked.json:
        print(msgspec.json.encode(found).decode())
    else:
        Console(soft_wrap=True).print(table_of([], found))
    sys.exit(any(figure.state == "broken" for figure in found))


if __name__ == "__main__":
    main()
