"""Every environment variable that TallyIO reads, in one place; others that look like it are refused.

Layer: hooks. A misspelt variable would otherwise do nothing, silently.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from tallyio.hooks.settings import did_you_mean
from tallyio.model.errors import ConfigError

PREFIX: Final = "TALLYIO_"
OVERRIDE: Final = "TALLYIO__"
"""Begins the variables that stand for one key of a configuration: `TALLYIO__TABLE__KEY`."""


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One environment variable."""

    name: str
    meaning: str
    is_for_tests: bool = False
    """Read by the repository's tests alone; commands started by them see it too."""


VARIABLES: Final = (
    Variable(
        name="TALLYIO_CACHE",
        meaning="where compiled code and the lab's files are kept, instead of `~/.cache/tallyio`",
    ),
    Variable(
        name="TALLYIO_DATA",
        meaning="where measurements of this machine are kept, instead of `~/.local/share/tallyio`",
    ),
    Variable(name="TALLYIO_KILL_POINTS", meaning="how often the engine is killed", is_for_tests=True),
    Variable(name="TALLYIO_KILL_SEED", meaning="at which moments", is_for_tests=True),
    Variable(name="TALLYIO_LENDING_CASES", meaning="how many states of lending", is_for_tests=True),
    Variable(name="TALLYIO_PATHS", meaning="how many paths of each shape are sized", is_for_tests=True),
)


def check_environment(names: Iterable[str]) -> None:
    """Refuse a variable that begins like ours and is none. Raises: ConfigError: with "did you mean"."""
    known = sorted(variable.name for variable in VARIABLES)
    for name in sorted(names):
        if name.startswith(PREFIX) and not name.startswith(OVERRIDE) and name not in known:
            public = ", ".join(each.name for each in VARIABLES if not each.is_for_tests)
            raise ConfigError(
                f"unknown environment variable {name}{did_you_mean(name, known)}",
                way_out=f"unset it; known: {public}, and {OVERRIDE}TABLE__KEY for a configuration's keys",
            )
