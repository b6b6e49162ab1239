"""Start services in order, watch them, restart or stop them.

Layer: kernel. Imports the standard library and trio, and the model's errors.

    supervisor = Supervisor([node, feed, engine], on_event=show, seed=7)
    async with trio.open_nursery() as nursery:
        await supervisor.start(nursery)      # returns when all are ready
        ...
        await supervisor.stop()              # reverse order, each with its grace
"""

# Guarantees
# - A service starts only when all it depends on are ready, and is told to stop (cancelled) only
#   when all that depend on it have stopped, or have overrun their grace.
# - That order also holds when the nursery is cancelled from outside: services run under a shield
#   that only the supervisor opens, and the supervisor never waits without a bound but for the
#   services themselves. Structured concurrency stays: no service outlives the nursery.
# - A failure that is final stops everything first, in order, and then raises `ServiceFailed`
#   in the nursery. Of several such failures the first one is raised.
# - Restarts of one service leave the others alone: who depends on a service must bear its pause.
# - All times are on Trio's clock, all jitter comes from the seed: a run can be repeated.

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import final

import trio

from tallyio.kernel.supervisor_policy import (
    Service,
    ServiceEvent,
    ServiceFailed,
    ServiceStatistics,
    State,
    SupervisorStatistics,
    describe,
    root_of,
    start_order,
)
from tallyio.model.errors import EnvironmentFault


@dataclass(slots=True)
class _Entry:
    """What the supervisor knows of one service."""

    service: Service
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    ready: trio.Event = field(default_factory=trio.Event)
    ended: trio.Event = field(default_factory=trio.Event)
    launched: bool = False
    state: State = State.WAITING
    changed_at_s: float = 0.0
    starts: int = 0
    failures: int = 0
    recent: list[float] = field(default_factory=list)
    last_failure: str = ""


class _EndedUnasked(EnvironmentFault):
    """The service returned although nobody had cancelled it."""


class _NotReady(EnvironmentFault):
    """The service did not report readiness in time."""


