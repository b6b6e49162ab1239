"""Nothing public goes without a year's notice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Final

import pytest

from tallyio.hooks.contract import SUPPORTED_HOOK_API
from tallyio.hooks.specs import HOOK_API
from tallyio.model.deprecation import NOTICE
from tests.policy.modules import Module, core_modules, require_none, snippet, told
from tests.policy.public_api import (
    LIST,
    Listed,
    deprecations,
    is_public,
    listed,
    public_names,
)

WAY_OUT: Final = "run python -m tests.policy.public_api"


def broken_promises(modules: Iterable[Module], promised: Listed, today: date) -> Iterator[str]:
    """Yield names that are not in the list, gone too early, or deprecated in one place only."""
    modules = list(modules)
    names, marked = set(public_names(modules)), dict(deprecations(modules))
    yield from (f"{name} is new; {WAY_OUT}" for name in sorted(names - set(promised)))
    for name, dates in promised.items():
        if dates and dates.until - dates.since < NOTICE:
            yield f"{name} has {(dates.until - dates.since).days} days of notice; give {NOTICE.days}"
        if name not in names and dates is None:
            yield f"{name} is gone without notice; bring it back, deprecated for a year"
        elif name not in names and dates and today <= dates.until:
            yield f"{name} is gone, and was promised until {dates.until}; bring it back"
    for name, dates in marked.items():
        if promised.get(name) != dates:
            yield f"{name} warns since {dates.since}; write the dates of its mark into {LIST.name}"
    for name, promise in promised.items():
        if promise and name in names and name not in marked and not name.startswith("hook "):
            yield f"{name} is listed as deprecated; mark it @deprecated with the same dates"


def test_every_public_name_is_kept_until_its_day() -> None:
    modules = filter(is_public, core_modules())
    today = datetime.now(tz=UTC).date()
    require_none(broken_promises(modules, listed(LIST.read_text(encoding="utf-8")), today))


def test_the_list_is_in_order_and_holds_every_hook() -> None:
    lines = [line for line in LIST.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines == sorted(set(lines))
    assert {f"hook tallyio_{kind}(settings)" for kind in ("chain", "protocol", "strategy")} <= set(lines)


def test_this_interface_number_is_hosted() -> None:
    assert HOOK_API in SUPPORTED_HOOK_API
    assert SUPPORTED_HOOK_API[-1] == HOOK_API


OLD: Final = '@deprecated(since="2026-01-01", until="2027-01-01", instead="g")\ndef f():\n    return 0'
MARKED: Final = "tallyio.model.snippet.f deprecated 2026-01-01 until 2027-01-01"
LATER: Final = date(2027, 1, 2)


@pytest.mark.parametrize(
    ("code", "text", "says"),
    [
        ("def f():\n    return 0", "", "snippet.f is new"),
        ("", "tallyio.model.snippet.f", "is gone without notice"),
        ("", MARKED.replace("until 2027", "until 2028"), "was promised until 2028-01-01"),
        ("", MARKED.replace("until 2027-01-01", "until 2026-06-01"), "has 151 days of notice"),
        (OLD, "tallyio.model.snippet.f", "write the dates of its mark"),
        ("def f():\n    return 0", MARKED, "mark it @deprecated"),
        ("class A:\n    b: int", "tallyio.model.snippet.A", "snippet.A.b is new"),
        ("@hookspec(firstresult=True)\ndef t(settings):\n    pass", "hook t", "hook t(settings) is new"),
    ],
)
def test_a_broken_promise_is_found(code: str, text: str, says: str) -> None:
    assert says in told(broken_promises([snippet(code)], listed(text), LATER))


@pytest.mark.parametrize(
    ("code", "text"), [("", MARKED), (OLD, MARKED), ("_x = 1", ""), ("X = 1", "tallyio.model.snippet.X")]
)
def test_a_kept_promise_is_not_found(code: str, text: str) -> None:
    assert not told(broken_promises([snippet(code)], listed(text), LATER))
