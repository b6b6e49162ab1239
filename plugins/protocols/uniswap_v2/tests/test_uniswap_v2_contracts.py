"""Discovery, loading, quotes and calls against the real contracts, on an EVM in this process."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import cast

import pytest
import tallyio_protocol_uniswap_v2.adapter as adapter_module
from tallyio_protocol_uniswap_v2 import hot
from tallyio_protocol_uniswap_v2.adapter import UniswapV2
from tallyio_protocol_uniswap_v2.layout import ROW_BYTES, UINT112_MAX, unpack_reserves

from tallyio.engine.executor import deployment
from tallyio.engine.planner import plan
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.market.abi import LOG_APPLIED
from tallyio.model.chain import Log
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.execution import Call, Leg, Opportunity
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash, checksum
from tallyio.native.memory import Region
from tallyio.testing import RevmChain


@pytest.fixture
def chain() -> RevmChain:
    """Return a fresh world; building it takes some tens of milliseconds."""
    return RevmChain()


def settings(chain: RevmChain, **more: object) -> dict[str, object]:
    """Return a configuration of both lab venues."""
    venues = [
        {
            "name": name,
            "factory": checksum(venue.factory),
            "fee_numerator": 997,
            "fee_denominator": 1000,
        }
        for name, venue in chain.world.v2.items()
    ]
    return {"venues": venues, **more}


async def discover(chain: RevmChain, **more: object) -> tuple[UniswapV2, list[PoolSpec]]:
    adapter = UniswapV2(settings(chain, **more))
    return adapter, await adapter.discover(chain, block=chain.latest)


def pair_contract(pool: PoolSpec) -> Contract:
    return Contract(artifact("UniswapV2Pair"), pool.address)


def token_contract(pool: PoolSpec, side: int) -> Contract:
    return Contract(artifact("Token"), pool.tokens[side])


def executor_encode(calls: tuple[Call, ...]) -> bytes:
    """Encode calls in a way that tests can read back."""
    return b"".join(call.to + len(call.data).to_bytes(2) + call.data for call in calls)


async def test_every_pair_of_every_factory_is_found(chain: RevmChain) -> None:
    _, pools = await discover(chain)
    found = {(pool.venue, pool.address, pool.tokens) for pool in pools}
    expected = {
        (pool.venue, pool.address, tuple(chain.world.tokens[symbol].address for symbol in pool.tokens))
        for pool in chain.world.pools
        if pool.kind == "v2"
    }
    assert found == expected
    assert {pool.fee_pips for pool in pools} == {3000}
    assert all(pool.can_flash for pool in pools)


async def test_named_tokens_select_the_pairs_between_them(chain: RevmChain) -> None:
    tokens = {symbol: chain.world.tokens[symbol].address for symbol in ("WETH", "USDC", "LINK")}
    _, pools = await discover(chain, tokens=[checksum(token) for token in tokens.values()])
    assert {frozenset(pool.tokens) for pool in pools} == {
        frozenset({tokens["WETH"], tokens["USDC"]}),
        frozenset({tokens["WETH"], tokens["LINK"]}),
    }
    every = await discover(chain)
    assert all(pool in every[1] for pool in pools)


async def test_a_factory_that_is_none_is_named(chain: RevmChain) -> None:
    table = {"name": "x", "factory": checksum(OPERATOR), "fee_numerator": 1, "fee_denominator": 1}
    with pytest.raises(ChainError, match="does not answer as a Uniswap V2 contract"):
        await UniswapV2({"venues": [table]}).discover(chain, block=chain.latest)


async def test_a_factory_too_large_to_list_asks_for_tokens(
    chain: RevmChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter_module, "MAX_ENUMERATED", 3)
    with pytest.raises(ConfigError, match="has 4 pairs, more than 3 to list; name the tokens"):
        await discover(chain)


async def test_a_pool_with_impossible_reserves_is_refused(chain: RevmChain) -> None:
    class Liar(RevmChain):
        async def call(self, calls: Sequence[Call], **_: object) -> list[bytes | None]:
            return [b"\xff" * 96 for _ in calls]

    adapter, pools = await discover(chain)
    with pytest.raises(ChainError, match="impossible state: reserves must be uint112"):
        await adapter.load(Liar(), pools, block=chain.latest)


async def test_rows_hold_what_the_pairs_say(chain: RevmChain) -> None:
    adapter, pools = await discover(chain)
    rows = await adapter.load(chain, pools, block=chain.latest)
    assert {len(row) for row in rows} == {ROW_BYTES}
    for pool, row in zip(pools, rows, strict=True):
        contract = pair_contract(pool)
        reserves = contract.artifact.decode("getReserves", chain.backend.call(contract.call("getReserves")))
        assert unpack_reserves(row) == reserves[:2]


async def test_everything_is_read_at_the_block_that_was_given(chain: RevmChain) -> None:
    adapter, pools = await discover(chain)
    await adapter.load(chain, pools, block=chain.latest)
    assert set(chain.asked_at) == {chain.latest.hash}


async def test_quotes_equal_the_router_on_every_pair(chain: RevmChain) -> None:
    """Against `UniswapV2Router02.getAmountsOut`, from one unit to ten times the reserve."""
    adapter, pools = await discover(chain)
    rows = await adapter.load(chain, pools, block=chain.latest)
    draw = random.Random(5)
    with Region(ROW_BYTES) as memory:
        for pool, row in zip(pools, rows, strict=True):
            memory.view("u1", ROW_BYTES)[:] = bytearray(row)
            router = Contract(artifact("UniswapV2Router02"), chain.world.v2[pool.venue].router)
            for i in (0, 1) * 40:
                amount = draw.randrange(1, 1 << draw.randrange(1, unpack_reserves(row)[i].bit_length() + 4))
                path = [pool.tokens[i], pool.tokens[1 - i]]
                answer = chain.backend.call(router.call("getAmountsOut", amount, path))
                ((_, amount_out),) = router.artifact.decode("getAmountsOut", answer)
                assert hot.quote(memory.address, i, 1 - i, amount) == amount_out


async def test_a_pair_pays_the_quote_and_not_one_unit_more(chain: RevmChain) -> None:
    """Real swaps through the calls of the adapter; rows follow the real logs and equal a fresh load."""
    adapter, pools = await discover(chain)
    rows = await adapter.load(chain, pools, block=chain.latest)
    draw = random.Random(6)
    with Region(ROW_BYTES * len(pools) + 4096) as memory:
        memory.view("u1", ROW_BYTES * len(pools))[:] = bytearray(b"".join(rows))
        for _ in range(60):
            k, i = draw.randrange(len(pools)), draw.randrange(2)
            row = memory.address + k * ROW_BYTES
            amount = draw.randrange(1, 1 << draw.randrange(1, 68))
            amount = min(amount, balance(chain, pools[k], i) // 2)
            expected = hot.quote(row, i, 1 - i, amount)
            if expected:
                before = balance(chain, pools[k], 1 - i)
                pay, swap = swap_calls(adapter, pools[k], i, amount, expected)
                chain.block_of(pay)
                with pytest.raises(Reverted):
                    chain.backend.call(swap_calls(adapter, pools[k], i, amount, expected + 1)[1])
                block = chain.block_of(swap)
                assert balance(chain, pools[k], 1 - i) - before == expected
                apply_logs(block.logs, adapter, pools[k], row, memory)
        fresh = await adapter.load(chain, pools, block=chain.latest)
        assert memory.view("u1", ROW_BYTES * len(pools)).tobytes() == b"".join(fresh)


async def test_liquidity_changes_reach_the_row(chain: RevmChain) -> None:
    adapter, pools = await discover(chain)
    (row,) = await adapter.load(chain, pools[:1], block=chain.latest)
    contract, loaded = pair_contract(pools[0]), chain.latest
    for side in (0, 1):
        chain.block_of(token_contract(pools[0], side).call("transfer", pools[0].address, 10**9))
    chain.block_of(contract.call("mint", OPERATOR))
    shares = int.from_bytes(chain.backend.call(contract.call("balanceOf", OPERATOR)))
    chain.block_of(contract.call("transfer", pools[0].address, shares // 3))
    chain.block_of(contract.call("burn", OPERATOR))
    with Region(8192) as memory:
        memory.view("u1", ROW_BYTES)[:] = bytearray(row)
        for block in chain.blocks_after(loaded):
            apply_logs(block.logs, adapter, pools[0], memory.address, memory)
        fresh = await adapter.load(chain, pools[:1], block=chain.latest)
        assert [memory.view("u1", ROW_BYTES).tobytes()] == fresh


async def test_a_swap_that_would_overflow_the_reserve_reverts_and_quotes_nothing(chain: RevmChain) -> None:
    adapter, pools = await discover(chain)
    pool = next(
        pool for pool in pools if chain.world.weth not in pool.tokens
    )  # both tokens are mintable without limit
    (row,) = await adapter.load(chain, [pool], block=chain.latest)
    fits = UINT112_MAX - unpack_reserves(row)[0]
    chain.block_of(token_contract(pool, 0).call("mint", OPERATOR, 2 * fits))
    with Region(ROW_BYTES) as memory:
        memory.view("u1", ROW_BYTES)[:] = bytearray(row)
        most = hot.quote(memory.address, 0, 1, fits)
        assert hot.quote(memory.address, 0, 1, fits + 1) == 0
    assert most > 0
    pay, swap = swap_calls(adapter, pool, 0, fits + 1, most)
    chain.block_of(pay)
    with pytest.raises(Reverted):
        chain.backend.call(swap)
    chain.block_of(pair_contract(pool).call("skim", OPERATOR))
    pay, swap = swap_calls(adapter, pool, 0, fits, most)
    chain.block_of(pay)
    chain.block_of(swap)


async def test_a_flash_swap_packs_the_inner_calls_and_the_payment(chain: RevmChain) -> None:
    adapter, pools = await discover(chain)
    inner = (Call(to=OPERATOR, data=b"inner"),)
    (call,) = adapter.swap(
        pools[0],
        token_in=1,
        token_out=0,
        amount_in=77,
        amount_out=55,
        recipient=OPERATOR,
        inner=inner,
        encode=executor_encode,
    )
    pay = token_contract(pools[0], 1).call("transfer", pools[0].address, 77)
    expected = pair_contract(pools[0]).call("swap", 55, 0, OPERATOR, executor_encode((*inner, pay)))
    assert call == expected


async def test_a_cycle_through_the_executor_gains_what_the_quotes_say(chain: RevmChain) -> None:
    """A flash swap on one venue pays for itself on the other, in one transaction of the real executor."""
    adapter, pools = await discover(chain)
    weth, usdc = (chain.world.tokens[symbol].address for symbol in ("WETH", "USDC"))
    dear, cheap = (pool for pool in pools if set(pool.tokens) == {weth, usdc})
    pay, swap = swap_calls(adapter, cheap, cheap.tokens.index(weth), 10**20, 10**9)
    chain.block_of(pay)
    chain.block_of(swap)
    opportunity = cycle(
        [cheap, dear], usdc, weth, await adapter.load(chain, [cheap, dear], block=chain.latest)
    )
    executor = chain.backend.deploy(deployment(OPERATOR))
    made = plan(
        opportunity,
        [cheap, dear],
        [adapter, adapter],
        executor=executor,
        sender=OPERATOR,
        deadline_block=10**6,
    )
    wallet = Contract(artifact("Token"), usdc).call("balanceOf", OPERATOR)
    before = int.from_bytes(chain.backend.call(wallet))
    chain.block_of(made.call)
    assert int.from_bytes(chain.backend.call(wallet)) - before == opportunity.profit > 0


def cycle(pools: list[PoolSpec], start: Address, middle: Address, rows: list[bytes]) -> Opportunity:
    """Return the cycle that sells `start` on the first pool and buys it back on the second."""
    amounts = [10**10]
    legs = []
    with Region(ROW_BYTES) as memory:
        for number, (pool, row) in enumerate(zip(pools, rows, strict=True)):
            memory.view("u1", ROW_BYTES)[:] = bytearray(row)
            i = pool.tokens.index(start if number == 0 else middle)
            amounts.append(hot.quote(memory.address, i, 1 - i, amounts[-1]))
            legs.append(
                Leg(pool=number, token_in=i, token_out=1 - i, amount_in=amounts[-2], amount_out=amounts[-1])
            )
    return Opportunity(
        id=1,
        strategy="test",
        block_hash=Hash(bytes(32)),
        block_number=0,
        token=start,
        legs=tuple(legs),
        amount_in=amounts[0],
        amount_out=amounts[-1],
        gas=0,
        net_wei=0.0,
    )


async def test_a_pair_with_a_callback_that_the_executor_does_not_know_cannot_flash(chain: RevmChain) -> None:
    table = settings(chain)
    for venue in cast("list[dict[str, object]]", table["venues"]):
        venue["callback"] = "ownCall"
    adapter = UniswapV2(table)
    pools = await adapter.discover(chain, block=chain.latest)
    assert not any(pool.can_flash for pool in pools)
    with pytest.raises(ValueError, match="cannot flash"):
        adapter.swap(
            pools[0],
            token_in=0,
            token_out=1,
            amount_in=1,
            amount_out=1,
            recipient=OPERATOR,
            inner=(Call(to=OPERATOR, data=b""),),
            encode=executor_encode,
        )


def balance(chain: RevmChain, pool: PoolSpec, side: int) -> int:
    return int.from_bytes(chain.backend.call(token_contract(pool, side).call("balanceOf", OPERATOR)))


def swap_calls(
    adapter: UniswapV2, pool: PoolSpec, i: int, amount_in: int, amount_out: int
) -> tuple[Call, ...]:
    """Return the adapter's payment and swap for the operator."""
    return adapter.swap(
        pool,
        token_in=i,
        token_out=1 - i,
        amount_in=amount_in,
        amount_out=amount_out,
        recipient=OPERATOR,
        inner=(),
        encode=executor_encode,
    )


def apply_logs(logs: Sequence[Log], adapter: UniswapV2, pool: PoolSpec, row: int, memory: Region) -> None:
    """Apply what the market would: logs of this pool whose topic the adapter names."""
    for log in logs:
        if log.address == pool.address and log.topics[0] in adapter.topics:
            place = memory.size - 1024
            memory.view("u1", len(log.data), place)[:] = bytearray(log.data)
            event = adapter.topics.index(log.topics[0])
            status = hot.apply_log(row, event, 0, memory.address + place, len(log.data))
            assert status == LOG_APPLIED
