"""What a lane's compiled program sees: its context, and how it takes commands and answers.

Layer: kernel. Uses native. A program is a hot function `run(context) -> int64` that works until
`lane_next` says no. Its result is the lane's outcome. The whole of an echoing lane:

    @hot("int64(int64)")
    def run(context: int) -> int:
        while lane_next(context):                     # waits for a command
            word = lane_word(context, 0)              # up to seven words per command
            if not lane_answer(context, word):        # waits for room; False: nobody listens
                break
        return 0

A program with state of its own keeps it in memory that Python owns (a `Region`, an array), and
finds its address with `lane_state(context)`. Large commands and answers travel as addresses.
A program that waits for nothing (a poller) looks at `lane_is_asked_to_stop(context)`.
"""

# Layout of the context, in 8-byte words. What a watcher reads, what is fixed, and what only the
# program touches lie at least two lines apart.
#   0 heartbeat, stage                                       written by the lane
#  16 commands ring, results ring, spin cycles, state,
#     meter                                                  fixed, but for the spin cycles
#  32 the present command, seven words                       written by the lane

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from tallyio.kernel.bridge import PARK, SpinBudget
from tallyio.kernel.lane_meter import (
    LaneCounts,
    LaneMeter,
    meter_wait_begins,
    meter_wait_ends,
    meter_work_ends,
)
from tallyio.kernel.ring import (
    POLL_CYCLES,
    LatencyRing,
    release_and_ring,
    ring_is_closed,
    send_word,
    wait_filled,
)
from tallyio.kernel.ring_cells import CELL_WORDS, filled_cell
from tallyio.kernel.ring_wait import spin_for_filled
from tallyio.native.atomics import copy_bytes, load, load_relaxed, store_relaxed
from tallyio.native.jit import hot
from tallyio.native.memory import Region

_HEARTBEAT: Final = 0
_STAGE: Final = 1
_COMMANDS: Final = 16
_RESULTS: Final = 17
_SPIN_CYCLES: Final = 18
_STATE: Final = 19
_METER: Final = 20
_CELL: Final = 32
_CONTEXT_WORDS: Final = 48
_CELL_OFFSET: Final = 8 * _CELL
_CELL_BYTES: Final = 8 * CELL_WORDS
_CHUNK_CYCLES: Final = 1 << 21  # under a millisecond


@hot("void(int64)", inline=True)
def _beat(context: int) -> None:
    store_relaxed(context, _HEARTBEAT, load(context, _HEARTBEAT) + 1)


@hot("int64(int64)")
def _wait_for_command(context: int) -> int:
    # A lane that polls looks at its spin cycles now and then: others may have come to its PU.
    commands = load(context, _COMMANDS)
    while load_relaxed(context, _SPIN_CYCLES) == POLL_CYCLES and not ring_is_closed(commands):
        if spin_for_filled(commands, _CHUNK_CYCLES):
            return filled_cell(commands)
    return wait_filled(commands, load_relaxed(context, _SPIN_CYCLES))


@hot("boolean(int64)")
def lane_next(context: int) -> bool:
    """Wait for the next command; return False when the lane shall end.

    The heartbeat is odd while the program works on a command, and even while it waits.
    """
    meter = load(context, _METER)
    if load(context, _HEARTBEAT) & 1:
        meter_work_ends(meter)
        _beat(context)
    else:
        meter_wait_begins(meter)
    cell = _wait_for_command(context)
    if cell == 0:
        return False
    copy_bytes(context + _CELL_OFFSET, cell, _CELL_BYTES)
    store_relaxed(context, _STAGE, 0)
    release_and_ring(load(context, _COMMANDS))
    meter_wait_ends(meter)
    _beat(context)
    return True


@hot("void(int64, int64)", inline=True)
def lane_enter(context: int, stage: int) -> None:
    """Say which part of the present command the program works on, from 1; see `LaneContext.stages`."""
    store_relaxed(context, _STAGE, stage)


