"""The hook of this plugin and nothing else; the adapter loads when a configuration asks for it."""

from __future__ import annotations

from tallyio.hooks.interfaces import ExchangeProtocol, Settings
from tallyio.hooks.specs import hookimpl


@hookimpl
def tallyio_protocol(settings: Settings) -> ExchangeProtocol:
    """Build the adapter of the pools that `settings` name."""
    from tallyio_protocol_virtual_reserves.adapter import VirtualReserves  # noqa: PLC0415 - only when used

    return VirtualReserves(settings)
