"""The console prints what matters, once, without secrets."""

from __future__ import annotations

import io

import pytest
from tallyio_notifier_console.notifier import ConsoleNotifier, ConsoleSettings

from tallyio.hooks.interfaces import Notice
from tallyio.model.errors import ConfigError


async def test_a_warning_is_one_redacted_line_and_its_repeat_none() -> None:
    stream = io.StringIO()
    notifier = ConsoleNotifier(ConsoleSettings(), stream)
    lost = Notice(level="warning", title="node lost", body="wss://n.example/v3/key", key="lost")
    for _ in range(3):
        await notifier.notify(lost)
    await notifier.notify(Notice(level="info", title="quiet", body="", key="q"))
    assert stream.getvalue() == "! node lost: wss://n.example/***\n"


def test_a_wrong_level_names_the_key() -> None:
    with pytest.raises(ConfigError, match=r"\[notifiers.level\] has an unknown value 'loud'"):
        ConsoleNotifier.from_settings({"level": "loud"})
