"""What a supervised service is, when it is restarted, and what is said about it.

Layer: kernel. Plain records, on the model's errors; the machinery is in `tallyio.kernel.supervisor`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from tallyio.model.errors import EnvironmentFault, TallyError


@dataclass(frozen=True, slots=True)
class Never:
    """The first failure of the service is final."""

    def delay_s(self, failures: int, random: Random) -> float | None:  # noqa: ARG002 - shape of a policy
        """Return None: there is no restart."""
        return None

    def forgets_after_s(self) -> float:
        """Return for how long a failure counts: for ever."""
        return float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Restart after a growing pause, at most `budget` times within `window_s` seconds.

    The n-th pause is `first_s * factor**(n - 1)`, at most `most_s`, then spread by `jitter`
    to both sides, so that services which failed together do not return together. Failures
    older than `window_s` are forgotten: they count neither for the pause nor for the budget.
    """

    first_s: float = 0.5
    factor: float = 2.0
    most_s: float = 30.0
    budget: int = 8
    window_s: float = 300.0
    jitter: float = 0.25

    def __post_init__(self) -> None:
        if self.first_s <= 0 or self.factor < 1 or self.most_s < self.first_s:
            raise ValueError("a backoff must have first_s > 0, factor >= 1 and most_s >= first_s")
        if self.budget < 1 or self.window_s <= 0 or not 0 <= self.jitter < 1:
            raise ValueError("a backoff must have budget >= 1, window_s > 0 and 0 <= jitter < 1")

    def delay_s(self, failures: int, random: Random) -> float | None:
        """Return the pause after the n-th recent failure, or None where the budget is spent."""
        if failures > self.budget:
            return None
        # Beyond 64 doublings the pause is at its ceiling anyway; unbounded powers overflow float.
        pause = min(self.most_s, self.first_s * self.factor ** min(failures - 1, 64))
        return pause * (1 + self.jitter * random.uniform(-1, 1))

    def forgets_after_s(self) -> float:
        """Return for how long a failure counts."""
        return self.window_s


type RestartPolicy = Never | Backoff

NEVER = Never()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A named task: how it runs, what it stands on, and what happens when it fails.

    `run(task_status=...)` calls `task_status.started()` when it is ready for those that depend
    on it, works until it is cancelled, and cleans up within `grace_s`. It raises to say that it
    failed. A return that nobody asked for counts as a failure unless `may_finish` is set.
    """

    name: str
    run: Callable[..., Awaitable[object]]
    after: tuple[str, ...] = ()
    """Names of services that must be ready before this one starts, and that stop after it."""
    restart: RestartPolicy = NEVER
    ready_within_s: float = float("inf")
    """A start that takes longer has failed."""
    grace_s: float = 5.0
    """How long the ordered stop waits for this service before it turns to the next one."""
    may_finish: bool = False


class State(StrEnum):
    """Where a service is in its life; also what a `ServiceEvent` reports."""

    WAITING = "waiting"  # for those it depends on
    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing_off"  # failed, will be restarted after `delay_s`
    FAILED = "failed"  # for good
    FINISHED = "finished"
    STOPPING = "stopping"
    OVERDUE = "overdue"  # still cleaning up after its grace
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEvent:
    """A service changed its state."""

    service: str
    state: State
    at_s: float
    """On Trio's clock."""
    attempt: int = 0
    """Which start this is, from 1."""
    delay_s: float = 0.0
    """The pause before the next start, while backing off."""
    reason: str = ""
    """What failed, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatistics:
    """The life of one service so far."""

    state: State
    starts: int
    failures: int
    last_failure: str
    changed_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorStatistics:
    """All services, in start order."""

    services: dict[str, ServiceStatistics] = field(default_factory=dict)


class ServiceFailed(EnvironmentFault):
    """A service failed for good, so that everything was stopped; `__cause__` says why.

    `service` names it, `failures` counts how often it failed.
    """

    code = "service"

    def __init__(self, service: str, reason: str, *, failures: int) -> None:
        times = "once" if failures == 1 else f"{failures} times, its restart budget is spent"
        super().__init__(f"service {service!r} failed {times}: {reason}")
        self.service = service
        self.reason = reason
        self.failures = failures


def root_of(error: BaseException) -> BaseException:
    """Return the first error inside groups of groups, or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def describe(error: BaseException) -> str:
    """Return an error in one line: its type (an error of ours needs none) and its message."""
    error = root_of(error)
    if isinstance(error, TallyError):
        return str(error)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def start_order(services: tuple[Service, ...]) -> tuple[Service, ...]:
    """Return the services so that each follows those it depends on, else in the given order.

    Raises: ValueError: two services share a name, a dependency is unknown, or they form a cycle.
    """
    names = [service.name for service in services]
    if len(set(names)) != len(names):
        raise ValueError(f"service names must be unique, was {names}")
    for service in services:
        for name in service.after:
            if name not in names:
                raise ValueError(f"service {service.name!r} comes after {name!r}, which is not a service")
    ordered: list[Service] = []
    waiting = list(services)
    while waiting:
        done = {service.name for service in ordered}
        ready = next((s for s in waiting if done.issuperset(s.after)), None)
        if ready is None:
            raise ValueError(f"services depend on each other in a circle: {[s.name for s in waiting]}")
        ordered.append(ready)
        waiting.remove(ready)
    return tuple(ordered)
