"""Show what `tallyio bench --against` is worth here: a planted slowdown, and builds that are the same.

    python perf/show_compare.py [--tries N] [--slowdown SHARE] [--only planted|same] [PLUGIN ...]

Copies this checkout, and lets a kernel of the copy do its work twice for so many inputs that it takes a given
share longer, by measurement; the comparison must find it, and it alone. Then it compares the checkout with a
faithful copy, so many times, and nothing may be called different. Exit code 1 if either fails.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tallyio.bench.against import Pairs, compare_in_turns
from tallyio.bench.checkout import other, this_one
from tallyio.bench.compare import Change, Comparison
from tallyio.bench.records import Job, Surroundings
from tallyio.bench.select import select
from tallyio.bench.surroundings import look_around
from tallyio.hooks.catalog import Catalog

ROOT: Final = Path(__file__).resolve().parents[1]
PLUGINS: Final = ("curve_stable", "uniswap_v2", "liquidation", "local_key")
"""Compared where no others are named: short kernels, long ones, Python, another library."""

KERNEL: Final = "plugins/protocols/curve_stable/tallyio_protocol_curve_stable/hot.py"
SLOWED: Final = "curve_stable.quote"
_PLACE: Final = "    return solve(row, i, j, amount_in)[0]\n"
_PLANT: Final = """    # Some amounts are solved twice: work of the kernel's own kind.
    if limb(amount_in, 0) & np.uint64({amounts} - 1) < np.uint64({twice}):
        if solve(row, i, j, amount_in + amount_in)[0] == _NEVER:
            return ZERO
"""
_IMPORT: Final = "from tallyio.native.u256 import load256, u256\n"
_IMPORTED: Final = """from tallyio.native.u256 import const, limb, load256, u256

_NEVER = const((1 << 256) - 1)
"""
_AMOUNTS: Final = 256
"""Of so many amounts, by their last byte, a number is solved twice."""
_TRIES: Final = 6
_CLOSE: Final = 0.01


@contextmanager
def copied() -> Iterator[Path]:
    """Give a copy of what is measured."""
    with tempfile.TemporaryDirectory(prefix="tallyio-copy-") as folder:
        for name in ("tallyio", "plugins"):
            ignored = shutil.ignore_patterns("__pycache__", "tests", "*.egg-info")
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=ignored)
        yield Path(folder)


def plant(copy: Path, twice: int) -> None:
    """Let the kernel of the copy do its work twice for so many of `_AMOUNTS` amounts."""
    text = (ROOT / KERNEL).read_text(encoding="utf-8")
    if text.count(_PLACE) != 1 or text.count(_IMPORT) != 1:
        raise SystemExit(f"{KERNEL} has changed: the place to plant in is not found")
    text = text.replace(_PLACE, _PLANT.format(amounts=_AMOUNTS, twice=twice) + _PLACE)
    text = text.replace(_IMPORT, _IMPORTED)
    (copy / KERNEL).write_text(text, encoding="utf-8")


def slow_down(copy: Path, share: float, around: Surroundings) -> float:
    """Plant what slows the kernel by `share`, found by measuring; return the share that came out."""
    jobs, _ = select(Catalog.scan().all(), [SLOWED])
    known = {0: 0.0}
    for _ in range(_TRIES):
        twice = _guess(known, share)
        plant(copy, twice)
        pairs = Pairs((this_one(), other(copy)), around.lanes, random.Random(twice))
        pairs.acquaint(jobs, silent)
        known[twice] = math.exp(statistics.median(pairs.look(jobs, 5, silent)[SLOWED])) - 1
        say(f"{twice} of {_AMOUNTS} amounts twice: {known[twice]:+.1%}")
        if abs(known[twice] - share) <= _CLOSE:
            break
    best = min(known, key=lambda steps: abs(known[steps] - share))
    plant(copy, best)
    return known[best]


def _guess(known: dict[int, float], share: float) -> int:
    """Return what lies on the line between the nearest too few and the nearest too many amounts."""
    too_few = max(twice for twice, found in known.items() if found < share)
    many = [twice for twice, found in known.items() if found >= share]
    if not many:
        return max(round(_AMOUNTS * share), round(1.5 * too_few))
    part = (share - known[too_few]) / (known[min(many)] - known[too_few])
    return max(too_few + 1, round(too_few + part * (min(many) - too_few)))


def show_planted(jobs: Sequence[Job], share: float, around: Surroundings) -> bool:
    """Tell whether the slow kernel is found, and nothing else."""
    with copied() as copy:
        came_out = slow_down(copy, share, around)
        found = compare_in_turns(jobs, (this_one(), other(copy)), lanes=around.lanes, progress=silent)
    say(f"planted {came_out:+.1%} in {SLOWED}:")
    report(found)
    return different(found) == {SLOWED: "slower"}


def show_same(jobs: Sequence[Job], tries: int, around: Surroundings) -> bool:
    """Tell whether none of so many comparisons of the same build finds anything."""
    wrong = 0
    with copied() as copy:
        for number in range(tries):
            start = time.monotonic()
            sides = (other(copy), this_one())
            found = compare_in_turns(jobs, sides, lanes=around.lanes, progress=silent, seed=number)
            wrong += bool(different(found))
            far = max(found.changes, key=lambda each: abs(math.log(each.factor or 1.0)))
            again = sum(each.chance is not None for each in found.changes)
            say(
                f"try {number + 1}: {different(found) or 'nothing'} called different of {len(found.changes)};"
                f" furthest {far.name} {far.factor:.3f}x; {again} looked at twice;"
                f" {time.monotonic() - start:.0f} s"
            )
    return wrong == 0


def different(found: Comparison) -> dict[str, str]:
    """Return what was called different."""
    return {each.name: each.outcome for each in found.changes if each.outcome != "same"}


def report(found: Comparison) -> None:
    """Print every benchmark."""
    for each in found.changes:
        say(f"    {line(each)}")


def line(change: Change) -> str:
    """Return a benchmark for people."""
    chance = "first look" if change.chance is None else f"chance {change.chance:.2g}"
    pairs = f"{change.processes[0]:>3} pairs"
    span = f"({change.low or 0:.3f} to {change.high or 0:.3f})"
    return f"{change.name:<32} {change.factor or 0:.3f}x {span} {pairs}, {chance}: {change.outcome}"


def silent(*_: object) -> None:
    """Tell no progress."""


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def main() -> None:
    """Show both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="PLUGIN")
    parser.add_argument("--tries", type=int, default=10)
    parser.add_argument("--slowdown", type=float, default=0.10)
    parser.add_argument("--only", choices=("planted", "same"))
    asked = parser.parse_args()
    jobs, _ = select(Catalog.scan().all(), asked.names or PLUGINS)
    around = look_around()
    say(f"{around.model}, {around.python}, profile {around.profile}")
    shown = [asked.only == "same" or show_planted(jobs, asked.slowdown, around)]
    shown.append(asked.only == "planted" or show_same(jobs, asked.tries, around))
    sys.exit(0 if all(shown) else 1)


if __name__ == "__main__":
    main()
