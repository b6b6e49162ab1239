"""Discovery, loading, quotes and calls against the real contracts, on an EVM in this process."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, cast

import pytest
import tallyio_protocol_uniswap_v2.adapter as adapter_module
from tallyio_protocol_uniswap_v2 import hot
from tallyio_protocol_uniswap_v2.adapter import UniswapV2
from tallyio_protocol_uniswap_v2.layout import ROW_BYTES, UINT112_MAX, unpack_reserves

from tallyio.engine.executor import deployment
from tallyio.engine.planner import plan
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.recipe import build_world
from tallyio.lab.revm import RevmBackend
from tallyio.lab.steps import Recipe, Reverted
from tallyio.lab.world import CHAIN_ID, OPERATOR, World
from tallyio.market.abi import LOG_APPLIED
from tallyio.model.chain import Head, Log, LogFilter
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.execution import Call, Leg, Opportunity
from tallyio.model.hashing import keccak256
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash, Wei, checksum
from tallyio.native.memory import Region


class RevmChain:
    """A `ChainReader` over an in-process EVM that remembers every log."""

    def __init__(self) -> None:
        self.backend = RevmBackend()
        self.history: list[Log] = []
        self.world: World = self.backend.run(self._recorded(build_world()))

    @property
    def chain_id(self) -> int:
        """The lab's."""
        return CHAIN_ID

    async def head(self) -> Head:
        """Return the latest head."""
        return self.current()

    def current(self) -> Head:
        """Return the latest head."""
        number = self.backend.number
        return Head(
            number=number,
            hash=_hash(number),
            parent_hash=_hash(number - 1),
            timestamp=number,
            base_fee_wei=Wei(0),
            gas_used=0,
            gas_limit=30_000_000,
            logs_bloom=b"",
        )

    async def call(
        self, calls: Sequence[Call], *, block: Hash | None = None, sender: Address | None = None
    ) -> list[bytes | None]:
        """Return data, or None for a revert, in order."""
        assert block == self.current().hash, "an adapter reads at the block it was given"
        return [self._try(call, sender or OPERATOR) for call in calls]

    async def logs(self, query: LogFilter) -> list[Log]:
        """Return the remembered logs that `query` selects."""
        return [log for log in self.history if _matches(log, query)]

    def transact(self, call: Call, *, sender: Address = OPERATOR) -> bytes:
        """Run `call` in a new block and remember its logs."""
        output = self.backend.transact(call, sender=sender)
        self._remember()
        return output

    def _try(self, call: Call, sender: Address) -> bytes | None:
        try:
            return self.backend.call(call, sender=sender)
        except Reverted:
            return None

    def _recorded(self, recipe: Recipe[World]) -> Recipe[World]:
        step = next(recipe)
        while True:
            number = self.backend.number
            result = yield step
            if self.backend.number != number:
                self._remember()
            try:
                step = recipe.send(result)
            except StopIteration as end:
                world: World = end.value
                return world

    def _remember(self) -> None:
        self.history += [self._log(index, raw) for index, raw in enumerate(self.backend.logs)]

    def _log(self, index: int, raw: Any) -> Log:
        _, data = raw.data
        return Log(
            address=Address(bytes.fromhex(raw.address[2:])),
            topics=tuple(bytes.fromhex(topic[2:]) for topic in raw.topics),
            data=bytes(data),
            block_hash=_hash(self.backend.number),
            block_number=self.backend.number,
            log_index=index,
            transaction_hash=_hash(self.backend.number),
        )


def _hash(number: int) -> Hash:
    return Hash(keccak256(b"block %d" % number))


def _matches(log: Log, query: LogFilter) -> bool:
    return (
        query.from_block <= log.block_number <= query.to_block
        and (not query.addresses or log.address in query.addresses)
        and all(
            not wanted or topic in wanted for wanted, topic in zip(query.topics, log.topics, strict=False)
        )
    )


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
    return adapter, await adapter.discover(chain, block=chain.current())


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
        await UniswapV2({"venues": [table]}).discover(chain, block=chain.current())


async def test_a_factory_too_large_to_list_asks_for_tokens(
    chain: RevmChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter_module, "MAX_ENUMERATED", 3)
    with pytest.raises(ConfigError, match="has 4 pairs, more than 3 to list; name the tokens"):
        await discover(chain)


