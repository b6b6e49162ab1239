"""Notices: no repeats, a bounded rate, no secrets."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tallyio.hooks.interfaces import Notice
from tallyio.hooks.notices import LEVELS, Gatekeeper, Level, redact


def notice(key: str, level: str = "info") -> Notice:
    return Notice(level=level, title="t", body="b", key=key)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lost wss://node.example/v3/abcdef0123", "lost wss://node.example/***"),
        ("https://user:pw@host.example/x?y=z failed", "https://***@host.example/*** failed"),
        ("tgram://123456:AAbb/987", "tgram://123456:AAbb/***"),
        ("password: hunter2 token=xyz", "password: *** token=***"),
        ("balance changed by 5", "balance changed by 5"),
    ],
)
def test_credentials_are_redacted(text: str, shown: str) -> None:
    assert redact(text) == shown


async def test_the_same_fact_passes_once_in_its_time(autojump_clock: MockClock) -> None:
    gate = Gatekeeper(repeat_s=60, most=10)
    assert [gate.admit(notice("a")), gate.admit(notice("a")), gate.admit(notice("b"))] == [True, False, True]
    await trio.sleep(61)
    assert gate.admit(notice("a"))
    assert gate.take_dropped() == 1
    assert gate.take_dropped() == 0


@pytest.mark.parametrize(("least", "passing"), [("info", 3), ("warning", 2), ("error", 1)])
async def test_what_is_below_the_level_neither_passes_nor_counts(least: Level, passing: int) -> None:
    gate = Gatekeeper(level=least, repeat_s=60, most=10)
    assert sum(gate.admit(notice(level, level)) for level in LEVELS) == passing
    assert gate.take_dropped() == 0


async def test_a_flood_is_capped_per_window(autojump_clock: MockClock) -> None:
    gate = Gatekeeper(repeat_s=0, most=5, window_s=60)
    assert sum(gate.admit(notice(str(n))) for n in range(100)) == 5
    await trio.sleep(60)
    assert gate.admit(notice("later"))


async def test_memory_for_keys_is_bounded(autojump_clock: MockClock) -> None:
    gate = Gatekeeper(repeat_s=10, most=10**6, keys=10)
    for number in range(100):
        gate.admit(notice(str(number)))
    assert len(gate._seen) == 10