@hot("int64(int64, int64)", inline=True)
def lane_word(context: int, word: int) -> int:
    """Return word 0 to 6 of the present command."""
    return load(context + _CELL_OFFSET, word)


@hot("boolean(int64, int64)")
def lane_answer(context: int, word: int) -> bool:
    """Push a word to the results, by their lag policy; return False when they are closed.

    Where that policy is to fail, a word that finds no room is lost and counted.
    """
    return send_word(load(context, _RESULTS), word, load_relaxed(context, _SPIN_CYCLES)) >= 0


@hot("int64(int64)", inline=True)
def lane_commands(context: int) -> int:
    """Return the address of the commands ring."""
    return load(context, _COMMANDS)


@hot("int64(int64)", inline=True)
def lane_results(context: int) -> int:
    """Return the address of the results ring."""
    return load(context, _RESULTS)


@hot("int64(int64)", inline=True)
def lane_state(context: int) -> int:
    """Return the address of the program's own state."""
    return load(context, _STATE)


@hot("boolean(int64)")
def lane_is_asked_to_stop(context: int) -> bool:
    """Return whether the commands were closed."""
    return ring_is_closed(load(context, _COMMANDS))


@final
class LaneContext:
    """The memory behind a program's `context`; it refers to the rings as long as it lives.

    `state` is an address that the program understands, and `keeps` whatever owns the memory behind
    it: it is referred to as long as the lane runs, so that no lane outlives its memory. `wait` is how
    the lane waits, for commands as for room among the results. `stages` are the names of the parts that
    the program enters, such as plugins: a watcher says in which one a lane is stuck.
    """

    def __init__(
        self,
        commands: LatencyRing,
        results: LatencyRing,
        *,
        state: int = 0,
        keeps: object = None,
        wait: SpinBudget = PARK,
        stages: Sequence[str] = (),
    ) -> None:
        self.commands: Final = commands
        self.results: Final = results
        self._keeps = keeps
        self._stages = ("", *stages)
        self._region = Region(8 * _CONTEXT_WORDS)
        self.address: Final = self._region.address
        self._words = memoryview(self._region.view("i8", _CONTEXT_WORDS))
        self._words[_COMMANDS], self._words[_RESULTS] = commands.address, results.address
        self._spin_cycles = wait.spin_cycles
        self._words[_SPIN_CYCLES], self._words[_STATE] = wait.spin_cycles, state
        self._meter = LaneMeter()
        self._words[_METER] = self._meter.address

    @property
    def heartbeat(self) -> int:
        """Steps of the program so far: odd while it works on a command, even while it waits."""
        return int(self._words[_HEARTBEAT])

    @property
    def stage(self) -> str:
        """The part of the present command that the program works on; empty where it has not said."""
        number = self._words[_STAGE]
        return self._stages[number] if number < len(self._stages) else str(number)

    @property
    def memory(self) -> tuple[tuple[int, int], ...]:
        """Address and size of the context and of both rings."""
        rings = ((ring.address, ring.size) for ring in (self.commands, self.results))
        return ((self.address, self._region.size), *rings)

    def counts(self) -> LaneCounts:
        """Return what the program has done so far; any thread may ask."""
        return self._meter.counts(parks=self.commands.filled.slept + self.results.free.slept)

    def park(self, *, always: bool) -> None:
        """Let the program sleep whenever it waits, or wait in its own way again."""
        self._words[_SPIN_CYCLES] = 0 if always else self._spin_cycles

    @property
    def is_parking(self) -> bool:
        """Whether the program sleeps as soon as it waits, by its own choice or another's."""
        return self._words[_SPIN_CYCLES] == 0

    def ask_to_stop(self) -> None:
        """Close the commands: the program ends when it has worked through what is inside."""
        self.commands.close()

    def close(self) -> None:
        """Close both rings: the program ends even where nobody takes its results."""
        self.commands.close()
        self.results.close()
