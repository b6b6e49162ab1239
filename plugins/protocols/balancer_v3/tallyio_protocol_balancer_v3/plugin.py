"""The hook of this plugin and nothing else; the adapter loads when a configuration asks for it."""

from __future__ import annotations

from tallyio.hooks.interfaces import ExchangeProtocol, Settings
from tallyio.hooks.specs import hookimpl


@hookimpl
def tallyio_protocol(settings: Settings) -> ExchangeProtocol:
    """Build the adapter of the pools that `settings` name."""
    from tallyio_protocol_balancer_v3.adapter import BalancerV3  # noqa: PLC0415 - only when it is used

    return BalancerV3(settings)
