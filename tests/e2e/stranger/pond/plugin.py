"""The hook."""

from __future__ import annotations

from tallyio.hooks.interfaces import ExchangeProtocol, Settings
from tallyio.hooks.specs import hookimpl


@hookimpl
def tallyio_protocol(settings: Settings) -> ExchangeProtocol:
    """Build the adapter of one factory's ponds."""
    from .adapter import Ponds  # noqa: PLC0415 - only when it is used

    return Ponds(settings)
