"""Notices through Apprise: chat services, mail, push, each a URL in its own scheme.

Apprise blocks, so each delivery runs in a worker thread with a deadline. Its URLs are secrets: they
are read from a file, and never printed.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Self

import msgspec
import trio

from tallyio.hooks.interfaces import Notice, Settings
from tallyio.hooks.notices import Gatekeeper, Level, redact
from tallyio.hooks.settings import parse_settings
from tallyio.model.errors import ConfigError, MissingExtraError

_log = logging.getLogger("tallyio.notifier.apprise")
_KIND = {"info": "info", "warning": "warning", "error": "failure"}

Deliver = Callable[[Notice, str], bool]


class AppriseSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[notifiers.NAME]`."""

    urls_file: str
    """File with one Apprise URL per line, mode 0600."""
    level: Level = "warning"
    repeat_s: float = 300.0
    """The same fact is sent once in this time."""
    most_per_minute: int = 10
    deadline_s: Annotated[float, msgspec.Meta(gt=0, le=3_600)] = 10.0
    """After this a delivery is given up; its thread ends by itself."""


class AppriseNotifier:
    """Sends notices; a service that fails or hangs never reaches the engine."""

    def __init__(self, settings: AppriseSettings, deliver: Deliver) -> None:
        self._gate = Gatekeeper(
            level=settings.level, repeat_s=settings.repeat_s, most=settings.most_per_minute
        )
        self._deadline_s = settings.deadline_s
        self._deliver = deliver
        self._one_at_a_time = trio.CapacityLimiter(1)
        self.failed = 0

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Parse the plugin's table and load the URLs. Raises: ConfigError, MissingExtraError."""
        parsed = parse_settings(AppriseSettings, settings, where="notifiers")
        return cls(parsed, _deliverer(_read_urls(Path(parsed.urls_file))))

    async def notify(self, notice: Notice) -> None:
        """Send `notice` if the gatekeeper lets it pass; count what fails."""
        if not self._gate.admit(notice):
            return
        dropped = self._gate.take_dropped()
        body = redact(notice.body) + (f"\n({dropped} more were not sent)" if dropped else "")
        delivered = False
        with trio.move_on_after(self._deadline_s):
            work = partial(self._try, notice, body)
            delivered = await trio.to_thread.run_sync(
                work, abandon_on_cancel=True, limiter=self._one_at_a_time
            )
        if not delivered:
            self.failed += 1
            _log.warning("a notice was not delivered: %s", redact(notice.title))

    def _try(self, notice: Notice, body: str) -> bool:
        try:
            return self._deliver(notice, body)
        except Exception as error:  # noqa: BLE001 - a service may raise anything; it must not reach the engine
            _log.warning("a notification service failed: %s", type(error).__name__)
            return False


def _read_urls(path: Path) -> list[str]:
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(f"[notifiers.urls_file] {path} is open to others", way_out=f"chmod 600 {path}")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"[notifiers.urls_file] {path} cannot be read: {error}") from None
    urls = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not urls:
        raise ConfigError(f"[notifiers.urls_file] {path} holds no URL", way_out="write one per line")
    return urls


def _deliverer(urls: list[str]) -> Deliver:
    try:
        import apprise  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtraError("notify", "the apprise notifier") from None
    service = apprise.Apprise()
    for line, url in enumerate(urls, 1):
        if not service.add(url):
            raise ConfigError(f"[notifiers.urls_file] URL {line} is none that Apprise knows")

    def deliver(notice: Notice, body: str) -> bool:
        title = redact(notice.title)
        # Apprise sends nothing that has no body.
        return bool(
            service.notify(title=f"TallyIO: {title}", body=body or title, notify_type=_KIND[notice.level])
        )

    return deliver
