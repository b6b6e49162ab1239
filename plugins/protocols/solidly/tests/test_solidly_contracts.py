"""Quotes, discovery, rows and calls against the pools' own bytecode, on an EVM in this process.

The contracts are Aerodrome's `Pool` and `PoolFactory`, compiled from the source that a package ships.
The other solvers are the same pool with one word changed: see `variants`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import tallyio_protocol_solidly.adapter as adapter_module
from tallyio_protocol_solidly import hot, reference
from tallyio_protocol_solidly.adapter import Solidly
from tallyio_protocol_solidly.layout import (
    CLOSED,
    KIND,
    ROW_BYTES,
    UINT256_MAX,
    VOLATILE,
    pack_row,
    unpack_reserves,
)

from tallyio.engine.markets import load_market
from tallyio.lab.artifact import Contract
from tallyio.lab.revm import RevmBackend
from tallyio.lab.steps import Reverted
from tallyio.lab.world import DEPLOYER, OPERATOR
from tallyio.market import snapshot
from tallyio.market.abi import LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.model.chain import Log
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import checksum
from tallyio.native.memory import Region
from tests.solidly_world import (
    LARGEST_CODE,
    SOLVERS,
    Town,
    balance,
    coin,
    coin_at,
    contracts,
    deploy,
    fund,
    make_town,
)

# --- arithmetic ------------------------------------------------------------------------------

UNITS = tuple(10**decimals for decimals in (0, 6, 8, 18, 18, 24))
FEES = (0, 1, 5, 30, 300, 9_999, 10_000)
EDGES = (0, 1, 2, 10**18, 2**112 - 1, 2**112, 2**128 - 1, 2**128, 2**255, UINT256_MAX // 10**18, UINT256_MAX)


def any_word(draw: random.Random) -> int:
    return draw.choice(EDGES) if draw.random() < 0.3 else draw.getrandbits(draw.randrange(1, 257))


def any_case(draw: random.Random, kind: int) -> tuple[reference.Pool, int, int]:
    """Draw a pool, a token to sell and an amount: common pools, extreme ones, and any words at all."""
    units = (draw.choice(UNITS), draw.choice(UNITS))
    i, shape = draw.randrange(2), draw.random()
    if shape < 0.2:
        reserves, amount = (any_word(draw), any_word(draw)), any_word(draw)
    else:
        tokens, ratio = (draw.uniform(3, 9), 2) if shape < 0.6 else (draw.uniform(-12, 13), 12)
        first = int(10**tokens * units[0])
        reserves = (first, int(first * units[1] * 10 ** draw.uniform(-ratio, ratio)) // units[0])
        amount = int(reserves[i] * 10 ** draw.uniform(-9, 3)) + draw.randrange(3)
    return reference.Pool(reserves, units, kind, draw.choice(FEES)), i, amount


def trial(
    backend: RevmBackend, bench: Contract, pool: reference.Pool, i: int, amount_in: int
) -> tuple[int, int]:
    """Return how far the pool's own code gets, and what it pays."""
    state = (*pool.reserves, *pool.units, pool.kind != VOLATILE, pool.fee_numerator)
    status, paid = bench.artifact.decode("trial", backend.call(bench.call("trial", state, i, amount_in)))
    return status, paid


def row_of(pool: reference.Pool) -> bytes:
    return pack_row(
        pool.reserves,
        units=pool.units,
        kind=pool.kind,
        fee_numerator=pool.fee_numerator,
        fee_denominator=pool.fee_denominator,
    )


@pytest.fixture(scope="module")
def row() -> Iterator[Region]:
    with Region(4096) as memory:
        yield memory


