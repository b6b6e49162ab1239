"""The hook of this plugin."""

from __future__ import annotations

from tallyio.hooks.interfaces import Notifier, Settings
from tallyio.hooks.specs import hookimpl


@hookimpl
def tallyio_notifier(settings: Settings) -> Notifier:
    """Build the notifier."""
    from tallyio_notifier_console.notifier import ConsoleNotifier  # noqa: PLC0415 - listing imports nothing heavy

    return ConsoleNotifier.from_settings(settings)
