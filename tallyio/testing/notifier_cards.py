"""The cards of a notifier.

Layer: testing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, NamedTuple

from tallyio.hooks.contract import Kind
from tallyio.testing.cards import Cards


class Mailbox(NamedTuple):
    """Where a notifier delivers, as a card sees it."""

    settings: Mapping[str, object]
    """The plugin's settings to deliver there."""
    received: Callable[[], list[str]]
    """Returns what arrived so far, as text, one entry a message."""


class NotifierCards(Cards):
    """The cards of a plugin that builds a `Notifier`."""

    kind: ClassVar[Kind] = "notifier"

    def service(self, folder: Path) -> AbstractContextManager[Mailbox]:
        """Open a service that receives; `folder` is empty, for files that settings name.

        `tallyio.testing.services.open_http_service` is one for whatever speaks HTTP.
        """
        raise NotImplementedError

    def refusing(self, folder: Path) -> Mapping[str, object]:
        """Return settings that deliver to a service which fails at once. Capability "service"."""
        raise NotImplementedError

    def hanging(self, folder: Path) -> AbstractContextManager[Mapping[str, object]]:
        """Open a service that never answers; settings with a deadline below a second. Capability "service"."""
        raise NotImplementedError
