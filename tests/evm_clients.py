"""Clients of the scripted node for the tests of the chain plugin: by streams in memory, on a virtual clock.

The node's side is trio-websocket, which the plugin does not use, so the two check each other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from tallyio_chain_evm.chain import EvmChain
from tallyio_chain_evm.client import EvmClient
from tallyio_chain_evm.endpoint import Endpoint
from tallyio_chain_evm.errors import ConnectionLost
from tallyio_chain_evm.settings import read_settings

from tallyio.model.chain import BlockEvent, Rollback
from tallyio.testing.node import CHAIN_ID, PROVIDER_KEY, FakeBlock, FakeNode, open_node

URL = f"ws://127.0.0.1:8545/v3/{PROVIDER_KEY}"
STANDSTILL_S = 1_000
"""Of virtual time, or of patience."""


def chain_of(node: FakeNode, **settings: object) -> EvmChain:
    """Return a chain whose endpoint is `node`."""

    async def dial(endpoint: Endpoint) -> trio.abc.Stream:
        try:
            return await node.connect()
        except ConnectionRefusedError as error:
            raise ConnectionLost(f"{endpoint} does not accept connections ({error})") from None

    parsed, endpoint = read_settings({"url": URL, "chain_id": CHAIN_ID, **settings})
    return EvmChain(parsed, endpoint, dial=dial)


async def take(feed: AsyncIterator[BlockEvent], count: int) -> list[BlockEvent]:
    """Return the next `count` events; a feed that stands still raises trio.TooSlowError."""
    with trio.fail_after(STANDSTILL_S):
        return [await anext(feed) for _ in range(count)]


def seen(event: BlockEvent) -> FakeBlock | Rollback:
    """Return what of an event does not depend on time."""
    return event if isinstance(event, Rollback) else FakeBlock(event.head, event.logs)


@asynccontextmanager
async def open_fake(**settings: object) -> AsyncIterator[tuple[FakeNode, EvmClient]]:
    """Run a node and a client of it."""
    async with open_node() as node, chain_of(node, **settings).open() as client:
        yield node, client