@pytest.mark.parametrize("solver", SOLVERS)
def test_quotes_equal_the_bytecode_in_success_and_revert(
    solver: str, row: Region, capsys: pytest.CaptureFixture[str]
) -> None:
    """`getAmountOut`, and then `swap` with what it says; 6,000 states and amounts for each solver."""
    backend = RevmBackend(largest_code=LARGEST_CODE)
    deployed = deploy(backend, solver)
    bench = deployed.create([coin(backend), coin(backend)], stable=True)
    backend.transact(bench.call("share", OPERATOR, 10**18))
    draw, ends = random.Random(solver), Counter[str]()
    for number in range(6_000):
        kind = SOLVERS[solver] if number % 3 else VOLATILE
        pool, i, amount = any_case(draw, kind)
        status, paid = trial(backend, bench, pool, i, amount)
        row.view("u1", ROW_BYTES)[:] = bytearray(row_of(pool))
        assert hot.quote(row.address, i, 1 - i, amount) == paid == reference.quote(pool, i, amount), pool
        ends[("paid", "getAmountOut reverts", "swap reverts", "no such amount")[status]] += 1
        ends["of them volatile"] += kind == VOLATILE
    with capsys.disabled():
        print(f"\n{solver}: {dict(ends)}")  # noqa: T201 - how many of each the bytecode saw
    assert min(ends["paid"], ends["getAmountOut reverts"], ends["swap reverts"]) > 300


# --- discovery, rows, calls --------------------------------------------------------------------


@pytest.fixture
def town() -> Town:
    return make_town()


async def found(town: Town, **more: object) -> tuple[Solidly, list[PoolSpec]]:
    adapter = Solidly(town.settings(**more))
    return adapter, await adapter.discover(town.chain, block=town.chain.latest)


async def test_every_pool_of_every_factory_is_found_with_its_kind_and_fee(town: Town) -> None:
    _, pools = await found(town)
    assert [pool.address for pool in pools] == [
        pool.address for solver in SOLVERS for pool in town.pools[solver]
    ]
    kinds = [dict(pool.parameters)["kind"] for pool in pools]
    assert kinds == [kind for solver in SOLVERS.values() for kind in (VOLATILE, solver, solver)]
    assert {pool.fee_pips for pool in pools} == {500}
    assert not any(pool.can_flash for pool in pools)
    for pool in pools:
        assert pool.tokens == town.chain.backend.read(
            Contract(contracts()[pool.venue], pool.address), "tokens"
        )


async def test_a_market_of_them_comes_back_from_disk(town: Town, tmp_path: Path) -> None:
    """With the factory's address among their parameters."""
    adapter = Solidly(town.settings())
    market, _ = await load_market(town.chain, [("solidly", adapter)], head=town.chain.latest)
    with market:
        snapshot.write(market, tmp_path / "market")
        plugins = {"solidly": (adapter.compiled, adapter.topics)}
        (held,) = snapshot.read(tmp_path / "market").holdings(plugins)
        assert held.pools == market.shape.pools
        factories = {int.from_bytes(each.factory.address) for each in town.factories.values()}
        assert {dict(pool.parameters)["factory"] for pool in held.pools} == factories


async def test_named_tokens_select_the_pools_between_them(town: Town) -> None:
    _, every = await found(town)
    _, pools = await found(town, tokens=[checksum(coin.address) for coin in town.coins[:2]])
    assert pools == [pool for pool in every if set(pool.tokens) == {coin.address for coin in town.coins[:2]}]
    assert len(pools) == 6


async def test_a_factory_that_is_none_is_named(town: Town) -> None:
    venue = {"name": "x", "factory": checksum(OPERATOR), "preset": "aerodrome"}
    with pytest.raises(ChainError, match="does not answer as a contract of the Solidly family"):
        await Solidly({"venues": [venue]}).discover(town.chain, block=town.chain.latest)


async def test_a_factory_too_large_to_list_asks_for_tokens(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter_module, "MAX_ENUMERATED", 2)
    with pytest.raises(ConfigError, match="has 3 pools, more than 2 to list; name the tokens"):
        await found(town)


async def test_a_fee_above_everything_is_refused(town: Town) -> None:
    adapter, pools = await found(town)
    town.chain.block_of(town.factories["velodrome_v2"].factory.call("setAnyFee", 10_001))
    with pytest.raises(ChainError, match="impossible state: fee must be"):
        await adapter.load(town.chain, pools, block=town.chain.latest)


