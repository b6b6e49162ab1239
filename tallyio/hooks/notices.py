"""What every notifier needs: a least level, no repeats, a bounded rate, no secrets.

Layer: hooks. For notifier plugins.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from typing import Final, Literal, get_args

import trio

from tallyio.hooks.interfaces import Notice

Level = Literal["info", "warning", "error"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
"""From the least urgent on."""

_SECRETS: Final = (
    # A credential inside a URL, a long path or query value after a host, a bare private key or token.
    (re.compile(r"(?P<scheme>\w+://)[^/\s@]+@"), r"\g<scheme>***@"),
    (re.compile(r"(?P<host>\w+://[^/\s?#]+)[/?#][^\s]+"), r"\g<host>/***"),
    (
        re.compile(
            r"(?i)(?P<name>pass(?:word)?|secret|token|api[_-]?key|private[_-]?key)(?P<is>\s*[=:]\s*)\S+"
        ),
        r"\g<name>\g<is>***",
    ),
)


def redact(text: str) -> str:
    """Return `text` without what looks like a credential. URLs keep their host only."""
    for pattern, kept in _SECRETS:
        text = pattern.sub(kept, text)
    return text


class Gatekeeper:
    """Decides which notices pass: each key once per `repeat_s`, and at most `most` per `window_s`.

    Times are Trio's clock. What it drops is counted; the next notice that passes says how many.
    Nobody wants those below `level`: they neither pass nor count.
    """

    def __init__(
        self,
        *,
        repeat_s: float,
        most: int,
        level: Level = "info",
        window_s: float = 60.0,
        keys: int = 1_024,
    ) -> None:
        self._silent = frozenset(LEVELS[: LEVELS.index(level)])
        self._repeat_s = repeat_s
        self._most = most
        self._window_s = window_s
        self._keys = keys
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._passed: deque[float] = deque()
        self.dropped = 0

    def admit(self, notice: Notice) -> bool:
        """Return whether `notice` passes now."""
        if notice.level in self._silent:
            return False
        now = trio.current_time()
        while self._passed and self._passed[0] <= now - self._window_s:
            self._passed.popleft()
        last = self._seen.get(notice.key)
        repeated = last is not None and now - last < self._repeat_s
        if repeated or len(self._passed) >= self._most:
            self.dropped += 1
            return False
        self._seen[notice.key] = now
        self._seen.move_to_end(notice.key)
        while len(self._seen) > self._keys:
            self._seen.popitem(last=False)
        self._passed.append(now)
        return True

    def take_dropped(self) -> int:
        """Return how many were dropped since the last call."""
        dropped, self.dropped = self.dropped, 0
        return dropped
