"""A Comet in the lab's world, with price feeds and borrowers, and what a test does there.

The contract is of ours, `plugins/protocols/compound_v3/tests/contracts/Comet.sol`, after the published
formulas: no package of a registry ships Compound's own.
"""

from __future__ import annotations

from tallyio_protocol_compound_v3.adapter import CompoundV3
from tallyio_protocol_compound_v3.layout import unpack_own, unpack_reserve

from tallyio.engine.books import Books, HeldBook, load_books
from tallyio.lab.artifact import Contract
from tallyio.lab.lending.feeds import Feed, deploy_feed
from tallyio.lab.steps import BLOCK_SECONDS
from tallyio.lab.world import OPERATOR
from tallyio.model.chain import Block
from tallyio.model.erc20 import approve
from tallyio.model.lending import LiquidationTerms, PositionKey
from tallyio.model.units import Address, checksum
from tallyio.testing import RevmChain
from tests.comet_desk import comet_artifact
from tests.engine.practice import Practice

FEED_UNIT = 10**8
WETH, USDC = 10**18, 10**6
PRICES = {"USDC": 1, "WETH": 2_500, "WBTC": 60_000, "LINK": 15}
SCALES = {"USDC": USDC, "WETH": WETH, "WBTC": 10**8, "LINK": 10**18}
ASSETS = ("WETH", "WBTC", "LINK")
CURVE = (8 * 10**17, 10**9, 10**11, 10**8)
TARGET = 5 * 10**6 * USDC
FACTORS = (80 * 10**16, 86 * 10**16, 93 * 10**16)
"""To borrow, to liquidate, and what an absorption pays."""


def adapter_of(comet: Address, **settings: object) -> CompoundV3:
    """Return the adapter of one Comet."""
    return CompoundV3({"venues": [{"name": "c", "factory": checksum(comet), **settings}]})


class CometWorld(Practice):
    """The lab's pools, an executor, and a Comet that lends USDC against three tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = RevmChain(self.lab)
        self.feeds: dict[str, Feed] = {
            symbol: self.backend.run(deploy_feed(price * FEED_UNIT)) for symbol, price in PRICES.items()
        }
        infos = [
            (k, self.token(symbol), self.feeds[symbol].proxy.address, SCALES[symbol], *FACTORS, 2**127)
            for k, symbol in enumerate(ASSETS)
        ]
        made = comet_artifact()
        base = (self.token("USDC"), self.feeds["USDC"].proxy.address, USDC)
        code = made.encode_constructor(*base, TARGET, 6 * 10**17, CURVE, CURVE, infos)
        self.comet = Contract(made, self.backend.deploy(code))
        self.transact(approve(self.token("USDC"), self.comet.address, 2**255))
        self.transact(self.comet.call("supply", self.token("USDC"), 10**6 * USDC))
        self.adapter = adapter_of(self.comet.address)
        self.store = PositionKey(self.comet.address)

    @property
    def soon(self) -> int:
        """The time of the next block."""
        return self.head.timestamp + BLOCK_SECONDS

    def post(self, symbol: str, answer: int) -> Block:
        """Let a feed say something else."""
        return self.chain.block_of(self.feeds[symbol].aggregator.call("post", answer))

    def open(self, trader: Address, symbol: str, collateral: int, debt: int) -> Block:
        """Let a trader deposit collateral and borrow."""
        token = self.token(symbol)
        return self.chain.block_of(
            approve(token, self.comet.address, collateral),
            self.comet.call("supply", token, collateral),
            self.comet.call("withdraw", self.token("USDC"), debt),
            sender=trader,
        )

    async def books(self) -> Books:
        """Return the Comet's book as the engine holds it."""
        return await load_books(self.chain, [("compound_v3", self.adapter)], head=self.chain.latest)

    def terms(
        self, held: HeldBook, key: PositionKey, symbol: str, repay: int = 2**256 - 1
    ) -> LiquidationTerms:
        """Return what a liquidation in the next block takes and gives."""
        number = 1 + ASSETS.index(symbol)
        return held.book.liquidate(key, collateral=number, debt=0, time=self.soon, number=0, repay=repay)

    def calls(self, held: HeldBook, key: PositionKey, symbol: str, terms: LiquidationTerms) -> Block:
        """Let the operator liquidate."""
        calls = self.adapter.liquidate(
            held.book.spec,
            key,
            collateral=1 + ASSETS.index(symbol),
            debt=0,
            repay=terms.repay,
            offer=terms.repay,
            seize=terms.seize,
            recipient=OPERATOR,
            inner=(),
            encode=lambda _: b"",
        )
        return self.chain.block_of(*calls)

    async def check(self, held: HeldBook) -> None:
        """The book is what a fresh load would be."""
        head, book = self.chain.latest, held.book
        rows = await self.adapter.load(self.chain, book.spec, block=head)
        assert unpack_own(book.own()) == unpack_own(rows.own)
        numbers = range(len(book.spec.reserves))
        assert [unpack_reserve(book.reserve(k)) for k in numbers] == list(map(unpack_reserve, rows.reserves))
        keys = [self.store, *map(PositionKey, self.world.traders)]
        loaded = await self.adapter.positions(self.chain, book.spec, keys, block=head)
        assert [book.position(key) for key in keys] == [each if each.balances else None for each in loaded]
