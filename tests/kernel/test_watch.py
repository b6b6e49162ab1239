"""The watching service says in words who is stuck."""

from __future__ import annotations

import logging
from functools import partial

import pytest
import trio

from tallyio.kernel.lane import LaneGlance
from tallyio.kernel.loop_meter import LoopMeter
from tallyio.kernel.supervisor import Supervisor
from tallyio.kernel.supervisor_policy import Service
from tallyio.kernel.watch import watch


class Puppet:
    """A lane whose heartbeat the test moves."""

    heartbeat = 1

    def glance(self) -> LaneGlance:
        """Return what a running lane would show."""
        return LaneGlance(
            name="market",
            heartbeat=self.heartbeat,
            busy=self.heartbeat % 2 == 1,
            stage="a strategy",
        )


async def wait_for(caplog: pytest.LogCaptureFixture, text: str) -> str:
    """Return the whole warning that holds `text`, once it is there."""
    while True:
        for message in caplog.messages:
            if text in message:
                return message
        await trio.sleep(0.001)


async def test_a_stuck_lane_is_a_warning_with_its_part(caplog: pytest.LogCaptureFixture) -> None:
    lane = Puppet()
    with caplog.at_level(logging.WARNING, "tallyio.kernel.watch"):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(watch, [lane], lane_limit_s=0.01, loop_limit_s=60.0))
            said = await wait_for(caplog, "lane 'market' has been at one command for")
            assert said.endswith(" s, in a strategy")
            lane.heartbeat = 2
            assert "'market' goes on after" in await wait_for(caplog, "goes on")
            nursery.cancel_scope.cancel()


async def test_a_greedy_task_is_a_warning_with_its_code(caplog: pytest.LogCaptureFixture) -> None:
    async def greedy() -> None:
        while not any("'greedy' keeps" in message for message in caplog.messages):
            pass

    with caplog.at_level(logging.WARNING, "tallyio.kernel.watch"):
        async with trio.open_nursery() as nursery:
            meter = await nursery.start(partial(watch, [], loop_limit_s=0.01))
            assert isinstance(meter, LoopMeter)
            nursery.start_soon(greedy, name="greedy")
            assert ", now in " in await wait_for(caplog, "task 'greedy' keeps all others waiting, for")
            await wait_for(caplog, "task 'greedy' kept all others waiting for")
            nursery.cancel_scope.cancel()


async def test_watching_is_a_service() -> None:
    supervisor = Supervisor([Service(name="watch", run=partial(watch, [Puppet()]))])
    async with trio.open_nursery() as nursery:
        await supervisor.start(nursery)
        await supervisor.stop()
