"""The watchdog names the lane that does not get on."""

from __future__ import annotations

from functools import partial

import trio
from trio.testing import MockClock

from tallyio.kernel.lane import LaneGlance
from tallyio.kernel.lane_watch import LaneStall, watch_lanes


class Puppet:
    """A lane whose heartbeat the test moves."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heartbeat = 0

    def glance(self) -> LaneGlance:
        """Return what a running lane would show."""
        return LaneGlance(name=self.name, heartbeat=self.heartbeat, busy=self.heartbeat % 2 == 1)


async def test_a_stall_is_told_once_and_so_is_its_end(autojump_clock: MockClock) -> None:
    stuck, idle, brisk = Puppet("stuck"), Puppet("idle"), Puppet("brisk")
    stalls: list[LaneStall] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(watch_lanes, [stuck, idle, brisk], stalls.append, limit_s=1.0))
        stuck.heartbeat = 1
        for _ in range(50):
            brisk.heartbeat += 2 if brisk.heartbeat else 1  # always busy, never with the same
            await trio.sleep(0.1)
        stuck.heartbeat, brisk.heartbeat = 2, 100
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    assert [(stall.lane, stall.heartbeat, stall.over) for stall in stalls] == [
        ("stuck", 1, False),
        ("stuck", 1, True),
    ]
    assert 1.0 <= stalls[0].busy_s <= 1.25
    assert 4.5 <= stalls[1].busy_s <= 5.5


async def test_a_lane_that_waits_is_not_stalled(autojump_clock: MockClock) -> None:
    lane, stalls = Puppet("idle"), list[LaneStall]()
    lane.heartbeat = 8
    with trio.move_on_after(100):
        await watch_lanes([lane], stalls.append, limit_s=1.0)
    assert not stalls
