"""Discovery, loading, refusals and calls against the real Vault, and cycles through the executor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from tallyio_protocol_balancer_v3 import abi, hot

from tallyio.engine.executor import deployment
from tallyio.engine.planner import plan
from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.hooks.interfaces import NOTHING, Pretended
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.market.abi import LOG_IGNORED, LOG_RELOAD
from tallyio.model.chain import Head, Log, LogFilter
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.execution import Call, Leg, Opportunity
from tallyio.model.market import LogSource, PoolSpec
from tallyio.model.units import Address, Hash
from tallyio.model.words import WORD, address_word, unsigned, word
from tallyio.native.memory import Region
from tests.balancer_v3_desk import HALVES, Desk
from tests.balancer_v3_world import V3World, contracts


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


def quote(row: bytes, i: int, amount: int, *, exact_in: bool = True) -> int:
    with Region(len(row)) as memory:
        memory.view("u1", len(row))[:] = bytearray(row)
        return int((hot.quote if exact_in else hot.quote_exact_out)(memory.address, i, 1 - i, amount))


async def test_pools_are_found_and_quoted_as_the_vault_says(desk: Desk) -> None:
    _, pools, rows = await desk.open()
    assert [pool.address for pool in pools] == [desk.weighted, desk.stable]
    assert [pool.fee_pips for pool in pools] == [1_000, 100]
    for pool, row in zip(pools, rows, strict=True):
        assert pool.tokens == tuple(coin.address for coin in desk.coins)
        assert pool.log_sources == (
            LogSource(desk.world.vault, address_word(pool.address)),
            LogSource(pool.address),
        )
        assert pool.ages
        assert pool.can_flash
        for i in (0, 1):
            for exact_in in (True, False):
                sold = desk.coins[i if exact_in else 1 - i]
                amount = 123_456_789 * 10**sold.decimals // 10**8
                coins = desk.coins[i], desk.coins[1 - i]
                said = desk.world.ask(pool.address, coins, amount, exact_in=exact_in)
                assert quote(row, i, amount, exact_in=exact_in) == said > 0


@pytest.mark.parametrize(
    ("flag", "reason"),
    [(3, "sets the fee of each swap"), (4, "is called before swaps"), (5, "is called after swaps")],
)
async def test_a_hook_that_takes_part_in_swaps_is_refused(desk: Desk, flag: int, reason: str) -> None:
    with desk.world.backend.undone():
        hooked = desk.world.weighted(desk.coins, HALVES, fee=10**15, hooks=desk.world.hook(flag))
        with pytest.raises(ChainError, match=f"has a hook that {reason}"):
            await desk.open(hooked)


async def test_a_hook_for_liquidity_is_fine(desk: Desk) -> None:
    with desk.world.backend.undone():
        hooked = desk.world.weighted(desk.coins, HALVES, fee=10**15, hooks=desk.world.hook(7))
        _, (pool,), (row,) = await desk.open(hooked)
        assert pool.address == hooked
        assert quote(row, 0, 10 ** desk.coins[0].decimals) > 0


async def test_what_the_vault_does_not_know_is_refused(desk: Desk) -> None:
    with pytest.raises(ChainError, match="does not answer as a contract of Balancer V3 does"):
        await desk.open(OPERATOR)


class Liar:
    """A chain that says something else than the world to calls of one contract that begin alike."""

    def __init__(
        self, world: V3World, to: Address, start: bytes, lie: Callable[[bytes], bytes | None]
    ) -> None:
        self._world, self._to, self._start, self._lie = world, to, start, lie

    @property
    def chain_id(self) -> int:
        """The world's."""
        return self._world.chain_id

    async def head(self) -> Head:
        """Return the world's."""
        return await self._world.head()

    async def logs(self, query: LogFilter) -> list[Log]:
        """Return the world's."""
        return await self._world.logs(query)

    async def call(
        self,
        calls: Sequence[Call],
        *,
        block: Hash | None = None,
        sender: Address | None = None,
        pretend: Pretended = NOTHING,
    ) -> list[bytes | None]:
        """Return the world's answers, some altered."""
        answers = await self._world.call(calls, block=block, sender=sender, pretend=pretend)
        return [
            self._lie(answer)
            if answer and call.to == self._to and call.data.startswith(self._start)
            else answer
            for call, answer in zip(calls, answers, strict=True)
        ]


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (lambda said: word(unsigned(said, 0) + 1), "another version, or of another type"),
        (lambda _: None, "answers no query"),
    ],
)
async def test_a_pool_that_pays_otherwise_is_refused(
    desk: Desk, lie: Callable[[bytes], bytes | None], message: str
) -> None:
    adapter, pools, _ = await desk.open()
    liar = Liar(desk.world, desk.world.router.address, b"", lie)
    with pytest.raises(ChainError, match=message):
        await adapter.load(liar, pools, block=desk.world.latest)