async def test_everything_is_read_at_the_block_that_was_given(town: Town) -> None:
    adapter, pools = await found(town)
    await adapter.load(town.chain, pools, block=town.chain.latest)
    assert set(town.chain.asked_at) == {town.chain.latest.hash}


async def test_pools_pay_the_quote_and_rows_follow_their_logs(town: Town, row: Region) -> None:
    """Real swaps through the calls of the adapter; a fresh load equals what the logs made of the rows."""
    adapter, pools = await found(town)
    rows = await adapter.load(town.chain, pools, block=town.chain.latest)
    draw, chain = random.Random(8), town.chain
    for _ in range(60):
        k, i = draw.randrange(len(pools)), draw.randrange(2)
        pool = pools[k]
        amount = max(1, int(unpack_reserves(rows[k])[i] * 10 ** draw.uniform(-7, 0.5)))
        row.view("u1", ROW_BYTES)[:] = bytearray(rows[k])
        expected = hot.quote(row.address, i, 1 - i, amount)
        chain.block_of(coin_at(pool.tokens[i]).call("set", OPERATOR, amount))
        before = balance(chain, pool.tokens[1 - i], OPERATOR)
        pay, swap = swap_calls(adapter, pool, i, amount, expected)
        chain.block_of(pay)
        if expected == 0:
            chain.block_of(Contract(contracts()[pool.venue], pool.address).call("skim", OPERATOR))
            continue
        if pool.address in {made[0].address for made in town.pools.values()}:
            with pytest.raises(Reverted):  # a volatile pool has not one unit to spare
                chain.backend.call(swap_calls(adapter, pool, i, amount, expected + 1)[1])
        block = chain.block_of(swap)
        assert balance(chain, pool.tokens[1 - i], OPERATOR) - before == expected
        assert followed(adapter, pools, rows, block.logs, row) == [LOG_APPLIED]
    assert rows == await adapter.load(chain, pools, block=chain.latest)