@final
class Supervisor:
    """Runs a fixed set of services; see the guarantees above.

    `on_event` is called on the Trio thread at every change of state and must not block. When it
    raises, it is logged and not called again: an observer never stops a service.
    Raises: ValueError: names clash, or dependencies are unknown or circular.
    """

    def __init__(
        self,
        services: Iterable[Service],
        *,
        on_event: Callable[[ServiceEvent], None] | None = None,
        seed: int = 0,
    ) -> None:
        self._entries = {s.name: _Entry(s) for s in start_order(tuple(services))}
        self._on_event = on_event
        self._random = Random(seed)
        self._asked_to_stop = trio.Event()
        self._settled = trio.Event()  # all are ready, or all have ended
        self._ended = trio.Event()
        self._start_scope = trio.CancelScope()
        self._failure: ServiceFailed | None = None
        self._started = self._in_start = False

    async def start(self, nursery: trio.Nursery) -> None:
        """Start all services in order; return when the last one is ready, or `stop` was called.

        Raises: ServiceFailed: a service failed for good meanwhile, and all have been stopped.
        After this call returned, such a failure is raised in the nursery instead.
        """
        if self._started:
            raise RuntimeError("a supervisor can be started only once")
        self._started = self._in_start = True
        nursery.start_soon(self._supervise, name="supervisor")
        nursery.start_soon(self._notice_cancellation, name="supervisor: cancellation")
        try:
            await self._settled.wait()
        finally:
            # Also where this call was cancelled in the step in which all ended: see `_supervise`.
            self._in_start = False
            if self._failure is not None and self._ended.is_set():
                raise self._failure

    async def stop(self) -> None:
        """Stop all services in reverse order; return when they have ended."""
        self._asked_to_stop.set()
        if self._started:
            await self._ended.wait()

    def statistics(self) -> SupervisorStatistics:
        """Return the life of every service so far."""
        return SupervisorStatistics(
            services={
                name: ServiceStatistics(
                    state=entry.state,
                    starts=entry.starts,
                    failures=entry.failures,
                    last_failure=entry.last_failure,
                    changed_at_s=entry.changed_at_s,
                )
                for name, entry in self._entries.items()
            }
        )

    async def _supervise(self) -> None:
        try:
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._start_in_order, nursery)
                    await self._asked_to_stop.wait()
                    self._start_scope.cancel()
                    await self._stop_in_order()
        finally:
            self._ended.set()
            self._settled.set()
        # `start` raises the failure where it still waits, woken by this or by cancellation: the failure is
        # raised there or here, never twice and never not at all.
        if self._failure is not None and not self._in_start:
            raise self._failure

    async def _notice_cancellation(self) -> None:
        # The services are shielded from the nursery's cancellation; this task is not, and turns
        # it into an ordered stop.
        try:
            await self._ended.wait()
        finally:
            self._asked_to_stop.set()

    async def _start_in_order(self, nursery: trio.Nursery) -> None:
        with self._start_scope:
            for entry in self._entries.values():
                await trio.lowlevel.checkpoint_if_cancelled()
                entry.launched = True
                nursery.start_soon(self._keep_running, entry, name=f"service {entry.service.name}")
                await entry.ready.wait()
            self._settled.set()

    async def _stop_in_order(self) -> None:
        for entry in reversed(self._entries.values()):
            if not entry.launched or entry.ended.is_set():
                continue
            self._change(entry, State.STOPPING)
            entry.scope.cancel()
            with trio.move_on_after(entry.service.grace_s) as grace:
                await entry.ended.wait()
            if grace.cancelled_caught:
                self._change(entry, State.OVERDUE, reason=f"did not stop within {entry.service.grace_s} s")

    async def _keep_running(self, entry: _Entry) -> None:
        try:
            with entry.scope:
                await trio.lowlevel.checkpoint_if_cancelled()
                while not await self._run_once(entry):
                    pass
        except Exception as error:  # noqa: BLE001 - what a service raised while it was being cancelled
            self._count_failure(entry, error)
            self._give_up(entry, error)
        finally:
            if entry.state not in {State.FINISHED, State.FAILED}:
                self._change(entry, State.STOPPED)
            entry.ended.set()

    async def _run_once(self, entry: _Entry) -> bool:
        """Run the service to its end; return whether that end is final."""
        entry.starts += 1
        self._change(entry, State.STARTING)
        try:
            await self._run_and_report(entry)
        except Exception as error:  # noqa: BLE001 - a supervisor exists to catch what services raise
            return await self._after_failure(entry, error)
        self._change(entry, State.FINISHED)
        return True

    async def _run_and_report(self, entry: _Entry) -> None:
        service = entry.service
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(service.ready_within_s) as limit:
                await nursery.start(self._body, service, name=service.name)
            if limit.cancelled_caught:
                raise _NotReady(f"was not ready within {service.ready_within_s} s")
            self._change(entry, State.READY)
            entry.ready.set()

    async def _body(self, service: Service, *, task_status: trio.TaskStatus[object]) -> None:
        await service.run(task_status=task_status)
        # A return because of our own cancellation does not come here: the checkpoint raises.
        await trio.lowlevel.checkpoint_if_cancelled()
        if not service.may_finish:
            raise _EndedUnasked("returned although nobody had asked it to stop")

    async def _after_failure(self, entry: _Entry, error: Exception) -> bool:
        self._count_failure(entry, error)
        delay_s = entry.service.restart.delay_s(len(entry.recent), self._random)
        # While everything stops there is nothing left to be restarted for.
        if delay_s is None or self._asked_to_stop.is_set():
            self._give_up(entry, error)
            return True
        self._change(entry, State.BACKING_OFF, delay_s=delay_s, reason=entry.last_failure)
        await trio.sleep(delay_s)
        return False

    def _count_failure(self, entry: _Entry, error: Exception) -> None:
        now, counts_s = trio.current_time(), entry.service.restart.forgets_after_s()
        entry.failures += 1
        entry.last_failure = describe(error)
        entry.recent = [at for at in entry.recent if now - at < counts_s] + [now]

    def _give_up(self, entry: _Entry, error: Exception) -> None:
        self._change(entry, State.FAILED, reason=entry.last_failure)
        if self._failure is None:
            self._failure = ServiceFailed(entry.service.name, entry.last_failure, failures=entry.failures)
            self._failure.__cause__ = root_of(error)
        self._asked_to_stop.set()

    def _change(self, entry: _Entry, state: State, *, delay_s: float = 0.0, reason: str = "") -> None:
        entry.state, entry.changed_at_s = state, trio.current_time()
        if self._on_event is None:
            return
        event = ServiceEvent(
            service=entry.service.name,
            state=state,
            at_s=entry.changed_at_s,
            attempt=entry.starts,
            delay_s=delay_s,
            reason=reason,
        )
        try:
            self._on_event(event)
        except Exception:
            logging.getLogger(__name__).exception(
                "the observer of service events failed and is not called again"
            )
            self._on_event = None
