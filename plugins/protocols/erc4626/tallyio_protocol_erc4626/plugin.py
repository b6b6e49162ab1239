"""The hook of this plugin and nothing else; the adapter loads when a configuration asks for it."""

from __future__ import annotations

from tallyio.hooks.interfaces import ExchangeProtocol, Settings
from tallyio.hooks.specs import hookimpl


@hookimpl
def tallyio_protocol(settings: Settings) -> ExchangeProtocol:
    """Build the adapter of the vaults that `settings` name."""
    from tallyio_protocol_erc4626.adapter import Erc4626  # noqa: PLC0415 - only when it is used

    return Erc4626(settings)
