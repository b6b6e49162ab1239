"""Services are started, watched, restarted and stopped in order, on virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from tallyio.kernel.supervisor import Supervisor
from tallyio.kernel.supervisor_policy import (
    Backoff,
    RestartPolicy,
    Service,
    ServiceEvent,
    ServiceFailed,
    State,
    describe,
)

type Run = Callable[..., Awaitable[object]]


class Diary:
    """What services and the supervisor said, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.events: list[ServiceEvent] = []

    def states(self, name: str) -> list[State]:
        """Return the states that a service went through."""
        return [event.state for event in self.events if event.service == name]

    def steady(self, name: str, *, cleanup_s: float = 0.0) -> Run:
        """Return a service that works until it is cancelled, then cleans up for a while."""

        async def run(*, task_status: trio.TaskStatus[None]) -> None:
            self.lines.append(f"{name} up")
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(cleanup_s)
                self.lines.append(f"{name} down")

        return run

    def failing(self, name: str, *, times: int, after_s: float = 1.0, ready: bool = True) -> Run:
        """Return a service whose first `times` lives end in an error after `after_s`."""
        lives = 0

        async def run(*, task_status: trio.TaskStatus[None]) -> None:
            nonlocal lives
            lives += 1
            self.lines.append(f"{name} up at {trio.current_time():g}")
            if ready:
                task_status.started()
            if lives <= times:
                await trio.sleep(after_s)
                raise ConnectionError(f"{name} lost")
            task_status.started() if not ready else None
            await trio.sleep_forever()

        return run


@pytest.fixture
def diary() -> Diary:
    return Diary()


def exact(**changes: float) -> Backoff:
    """Return a policy without jitter, so that times can be told."""
    return Backoff(jitter=0.0, first_s=1.0, **changes)  # type: ignore[arg-type]


async def test_services_start_after_those_they_depend_on(autojump_clock: MockClock, diary: Diary) -> None:
    services = [
        Service(name="engine", run=diary.steady("engine"), after=("feed",)),
        Service(name="node", run=diary.steady("node")),
        Service(name="feed", run=diary.steady("feed"), after=("node",)),
    ]
    supervisor = Supervisor(services)
    async with trio.open_nursery() as nursery:
        await supervisor.start(nursery)
        assert diary.lines == ["node up", "feed up", "engine up"]
        await supervisor.stop()
    assert diary.lines[3:] == ["engine down", "feed down", "node down"]


