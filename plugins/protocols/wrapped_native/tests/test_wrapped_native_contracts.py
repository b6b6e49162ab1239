"""Quotes, discovery and calls against WETH9's own bytecode, and a cycle through the real executor."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from math import isqrt, log

import pytest
from msgspec.structs import replace
from tallyio_protocol_uniswap_v2 import hot as v2_hot
from tallyio_protocol_uniswap_v2.adapter import UniswapV2
from tallyio_protocol_uniswap_v4 import hot as v4_hot
from tallyio_protocol_wrapped_native import hot, reference
from tallyio_protocol_wrapped_native.adapter import WrappedNative, unwrap, wrap
from tallyio_protocol_wrapped_native.layout import MOST

from tallyio.engine.executor import deployment
from tallyio.engine.markets import load_market
from tallyio.engine.planner import plan
from tallyio.hooks.interfaces import ExchangeProtocol
from tallyio.lab.recipe import sqrt_price_x96, units
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.model.erc20 import balance_of, transfer
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call, Leg, Opportunity
from tallyio.model.market import PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address, checksum, hex_text
from tallyio.native.memory import Region
from tallyio.testing import RevmChain
from tests.demo_tables import protocol_tables
from tests.v4_desk import Key
from tests.v4_world import V4World, adapter_of

CASES = 10_000
RICH = 2**97


@pytest.fixture(scope="module")
def chain() -> RevmChain:
    made = RevmChain()
    made.backend.fund(OPERATOR, RICH)
    return made


def adapter_for(chain: RevmChain, token: Address | None = None) -> WrappedNative:
    return WrappedNative({"token": checksum(token or chain.world.weth)})


def held(chain: RevmChain, token: Address, account: Address = OPERATOR) -> int:
    """Return what an account has of a token, or of native currency."""
    if token == ZERO_ADDRESS:
        return int(chain.backend.evm.get_balance(hex_text(account)))
    return int.from_bytes(chain.backend.call(balance_of(token, account)))


def draw_amount(draw: random.Random, most: int) -> int:
    """Return an amount of any length, or near what is held or what is quoted at most."""
    if draw.random() < 0.2:
        return max(0, draw.choice((0, most, MOST)) + draw.randrange(-2, 3))
    return draw.getrandbits(draw.randrange(1, 99))


def test_ten_thousand_amounts_each_way_equal_the_bytecode(chain: RevmChain) -> None:
    """What is quoted is paid and taken to the wei; what one does not have, WETH refuses."""
    weth, draw, seen = chain.world.weth, random.Random(31), Counter[str]()
    with chain.backend.undone():
        for _ in range(CASES):
            i = draw.randrange(2)
            sold, bought = (ZERO_ADDRESS, weth) if i == 0 else (weth, ZERO_ADDRESS)
            before = held(chain, sold), held(chain, bought)
            amount = draw_amount(draw, before[0])
            call = (wrap, unwrap)[i](weth, amount)
            try:
                chain.backend.evm.message_call(
                    hex_text(OPERATOR), hex_text(weth), calldata=call.data, value=call.value_wei
                )
            except RuntimeError:
                assert amount > before[0]
                seen["reverted"] += 1
                continue
            taken, paid = before[0] - held(chain, sold), held(chain, bought) - before[1]
            assert taken == paid == amount
            if amount <= MOST:
                assert reference.quote(amount) == hot.quote(0, i, 1 - i, amount) == paid
                assert reference.quote_exact_out(amount) == hot.quote_exact_out(0, i, 1 - i, paid) == taken
            seen["paid" if amount <= MOST else "beyond a call of the executor"] += 1
    print(f"\nwrapping and unwrapping on WETH9's bytecode: {dict(seen)}")  # noqa: T201 - shown with -s
    assert seen["paid"] > CASES // 2
    assert seen["reverted"] > CASES // 100
    assert seen["beyond a call of the executor"] > CASES // 1000


async def test_the_pool_is_native_currency_and_the_token(chain: RevmChain) -> None:
    (pool,) = await adapter_for(chain).discover(chain, block=chain.latest)
    assert pool.tokens == (ZERO_ADDRESS, chain.world.weth)
    assert (pool.address, pool.fee_pips, pool.can_flash) == (chain.world.weth, 0, False)


@pytest.mark.parametrize("which", ["a token that wraps nothing", "no contract"])
async def test_what_does_not_wrap_is_refused(chain: RevmChain, which: str) -> None:
    usdc = chain.world.tokens["USDC"].address
    token = usdc if which == "a token that wraps nothing" else OPERATOR
    with pytest.raises(ChainError, match="does not wrap native currency"):
        await adapter_for(chain, token).discover(chain, block=chain.latest)


async def test_only_equal_amounts_that_a_call_can_carry_are_traded(chain: RevmChain) -> None:
    adapter = adapter_for(chain)
    (pool,) = await adapter.discover(chain, block=chain.latest)
    for amounts, inner, message in (
        ((5, 6), (), "does not turn 5 into 6"),
        ((MOST + 1, MOST + 1), (), "does not turn"),
        ((5, 5), (unwrap(pool.address, 1),), "cannot flash"),
    ):
        with pytest.raises(ValueError, match=message):
            adapter.swap(
                pool,
                token_in=0,
                token_out=1,
                amount_in=amounts[0],
                amount_out=amounts[1],
                recipient=OPERATOR,
                inner=inner,
                encode=lambda _: b"",
            )


# --- in a market -----------------------------------------------------------------------------


async def test_native_currency_is_worth_what_the_token_is(chain: RevmChain) -> None:
    """The edge prices the zero address, so that what V4 pools trade for it has a price too."""
    protocols: list[tuple[str, ExchangeProtocol]] = [
        ("uniswap_v2", UniswapV2(protocol_tables(chain.world)["uniswap_v2"])),
        ("wrapped_native", adapter_for(chain)),
    ]
    head, weth = chain.latest, chain.world.weth
    market, _ = await load_market(chain, protocols, head=head, native=weth)
    with market:
        market.refresh_prices()
        prices = dict(zip(market.shape.tokens, market.prices.native_per_unit, strict=True))
        assert prices[ZERO_ADDRESS] == prices[weth] == 1.0
        number = market.shape.pool_ids[weth, b""]
        assert market.quote(number, 0, 1, 10**18) == market.quote_exact_out(number, 1, 0, 10**18) == 10**18


# --- through the executor --------------------------------------------------------------------


class Cycle:
    """A V2 pair of WETH and USDC, a V4 pool of native currency and USDC at another price, and the edge."""

    def __init__(self, *, mille: int) -> None:
        """Open the V4 pool where native currency costs `mille` thousandths of the reference."""
        world = self.world = V4World()
        self.weth, self.usdc = world.world.weth, world.world.tokens["USDC"].address
        self.key = Key(ZERO_ADDRESS, self.usdc, 500, 10)
        price = sqrt_price_x96("WETH", "USDC")
        tick = int((2 * log(price / 2**96) + log(mille / 1000)) / log(1.0001)) // 10 * 10
        world.open(self.key, tick)
        desk = world.desk.contract.address
        world.block_of(transfer(self.usdc, desk, held(world, self.usdc) // 2))
        depth = 4 * isqrt(units("WETH", 1_000_000) * units("USDC", 1_000_000))
        world.desk.modify(self.key, tick - 6_000, tick + 6_000, depth)
        self.executor = world.backend.deploy(deployment(OPERATOR))

    async def load(self) -> None:
        """Find the three pools with their own adapters."""
        head = self.world.latest
        v2 = UniswapV2(protocol_tables(self.world.world)["uniswap_v2"])
        self.adapters: list[ExchangeProtocol] = [v2, adapter_of(self.world), adapter_for(self.world)]
        found = [await adapter.discover(self.world, block=head) for adapter in self.adapters]
        pair = next(pool for pool in found[0] if set(pool.tokens) == {self.weth, self.usdc})
        (four,) = [pool for pool in found[1] if pool.id == self.key.id]
        self.pools: list[PoolSpec] = [pair, four, found[2][0]]
        self.rows = [
            (await adapter.load(self.world, [pool], block=head))[0]
            for adapter, pool in zip(self.adapters, self.pools, strict=True)
        ]

    def opportunity(self, start: Address, amount_in: int, pools: Sequence[int]) -> Opportunity:
        """Return the way of `amount_in` through the pools, as the compiled quotes say."""
        quotes = (v2_hot.quote, v4_hot.quote, hot.quote)
        legs, at, amount = [], start, amount_in
        for pool in pools:
            i = self.pools[pool].tokens.index(at)
            with Region(len(self.rows[pool])) as memory:
                memory.view("u1", len(self.rows[pool]))[:] = bytearray(self.rows[pool])
                out = quotes[pool](memory.address, i, 1 - i, amount)
            legs.append(Leg(pool=pool, token_in=i, token_out=1 - i, amount_in=amount, amount_out=out))
            at, amount = self.pools[pool].tokens[1 - i], out
        head = self.world.latest
        return Opportunity(
            id=1,
            strategy="test",
            block_hash=head.hash,
            block_number=head.number,
            token=start,
            legs=tuple(legs),
            amount_in=amount_in,
            amount_out=amount,
            gas=0,
            net_wei=0.0,
        )

    def calls(self, made: Opportunity) -> Call:
        """Return the call of the executor that takes the opportunity."""
        return plan(
            made,
            self.pools,
            self.adapters,
            executor=self.executor,
            sender=OPERATOR,
            deadline_block=2**64,
        ).call


V2, V4, EDGE = range(3)


@pytest.mark.parametrize(
    ("start", "amount_in", "pools", "mille"),
    [
        ("WETH", 10**18, (V2, V4, EDGE), 950),
        ("USDC", 3_000 * 10**6, (V2, EDGE, V4), 1_050),
        ("USDC", 3_000 * 10**6, (V4, EDGE, V2), 950),
    ],
    ids=["wrapped at the end", "unwrapped in the middle", "V4 first, wrapped in the middle"],
)
async def test_a_cycle_through_the_edge_realises_what_was_predicted(
    start: str, amount_in: int, pools: tuple[int, ...], mille: int
) -> None:
    cycle = Cycle(mille=mille)
    await cycle.load()
    token = cycle.weth if start == "WETH" else cycle.usdc
    made = cycle.opportunity(token, amount_in, pools)
    assert made.profit > 0
    before = held(cycle.world, token), held(cycle.world, ZERO_ADDRESS)
    cycle.world.block_of(cycle.calls(made))
    assert held(cycle.world, token) - before[0] == made.profit
    assert held(cycle.world, ZERO_ADDRESS) == before[1]
    for left in (cycle.weth, cycle.usdc, ZERO_ADDRESS):
        assert held(cycle.world, left, cycle.executor) == 0


async def test_a_cycle_that_is_promised_one_unit_more_reverts() -> None:
    cycle = Cycle(mille=950)
    await cycle.load()
    made = cycle.opportunity(cycle.weth, 10**18, (V2, V4, EDGE))
    first, second, last = made.legs
    paid = last.amount_in + 1
    wrong = replace(
        made,
        legs=(first, replace(second, amount_out=paid), replace(last, amount_in=paid, amount_out=paid)),
        amount_out=paid,
    )
    with pytest.raises(Reverted):
        cycle.world.block_of(cycle.calls(wrong))
