"""The service that watches: lanes that are stuck, and tasks that keep the Trio loop, become warnings.

Layer: kernel.

    Service(name="watch", run=functools.partial(watch, [lane]))
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from typing import Final

import trio

from tallyio.kernel.lane_watch import LaneStall, Watched, watch_lanes
from tallyio.kernel.loop_meter import LoopMeter
from tallyio.kernel.loop_watch import LoopStall, watch_loop

LANE_LIMIT_S: Final = 1.0
LOOP_LIMIT_S: Final = 0.25

_log = logging.getLogger("tallyio.kernel.watch")


async def watch(
    lanes: Iterable[Watched],
    *,
    lane_limit_s: float = LANE_LIMIT_S,
    loop_limit_s: float | None = LOOP_LIMIT_S,
    task_status: trio.TaskStatus[LoopMeter | None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Watch until cancelled; ready with the meter of the loop.

    Without `loop_limit_s` only the lanes are watched: the meter about doubles the cost of a step.
    """
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(watch_lanes, lanes, _tell_lane, limit_s=lane_limit_s))
        meter: LoopMeter | None = None
        if loop_limit_s is not None:
            meter = await nursery.start(partial(watch_loop, _tell_loop, limit_s=loop_limit_s))
        task_status.started(meter)


def _tell_lane(stall: LaneStall) -> None:
    part = f", in {stall.stage}" if stall.stage else ""
    if stall.over:
        _log.warning("lane %r goes on after %.1f s at one command", stall.lane, stall.busy_s)
    else:
        _log.warning("lane %r has been at one command for %.1f s%s", stall.lane, stall.busy_s, part)


def _tell_loop(stall: LoopStall) -> None:
    where = f", now in {stall.where}" if stall.where else ""
    if stall.over:
        _log.warning("task %r kept all others waiting for %.2f s", stall.task, stall.busy_s)
    else:
        _log.warning("task %r keeps all others waiting, for %.2f s so far%s", stall.task, stall.busy_s, where)