async def test_liquidity_changes_reach_the_row(town: Town, row: Region) -> None:
    adapter, pools = await found(town)
    rows = await adapter.load(town.chain, pools, block=town.chain.latest)
    loaded, pool = town.chain.latest, town.pools["superchain"][2]
    fund(town.chain, pool, tokens=500)
    town.chain.block_of(pool.call("mint", OPERATOR))
    (shares,) = town.chain.backend.read(pool, "balanceOf", OPERATOR)
    town.chain.block_of(pool.call("transfer", pool.address, shares // 3))
    town.chain.block_of(pool.call("burn", OPERATOR))
    logs = [log for block in town.chain.blocks_after(loaded) for log in block.logs]
    assert followed(adapter, pools, rows, logs, row) == [LOG_APPLIED, LOG_APPLIED]
    assert rows == await adapter.load(town.chain, pools, block=town.chain.latest)


async def test_a_custom_fee_asks_for_a_reload_of_its_pool_only(town: Town, row: Region) -> None:
    adapter, pools = await found(town)
    rows = await adapter.load(town.chain, pools, block=town.chain.latest)
    venue = town.pools["velodrome_v2"]
    call = town.factories["velodrome_v2"].factory.call("setCustomFee", venue[1].address, 77)
    block = town.chain.block_of(call, sender=DEPLOYER)
    assert followed(adapter, pools, rows, block.logs, row) == [LOG_IGNORED, LOG_RELOAD, LOG_IGNORED]
    fresh = await adapter.load(town.chain, pools, block=town.chain.latest)
    assert [old == new for old, new in zip(rows, fresh, strict=True)] == [k != 1 for k in range(len(pools))]
    row.view("u1", ROW_BYTES)[:] = bytearray(fresh[1])
    answer = town.chain.backend.read(venue[1], "getAmountOut", 10**6, pools[1].tokens[0])
    assert (hot.quote(row.address, 0, 1, 10**6),) == answer


async def test_a_paused_factory_closes_its_pools_until_it_opens_again(town: Town, row: Region) -> None:
    adapter, pools = await found(town)
    open_rows = await adapter.load(town.chain, pools, block=town.chain.latest)
    factory = town.factories["solidly"].factory
    for paused in (True, False):
        rows = list(open_rows)
        block = town.chain.block_of(factory.call("setPauseState", paused), sender=DEPLOYER)
        assert followed(adapter, pools, rows, block.logs, row) == [LOG_RELOAD] * 3
        fresh = await adapter.load(town.chain, pools, block=town.chain.latest)
        assert [kind_of(each) == CLOSED for each in fresh] == [False] * 6 + [paused] * 3
        row.view("u1", ROW_BYTES)[:] = bytearray(fresh[-1])
        assert (hot.quote(row.address, 0, 1, 10**20) == 0) is paused
    assert fresh == open_rows


async def test_a_pool_without_shares_is_closed_until_its_sync(town: Town, row: Region) -> None:
    """Whoever donates reserves to a pool before its first mint makes one whose fees divide by zero."""
    pool = town.factories["solidly"].create([town.coins[0], town.coins[2]], stable=False)
    fund(town.chain, pool, tokens=10)
    town.chain.block_of(pool.call("sync"))
    adapter, pools = await found(town)
    rows = await adapter.load(town.chain, pools, block=town.chain.latest)
    assert kind_of(rows[-1]) == CLOSED
    chain, spec, amount = town.chain, pools[-1], unpack_reserves(rows[-1])[0] // 9
    (out,) = chain.backend.read(pool, "getAmountOut", amount, spec.tokens[0])
    chain.block_of(coin_at(spec.tokens[0]).call("set", OPERATOR, amount))
    pay, swap = swap_calls(adapter, spec, 0, amount, out)
    chain.block_of(pay)
    with pytest.raises(Reverted):
        chain.block_of(swap)
    fund(chain, pool, tokens=1)
    block = chain.block_of(pool.call("mint", OPERATOR))
    assert followed(adapter, pools, rows, block.logs, row) == [LOG_RELOAD]
    (opened,) = await adapter.load(chain, [spec], block=chain.latest)
    assert kind_of(opened) == VOLATILE


async def test_pools_cannot_flash(town: Town) -> None:
    adapter, pools = await found(town)
    with pytest.raises(ValueError, match="cannot flash"):
        swap_calls(adapter, pools[0], 0, 1, 1, inner=(Call(to=OPERATOR, data=b""),))


def kind_of(raw: bytes) -> int:
    return int.from_bytes(raw[KIND : KIND + 8], "little")


def swap_calls(
    adapter: Solidly, pool: PoolSpec, i: int, amount_in: int, amount_out: int, inner: tuple[Call, ...] = ()
) -> tuple[Call, ...]:
    """Return the adapter's payment and swap for the operator."""
    return adapter.swap(
        pool,
        token_in=i,
        token_out=1 - i,
        amount_in=amount_in,
        amount_out=amount_out,
        recipient=OPERATOR,
        inner=inner,
        encode=lambda _: b"",
    )


def followed(
    adapter: Solidly, pools: Sequence[PoolSpec], rows: list[bytes], logs: Sequence[Log], memory: Region
) -> list[int]:
    """Apply what the market would to `rows`: logs of a pool's sources; return what was answered."""
    answers = []
    for log in logs:
        for k, pool in enumerate(pools):
            if log.topics[0] in adapter.topics and any(log.address == each.address for each in pool.sources):
                packed = rows[k] + b"".join(log.topics[1:]).ljust(96, b"\0") + log.data
                memory.view("u1", len(packed))[:] = bytearray(packed)
                topics = memory.address + ROW_BYTES
                event = adapter.topics.index(log.topics[0])
                answers.append(hot.apply_log(memory.address, event, topics, topics + 96, len(log.data)))
                rows[k] = memory.view("u1", ROW_BYTES).tobytes()
    return answers
