"""Waiting on a ring of any kind: look for a while, then sleep until the bell rings.

Layer: kernel. Uses native. For compiled code; Trio tasks wait by `tallyio.kernel.bridge`.

A waiting call looks again and again for `spin_cycles` (of `tallyio.native.clock`), then sleeps; 0
sleeps at once, `POLL_CYCLES` never.
"""

from __future__ import annotations

from typing import Final

from tallyio.kernel.doorbell import bell_arm, bell_disarm, bell_sleep
from tallyio.kernel.ring_layout import (
    FILLED_BELL_BYTES,
    FREE_BELL_BYTES,
    has_filled,
    has_free,
    ring_is_closed,
)
from tallyio.native.atomics import pause
from tallyio.native.clock import cycle_count
from tallyio.native.jit import hot

POLL_CYCLES: Final = 1 << 62
"""The spin budget that never ends."""


@hot("boolean(int64, int64)")
def spin_for_filled(ring: int, spin_cycles: int) -> bool:
    """Look for a message until it is there, the time is over, or the ring is closed."""
    if has_filled(ring):
        return True
    if spin_cycles == 0:
        return False
    start = cycle_count()
    while not ring_is_closed(ring) and cycle_count() - start < spin_cycles:
        pause()
        if has_filled(ring):
            return True
    return False


@hot("boolean(int64, int64)")
def wait_until_filled(ring: int, spin_cycles: int) -> bool:
    """Wait for a message; return False when the ring is closed and empty."""
    bell = ring + FILLED_BELL_BYTES
    while True:
        if spin_for_filled(ring, spin_cycles):
            return True
        if ring_is_closed(ring):
            # What was pushed before the ring was closed is seen after `closed` is.
            return has_filled(ring)
        bell_arm(bell)
        if has_filled(ring) or ring_is_closed(ring):
            bell_disarm(bell)
        else:
            bell_sleep(bell)


@hot("boolean(int64, int64)")
def _spin_for_free(ring: int, spin_cycles: int) -> bool:
    if has_free(ring):
        return True
    if spin_cycles == 0:
        return False
    start = cycle_count()
    while not ring_is_closed(ring) and cycle_count() - start < spin_cycles:
        pause()
        if has_free(ring):
            return True
    return False


@hot("boolean(int64, int64)")
def wait_until_free(ring: int, spin_cycles: int) -> bool:
    """Wait for room; return False when the ring is closed."""
    bell = ring + FREE_BELL_BYTES
    while not ring_is_closed(ring):
        if _spin_for_free(ring, spin_cycles):
            return True
        bell_arm(bell)
        if has_free(ring) or ring_is_closed(ring):
            bell_disarm(bell)
        else:
            bell_sleep(bell)
    return False
