"""First step of `placement`: how much each lane gets, before it is known where.

Layer: kernel. Lanes are served in order of urgency, and each gets the best level that leaves
at least one PU for those after it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tallyio.kernel.machine import Core
from tallyio.kernel.profile import LANES, LaneNeeds, Profile

Level = Literal["cores", "pu", "shared"]
"""What a lane has to itself: whole cores, one PU of a common core, or nothing."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What one lane gets."""

    lane: str
    needs: LaneNeeds
    level: Level
    cores: int
    """Whole cores with level "cores", else the cores wished for among the common ones."""


def grant(cores: tuple[Core, ...], profile: Profile) -> tuple[Grant, ...]:
    """Return a grant for each lane, in the order of `LANES`; together they fit `cores`.

    `cores` is not empty. Sharing always fits, so every lane has a grant.
    """
    granted: list[Grant] = []
    for lane in LANES:
        granted.append(
            next(
                option
                for option in _options(lane, profile.lanes[lane])
                if _fits(cores, [*granted, option], more_to_come=lane != LANES[-1])
            )
        )
    return tuple(granted)


def housekeeping_core(cores: tuple[Core, ...]) -> Core:
    """Return the core of the lowest PU.

    The OS takes interrupts and runs its own work there first, so it is the worst place for a
    lane that must not be disturbed.
    """
    return min(cores, key=lambda core: core.pus)


def all_whole(grants: tuple[Grant, ...]) -> bool:
    """Tell whether every lane has whole cores, so that no common core is needed."""
    return all(grant.level == "cores" for grant in grants)


def _options(lane: str, needs: LaneNeeds) -> list[Grant]:
    wishes: list[tuple[Level, int]] = [("shared", needs.cores)]
    if needs.exclusive:
        wishes = [*(("cores", count) for count in range(needs.cores, 0, -1)), ("pu", 1), *wishes]
    return [Grant(lane=lane, needs=needs, level=level, cores=count) for level, count in wishes]


def _fits(cores: tuple[Core, ...], grants: list[Grant], *, more_to_come: bool) -> bool:
    whole = sum(grant.cores for grant in grants if grant.level == "cores")
    single = sum(grant.level == "pu" for grant in grants)
    shared = more_to_come or any(grant.level == "shared" for grant in grants)
    if not single + shared:
        return whole <= len(cores)
    # The housekeeping core is never given whole. Of the others, count those with the fewest
    # PUs as what is left over: then any choice of whole cores leaves at least this many PUs.
    keeper = housekeeping_core(cores)
    others = sorted(len(core.pus) for core in cores if core != keeper)
    if whole > len(others):
        return False
    return single + shared <= len(keeper.pus) + sum(others[: len(others) - whole])
