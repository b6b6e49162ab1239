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
#   0 heartbeat                                              written by the lane
#  16 commands ring, results ring, spin cycles, state        fixed
#  32 the present command, seven words                       written by the lane

from __future__ import annotations

from typing import Final, final

from tallyio.kernel.bridge import PARK, SpinBudget
from tallyio.kernel.ring import (
    LatencyRing,
    release_and_ring,
    ring_is_closed,
    wait_filled,
    wait_push,
)
from tallyio.kernel.ring_cells import CELL_WORDS
from tallyio.native.atomics import copy_bytes, load, store_relaxed
from tallyio.native.jit import hot
from tallyio.native.memory import Region

_HEARTBEAT: Final = 0
_COMMANDS: Final = 16
_RESULTS: Final = 17
_SPIN_CYCLES: Final = 18
_STATE: Final = 19
_CELL: Final = 32
_CONTEXT_WORDS: Final = 48
_CELL_OFFSET: Final = 8 * _CELL
_CELL_BYTES: Final = 8 * CELL_WORDS


@hot("void(int64)", inline=True)
def _beat(context: int) -> None:
    store_relaxed(context, _HEARTBEAT, load(context, _HEARTBEAT) + 1)


@hot("boolean(int64)")
def lane_next(context: int) -> bool:
    """SpinBudget for the next command; return False when the lane shall end.

    The heartbeat is odd while the program works on a command, and even while it waits.
    """
    if load(context, _HEARTBEAT) & 1:
        _beat(context)
    commands = load(context, _COMMANDS)
    cell = wait_filled(commands, load(context, _SPIN_CYCLES))
    if cell == 0:
        return False
    copy_bytes(context + _CELL_OFFSET, cell, _CELL_BYTES)
    release_and_ring(commands)
    _beat(context)
    return True


@hot("int64(int64, int64)", inline=True)
def lane_word(context: int, word: int) -> int:
    """Return word 0 to 6 of the present command."""
    return load(context + _CELL_OFFSET, word)


@hot("boolean(int64, int64)")
def lane_answer(context: int, word: int) -> bool:
    """Push a word to the results, waiting for room; return False when they are closed."""
    return wait_push(load(context, _RESULTS), word, load(context, _SPIN_CYCLES))


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
    the lane waits, for commands as for room among the results.
    """

    def __init__(
        self,
        commands: LatencyRing,
        results: LatencyRing,
        *,
        state: int = 0,
        keeps: object = None,
        wait: SpinBudget = PARK,
    ) -> None:
        self.commands: Final = commands
        self.results: Final = results
        self._keeps = keeps
        self._region = Region(8 * _CONTEXT_WORDS)
        self.address: Final = self._region.address
        self._words = memoryview(self._region.view("i8", _CONTEXT_WORDS))
        self._words[_COMMANDS], self._words[_RESULTS] = commands.address, results.address
        self._words[_SPIN_CYCLES], self._words[_STATE] = wait.spin_cycles, state

    @property
    def heartbeat(self) -> int:
        """Steps of the program so far: odd while it works on a command, even while it waits."""
        return int(self._words[_HEARTBEAT])

    def ask_to_stop(self) -> None:
        """Close the commands: the program ends when it has worked through what is inside."""
        self.commands.close()

    def close(self) -> None:
        """Close both rings: the program ends even where nobody takes its results."""
        self.commands.close()
        self.results.close()
