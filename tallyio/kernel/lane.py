"""A lane: a pinned native thread that runs one compiled program.

Layer: kernel. Uses native. `tallyio.kernel.lane_program` shows what a program looks like.

    lane = Lane("market", run, LaneContext(commands, results), cpuset=frozenset({4}))
    lane = Lane.placed(placement, "market", run, context)                  # the cpuset from a placement
    Service(name="market", run=functools.partial(serve_lane, lane))        # under the supervisor
    lane.prepare(); lane.start(); ...; lane.stop(within_s=5.0)             # or by hand
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self, final

import trio

from tallyio.kernel.cpuset import CpuSet
from tallyio.kernel.lane_meter import LaneCounts
from tallyio.kernel.lane_program import LaneContext
from tallyio.kernel.lane_seats import SEATS
from tallyio.kernel.lane_wishes import NO_WISHES, LaneWishes, Outcome, grant_fifo, grant_memory
from tallyio.kernel.placement import Placement
from tallyio.kernel.threads import (
    PinError,
    block_signals,
    check_thread_name,
    name_current_thread,
    pin_current_thread,
    reset_scheduling,
)
from tallyio.model.errors import EnvironmentFault
from tallyio.native.jit import HotFunction, entry, is_hot, signature_of

PROGRAM_SIGNATURE: Final = "int64(int64)"

_EXIT_WAIT_S: Final = 1.0


class LaneFailed(EnvironmentFault):
    """A lane did not start, did not stop in time, or its program raised. Names the lane."""

    code = "lane"

    def __init__(self, lane: str, fault: str, *, way_out: str = "") -> None:
        super().__init__(f"lane {lane!r} {fault}", way_out=way_out)
        self.lane = lane


class LaneState(StrEnum):
    """Where a lane is in its life, in this order."""

    NEW = "new"
    PREPARED = "prepared"  # compiled
    WARMING = "warming"  # its thread is being set up, and its memory brought near
    RUNNING = "running"
    DRAINING = "draining"  # takes no more commands, works off those inside
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneGlance:
    """What a watchdog looks at; `heartbeat` grows by one when a command is taken and when it is done."""

    name: str
    heartbeat: int
    busy: bool
    """Whether the program works on a command."""
    stage: str = ""
    """The part of it, such as a plugin, where the program says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStatistics(LaneGlance):
    """All that is known of a lane."""

    state: LaneState
    cpuset: CpuSet | None
    counts: LaneCounts | None = None
    """What it has done so far."""
    outcomes: tuple[Outcome, ...] = ()
    """What became of its wishes."""
    parks_for: tuple[str, ...] = ()
    """The lanes that it shares PUs with, so that it parks instead of spinning."""


