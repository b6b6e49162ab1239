"""The stall watchdog: tells which lane has been at one command for too long.

Layer: kernel. It reads heartbeats only; a lane does not notice that it is watched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Never, Protocol

import trio

from tallyio.kernel.lane import LaneGlance

_LOOKS_PER_LIMIT = 4


class Watched(Protocol):
    """**Protocol:** what is watched; a `Lane` is one."""

    def glance(self) -> LaneGlance:
        """Return whether the lane gets on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStall:
    """A lane has worked on one command for `busy_s` seconds, at least; `over` when it got on since."""

    lane: str
    heartbeat: int
    busy_s: float
    over: bool = False
    stage: str = ""
    """The part of the command, such as a plugin, where the lane's program says so."""


@dataclass(slots=True)
class _Look:
    heartbeat: int
    since_s: float
    told: bool = False


async def watch_lanes(
    lanes: Iterable[Watched],
    on_stall: Callable[[LaneStall], object],
    *,
    limit_s: float,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> Never:
    """Call `on_stall` once when a lane stalls and once when that is over, until cancelled.

    A stall of `limit_s` or more is noticed at most a quarter of `limit_s` late.
    """
    watched = tuple(lanes)
    looks = [_Look(0, trio.current_time()) for _ in watched]
    task_status.started()
    while True:
        for lane, look in zip(watched, looks, strict=True):
            _look(lane.glance(), look, on_stall, limit_s)
        await trio.sleep(limit_s / _LOOKS_PER_LIMIT)


def _look(now: LaneGlance, look: _Look, on_stall: Callable[[LaneStall], object], limit_s: float) -> None:
    busy_s = trio.current_time() - look.since_s
    if now.busy and now.heartbeat == look.heartbeat:
        if busy_s >= limit_s and not look.told:
            look.told = True
            on_stall(LaneStall(lane=now.name, heartbeat=now.heartbeat, busy_s=busy_s, stage=now.stage))
        return
    if look.told:
        on_stall(LaneStall(lane=now.name, heartbeat=look.heartbeat, busy_s=busy_s, over=True))
    look.heartbeat, look.since_s, look.told = now.heartbeat, trio.current_time(), False