async def test_a_paused_pool_is_refused(desk: Desk) -> None:
    def paused(config: bytes) -> bytes:
        place = [field["name"] for field in _config_fields()].index(
            "isPoolPaused"
        ) + 3  # rules are four words
        return config[: place * WORD] + word(1) + config[(place + 1) * WORD :]

    adapter, pools, _ = await desk.open()
    liar = Liar(desk.world, desk.world.vault, abi.POOL_CONFIG, paused)
    with pytest.raises(ChainError, match="is paused"):
        await adapter.load(liar, pools, block=desk.world.latest)


def _config_fields() -> list[dict[str, object]]:
    """Return the fields of `PoolConfig`, as the compiler tells them."""
    (function,) = [each for each in contracts()["BenchExtension"].abi if each.get("name") == "getPoolConfig"]
    fields: list[dict[str, object]] = function["outputs"][0]["components"]
    return fields


async def test_whatever_happens_to_a_pool_asks_for_a_reload(desk: Desk) -> None:
    _, _, (row, _) = await desk.open()
    read = desk.world.latest.timestamp
    with Region(len(row)) as memory:
        memory.view("u1", len(row))[:] = bytearray(row)
        for event in range(len(abi.EVENTS)):
            assert hot.apply_log(memory.address, event, 0, 0, 0) == LOG_RELOAD
        assert hot.advance(memory.address, read + 30) == LOG_IGNORED
        assert hot.advance(memory.address, read + 31) == LOG_RELOAD


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pools": []}, "names no pool"),
        ({"pools": ["pool"]}, r"\[protocols.balancer_v3.pools\]"),
        ({"router": "me"}, r"\[protocols.balancer_v3.router\]"),
        ({"max_age_seconds": 0}, "wants max_age_seconds above 0"),
        ({"ruoter": 1}, r"unknown key 'ruoter' \(did you mean \"router\"\?\)"),
    ],
)
def test_a_wrong_table_is_refused_by_key(wrong: dict[str, object], message: str) -> None:
    table = {"router": "0x" + "11" * 20, "pools": ["0x" + "22" * 20], **wrong}
    with pytest.raises(ConfigError, match=message):
        PluginHost(Catalog.scan()).protocol("balancer_v3", table)


# --- through the executor --------------------------------------------------------------------


def cycle(
    pools: Sequence[PoolSpec], rows: Sequence[bytes], order: tuple[int, int], start: int, amount_in: int
) -> Opportunity:
    """Return the way of `amount_in` of token `start` through two pools and back."""
    legs, i, amount = [], start, amount_in
    for number in order:
        out = quote(rows[number], i, amount)
        legs.append(Leg(pool=number, token_in=i, token_out=1 - i, amount_in=amount, amount_out=out))
        i, amount = 1 - i, out
    return Opportunity(
        id=1,
        strategy="test",
        block_hash=Hash(bytes(WORD)),
        block_number=0,
        token=pools[0].tokens[start],
        legs=tuple(legs),
        amount_in=amount_in,
        amount_out=amount,
        gas=0,
        net_wei=0.0,
    )


@pytest.mark.parametrize("start", [0, 1])
async def test_a_cycle_of_two_pools_realises_what_was_predicted(desk: Desk, start: int) -> None:
    """A second unlock runs within the first; the cheap side is bought at one pool and sold at the other."""
    world = desk.world
    with world.backend.undone():
        executor = world.backend.deploy(deployment(OPERATOR))
        adapter, pools, rows = await desk.open()
        amount = 10 ** desk.coins[start].decimals
        found = max(
            (cycle(pools, rows, order, start, amount) for order in ((0, 1), (1, 0))),
            key=lambda each: each.profit,
        )
        assert found.profit > 0
        call = plan(
            found, pools, [adapter, adapter], executor=executor, sender=OPERATOR, deadline_block=2**64
        ).call
        before = desk.has(found.token)
        block = world.block_of(call)
        assert desk.has(found.token) - before == found.profit
        assert all(desk.has(coin.address, executor) == 0 for coin in desk.coins)
        swaps = [log for log in block.logs if log.topics[0] == abi.EVENTS[0]]
        assert {log.topics[1] for log in swaps} == {address_word(pool.address) for pool in pools}
        with pytest.raises(Reverted):
            world.block_of(call)  # the pools have moved
