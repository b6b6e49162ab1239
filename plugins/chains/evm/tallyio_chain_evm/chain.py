"""An EVM chain, not yet connected.

Implements `tallyio.hooks.interfaces.Chain`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from tallyio.hooks.interfaces import Settings
from tallyio_chain_evm.client import EvmClient
from tallyio_chain_evm.dial import Dial, open_stream
from tallyio_chain_evm.endpoint import Endpoint
from tallyio_chain_evm.link import open_link
from tallyio_chain_evm.settings import EvmSettings, read_settings


class EvmChain:
    """What the `tallyio_chain` hook of this plugin builds."""

    def __init__(self, settings: EvmSettings, endpoint: Endpoint, *, dial: Dial = open_stream) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._dial = dial

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Read the configuration table. Raises: ConfigError: naming key, rule and way out."""
        return cls(*read_settings(settings))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[EvmClient]:
        """Connect, check the chain id, and serve until the block ends.

        Raises: ChainError: no connection at the first attempt, or another chain.
        """
        async with open_link(self._endpoint, self._settings, dial=self._dial) as link:
            yield EvmClient(link, self._settings)
