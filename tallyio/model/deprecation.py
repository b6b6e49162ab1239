"""Notice of a year before anything public goes.

Layer: model. `deprecated` marks a function or a class; a hook, or one argument of a hook, takes the
warning itself:

    @hookspec(firstresult=True, warn_on_impl=deprecation("the hook tallyio_x", since=…, until=…, instead=…))

What `deprecated` marks, and each hook, has a line in `tests/policy/public_api.txt`; a test holds the dates.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final, cast

NOTICE: Final = timedelta(days=365)
"""The least time between the warning and the removal."""


class TallyioDeprecationWarning(DeprecationWarning):
    """Something public goes, at `until` or later. A plugin's own tests make it an error."""

    def __init__(self, what: str, *, since: date, until: date, instead: str) -> None:
        super().__init__(f"{what} is deprecated since {since} and goes after {until}; use {instead}")
        self.what = what
        self.since = since
        self.until = until
        self.instead = instead


def deprecation(what: str, *, since: str, until: str, instead: str) -> TallyioDeprecationWarning:
    """Return the warning that `what` goes.

    Args:
        what: The name that users know.
        since: The day of the first release that warns, as 2026-11-28.
        until: The day until which it works, at least a year later.
        instead: What to use.

    Raises: ValueError: no date, or less than a year's notice.
    """
    first, last = date.fromisoformat(since), date.fromisoformat(until)
    if last - first < NOTICE:
        raise ValueError(f"{what} goes {(last - first).days} days after its warning; give {NOTICE.days}")
    return TallyioDeprecationWarning(what, since=first, until=last, instead=instead)


def deprecated[T: Callable[..., Any]](*, since: str, until: str, instead: str) -> Callable[[T], T]:
    """Return a decorator that warns whenever a function is called, or a class made. See `deprecation`."""

    def mark(target: T) -> T:
        named = cast("type[object]", target)
        warning = deprecation(
            f"{named.__module__}.{named.__qualname__}", since=since, until=until, instead=instead
        )
        return _class(target, warning) if isinstance(target, type) else _function(target, warning)

    return mark


def _function[T: Callable[..., Any]](target: T, warning: TallyioDeprecationWarning) -> T:
    @functools.wraps(target)
    def warned(*arguments: object, **named: object) -> object:
        warnings.warn(warning, stacklevel=2)
        return target(*arguments, **named)

    return cast("T", warned)


def _class[T](target: T, warning: TallyioDeprecationWarning) -> T:
    made = cast("Any", target)
    begin = made.__init__

    @functools.wraps(begin)
    def warned(self: object, *arguments: object, **named: object) -> None:
        warnings.warn(warning, stacklevel=2)
        begin(self, *arguments, **named)

    made.__init__ = warned
    return target
