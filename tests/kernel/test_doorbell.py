"""A doorbell wakes who sleeps, and costs a system call only then."""

from __future__ import annotations

import gc
import os
import select
import threading
from pathlib import Path

from tallyio.kernel.doorbell import BELL_WORDS, Doorbell, bell_arm, bell_ring, bell_sleep
from tallyio.native.jit import warm
from tallyio.native.memory import Region


def make_bell() -> tuple[Doorbell, Region]:
    region = Region(8 * BELL_WORDS)
    return Doorbell(region.address, memoryview(region.view("i8", BELL_WORDS))), region


def is_readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def test_ringing_an_unarmed_bell_writes_nothing() -> None:
    bell, _region = make_bell()
    assert not bell_ring(bell.address)
    assert not is_readable(bell.descriptor)
    assert bell.rung == 0


def test_an_armed_bell_is_rung_once() -> None:
    bell, _region = make_bell()
    bell.arm()
    assert bell_ring(bell.address)
    assert not bell_ring(bell.address)
    assert is_readable(bell.descriptor)
    bell.answer()
    assert not is_readable(bell.descriptor)
    assert (bell.rung, bell.slept) == (1, 1)


def test_a_disarmed_bell_is_not_rung() -> None:
    bell, _region = make_bell()
    bell.arm()
    bell.disarm()
    assert not bell_ring(bell.address)


def test_ringing_before_the_sleep_ends_it_at_once() -> None:
    bell, _region = make_bell()
    bell.arm()
    bell_ring(bell.address)
    bell_sleep(bell.address)
    assert bell.slept == 1


def test_a_sleeping_thread_is_woken() -> None:
    bell, _region = make_bell()
    warm(bell_sleep)
    bell_arm(bell.address)
    sleeper = threading.Thread(target=bell_sleep, args=(bell.address,))
    sleeper.start()
    while bell.slept == 0:
        threading.Event().wait(0.001)
    assert bell_ring(bell.address)
    sleeper.join()


def test_the_descriptor_is_closed_with_its_bell() -> None:
    bell, _region = make_bell()
    descriptor = bell.descriptor
    os.fstat(descriptor)
    del bell
    gc.collect()
    assert not Path(f"/proc/self/fd/{descriptor}").exists()
