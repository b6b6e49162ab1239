"""The entry point: hook implementations and nothing else."""

from __future__ import annotations

from tallyio.hooks.interfaces import Chain, Settings
from tallyio.hooks.specs import hookimpl


@hookimpl
def tallyio_chain(settings: Settings) -> Chain:
    """Build an EVM chain from its table of the configuration."""
    from tallyio_chain_evm.chain import EvmChain  # noqa: PLC0415 - loaded only when configured

    return EvmChain.from_settings(settings)
