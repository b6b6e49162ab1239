"""Venus in the lab with a few tokens and users, and a book that follows it."""

from __future__ import annotations

import functools
from typing import Final

import msgspec
from tallyio_protocol_venus.adapter import Venus
from tallyio_protocol_venus.layout import unpack_market
from tallyio_protocol_venus.state import MANTISSA

from tallyio.lab import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.lending.venus import EMode, Listing, VenusWorld, deploy_venus, set_price
from tallyio.lab.world import DEPLOYER, OPERATOR
from tallyio.lending.book import Book
from tallyio.lending.fusion import FusedLending, fuse_lending
from tallyio.lending.undo import Wanted
from tallyio.model.chain import Block
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, LiquidationTerms, PositionKey
from tallyio.model.units import Address, checksum, hex_text
from tallyio.testing.revm_chain import RevmChain

SYMBOLS: Final = ("DAI", "WBTC", "USDC", "LINK")
DOLLARS: Final = {"DAI": 1, "WBTC": 60_000, "USDC": 1, "LINK": 15}
MODELS: Final = ("JumpRateModel", "TwoKinksInterestRateModel", "WhitePaperInterestRateModel", "JumpRateModel")
DAI, WBTC, USDC, LINK, NATIVE, VAI = range(6)


class Scene:
    """Venus in the lab, an adapter, and the book it follows."""

    def __init__(self, fused: FusedLending) -> None:
        """Deploy the protocol on the lab's tokens, and give everybody some."""
        self.chain = RevmChain()
        tokens = self.chain.world.tokens
        self.tokens = [Contract(artifact("Token"), tokens[symbol].address) for symbol in SYMBOLS]
        listings = [
            Listing(
                symbol=symbol,
                token=tokens[symbol].address,
                decimals=tokens[symbol].decimals,
                price=DOLLARS[symbol] * 10 ** (36 - tokens[symbol].decimals),
                model=model,
            )
            for symbol, model in zip(SYMBOLS, MODELS, strict=True)
        ]
        listings.append(Listing(symbol="BNB", token=None, price=MANTISSA))
        groups = (EMode(label="dollars", symbols=("DAI", "USDC")),)
        self.venus: VenusWorld = self.chain.backend.run(deploy_venus(listings, groups))
        self.vtokens = [market.vtoken for market in self.venus.markets]
        self.users = self.chain.world.traders
        self._endow()
        venue = {"name": "lab", "comptroller": checksum(self.venus.comptroller)}
        self.adapter = Venus({"venues": [venue]})
        self.fused = fused
        self.spec: BookSpec
        self.book: Book
        self.quiet = 0
        """Blocks whose events were followed without reading rows again."""

    def _endow(self) -> None:
        for token, vtoken in zip(self.tokens, self.vtokens, strict=False):
            for user in (*self.users, OPERATOR):
                self.do(token.call("mint", hex_text(user), 10**27))
                self.do(token.call("approve", hex_text(vtoken.address), 2**256 - 1), user)
            self.do(vtoken.call("mint", 10 ** self._decimals(token)))
            self.do(vtoken.call("mint", 100_000 * 10 ** self._decimals(token)))
        for user in self.users:
            self.do(
                self.venus.vai.call("approve", hex_text(self.venus.vai_controller.address), 2**256 - 1), user
            )

    def _decimals(self, token: Contract) -> int:
        return int(self.chain.backend.read(token, "decimals")[0])

    def do(self, call: Call, sender: Address = OPERATOR) -> Block:
        """Let `sender` make a call in a block of its own."""
        return self.chain.block_of(call, sender=sender)

    def govern(self, contract: Contract, name: str, *args: object) -> None:
        """Let the deployer change something, and follow it."""
        self.do(contract.call(name, *args), DEPLOYER)

    async def open(self) -> None:
        """Discover and load the book."""
        latest = self.chain.latest
        (self.spec,) = await self.adapter.discover(self.chain, block=latest)
        rows = await self.adapter.load(self.chain, self.spec, block=latest)
        self.book = Book(self.fused, 0, self.spec, rows, self.adapter.compiled, latest.hash)
        keys = list(await self.adapter.accounts(self.chain, self.spec, block=latest))
        self.book.fill(await self.adapter.positions(self.chain, self.spec, keys, block=latest))

    def describe(self, number: int, *, without: tuple[str, ...]) -> None:
        """Let a reserve's description lack some parameters."""
        spec = self.spec.reserves[number]
        facts = tuple((name, value) for name, value in spec.parameters if name not in without)
        assert len(facts) < len(spec.parameters)
        reserves = list(self.spec.reserves)
        reserves[number] = msgspec.structs.replace(spec, parameters=facts)
        self.spec = msgspec.structs.replace(self.spec, reserves=tuple(reserves))

    async def follow(self, block: Block) -> Wanted:
        """Follow one block, which is the latest, and read what the adapter asks for."""
        edit = self.book.change(block.head)
        sources = {source.address for source in self.spec.log_sources}
        for log in block.logs:
            if log.address in sources and log.topics[0] in self.adapter.topics:
                self.adapter.follow(edit, self.spec, self.adapter.topics.index(log.topics[0]), log)
        answers = await self.chain.call(self.adapter.questions(self.spec), block=block.head.hash)
        self.adapter.answered(edit, self.spec, answers)
        if edit.wanted.rows:
            self.book.take_rows(await self.adapter.load(self.chain, self.spec, block=block.head))
        else:
            self.quiet += 1
        keys = sorted(edit.wanted.positions)
        self.book.take_positions(await self.adapter.positions(self.chain, self.spec, keys, block=block.head))
        return edit.wanted

    async def compare(self) -> None:
        """Fail unless the book is what a fresh read of the chain says."""
        latest = self.chain.latest
        rows = await self.adapter.load(self.chain, self.spec, block=latest)
        assert self.book.own() == rows.own
        for number, row in enumerate(rows.reserves):
            mine, fresh = (unpack_market(each, 2) for each in (self.book.reserve(number), row))
            if number == VAI:
                # What accrues without an event grows by the same amount each block.
                since = fresh.accrued_at - mine.accrued_at
                assert mine.index + since * mine.rate == fresh.index
                continue
            assert mine == fresh, number
        keys = [PositionKey(user) for user in self.users]
        for position in await self.adapter.positions(self.chain, self.spec, keys, block=latest):
            owes = any(each.debt for each in position.balances)
            mine_too = self.book.position(position.key)
            assert mine_too == position or (mine_too is None and not owes)

    def next_block(self) -> dict[str, int]:
        """Return time and number of the next block."""
        return {"time": self.chain.latest.timestamp + 12, "number": self.chain.latest.number + 1}

    def liquidate(self, user: Address, collateral: int, debt: int, repay: int) -> LiquidationTerms:
        """Return what the book says of a liquidation in the next block."""
        return self.book.liquidate(
            PositionKey(user), collateral=collateral, debt=debt, repay=repay, **self.next_block()
        )

    def calls(self, user: Address, collateral: int, debt: int, amounts: tuple[int, int]) -> tuple[Call, ...]:
        """Return the adapter's calls."""
        return self.adapter.liquidate(
            self.spec,
            PositionKey(user),
            collateral=collateral,
            debt=debt,
            repay=amounts[0],
            offer=amounts[0],
            seize=amounts[1],
            recipient=OPERATOR,
            inner=(),
            encode=lambda _calls: b"",
        )

    def balance(self, number: int) -> int:
        """Return the operator's balance of a reserve's token."""
        token = self.venus.vai if number == VAI else self.tokens[number]
        return int(self.chain.backend.read(token, "balanceOf", hex_text(OPERATOR))[0])


@functools.cache
def _fused() -> FusedLending:
    return fuse_lending([("venus", Venus({"venues": [{"name": "any", "preset": "core"}]}).compiled)])


def fresh_scene() -> Scene:
    """Return a fresh scene; the plugin is fused once, and again when others took its place."""
    if not _fused().is_current():
        _fused.cache_clear()
    return Scene(_fused())


def indebted(scene: Scene, user: int, *, collateral: int = LINK, debt: int = DAI) -> Address:
    """Let a user supply LINK for 1,500 dollars and borrow 1,100 dollars."""
    account, at = scene.users[user], hex_text(scene.vtokens[collateral].address)
    scene.do(scene.vtokens[collateral].call("mint", 100 * 10**18), account)
    scene.do(scene.venus.market_facet.call("enterMarkets", [at]), account)
    scene.do(scene.vtokens[debt].call("borrow", 1_100 * 10 ** (6 if debt == USDC else 18)), account)
    return account


def reprice(scene: Scene, number: int, dollars: float) -> None:
    """Let the oracle say another price."""
    market = scene.venus.markets[number]
    price = int(dollars * 10**9) * 10 ** (27 - market.listing.decimals)
    scene.chain.backend.run(set_price(scene.venus, market, price))
