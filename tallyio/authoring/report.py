"""What a check of a plugin found.

Layer: authoring. All records are frozen.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tallyio.hooks.contract import Kind
from tallyio.model.errors import TallyError

Step = Literal["contract", "hooks", "cards", "bench"]
"""In this order; one that fails ends the check, for the next would say the same less clearly."""

PROMISE_BROKEN = 1
BROKEN = 3


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, and what to do about it."""

    message: str
    way_out: str

    @classmethod
    def of(cls, error: TallyError) -> Fault:
        """Return what `error` says."""
        return cls(message=error.message, way_out=error.way_out)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one step found."""

    step: Step
    facts: str = ""
    """What was looked at, in a few words."""
    faults: tuple[Fault, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """One plugin, and the steps as far as they went."""

    kind: Kind
    name: str
    outcomes: tuple[Outcome, ...]

    @property
    def passed(self) -> bool:
        """Whether every step was taken and found nothing."""
        return all(each.passed for each in self.outcomes)

    @property
    def exit_code(self) -> int:
        """0, or 1 where only a promise of speed is broken, or 3."""
        if self.passed:
            return 0
        return PROMISE_BROKEN if self.outcomes[-1].step == "bench" else BROKEN


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Every plugin of a project."""

    folder: str
    sound: bool
    plugins: tuple[Checked, ...]

    @property
    def exit_code(self) -> int:
        """The worst of the plugins'."""
        return max(each.exit_code for each in self.plugins)