async def test_a_pool_with_impossible_reserves_is_refused(chain: RevmChain) -> None:
    class Liar(RevmChain):
        def _try(self, call: Call, sender: Address) -> bytes | None:  # noqa: ARG002 - a lie for any call
            return b"\xff" * 96

    adapter, pools = await discover(chain)
    with pytest.raises(ChainError, match="impossible state: reserves must be uint112"):
        await adapter.load(Liar(), pools, block=chain.current())


async def test_rows_hold_what_the_pairs_say(chain: RevmChain) -> None:
    adapter, pools = await discover(chain)
    rows = await adapter.load(chain, pools, block=chain.current())
    assert {len(row) for row in rows} == {adapter.compiled.row_bytes}
    for pool, row in zip(pools, rows, strict=True):
        contract = pair_contract(pool)
        reserves = contract.artifact.decode("getReserves", chain.backend.call(contract.call("getReserves")))
        assert unpack_reserves(row) == reserves[:2]


async def test_quotes_equal_the_router_on_every_pair(chain: RevmChain) -> None:
    """Against `UniswapV2Router02.getAmountsOut`, from one unit to ten times the reserve."""
    adapter, pools = await discover(chain)
    rows = await adapter.load(chain, pools, block=chain.current())
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
    rows = await adapter.load(chain, pools, block=chain.current())
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
                seen = len(chain.history)
                pay, swap = swap_calls(adapter, pools[k], i, amount, expected)
                chain.transact(pay)
                with pytest.raises(Reverted):
                    chain.backend.call(swap_calls(adapter, pools[k], i, amount, expected + 1)[1])
                chain.transact(swap)
                assert balance(chain, pools[k], 1 - i) - before == expected
                apply_logs(chain.history[seen:], adapter, pools[k], row, memory)
        fresh = await adapter.load(chain, pools, block=chain.current())
        assert memory.view("u1", ROW_BYTES * len(pools)).tobytes() == b"".join(fresh)


async def test_liquidity_changes_reach_the_row(chain: RevmChain) -> None:
    adapter, pools = await discover(chain)
    (row,) = await adapter.load(chain, pools[:1], block=chain.current())
    contract = pair_contract(pools[0])
    seen = len(chain.history)
    for side in (0, 1):
        chain.transact(token_contract(pools[0], side).call("transfer", pools[0].address, 10**9))
    chain.transact(contract.call("mint", OPERATOR))
    shares = int.from_bytes(chain.backend.call(contract.call("balanceOf", OPERATOR)))
    chain.transact(contract.call("transfer", pools[0].address, shares // 3))
    chain.transact(contract.call("burn", OPERATOR))
    with Region(8192) as memory:
        memory.view("u1", ROW_BYTES)[:] = bytearray(row)
        apply_logs(chain.history[seen:], adapter, pools[0], memory.address, memory)
        fresh = await adapter.load(chain, pools[:1], block=chain.current())
        assert [memory.view("u1", ROW_BYTES).tobytes()] == fresh


async def test_a_swap_that_would_overflow_the_reserve_reverts_and_quotes_nothing(chain: RevmChain) -> None:
    adapter, pools = await discover(chain)
    pool = next(
        pool for pool in pools if chain.world.weth not in pool.tokens
    )  # both tokens are mintable without limit
    (row,) = await adapter.load(chain, [pool], block=chain.current())
    fits = UINT112_MAX - unpack_reserves(row)[0]
    chain.transact(token_contract(pool, 0).call("mint", OPERATOR, 2 * fits))
    with Region(ROW_BYTES) as memory:
        memory.view("u1", ROW_BYTES)[:] = bytearray(row)
        most = hot.quote(memory.address, 0, 1, fits)
        assert hot.quote(memory.address, 0, 1, fits + 1) == 0
    assert most > 0
    pay, swap = swap_calls(adapter, pool, 0, fits + 1, most)
    chain.transact(pay)
    with pytest.raises(Reverted):
        chain.backend.call(swap)
    chain.transact(pair_contract(pool).call("skim", OPERATOR))
    pay, swap = swap_calls(adapter, pool, 0, fits, most)
    chain.transact(pay)
    chain.transact(swap)


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
    chain.transact(pay)
    chain.transact(swap)
    opportunity = cycle(
        [cheap, dear], usdc, weth, await adapter.load(chain, [cheap, dear], block=chain.current())
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
    chain.transact(made.call)
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
        block_hash=_hash(0),
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
    pools = await adapter.discover(chain, block=chain.current())
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
