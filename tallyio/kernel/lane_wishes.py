"""What a lane would like of the OS: real-time scheduling, memory that is locked, huge, and near.

Layer: kernel. All of it is best effort: each wish has an outcome in words, and a refusal never stops a
lane. Nothing is wished for by default, so that TallyIO runs without any privilege.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

from tallyio.kernel import os_memory
from tallyio.kernel.os_memory import Policy
from tallyio.kernel.placement import LanePlacement

HUGE_PAGE_BYTES: Final = 2 << 20

type Span = tuple[int, int]
"""Address and size of some memory of a lane."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneWishes:
    """What is asked for one lane."""

    fifo_priority: int = 0
    """1 to 99: run the program under SCHED_FIFO; 0: not."""
    lock_memory: bool = False
    """Keep the lane's context and rings from being paged out."""
    huge_pages: bool = False
    memory_nodes: tuple[int, ...] = ()
    """NUMA nodes of the context, the rings, and what the program touches first; empty: as it comes."""
    memory_policy: Policy = "local"

    @classmethod
    def of(cls, place: LanePlacement) -> Self:
        """Return what a placement asks for its lane. Locked memory goes with real-time scheduling."""
        is_fifo = place.scheduling == "fifo"
        return cls(
            fifo_priority=place.priority if is_fifo else 0,
            lock_memory=is_fifo,
            huge_pages=place.huge_pages,
            memory_nodes=place.memory_nodes,
            memory_policy=place.memory,
        )


NO_WISHES: Final = LaneWishes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one wish."""

    wish: str
    granted: bool
    why: str
    """What the OS said, or what was got."""

    def __str__(self) -> str:
        return f"{self.wish}: {'granted' if self.granted else 'refused'} ({self.why})"


def grant_memory(wishes: LaneWishes, memory: Iterable[Span]) -> Iterator[Outcome]:
    """Ask for what concerns memory, from the lane's own thread: what it touches first lies near it."""
    spans = list(memory)
    if wishes.memory_nodes:
        nodes, policy = wishes.memory_nodes, wishes.memory_policy
        if policy == "local":
            nodes = nodes[:1]  # the OS prefers one, and takes the next when that is full
        names = ", ".join(map(str, nodes))
        yield _ask(
            f"memory on NUMA node {names} ({policy})",
            partial(os_memory.prefer_nodes, nodes, policy),
            *(partial(os_memory.bind_memory, *span, nodes=nodes, policy=policy) for span in spans),
            got="new pages go there, and old ones were moved",
        )
    if wishes.huge_pages:
        yield _ask_huge(spans)
    if wishes.lock_memory:
        size = sum(size for _, size in spans)
        yield _ask(
            f"{size >> 10} KiB of memory locked",
            *(partial(os_memory.lock_memory, *span) for span in spans),
            got="they stay in memory",
        )


def _ask_huge(spans: list[Span]) -> Outcome:
    large = [span for span in spans if span[1] >= HUGE_PAGE_BYTES]
    wish = "huge pages"
    if not large:
        return Outcome(wish=wish, granted=False, why="its rings are smaller than one")
    asked = _ask(wish, *(partial(os_memory.want_huge_pages, *span) for span in large))
    if not asked.granted:
        return asked
    faulted = _ask(wish, *(partial(os_memory.fault_in, *span) for span in large))
    got = sum(os_memory.huge_bytes(*span) for span in large)
    why = f"{got >> 20} MiB are huge" if faulted.granted else f"allowed, not yet there: {faulted.why}"
    return Outcome(wish=wish, granted=got > 0 or not faulted.granted, why=why)


def grant_fifo(priority: int, thread: int, *, refusal: str) -> Outcome:
    """Ask for SCHED_FIFO for another thread of this process; `refusal` says why it is not even tried.

    From outside, while the thread runs compiled code: a real-time thread that waits for the GIL can
    hang the process.
    """
    wish = f"SCHED_FIFO at {priority}"
    if refusal:
        return Outcome(wish=wish, granted=False, why=refusal)
    limit = "the OS leaves the others what sched_rt_runtime_us says"
    return _ask(wish, partial(_set_fifo, thread, priority), got=limit)


def _set_fifo(thread: int, priority: int) -> None:
    os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))


def _ask(wish: str, *calls: Callable[[], None], got: str = "") -> Outcome:
    try:
        for call in calls:
            call()
    except OSError as fault:
        return Outcome(wish=wish, granted=False, why=fault.strerror or str(fault))
    return Outcome(wish=wish, granted=True, why=got)
