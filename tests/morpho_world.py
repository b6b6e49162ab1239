"""Morpho markets of every kind in the lab's world, and a book of theirs that follows its blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from tallyio_protocol_morpho_blue.adapter import MorphoBlue
from tallyio_protocol_morpho_blue.layout import unpack_row

from tallyio.lab.artifact import Contract
from tallyio.lab.lending.feeds import Feed, deploy_feed
from tallyio.lab.lending.morpho import (
    Morpho,
    MorphoMarket,
    create_market,
    deploy_feed_oracle,
    deploy_morpho,
    deploy_set_oracle,
    lend,
)
from tallyio.lab.world import OPERATOR
from tallyio.lending.book import Book
from tallyio.lending.fusion import FusedLending
from tallyio.model.chain import Block
from tallyio.model.erc20 import approve
from tallyio.model.lending import BookSpec, Position, PositionKey
from tallyio.model.units import ZERO_ADDRESS, Address, checksum, hex_text
from tallyio.testing import RevmChain
from tests.morpho_desk import probe_artifacts

LLTV: Final = 86 * 10**16
LLTVS: Final = (LLTV, 77 * 10**16)
WETH, USDC = 10**18, 10**6
PRICE_SCALE: Final = 10**36
FEED_UNIT: Final = 10**8
ETH_PRICE: Final = 2_500 * PRICE_SCALE * USDC // WETH
FEED_SCALE: Final = PRICE_SCALE * USDC // WETH
"""The price of WETH in USDC is this, times the answer for WETH, over that for USDC."""


def adapter_of(morpho: Address, **settings: object) -> MorphoBlue:
    """Return the adapter of one contract."""
    return MorphoBlue({"venues": [{"name": "m", "factory": checksum(morpho), **settings}]})


class World(RevmChain):
    """Markets of every kind, with lenders; prices and positions are the test's."""

    def __init__(self) -> None:
        super().__init__()
        run = self.backend.run
        self.weth, self.usdc = (self.world.tokens[symbol].address for symbol in ("WETH", "USDC"))
        self.morpho: Morpho = run(deploy_morpho(LLTVS))
        self.contract = self.morpho.contract
        self.eth: Feed = run(deploy_feed(2_500 * FEED_UNIT))
        self.usd: Feed = run(deploy_feed(FEED_UNIT))
        feeds = (self.eth.proxy.address, ZERO_ADDRESS, self.usd.proxy.address, ZERO_ADDRESS)
        self.oracle: Contract = run(deploy_feed_oracle(feeds, FEED_SCALE))
        self.set_oracle: Contract = run(deploy_set_oracle(ETH_PRICE))
        made = probe_artifacts()["FixedRate"]
        self.fixed = Contract(made, self.backend.deploy(made.encode_constructor()))
        self.block_of(self.contract.call("enableIrm", self.fixed.address))
        self.block_of(self.fixed.call("set", 10**9))
        rate = self.morpho.rate.address
        self.followed = [self.market(self.oracle, rate, lltv) for lltv in LLTVS]
        self.others = [
            self.market(self.set_oracle, rate, LLTV),
            self.market(self.oracle, ZERO_ADDRESS, LLTV),
            self.market(self.oracle, self.fixed.address, LLTV),
        ]

    def allow_all(self) -> Iterator[Block]:
        """Let every trader allow Morpho to take what he has, block after block."""
        for trader in self.world.traders:
            tokens = (self.weth, self.usdc)
            calls = [approve(token, self.contract.address, 2**255) for token in tokens]
            yield self.block_of(*calls, sender=trader)

    def market(self, oracle: Contract, irm: Address, lltv: int) -> MorphoMarket:
        """Create a market of WETH as collateral for USDC, with a million to borrow."""
        market = MorphoMarket(self.usdc, self.weth, oracle.address, irm, lltv)
        self.backend.run(create_market(self.morpho, market))
        self.backend.run(lend(self.morpho, market, OPERATOR, 10**6 * USDC))
        return market

    def adapter(self, *markets: MorphoMarket, **settings: object) -> MorphoBlue:
        """Return the adapter of these markets, or of all."""
        return adapter_of(
            self.contract.address, markets=[hex_text(market.id) for market in markets], **settings
        )

    def post(self, feed: Feed, answer: int) -> Block:
        """Let a feed say something else."""
        return self.block_of(feed.aggregator.call("post", answer))


class Followed(NamedTuple):
    """A book that follows a world's blocks."""

    world: World
    adapter: MorphoBlue
    spec: BookSpec
    book: Book

    async def follow(self, block: Block) -> bool:
        """Take a block; return whether anything had to be read again."""
        edit = self.book.change(block.head)
        topics = self.adapter.topics
        sources = {source.address for source in self.spec.log_sources}
        for log in block.logs:
            if log.address in sources and log.topics[0] in topics:
                self.adapter.follow(edit, self.spec, topics.index(log.topics[0]), log)
        wanted = edit.wanted
        assert not wanted.rebuild
        if wanted.rows or self.adapter.polls(self.spec):
            self.book.take_rows(await self.adapter.load(self.world, self.spec, block=block.head))
        keys = sorted(wanted.positions)
        self.book.take_positions(await self.adapter.positions(self.world, self.spec, keys, block=block.head))
        return wanted.rows

    async def check(self) -> None:
        """The book is what a fresh load would be."""
        head = self.world.latest
        fresh = await self.adapter.load(self.world, self.spec, block=head)
        numbers = range(len(self.spec.reserves))
        assert [unpack_row(self.book.reserve(k)) for k in numbers] == list(map(unpack_row, fresh.reserves))
        assert tuple(self.book.reserve(k) for k in numbers) == fresh.reserves
        keys = [PositionKey(trader, part) for trader in self.world.world.traders for part in numbers]
        held = [self.book.position(key) for key in keys]
        loaded = await self.adapter.positions(self.world, self.spec, keys, block=head)
        # Without a debt nobody looks at a position, so a fresh load may have more.
        assert [each for each in loaded if _owes(each)] == [each for each in held if each and _owes(each)]
        assert all(each == there for each, there in zip(held, loaded, strict=True) if each)


def _owes(position: Position) -> bool:
    return any(balance.debt for balance in position.balances)


async def open_book(world: World, adapter: MorphoBlue, fused: FusedLending) -> Followed:
    """Return the book of an adapter's only venue, loaded."""
    head = world.latest
    (spec,) = await adapter.discover(world, block=head)
    rows = await adapter.load(world, spec, block=head)
    book = Book(fused, 0, spec, rows, adapter.compiled, head.hash)
    keys = sorted(await adapter.accounts(world, spec, block=head))
    book.fill(await adapter.positions(world, spec, keys, block=head))
    return Followed(world, adapter, spec, book)
