"""The hook of this plugin."""

from __future__ import annotations

from tallyio.hooks.interfaces import Settings, Signer
from tallyio.hooks.specs import hookimpl


@hookimpl
def tallyio_signer(settings: Settings) -> Signer:
    """Build the signer; its process starts when it is opened."""
    from tallyio_signer_local_key.signer import LocalKey  # noqa: PLC0415 - listing imports nothing heavy

    return LocalKey.from_settings(settings)
