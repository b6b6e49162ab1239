"""Detection over the lab's real V2 and V3 pools, followed block by block."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

import pytest
from tallyio_strategy_arbitrage.strategy import Arbitrage, ArbitrageIndex

from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.hooks.interfaces import ExchangeProtocol
from tallyio.market.abi import FOUND
from tallyio.market.fusion import Fused, fuse
from tallyio.market.market import Head, Market
from tallyio.market.shape import Holding
from tallyio.model.units import checksum
from tallyio.native.memory import Region
from tallyio.testing import RevmChain
from tests.demo_tables import protocol_tables

BLOCKS: Final = 25
CAPACITY: Final = 8
GAS_PRICE_WEI: Final = 10**9
TOLERANCE: Final = 1e-9
"""Of the profit: what a search of nearby inputs may find in addition."""

Protocols = Sequence[tuple[str, ExchangeProtocol]]


class Followed:
    """A lab chain, the market that follows it, and what was found in each block."""

    def __init__(self, chain: RevmChain, protocols: Protocols, held: list[Holding]) -> None:
        tokens = [token.address for token in chain.world.tokens.values() if token.address != chain.world.weth]
        bases = [checksum(token) for token in (chain.world.weth, *tokens)]
        strategy = Arbitrage({"base_tokens": bases, "top_k": CAPACITY})
        self.fused: Fused = fuse(
            [(name, adapter.compiled) for name, adapter in protocols], [("arbitrage", strategy.compiled)]
        )
        self.chain, self.protocols = chain, protocols
        head = chain.latest
        self.market = Market(self.fused, held, Head(head.hash, head.number), native=chain.world.weth)
        self.index: ArbitrageIndex = strategy.index(self.market.shape)
        self.memory = Region(CAPACITY * FOUND.itemsize)

    def step(self) -> Any:
        """Let the traders make a block, follow it, and return what was found."""
        self.market.apply(self.chain.step(seed=7), GAS_PRICE_WEI)
        assert self.market.waiting == ()
        self.fused.load("tallyio.market.prices").refresh_prices(self.market.state)
        found = self.memory.view(FOUND, CAPACITY)
        detect = self.fused.function("detect")
        count = detect(0, self.market.address, self.index.address, self.memory.address, CAPACITY)
        self.market.settle()
        return found[:count].copy()

    def chain_of(self, record: Any, amount: int) -> list[int]:
        """Return the amounts of the record's cycle for another input."""
        amounts = [amount]
        for pool, i, j in zip(record["pool"], record["token_in"], record["token_out"], strict=True):
            if len(amounts) <= int(record["leg_count"]):
                amounts.append(self.market.quote(int(pool), int(i), int(j), amounts[-1]))
        return amounts

    async def reloaded(self) -> Market:
        """Return a market with rows loaded afresh from the chain."""
        return Market(
            self.fused, await hold(self.chain, self.protocols), self.market.head, native=self.chain.world.weth
        )


async def hold(chain: RevmChain, protocols: Protocols) -> list[Holding]:
    held = []
    for name, adapter in protocols:
        pools = await adapter.discover(chain, block=chain.latest)
        rows = await adapter.load(chain, pools, block=chain.latest)
        held.append(
            Holding(
                protocol=name,
                compiled=adapter.compiled,
                topics=adapter.topics,
                pools=tuple(pools),
                rows=tuple(rows),
            )
        )
    return held


@pytest.fixture
async def followed() -> Followed:
    chain = RevmChain()
    host = PluginHost(Catalog.scan())
    protocols = [(name, host.protocol(name, table)) for name, table in protocol_tables(chain.world).items()]
    return Followed(chain, protocols, await hold(chain, protocols))


async def test_the_lab_is_followed_and_its_opportunities_are_exact(followed: Followed) -> None:
    found = 0
    for _ in range(BLOCKS):
        for record in followed.step():
            check(followed, record)
            found += 1
    assert found > BLOCKS
    await compare_with_fresh_rows(followed)


def check(followed: Followed, record: Any) -> None:
    """Requote the record, and look for a better input around it."""
    raw = record["amounts"].tobytes()
    amounts = [int.from_bytes(raw[k : k + 32], "little") for k in range(0, len(raw), 32)]
    amounts = amounts[: int(record["leg_count"]) + 1]
    assert followed.chain_of(record, amounts[0]) == amounts
    profit = amounts[-1] - amounts[0]
    assert profit > 0
    # In units of the start token: what one gas costs, and one unit of the coarsest amount on the way.
    unspent = GAS_PRICE_WEI / followed.market.prices.native_per_unit[int(record["token"])]
    unit = int(unspent) + max(amounts[-1] // amount for amount in amounts) + 1
    for step in range(2, 40):
        for sign in (1, -1):
            near = followed.chain_of(record, amounts[0] + sign * (amounts[0] >> step))
            assert near[-1] - near[0] <= profit + unit + profit * TOLERANCE


async def compare_with_fresh_rows(followed: Followed) -> None:
    """Rows that followed every log quote as rows read from the chain do."""
    draw = random.Random(3)
    with await followed.reloaded() as fresh:
        for pool in range(len(fresh.shape.pools)):
            for i in (0, 1) * 20:
                amount = draw.getrandbits(draw.randrange(10, 72))
                assert followed.market.quote(pool, i, 1 - i, amount) == fresh.quote(pool, i, 1 - i, amount)
