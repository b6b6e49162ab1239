"""The hook of this plugin and nothing else; the adapter loads when a configuration asks for it."""

from __future__ import annotations

from tallyio.hooks.interfaces import Settings
from tallyio.hooks.lending import LendingProtocol
from tallyio.hooks.specs import hookimpl


@hookimpl
def tallyio_lending(settings: Settings) -> LendingProtocol:
    """Build the adapter of all markets that `settings` select."""
    from tallyio_protocol_compound_v3.adapter import CompoundV3  # noqa: PLC0415 - only when it is used

    return CompoundV3(settings)
