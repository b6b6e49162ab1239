"""The cards of an EVM chain.

Layer: testing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar, Final

import trio

from tallyio.hooks.contract import Kind
from tallyio.hooks.interfaces import ChainClient
from tallyio.model.chain import BlockEvent, Rollback
from tallyio.model.errors import ChainError, root_of
from tallyio.testing.cards import Cards, card
from tallyio.testing.node import CHAIN_ID, PROVIDER_KEY, FakeBlock, FakeNode, open_node, result, text

BACKFILL: Final = "backfill"
ROLLBACK: Final = "rollback"
_MOST_S: Final = 20.0
_DRIP_S: Final = 0.05

type Feed = AsyncIterator[BlockEvent]
type Scene = Callable[[FakeNode, Feed], Awaitable[None]]


class ChainCards(Cards):
    """The cards of a plugin that builds a `Chain`: against a node on loopback that misbehaves on a script.

    Capabilities: "backfill" reads blocks that were missed; "rollback" follows a reorg.
    """

    kind: ClassVar[Kind] = "chain"

    def settings(self, url: str, chain_id: int) -> Mapping[str, object]:
        """Return settings for the node at `url`, a ws:// address on loopback, that are short of patience.

        Deadlines of half a second and a patience of about a second: the cards wait for them to pass.
        """
        raise NotImplementedError

    # --- the cards -----------------------------------------------------------------------------

    @card()
    def test_b01_blocks_come_in_order_and_whole(self) -> None:
        """`blocks` begins with the head and yields each new block once, with all its logs, in order."""

        async def play(node: FakeNode, feed: Feed) -> None:
            await self._expect(feed, [node.chain.tip])
            for logs in (0, 1, 40):
                await self._expect(feed, [await node.mine(logs=logs)])

        self._play(play)

    @card()
    def test_b02_another_chain_is_refused(self) -> None:
        """A node that answers with another chain id is refused with ChainError, also after a reconnect."""

        async def lie(node: FakeNode) -> None:
            node.chain_id = 1
            async with self._client(node):
                self.fail("the chain with id 1 was accepted", fix="ask eth_chainId before anything else")

        async def play(node: FakeNode, feed: Feed) -> None:
            await self._expect(feed, [node.chain.tip])
            node.chain_id = 1
            await node.hang_up()
            await anext(feed)

        self._expect_error(lambda: self._with_node(lie))
        self._expect_error(lambda: self._play(play))

    @card(needs=BACKFILL)
    def test_b03_a_gap_is_filled(self) -> None:
        """Blocks that were not announced come before the one that was, each on its parent."""

        async def play(node: FakeNode, feed: Feed) -> None:
            await self._expect(feed, [node.chain.tip])
            await self._expect(feed, [*(node.chain.mine() for _ in range(5)), await node.mine()])

        self._play(play)

    @card()
    def test_b04_a_repeated_head_is_dropped(self) -> None:
        """A head that is announced again, now or later, yields nothing."""

        async def play(node: FakeNode, feed: Feed) -> None:
            await self._expect(feed, [node.chain.tip])
            first = await node.mine()
            await node.announce(first)
            second = await node.mine()
            await node.announce(first)
            await self._expect(feed, [first, second, await node.mine()])

        self._play(play)

    @card(needs=ROLLBACK)
    def test_b05_a_reorg_rolls_back_first(self) -> None:
        """A reorg yields one Rollback, newest block first, and then the new branch, whatever its length."""

        async def play(node: FakeNode, feed: Feed) -> None:
            await self._expect(feed, [node.chain.tip])
            for depth in (1, 3):
                old = [await node.mine() for _ in range(4)]
                await self._expect(feed, old)
                new = node.chain.reorg(depth, blocks=depth + 1)
                await node.announce()
                dropped = tuple(block.head.hash for block in reversed(old[-depth:]))
                ancestor = old[-depth - 1].head.hash
                await self._expect(feed, [Rollback(dropped=dropped, ancestor=ancestor), *new])

        self._play(play)

    @card()
    def test_b06_logs_that_were_cut_short_are_not_believed(self) -> None:
        """A log list that does not add up is asked for again; what is published has every log."""

        async def play(node: FakeNode, feed: Feed) -> None:
            await self._expect(feed, [node.chain.tip])
            for kept in (0, 2):
                node.script("eth_getLogs", node.cut(kept))
                await self._expect(feed, [await node.mine(logs=5)])

        self._play(play)

    @card()
    def test_b07_null_is_no_block(self) -> None:
        """A node that answers null, because it does not know yet, is asked again; no block is lost."""

        async def play(node: FakeNode, feed: Feed) -> None:
            await self._expect(feed, [node.chain.tip])
            for method in ("eth_getBlockByHash", "eth_getBlockByNumber", "eth_getLogs"):
                node.script(method, result(None))
                missed = node.chain.mine()
                await self._expect(feed, [missed, await node.mine()])

        self._play(play)

    @card()
    def test_b08_nonsense_costs_no_block(self) -> None:
        """Malformed JSON, wrong types and unknown ids cost a new connection at most, and never a block."""

        async def play(node: FakeNode, feed: Feed) -> None:
            await self._expect(feed, [node.chain.tip])
            for said in (
                '{"jsonrpc": "2.0", "method": "eth_subscr',
                "[" * 100_000,
                '{"id": 12345, "result": 1}',
            ):
                await node.say(said)
                await self._expect(feed, [await self._mined(node)])
            node.script("eth_getLogs", text('{"jsonrpc": "2.0", "id": ID, "result": [{"address": 5}]}'))
            await self._expect(feed, [await node.mine()])

        self._play(play)

    @card()
    def test_b09_a_slow_drip_meets_the_deadline(self) -> None:
        """An answer that comes byte by byte ends in ChainError once the whole call is over its deadline."""

        async def play(node: FakeNode) -> None:
            async with self._client(node) as client:
                await client.head()
                node.drip_s = _DRIP_S
                await client.head()

        self._expect_error(lambda: self._with_node(play))

    @card()
    def test_b10_a_silent_stall_is_noticed(self) -> None:
        """When heads stop coming though the chain goes on, the blocks come all the same."""

        async def play(node: FakeNode, feed: Feed) -> None:
            await self._expect(feed, [node.chain.tip])
            await self._expect(feed, [node.chain.mine(), node.chain.mine()])

        self._play(play)

    @card()
    def test_b11_a_lost_connection_is_opened_again(self) -> None:
        """After a connection broke, the blocks go on where they were."""

        async def play(node: FakeNode, feed: Feed) -> None:
            await self._expect(feed, [node.chain.tip])
            await node.hang_up()
            await self._expect(feed, [node.chain.mine() for _ in range(3)])

        self._play(play)

    @card()
    def test_b12_a_dead_node_is_told_without_its_key(self) -> None:
        """Once patience is over, `blocks` raises ChainError; the message hides what the URL holds."""

        async def play(node: FakeNode, feed: Feed) -> None:
            await self._expect(feed, [node.chain.tip])
            node.dead = True
            await node.hang_up()
            await anext(feed)

        self._expect_error(lambda: self._play(play))

    # --- how they are run ----------------------------------------------------------------------

    def _play(self, scene: Scene) -> None:
        """Run a scene with a node and a client of it."""

        async def play(node: FakeNode) -> None:
            async with self._client(node) as client, _open_feed(client) as feed:
                await scene(node, feed)

        self._with_node(play)

    def _with_node(self, play: Callable[[FakeNode], Awaitable[None]]) -> None:
        async def run() -> None:
            with trio.fail_after(_MOST_S):
                async with open_node() as node:
                    await play(node)

        try:
            self.run(run)
        except* trio.TooSlowError:
            self.fail(f"nothing happened for {_MOST_S:.0f} s", fix="give each wait a deadline of its own")

    @asynccontextmanager
    async def _client(self, node: FakeNode) -> AsyncIterator[ChainClient]:
        settings = self.settings(await node.listen(), CHAIN_ID)
        async with self.host.chain(self.plugin, settings).open() as client:
            yield client

    async def _mined(self, node: FakeNode) -> FakeBlock:
        """Mine until a client that connects anew has subscribed; announce."""
        block = await node.mine()
        while not node.has_subscribers:  # noqa: ASYNC110 - the node tells nobody when one comes
            await trio.sleep(_DRIP_S)
        await node.announce(block)
        return block

    async def _expect(
        self, feed: AsyncIterator[BlockEvent], expected: Sequence[FakeBlock | Rollback]
    ) -> None:
        for wanted in expected:
            event = await anext(feed)
            found = event if isinstance(event, Rollback) else FakeBlock(event.head, event.logs)
            self.require(
                found == wanted,
                f"expected was {_named(wanted)}, it yielded {_named(found)}",
                fix="publish complete blocks only, each on the one before, after a Rollback if need be",
            )

    def _expect_error(self, play: Callable[[], None]) -> None:
        try:
            play()
        except Exception as error:
            found = root_of(error, ChainError)
            if found is None:
                raise
            self.require(
                PROVIDER_KEY not in str(found), f"it says {found}", fix="show the host of a URL and no more"
            )
            return
        self.fail("nothing was raised", fix="raise ChainError: the engine must know that it sees nothing")


@asynccontextmanager
async def _open_feed(client: ChainClient) -> AsyncIterator[Feed]:
    feed = client.blocks()
    try:
        yield feed
    finally:
        if isinstance(feed, AsyncGenerator):
            await feed.aclose()


def _named(event: FakeBlock | Rollback) -> str:
    if isinstance(event, Rollback):
        return f"a rollback of {len(event.dropped)} blocks to 0x{event.ancestor.hex()[:8]}"
    return f"block {event.head.number} (0x{event.head.hash.hex()[:8]}) with {len(event.logs)} logs"
