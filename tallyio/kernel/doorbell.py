"""The armed doorbell: wake a sleeper on the other side of a ring, and only if it sleeps.

Layer: kernel. Uses native. A bell is one cache line in shared memory and an eventfd. One side, the
sleeper, waits for something that the other side publishes in shared memory of its own; both may
be a lane (which blocks in read(2) without the GIL) or a Trio task (which waits until the
descriptor is readable). While the sleeper is awake a ring costs a fence and a load, no system call.

    sleeper                                   ringer
    bell_arm(bell)       armed = 1; fence     publish
    is there something?  yes: bell_disarm     bell_ring(bell)   fence; armed 1 -> 0? write(eventfd)
    no: bell_sleep(bell) read(eventfd)

No wake-up is lost. Both fences are sequentially consistent, so one of them comes first.
(1) The ringer's does: what it published before is seen by the sleeper's look, which comes after
    the sleeper's fence; the sleeper does not sleep.
(2) The sleeper's does: the ringer's look at `armed`, after its own fence, sees 1, or a 0 that was
    written later. If it sees 1, its compare-exchange succeeds and it writes, or another one has
    taken the 1 before. Whoever changes 1 to 0 is either a ringer, who then writes, or the sleeper
    itself in `bell_disarm`, who then does not sleep.
A write that comes before the read is kept in the eventfd's counter, so the read returns at once.

Wake-ups without cause do happen: the sleeper disarms while a ringer has already taken the 1, a
signal interrupts the read, a cancelled Trio task leaves a count behind. So a sleeper always looks
again, in a loop.
"""

from __future__ import annotations

import os
import weakref
from typing import Final

from tallyio.native.atomics import (
    c_read,
    c_write,
    compare_exchange,
    fence,
    fetch_add,
    load,
    load_relaxed,
    store_relaxed,
)
from tallyio.native.jit import entry, hot

BELL_WORDS: Final = 8
"""A bell is one line of eight 8-byte words."""

_ARMED: Final = 0  # 1: the sleeper sleeps, or is about to
_DESCRIPTOR: Final = 1
_ONE: Final = 2  # holds 1, what a ringer writes
_COUNT: Final = 3  # where the sleeper reads the eventfd's counter to
_RUNG: Final = 4  # system calls that ringers made
_SLEPT: Final = 5  # times the sleeper went to sleep


@hot("boolean(int64)")
def bell_ring(bell: int) -> bool:
    """Wake the sleeper if it sleeps; return whether it did. Call it after publishing."""
    fence()
    if load_relaxed(bell, _ARMED) == 0 or not compare_exchange(bell, _ARMED, 1, 0):
        return False
    fetch_add(bell, _RUNG, 1)
    # Adds 1 to a counter that the sleeper empties: it cannot reach its limit, so this never blocks.
    c_write(load(bell, _DESCRIPTOR), bell + 8 * _ONE, 8)
    return True


@hot("void(int64)")
def bell_arm(bell: int) -> None:
    """Announce that the sleeper will sleep unless its next look finds something."""
    store_relaxed(bell, _ARMED, 1)
    fence()


@hot("void(int64)")
def bell_disarm(bell: int) -> None:
    """Take the announcement back, unless a ringer was faster: then one sleep ends at once."""
    compare_exchange(bell, _ARMED, 1, 0)


@hot("void(int64)")
def bell_sleep(bell: int) -> None:
    """Sleep, without the GIL, until somebody rings or a signal comes."""
    fetch_add(bell, _SLEPT, 1)
    c_read(load(bell, _DESCRIPTOR), bell + 8 * _COUNT, 8)


class Doorbell:
    """A bell's line, which the caller owns, and its eventfd, which lives as long as this object.

    `words` is a writable int64 view of the line, `address` where the line is. A lane that uses
    the bell must refer to its `Doorbell`, or the descriptor's number may be given to another file.
    """

    def __init__(self, address: int, words: memoryview) -> None:
        self.address: Final = address
        self.descriptor: Final = os.eventfd(0, os.EFD_CLOEXEC)
        # Not at exit: a lane may still run then, and the OS closes everything anyway.
        weakref.finalize(self, os.close, self.descriptor).atexit = False
        self._words = words
        self._arm, self._disarm = entry(bell_arm), entry(bell_disarm)
        words[_DESCRIPTOR], words[_ONE] = self.descriptor, 1

    def arm(self) -> None:
        """See `bell_arm`."""
        self._arm(self.address)

    def disarm(self) -> None:
        """See `bell_disarm`."""
        self._disarm(self.address)

    def answer(self) -> None:
        """Empty the counter after the descriptor became readable: then this does not block.

        Only the sleeper reads the descriptor, so nobody can be faster.
        """
        self._words[_SLEPT] += 1
        os.read(self.descriptor, 8)

    @property
    def rung(self) -> int:
        """How often somebody had to wake the sleeper: one system call each."""
        return int(self._words[_RUNG])

    @property
    def slept(self) -> int:
        """How often the sleeper slept."""
        return int(self._words[_SLEPT])
