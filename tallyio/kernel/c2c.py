"""Measure how long a cache line takes from one core to another, for every pair of cores.

Layer: kernel. Uses native. Two pinned threads bounce one line; a sample is the time of many round
trips by the cycle counter, and the latency is half of a round trip's median. What else runs on the
machine disturbs single samples, hardly the median; the spread is kept beside it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Final

import numpy as np

from tallyio.kernel.core_matrix import CoreMatrix
from tallyio.kernel.cpuset import format_cpuset
from tallyio.kernel.machine import Machine
from tallyio.kernel.threads import PinError, pin_current_thread
from tallyio.model.errors import ConfigError, EnvironmentFault
from tallyio.native.atomics import load_acquire, store, store_release
from tallyio.native.clock import cycle_count, cycles_per_ns
from tallyio.native.jit import hot, warm
from tallyio.native.memory import Region

BOUNCES: Final = 32
"""Round trips per sample: many, because reading the counter takes as long as part of one."""
ROUNDS_MIN: Final = 20
_WARM_UP: Final = 10
_GIVE_UP_NS: Final = 2_000_000_000
_LOOKS: Final = 0xFFFF
"""How often to look at the line before looking at the clock."""

Pair = tuple[int, int]


@hot("int64(int64, int64, int64, int64, int64)")
def _ping(line: int, samples: int, rounds: int, bounces: int, give_up_cycles: int) -> int:
    """Sample the cycles of `bounces` round trips, `rounds` times; return 0 if nobody answers."""
    turn = 0
    for i in range(rounds):
        start = cycle_count()
        for _ in range(bounces):
            store_release(line, 0, turn + 1)
            looks = 0
            while load_acquire(line, 0) != turn + 2:
                looks += 1
                if looks & _LOOKS == 0 and cycle_count() - start > give_up_cycles:
                    return 0
            turn += 2
        store(samples, i, cycle_count() - start)
    return 1


@hot("int64(int64, int64, int64)")
def _pong(line: int, bounces: int, give_up_cycles: int) -> int:
    """Answer `_ping`; return 0 if it stops asking."""
    for i in range(bounces):
        start = cycle_count()
        looks = 0
        while load_acquire(line, 0) != 2 * i + 1:
            looks += 1
            if looks & _LOOKS == 0 and cycle_count() - start > give_up_cycles:
                return 0
        store_release(line, 0, 2 * i + 2)
    return 1


def pairs_of(machine: Machine) -> list[Pair]:
    """Return the pairs of PUs worth measuring: the first PUs of all cores, and the siblings of a core.

    Only PUs we may use count.
    """
    cores = machine.allowed_cores()
    between = combinations((core.pus[0] for core in cores), 2)
    inside = ((core.pus[0], sibling) for core in cores for sibling in core.pus[1:])
    return [*between, *inside]


def measure_matrix(
    machine: Machine, *, rounds: int = 300, done: Callable[[Pair], object] = lambda _: None
) -> CoreMatrix:
    """Measure all of `pairs_of(machine)`, about 10 ms each; `done` is called after each.

    Raises: EnvironmentFault: only one PU, or nobody answers. PinError: the machine is a description,
    or a PU is taken away meanwhile. ConfigError: too few rounds.
    """
    pairs = pairs_of(machine)
    _check(machine, pairs, rounds)
    warm(_ping)
    warm(_pong)
    pus = tuple(sorted({pu for pair in pairs for pu in pair}))
    row = {pu: index for index, pu in enumerate(pus)}
    ns, spread = np.zeros((len(pus), len(pus))), np.zeros((len(pus), len(pus)))
    for pair in pairs:
        low, middle, high = np.percentile(measure_pair(pair, rounds), (25, 50, 75))
        for here, there in (pair, pair[::-1]):
            ns[row[here], row[there]], spread[row[here], row[there]] = middle, high - low
        done(pair)
    return CoreMatrix(
        topology_hash=machine.topology_hash,
        model=machine.model,
        pus=pus,
        one_way_ns=_rows(ns.tolist()),
        spread_ns=_rows(spread.tolist()),
        rounds=rounds,
        measured_at=int(time.time()),
    )


def measure_pair(pair: Pair, rounds: int) -> list[float]:
    """Return `rounds` samples of the one-way latency between two PUs, in ns. Raises: as `measure_matrix`."""
    give_up, total = int(_GIVE_UP_NS * cycles_per_ns()), rounds + _WARM_UP
    with Region(64) as line, Region(8 * total) as samples:
        answered = _run_pinned(
            pair,
            lambda: _ping(line.address, samples.address, total, BOUNCES, give_up),
            lambda: _pong(line.address, total * BOUNCES, give_up),
        )
        cycles = samples.view("i8", total)[_WARM_UP:].tolist()
    if not answered:
        raise EnvironmentFault(
            f"PUs {format_cpuset(pair)} did not answer each other within {_GIVE_UP_NS // 10**9} s",
            way_out="measure again when the machine is less busy",
        )
    return [each / (2 * BOUNCES * cycles_per_ns()) for each in cycles]


def _check(machine: Machine, pairs: list[Pair], rounds: int) -> None:
    if not machine.is_this_system:
        raise PinError(
            f"{machine.name!r} is not this system: nothing can be measured there",
            way_out="measure on the machine itself",
        )
    if not pairs:
        raise EnvironmentFault(
            "there is nothing to measure between: "
            f"this process is allowed PU {format_cpuset(machine.allowed)} only",
            way_out="widen the cgroup's cpuset or the affinity mask (taskset) to two PUs",
        )
    if rounds < ROUNDS_MIN:
        raise ConfigError(
            f"rounds must be >= {ROUNDS_MIN}, was {rounds}",
            way_out="take more for a median that means something",
        )


def _run_pinned(pair: Pair, first: Callable[[], int], second: Callable[[], int]) -> bool:
    """Run one function on each PU at the same time; tell whether both returned 1."""
    ready = threading.Barrier(2)
    outcome: list[int] = []
    faults: list[PinError] = []

    def work(pu: int, function: Callable[[], int]) -> None:
        try:
            pin_current_thread(frozenset({pu}))
            ready.wait()
        except PinError as fault:
            faults.append(fault)
            ready.abort()  # or the other one would wait for ever
        except threading.BrokenBarrierError:
            return
        else:
            outcome.append(function())

    # Daemons: an interrupted measurement does not keep the process.
    threads = [
        threading.Thread(target=work, args=each, daemon=True)
        for each in zip(pair, (first, second), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return outcome == [1, 1]


def _rows(rows: Iterable[Iterable[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(value, 1) for value in row) for row in rows)
