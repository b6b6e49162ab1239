"""Notices as lines on standard error."""

from __future__ import annotations

import sys
from typing import Self, TextIO

import msgspec

from tallyio.hooks.interfaces import Notice, Settings
from tallyio.hooks.notices import Gatekeeper, Level, redact
from tallyio.hooks.settings import parse_settings

_MARK = {"info": "·", "warning": "!", "error": "✗"}


class ConsoleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[notifiers.NAME]`."""

    level: Level = "warning"
    """The least level that is printed."""
    repeat_s: float = 60.0
    """The same fact is printed once in this time."""
    most_per_minute: int = 60


class ConsoleNotifier:
    """Prints notices; standard output stays free for results."""

    def __init__(self, settings: ConsoleSettings, stream: TextIO | None = None) -> None:
        self._gate = Gatekeeper(
            level=settings.level, repeat_s=settings.repeat_s, most=settings.most_per_minute
        )
        self._stream = stream

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Parse the plugin's table. Raises: ConfigError."""
        return cls(parse_settings(ConsoleSettings, settings, where="notifiers"))

    async def notify(self, notice: Notice) -> None:
        """Print `notice` if the gatekeeper lets it pass."""
        if not self._gate.admit(notice):
            return
        stream = sys.stderr if self._stream is None else self._stream
        dropped = self._gate.take_dropped()
        more = f" (and {dropped} not shown)" if dropped else ""
        stream.write(redact(f"{_MARK[notice.level]} {notice.title}: {notice.body}{more}") + "\n")
        stream.flush()
