"""The hook of this plugin and nothing else; the adapter loads when a configuration asks for it."""

from __future__ import annotations

from tallyio.hooks.interfaces import ExchangeProtocol, Settings
from tallyio.hooks.specs import hookimpl


@hookimpl
def tallyio_protocol(settings: Settings) -> ExchangeProtocol:
    """Build the adapter of all pools that `settings` select."""
    from tallyio_protocol_curve_crypto.adapter import CurveCrypto  # noqa: PLC0415 - only when it is used

    return CurveCrypto(settings)
