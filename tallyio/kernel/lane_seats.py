"""Which lanes of this process have to share PUs now: those park instead of spinning.

Layer: kernel. A lane that spins on a PU keeps every other lane of it waiting for the rest of its time
slice, milliseconds. So while more lanes run on some PUs than there are of them, all of these park,
whatever their own way to wait is; when a lane ends, the others get theirs back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final, Protocol

from tallyio.kernel.cpuset import CpuSet


class Seated(Protocol):
    """**Protocol:** what sits on PUs; a `Lane` is one."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def cpuset(self) -> CpuSet | None:
        """The PUs it runs on; None for any."""

    def share_pus(self, *, crowded: bool) -> None:
        """Be told whether others need the same PUs."""


class Seats:
    """The lanes that run at the moment; threads may call at the same time."""

    def __init__(self) -> None:
        self._lanes: list[Seated] = []
        self._lock = threading.Lock()

    def take(self, lane: Seated) -> None:
        """Note that `lane` runs, and tell all whom that concerns."""
        with self._lock:
            self._lanes.append(lane)
            self._tell()

    def leave(self, lane: Seated) -> None:
        """Note that `lane` has ended; one that never ran is fine."""
        with self._lock:
            self._lanes = [each for each in self._lanes if each is not lane]
            self._tell()

    def company(self, lane: Seated) -> tuple[str, ...]:
        """Return the names of the lanes that make `lane` crowded."""
        with self._lock:
            return tuple(each.name for each in crowd_of(lane, self._lanes) if each is not lane)

    def _tell(self) -> None:
        for lane in self._lanes:
            lane.share_pus(crowded=bool(crowd_of(lane, self._lanes)))


def crowd_of(lane: Seated, lanes: Iterable[Seated]) -> tuple[Seated, ...]:
    """Return `lane` and those it shares PUs with if they are more than these PUs, else nothing.

    Who may also run elsewhere takes part only where all of its PUs are too few. A lane without a cpuset
    runs wherever there is room, and crowds nobody.
    """
    if lane.cpuset is None:
        return ()
    seated = [(each, each.cpuset) for each in lanes if each.cpuset is not None]
    near = [pus for _, pus in seated if pus & lane.cpuset]
    for pus in sorted([frozenset[int]().union(*near), *near], key=len, reverse=True):
        inside = tuple(each for each, own in seated if own <= pus)
        if lane.cpuset <= pus and len(inside) > len(pus):
            return inside
    return ()


SEATS: Final = Seats()
"""Those of this process."""
