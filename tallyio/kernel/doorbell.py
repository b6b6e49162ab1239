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

A *shared* bell has any number of sleepers. Then `armed` counts them, and the eventfd is a semaphore:
a sleeper adds 1, a ringer takes 1 and writes, and who disarms takes a 1 back from `armed` or, where
ringers were faster, from the eventfd. So `armed`, and what ringers have written or are about to,
is together the number of sleepers that announced themselves and have not gone on; a sleeper that
finds `armed` at 0 has a write coming, and its read ends. A ring wakes one sleeper. It need not be
the one that could use it best: each looks again, and each new message rings again. It may come before
the sleeper can do anything; so who goes on rings once more if there is still something for another.
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
_SHARED: Final = 6  # 1: several may sleep, and `armed` counts them


@hot("boolean(int64)")
def bell_ring(bell: int) -> bool:
    """Wake a sleeper if one sleeps; return whether one did. Call it after publishing."""
    fence()
    armed = load_relaxed(bell, _ARMED)
    while armed > 0:
        if compare_exchange(bell, _ARMED, armed, armed - 1):
            fetch_add(bell, _RUNG, 1)
            # At most as many as sleep, who empty the counter: it never reaches its limit and blocks.
            c_write(load(bell, _DESCRIPTOR), bell + 8 * _ONE, 8)
            return True
        armed = load_relaxed(bell, _ARMED)
    return False


@hot("boolean(int64)", inline=True)
def bell_is_armed(bell: int) -> bool:
    """Return whether a sleeper sleeps, or is about to; after a fence that follows publishing."""
    return load_relaxed(bell, _ARMED) > 0


@hot("void(int64)")
def bell_arm(bell: int) -> None:
    """Announce that the sleeper will sleep unless its next look finds something."""
    if load(bell, _SHARED):
        fetch_add(bell, _ARMED, 1)
    else:
        store_relaxed(bell, _ARMED, 1)
    fence()


@hot("void(int64)")
def bell_disarm(bell: int) -> None:
    """Take the announcement back, unless a ringer was faster.

    Then one sleep of the only sleeper ends at once; of several, this one takes what was written.
    """
    armed = load_relaxed(bell, _ARMED)
    while armed > 0:
        if compare_exchange(bell, _ARMED, armed, armed - 1):
            return
        armed = load_relaxed(bell, _ARMED)
    if load(bell, _SHARED):
        c_read(load(bell, _DESCRIPTOR), bell + 8 * _COUNT, 8)


@hot("void(int64)")
def bell_sleep(bell: int) -> None:
    """Sleep, without the GIL, until somebody rings or a signal comes."""
    fetch_add(bell, _SLEPT, 1)
    taken = c_read(load(bell, _DESCRIPTOR), bell + 8 * _COUNT, 8)
    if load(bell, _SHARED) == 0:
        # A count that an earlier sleep left behind wakes too soon, and leaves the 1 of this one.
        store_relaxed(bell, _ARMED, 0)
    elif taken < 0:
        bell_disarm(bell)


class Doorbell:
    """A bell's line, which the caller owns, and its eventfd, which lives as long as this object.

    `words` is a writable int64 view of the line, `address` where the line is. With `shared`, several
    may sleep, of them one Trio task at most. A lane that uses the bell must refer to its
    `Doorbell`, or the descriptor's number may be given to another file.
    """

    def __init__(self, address: int, words: memoryview, *, shared: bool = False) -> None:
        self.address: Final = address
        self.shared: Final = shared
        self.descriptor: Final = os.eventfd(0, os.EFD_CLOEXEC | (os.EFD_SEMAPHORE if shared else 0))
        # Not at exit: a lane may still run then, and the OS closes everything anyway.
        weakref.finalize(self, os.close, self.descriptor).atexit = False
        self._words = words
        self._arm, self._disarm = entry(bell_arm), entry(bell_disarm)
        self._count = bytearray(8)
        words[_DESCRIPTOR], words[_ONE], words[_SHARED] = self.descriptor, 1, shared

    def arm(self) -> None:
        """See `bell_arm`."""
        self._arm(self.address)

    def disarm(self) -> None:
        """See `bell_disarm`."""
        self._disarm(self.address)

    def answer(self) -> bool:
        """Take what a ringer wrote, after the descriptor became readable; never blocks.

        Returns False where another sleeper of a shared bell was faster: then sleep again.
        """
        if not self.shared:
            os.read(self.descriptor, 8)  # only the sleeper reads the descriptor: there is a count
        else:
            try:
                os.preadv(self.descriptor, [self._count], -1, os.RWF_NOWAIT)
            except BlockingIOError:
                return False
        self._words[_SLEPT] += 1
        return True

    @property
    def rung(self) -> int:
        """How often somebody had to wake a sleeper: one system call each."""
        return int(self._words[_RUNG])

    @property
    def slept(self) -> int:
        """How often a sleeper slept."""
        return int(self._words[_SLEPT])