# Guarantees
# - The program is compiled before the thread exists; the thread starts with its name, its
#   scheduling policy, its signal mask and its affinity, in that order, before the program's first step.
# - The affinity is exactly the cpuset and is never widened; without a cpuset it is inherited.
# - A wish that the OS refuses is told in the outcomes and changes nothing else.
# - While more lanes run on some PUs than there are, these lanes park instead of spinning.
# - `start` returns when the thread is set up, or raises what went wrong in it.
# - The thread never holds the GIL while the program runs, so Python never delays it.
# - When the program ends, for whatever reason, both rings are closed: nobody waits for a dead lane.
# - The thread refers to the context, and so to the rings, until it ends: their memory outlives it.
# - A process that ends stops its lanes; one that does not react within a second is abandoned.
@final
class Lane:
    """One thread, one program, one context; it runs once. See the guarantees above.

    Raises: ValueError: the name has not 1 to 15 bytes, or `run` is no hot function of signature
    `int64(int64)`.
    """

    def __init__(
        self,
        name: str,
        run: HotFunction[[int], int],
        context: LaneContext,
        cpuset: CpuSet | None = None,
        wishes: LaneWishes = NO_WISHES,
    ) -> None:
        check_thread_name(name)
        if not is_hot(run) or signature_of(run) != PROGRAM_SIGNATURE:
            raise ValueError(f"the program of lane {name!r} must be a hot function {PROGRAM_SIGNATURE}")
        self.name: Final = name
        self.context: Final = context
        self.cpuset: Final = cpuset
        self.wishes: Final = wishes
        self.outcomes: tuple[Outcome, ...] = ()
        """What became of the wishes, complete when `start` returns."""
        self._state = LaneState.NEW
        self._run = run
        self._outcome = 0
        self._error: BaseException | None = None
        self._settled = threading.Event()
        self._was_set_up = False
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._on_end: Callable[[], object] | None = None

    @classmethod
    def placed(
        cls, placement: Placement, name: str, run: HotFunction[[int], int], context: LaneContext
    ) -> Self:
        """Return the lane `name` with the cpuset that `placement` gives it, and the wishes it has for it.

        Raises: PinError: the placement is for another machine. KeyError: it has no such lane.
        """
        if not placement.is_this_system:
            raise PinError(
                f"lane {name!r} was placed on {placement.machine!r}, which is not this system",
                way_out="place it on Machine.this_system(); a description can only be looked at",
            )
        place = placement.lane(name)
        return cls(name, run, context, frozenset(place.cpuset), LaneWishes.of(place))

    def prepare(self) -> None:
        """Compile the program, or load it from the cache; seconds the first time."""
        self._program = entry(self._run)
        if self._state is LaneState.NEW:
            self._state = LaneState.PREPARED

    def start(self, on_end: Callable[[], object] | None = None) -> None:
        """Start the thread and return when it is warm: set up, and its wishes granted or refused.

        `on_end` is called in the lane's thread when it has ended, must not raise, and hardly blocks.
        Raises: LaneFailed: the thread could not be set up, with the cause. RuntimeError: on a
        second call.
        """
        if self._state not in {LaneState.NEW, LaneState.PREPARED}:
            raise RuntimeError(f"lane {self.name!r} can be started only once")
        if self._state is LaneState.NEW:
            self.prepare()
        self._state = LaneState.WARMING
        self._on_end = on_end
        atexit.register(self._stop_at_exit)
        self._thread.start()
        self._settled.wait()
        if not self._was_set_up:
            self.join(None)
        self._ask_for_fifo()

    def drain(self) -> None:
        """Take no more commands; the program works off those inside, then ends."""
        self.context.ask_to_stop()

    def stop(self, *, within_s: float) -> int:
        """Drain, and wait for the program's end; return its outcome.

        Raises: LaneFailed: it did not end in time, or it raised.
        """
        self.drain()
        return self.join(within_s)

    def join(self, within_s: float | None) -> int:
        """Wait until the program has ended by itself, and return its outcome. Raises: as `stop`."""
        self._thread.join(within_s)
        if self._thread.is_alive():
            raise self.overdue(within_s or 0.0)
        if self._error is not None:
            raise LaneFailed(self.name, f"failed: {self._error}") from self._error
        return self._outcome

    def overdue(self, waited_s: float) -> LaneFailed:
        """Return the error for a lane that has not ended `waited_s` after it was asked to."""
        return LaneFailed(
            self.name,
            f"still works on a command {waited_s:g} s after it was asked to stop",
            way_out="take its results, give it more time, or let it look at `lane_is_asked_to_stop`",
        )

    @property
    def is_running(self) -> bool:
        """Whether the thread is set up and has not ended."""
        return self._state is LaneState.RUNNING

    @property
    def state(self) -> LaneState:
        """Where the lane is in its life."""
        if self.is_running and self.context.commands.closed:
            return LaneState.DRAINING
        return self._state

    def share_pus(self, *, crowded: bool) -> None:
        """Park while others need the same PUs; called by `lane_seats`."""
        self.context.park(always=crowded)

    def glance(self) -> LaneGlance:
        """Return whether the lane gets on, which costs next to nothing; any thread may ask."""
        heartbeat = self.context.heartbeat
        busy = self.is_running and heartbeat % 2 == 1
        return LaneGlance(
            name=self.name, heartbeat=heartbeat, busy=busy, stage=self.context.stage if busy else ""
        )

    def statistics(self) -> LaneStatistics:
        """Return all that is known of the lane; any thread may ask."""
        now = self.glance()
        return LaneStatistics(
            name=now.name,
            state=self.state,
            cpuset=self.cpuset,
            heartbeat=now.heartbeat,
            busy=now.busy,
            stage=now.stage,
            counts=self.context.counts(),
            outcomes=self.outcomes,
            parks_for=SEATS.company(self) if self.is_running else (),
        )

    def _live(self) -> None:
        try:
            self._set_thread_up()
            self.outcomes = tuple(grant_memory(self.wishes, self.context.memory))
            self._state, self._was_set_up = LaneState.RUNNING, True
            SEATS.take(self)
            self._settled.set()
            self._outcome = self._program(self.context.address)
            reset_scheduling()
            self._state = LaneState.ENDED
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that joins
            self._error, self._state = error, LaneState.FAILED
        finally:
            SEATS.leave(self)
            self.context.close()
            self._settled.set()
            atexit.unregister(self._stop_at_exit)
            if self._on_end is not None:
                self._on_end()

    def _set_thread_up(self) -> None:
        name_current_thread(self.name)
        reset_scheduling()
        block_signals()
        if self.cpuset is not None:
            pin_current_thread(self.cpuset)

    def _ask_for_fifo(self) -> None:
        if (priority := self.wishes.fifo_priority) and (thread := self._thread.native_id):
            self.outcomes += (grant_fifo(priority, thread, refusal=self._why_no_fifo()),)

    def _why_no_fifo(self) -> str:
        if self.cpuset is None:
            return "a lane without a cpuset would stop others anywhere"
        if company := SEATS.company(self):
            return f"it shares its PUs with {', '.join(company)}, who would not run"
        if os.sched_getaffinity(0) <= self.cpuset:
            return "the thread that started it has no other PU, and would not run"
        return ""

    def _stop_at_exit(self) -> None:
        self.context.close()
        if self._thread.is_alive():
            self._thread.join(_EXIT_WAIT_S)


async def serve_lane(
    lane: Lane,
    *,
    stop_within_s: float = 5.0,
    task_status: trio.TaskStatus[Lane] = trio.TASK_STATUS_IGNORED,
) -> int:
    """Run a lane as a service: ready when its thread is set up, stopped by cancellation.

    A cancelled lane works off its commands for at most `stop_within_s`, while somebody takes its
    results; then they are closed, too. Returns the program's outcome when it ends by itself.
    Raises: LaneFailed: it did not start or stop, or its program raised.
    """
    ended, token = trio.Event(), trio.lowlevel.current_trio_token()
    await trio.to_thread.run_sync(lane.prepare)
    lane.start(on_end=lambda: _tell(token, ended))
    task_status.started(lane)
    try:
        await ended.wait()
    finally:
        await _stop(lane, ended, stop_within_s)
    return lane.join(None)


async def _stop(lane: Lane, ended: trio.Event, within_s: float) -> None:
    for ask in (lane.context.ask_to_stop, lane.context.close):
        ask()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + within_s):
            await ended.wait()
            lane.join(None)  # the thread only has to return
            return
    raise lane.overdue(2 * within_s)


def _tell(token: trio.lowlevel.TrioToken, ended: trio.Event) -> None:
    # When Trio has finished, nobody is left who waits.
    with contextlib.suppress(trio.RunFinishedError):
        token.run_sync_soon(ended.set)