async def test_a_service_waits_until_its_dependency_is_ready(autojump_clock: MockClock) -> None:
    async def slow(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep(7)
        task_status.started()
        await trio.sleep_forever()

    ready_at: list[float] = []

    async def late(*, task_status: trio.TaskStatus[None]) -> None:
        ready_at.append(trio.current_time())
        task_status.started()
        await trio.sleep_forever()

    started = trio.current_time()
    supervisor = Supervisor([Service(name="slow", run=slow), Service(name="late", run=late, after=("slow",))])
    async with trio.open_nursery() as nursery:
        await supervisor.start(nursery)
        await supervisor.stop()
    assert ready_at == [pytest.approx(started + 7)]


async def test_cancelling_the_nursery_stops_in_reverse_order(autojump_clock: MockClock, diary: Diary) -> None:
    supervisor = Supervisor(
        [
            Service(name="node", run=diary.steady("node")),
            Service(name="feed", run=diary.steady("feed", cleanup_s=2), after=("node",)),
        ]
    )
    async with trio.open_nursery() as nursery:
        await supervisor.start(nursery)
        nursery.cancel_scope.cancel()
    assert diary.lines == ["node up", "feed up", "feed down", "node down"]


async def test_a_failed_service_returns_after_growing_pauses(autojump_clock: MockClock, diary: Diary) -> None:
    service = Service(name="feed", run=diary.failing("feed", times=3), restart=exact())
    supervisor = Supervisor([service], on_event=diary.events.append)
    async with trio.open_nursery() as nursery:
        await supervisor.start(nursery)
        await trio.sleep(60)
        assert supervisor.statistics().services["feed"].starts == 4
        assert supervisor.statistics().services["feed"].state is State.READY
        await supervisor.stop()
    pauses = [event.delay_s for event in diary.events if event.state is State.BACKING_OFF]
    assert pauses == [1.0, 2.0, 4.0]
    assert diary.events[2].reason == "ConnectionError: feed lost"


async def test_a_spent_budget_stops_everything_and_names_the_service(
    autojump_clock: MockClock, diary: Diary
) -> None:
    supervisor = Supervisor(
        [
            Service(name="node", run=diary.steady("node")),
            Service(
                name="feed", run=diary.failing("feed", times=99), after=("node",), restart=exact(budget=2)
            ),
            Service(name="engine", run=diary.steady("engine"), after=("feed",)),
        ]
    )
    with pytest.RaisesGroup(
        pytest.RaisesExc(ServiceFailed, match="'feed' failed 3 times.*spent: ConnectionError: feed lost")
    ):
        async with trio.open_nursery() as nursery:
            await supervisor.start(nursery)
            await trio.sleep(3_600)
    assert diary.lines[-2:] == ["engine down", "node down"]


async def test_old_failures_are_forgotten(autojump_clock: MockClock, diary: Diary) -> None:
    run = diary.failing("feed", times=20, after_s=100)
    supervisor = Supervisor(
        [Service(name="feed", run=run, restart=exact(budget=1, window_s=50))], on_event=diary.events.append
    )
    async with trio.open_nursery() as nursery:
        await supervisor.start(nursery)
        await trio.sleep(5_000)
        await supervisor.stop()
    assert {event.delay_s for event in diary.events if event.state is State.BACKING_OFF} == {1.0}
    assert supervisor.statistics().services["feed"].failures == 20


async def test_without_a_policy_the_first_failure_is_final(autojump_clock: MockClock, diary: Diary) -> None:
    supervisor = Supervisor([Service(name="feed", run=diary.failing("feed", times=1))])
    with pytest.RaisesGroup(
        pytest.RaisesExc(ServiceFailed, match="'feed' failed once: ConnectionError")
    ) as caught:
        async with trio.open_nursery() as nursery:
            await supervisor.start(nursery)
            await trio.sleep(3_600)
    failure = caught.value.exceptions[0]
    assert isinstance(failure, ServiceFailed)
    assert failure.service == "feed"
    assert failure.__cause__ is not None


class _CancelledAtStep(trio.abc.Instrument):
    """Cancels a scope right before the n-th step of the supervisor's own task."""

    def __init__(self, step: int) -> None:
        self.scope, self._left = trio.CancelScope(), step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= task.name == "supervisor"
        if self._left == 0:
            self.scope.cancel()


@pytest.mark.parametrize("step", range(1, 6))
async def test_a_failure_is_raised_at_whatever_step_a_scope_around_start_is_cancelled(
    step: int, autojump_clock: MockClock, diary: Diary
) -> None:
    supervisor = Supervisor([Service(name="feed", run=diary.failing("feed", times=1, ready=False))])
    cancelled = _CancelledAtStep(step)
    trio.lowlevel.add_instrument(cancelled)
    with pytest.RaisesGroup(ServiceFailed):
        async with trio.open_nursery() as nursery:
            with cancelled.scope:
                await supervisor.start(nursery)


async def test_a_failure_during_the_start_is_raised_by_start(autojump_clock: MockClock, diary: Diary) -> None:
    supervisor = Supervisor(
        [
            Service(name="node", run=diary.steady("node")),
            Service(name="feed", run=diary.failing("feed", times=1, ready=False), after=("node",)),
            Service(name="engine", run=diary.steady("engine"), after=("feed",)),
        ]
    )
    async with trio.open_nursery() as nursery:
        with pytest.raises(ServiceFailed, match="'feed'"):
            await supervisor.start(nursery)
    assert diary.lines == ["node up", "feed up at 0", "node down"]


async def test_a_start_that_takes_too_long_has_failed(autojump_clock: MockClock) -> None:
    async def never(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep_forever()

    supervisor = Supervisor([Service(name="node", run=never, ready_within_s=3)])
    async with trio.open_nursery() as nursery:
        with pytest.raises(ServiceFailed, match="was not ready within 3 s"):
            await supervisor.start(nursery)


async def test_stopping_during_the_start_ends_it(autojump_clock: MockClock) -> None:
    async def never(*, task_status: trio.TaskStatus[None]) -> None:
        await trio.sleep_forever()

    supervisor = Supervisor([Service(name="node", run=never)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.start, nursery)
        await trio.sleep(1)
        await supervisor.stop()
    assert supervisor.statistics().services["node"].state is State.STOPPED


async def test_a_return_nobody_asked_for_is_a_failure(autojump_clock: MockClock) -> None:
    async def short(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.sleep(1)

    supervisor = Supervisor([Service(name="feed", run=short)])
    with pytest.RaisesGroup(pytest.RaisesExc(ServiceFailed, match="nobody had asked it to stop")):
        async with trio.open_nursery() as nursery:
            await supervisor.start(nursery)
            await trio.sleep(3_600)

    finishing = Supervisor([Service(name="feed", run=short, may_finish=True)])
    async with trio.open_nursery() as nursery:
        await finishing.start(nursery)
        await trio.sleep(2)
        assert finishing.statistics().services["feed"].state is State.FINISHED
        await finishing.stop()


async def test_a_service_that_overruns_its_grace_does_not_hold_up_the_others(
    autojump_clock: MockClock, diary: Diary
) -> None:
    supervisor = Supervisor(
        [
            Service(name="node", run=diary.steady("node")),
            Service(name="slow", run=diary.steady("slow", cleanup_s=20), after=("node",), grace_s=3),
        ],
        on_event=diary.events.append,
    )
    async with trio.open_nursery() as nursery:
        await supervisor.start(nursery)
        await supervisor.stop()
    assert diary.lines == ["node up", "slow up", "node down", "slow down"]
    assert diary.states("slow") == [
        State.STARTING,
        State.READY,
        State.STOPPING,
        State.OVERDUE,
        State.STOPPED,
    ]


async def test_an_error_in_the_clean_up_is_reported(autojump_clock: MockClock, diary: Diary) -> None:
    async def untidy(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            raise OSError("disk full")

    supervisor = Supervisor(
        [Service(name="node", run=diary.steady("node")), Service(name="ledger", run=untidy, after=("node",))]
    )
    with pytest.RaisesGroup(
        pytest.RaisesExc(ServiceFailed, match="'ledger' failed once: OSError: disk full")
    ):
        async with trio.open_nursery() as nursery:
            await supervisor.start(nursery)
            await supervisor.stop()
    assert diary.lines == ["node up", "node down"]


async def test_a_stop_ends_a_service_that_is_backing_off(autojump_clock: MockClock, diary: Diary) -> None:
    supervisor = Supervisor(
        [Service(name="feed", run=diary.failing("feed", times=9), restart=exact(most_s=600))]
    )
    async with trio.open_nursery() as nursery:
        await supervisor.start(nursery)
        await trio.sleep(1.5)
        assert supervisor.statistics().services["feed"].state is State.BACKING_OFF
        await supervisor.stop()
    assert supervisor.statistics().services["feed"].state is State.STOPPED


async def test_the_same_seed_gives_the_same_pauses(autojump_clock: MockClock) -> None:
    async def pauses(seed: int) -> list[float]:
        diary = Diary()
        service = Service(name="feed", run=diary.failing("feed", times=5), restart=Backoff())
        supervisor = Supervisor([service], on_event=diary.events.append, seed=seed)
        async with trio.open_nursery() as nursery:
            await supervisor.start(nursery)
            await trio.sleep(100)
            await supervisor.stop()
        return [event.delay_s for event in diary.events if event.state is State.BACKING_OFF]

    assert await pauses(1) == await pauses(1)
    assert await pauses(1) != await pauses(2)


async def test_a_failing_observer_stops_no_service(
    autojump_clock: MockClock, diary: Diary, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: ServiceEvent) -> None:
        raise ZeroDivisionError(event.service)

    supervisor = Supervisor([Service(name="node", run=diary.steady("node"))], on_event=broken)
    async with trio.open_nursery() as nursery:
        await supervisor.start(nursery)
        await supervisor.stop()
    assert diary.lines == ["node up", "node down"]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ({"a": ("b",), "b": ("a",)}, "in a circle"),
        ({"a": ("moon",)}, "'a' comes after 'moon', which is not a service"),
    ],
)
def test_impossible_orders_are_refused(diary: Diary, after: dict[str, tuple[str, ...]], message: str) -> None:
    services = [Service(name=name, run=diary.steady(name), after=names) for name, names in after.items()]
    with pytest.raises(ValueError, match=message):
        Supervisor(services)


def test_two_services_of_one_name_are_refused(diary: Diary) -> None:
    with pytest.raises(ValueError, match="must be unique"):
        Supervisor([Service(name="a", run=diary.steady("a"))] * 2)


@pytest.mark.parametrize("changes", [{"first_s": 0.0}, {"factor": 0.5}, {"budget": 0}, {"jitter": 1.0}])
def test_an_impossible_backoff_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a backoff must have"):
        Backoff(**changes)  # type: ignore[arg-type]


def test_a_policy_is_never_or_a_backoff() -> None:
    policies: list[RestartPolicy] = [Backoff(jitter=0.0, most_s=8.0)]
    assert policies[0].forgets_after_s() == 300.0
    assert describe(ExceptionGroup("x", [ExceptionGroup("y", [ValueError("a\nb")])])) == "ValueError: a b"
