"""What runs beside an engine, and what a failure of one of them means for all.

Layer: engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio

from tallyio.engine.engine import Engine
from tallyio.engine.market_lane import MarketLane
from tallyio.engine.notices import Notices
from tallyio.kernel.supervisor import Supervisor
from tallyio.kernel.supervisor_policy import Service, ServiceFailed
from tallyio.kernel.watch import LOOP_LIMIT_S, watch


@asynccontextmanager
async def serving(
    engine: Engine, notices: Notices, lane: MarketLane, *, watch_loop: bool
) -> AsyncIterator[None]:
    """Run the services, the engine last; a service that fails for good ends the block."""
    supervisor = Supervisor(
        [
            Service(name="notices", run=notices.run),
            Service(
                name="watch",
                run=partial(watch, [lane.lane], loop_limit_s=LOOP_LIMIT_S if watch_loop else None),
            ),
            Service(name="engine", run=engine.run, after=("notices", "watch")),
        ]
    )
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            await supervisor.start(nursery)
            yield
            await supervisor.stop()
    except BaseExceptionGroup as group:
        failure = _only(group)
    if failure is not None:
        raise failure


def _only(error: BaseException) -> BaseException:
    """Return what failed, out of the groups that nurseries put around it; the first of failures alike."""
    while isinstance(error, BaseExceptionGroup) and len({type(each) for each in error.exceptions}) == 1:
        error = error.exceptions[0]
    if isinstance(error, ServiceFailed) and error.__cause__ is not None:
        return _only(error.__cause__)
    return error
