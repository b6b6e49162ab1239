"""What a lane counts about itself, in shared memory, written by its compiled code.

Layer: kernel. Uses native. `lane_next` calls the two functions here at the end of one command and the
start of the next: two readings of the cycle counter and two histogram entries per command.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tallyio.native.atomics import load, store_relaxed
from tallyio.native.clock import cycle_count, cycles_to_ns
from tallyio.native.histogram import Histogram, record
from tallyio.native.jit import hot
from tallyio.native.memory import Region

# Words of a meter, a line of its own: only the lane writes.
_COMMANDS: Final = 0
_BUSY: Final = 1
_WAITED: Final = 2
_SINCE: Final = 3
_BUSY_HISTOGRAM: Final = 4
_WAIT_HISTOGRAM: Final = 5
_METER_WORDS: Final = 8


@hot("void(int64)")
def meter_work_ends(meter: int) -> None:
    """Count a command and how long it took, since `meter_wait_ends`."""
    now = cycle_count()
    busy = now - load(meter, _SINCE)
    store_relaxed(meter, _SINCE, now)
    store_relaxed(meter, _COMMANDS, load(meter, _COMMANDS) + 1)
    store_relaxed(meter, _BUSY, load(meter, _BUSY) + busy)
    record(load(meter, _BUSY_HISTOGRAM), busy)


@hot("void(int64)")
def meter_wait_begins(meter: int) -> None:
    """Note the time before the first command."""
    store_relaxed(meter, _SINCE, cycle_count())


@hot("void(int64)")
def meter_wait_ends(meter: int) -> None:
    """Count how long the lane waited for a command, since `meter_work_ends`."""
    now = cycle_count()
    waited = now - load(meter, _SINCE)
    store_relaxed(meter, _SINCE, now)
    store_relaxed(meter, _WAITED, load(meter, _WAITED) + waited)
    record(load(meter, _WAIT_HISTOGRAM), waited)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How long something took, in nanoseconds."""

    p50_ns: float
    p99_ns: float
    p999_ns: float
    most_ns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneCounts:
    """What a lane has done so far; the counts are of slightly different moments."""

    commands: int
    """Commands that were worked off."""
    busy_ns: float
    """Time in the program, between taking a command and asking for the next one."""
    waited_ns: float
    """Time between asking for a command and having one, asleep or not."""
    parks: int
    """Times the lane went to sleep in the OS, for commands or for room among its results."""
    work: Spread
    """Per command."""
    wait: Spread
    """Per command."""


class LaneMeter:
    """The memory behind a lane's counters; `address` is what the compiled functions take."""

    def __init__(self) -> None:
        self._region = Region(8 * _METER_WORDS)
        self.address: Final = self._region.address
        self._words = memoryview(self._region.view("i8", _METER_WORDS))
        self._work, self._wait = Histogram(), Histogram()
        self._words[_BUSY_HISTOGRAM], self._words[_WAIT_HISTOGRAM] = self._work.address, self._wait.address

    def counts(self, *, parks: int) -> LaneCounts:
        """Return the counts so far; any thread may ask."""
        words = self._words
        return LaneCounts(
            commands=words[_COMMANDS],
            busy_ns=cycles_to_ns(words[_BUSY]),
            waited_ns=cycles_to_ns(words[_WAITED]),
            parks=parks,
            work=_spread(self._work),
            wait=_spread(self._wait),
        )


def _spread(histogram: Histogram) -> Spread:
    p50, p99, p999 = (cycles_to_ns(histogram.percentile(p)) for p in (50, 99, 99.9))
    return Spread(p50_ns=p50, p99_ns=p99, p999_ns=p999, most_ns=cycles_to_ns(histogram.maximum))
