"""Discovery, loading, refusals, events and calls against real vaults, and cycles through the executor."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tallyio_protocol_erc4626 import hot
from tallyio_protocol_erc4626.adapter import Erc4626
from tallyio_protocol_erc4626.layout import FOLLOWS, ROW_BYTES
from tallyio_protocol_uniswap_v2 import hot as v2_hot
from tallyio_protocol_uniswap_v2.adapter import UniswapV2

from tallyio.engine.executor import deployment
from tallyio.engine.markets import load_market
from tallyio.engine.planner import plan
from tallyio.hooks.interfaces import ExchangeProtocol
from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.recipe import units
from tallyio.lab.steps import BLOCK_SECONDS, Reverted
from tallyio.lab.world import OPERATOR
from tallyio.market.abi import LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.model.erc20 import approve, transfer
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call, Leg, Opportunity
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash, checksum
from tallyio.native.memory import Region
from tests.demo_tables import protocol_tables
from tests.erc4626_world import World, timeless, vaults


@pytest.fixture(scope="module")
def made() -> dict[str, Artifact]:
    """Return the vaults by name."""
    return vaults()


def quote(row: bytes, i: int, amount: int) -> int:
    with Region(len(row)) as memory:
        memory.view("u1", len(row))[:] = bytearray(row)
        return int(hot.quote(memory.address, i, 1 - i, amount))


def swap(adapter: Erc4626, pool: PoolSpec, i: int, amount: int) -> tuple[Call, ...]:
    return adapter.swap(
        pool,
        token_in=i,
        token_out=1 - i,
        amount_in=amount,
        amount_out=0,
        recipient=OPERATOR,
        inner=(),
        encode=lambda _: b"",
    )


ARGUMENTS = {"Virtual": (6,), "Old": (), "Solmate": ()}


@pytest.mark.parametrize("name", ARGUMENTS)
async def test_trades_pay_what_was_quoted_and_rows_follow(made: dict[str, Artifact], name: str) -> None:
    """After a deposit, a redemption and a mint, the row that followed them is what is read afresh."""
    world = World(made[name], *ARGUMENTS[name])
    kind = "virtual" if name == "Virtual" else "plain"
    adapter, pool, row = await world.open(kind=kind, idle=True)
    assert pool.tokens == (world.usdc, world.vault.address)
    assert pool.ages
    start = world.latest
    for i, amount in ((0, 987_654_321), (1, world.has(world.vault.address) // 3)):
        quoted, before = quote(row, i, amount), world.has(pool.tokens[1 - i])
        world.block_of(*swap(adapter, pool, i, amount))
        assert world.has(pool.tokens[1 - i]) - before == quoted > 0
        row = _followed(world, adapter, pool, row, start.number)
        start = world.latest
        (fresh,) = await adapter.load(world, [pool], block=start)
        assert timeless(row) == timeless(fresh)
    world.block_of(approve(world.usdc, world.vault.address, 2**255))
    world.block_of(world.vault.call("mint", 10**9 + 7, OPERATOR))
    row = _followed(world, adapter, pool, row, start.number)
    (fresh,) = await adapter.load(world, [pool], block=world.latest)
    assert timeless(row) == timeless(fresh)


def _followed(world: World, adapter: Erc4626, pool: PoolSpec, row: bytes, since: int) -> bytes:
    """Return `row` after the vault's events since a block."""
    logs = [
        log
        for number in range(since + 1, world.latest.number + 1)
        for log in world.block(number).logs
        if log.address == pool.address and log.topics[0] in adapter.topics
    ]
    assert logs
    with Region(4096) as memory:
        memory.view("u1", ROW_BYTES)[:] = bytearray(row)
        for log in logs:
            memory.view("u1", len(log.data), ROW_BYTES)[:] = bytearray(log.data)
            event, data = adapter.topics.index(log.topics[0]), memory.address + ROW_BYTES
            assert hot.apply_log(memory.address, event, 0, data, len(log.data)) == LOG_APPLIED
        return memory.view("u1", ROW_BYTES).tobytes()


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "settings", "message"),
    [
        ("Taxed", (), {}, r"answers \d+ to previewDeposit\(\d+\), and its kind \d+: it takes fees"),
        ("Virtual", (0,), {"kind": "plain"}, "way out"),
        ("Virtual", (6,), {"decimals_offset": 7}, "way out"),
        ("Solmate", (), {"kind": "virtual"}, "way out"),
        ("Earning", (), {"idle": True}, "in hand of"),
        ("Virtual", (6,), {"decimals_offset": 39}, r"would have 10\*\*39 virtual shares"),
    ],
)
async def test_a_vault_that_is_not_what_it_was_called_is_refused(
    made: dict[str, Artifact],
    name: str,
    arguments: tuple[int, ...],
    settings: dict[str, object],
    message: str,
) -> None:
    world = World(made[name], *arguments)
    wanted = "correct its kind or decimals_offset, or leave it out" if message == "way out" else message
    with pytest.raises(ChainError, match=wanted):
        await world.open(**settings)


@pytest.mark.parametrize("what", ["a token", "no contract"])
async def test_what_is_no_vault_is_refused(made: dict[str, Artifact], what: str) -> None:
    world = World(made["Virtual"], 0)
    place = world.usdc if what == "a token" else OPERATOR
    with pytest.raises(ChainError, match="does not answer as an ERC-4626 vault does"):
        await Erc4626({"vaults": [{"address": checksum(place)}]}).discover(world, block=world.latest)


async def test_a_vault_cannot_flash(made: dict[str, Artifact]) -> None:
    adapter, pool, _ = await World(made["Virtual"], 0).open()
    with pytest.raises(ValueError, match="cannot flash"):
        adapter.swap(
            pool,
            token_in=0,
            token_out=1,
            amount_in=1,
            amount_out=1,
            recipient=OPERATOR,
            inner=(Call(to=OPERATOR, data=b""),),
            encode=lambda _: b"",
        )


# --- limits and time -------------------------------------------------------------------------


async def test_limits_are_the_vaults_own(made: dict[str, Artifact]) -> None:
    """One unit more than the vault takes or gives is quoted as 0, and reverts."""
    world = World(made["Capped"], 3_000_000 * 10**6)
    adapter, pool, row = await world.open(holder=checksum(OPERATOR), idle=True)
    assert row[FOLLOWS] == 0  # the limit has a rule of its own
    (room,) = world.backend.read(world.vault, "maxDeposit", OPERATOR)
    (most,) = world.backend.read(world.vault, "maxRedeem", OPERATOR)
    assert 0 < most < world.has(world.vault.address)
    for i, limit in ((0, room), (1, most)):
        assert quote(row, i, limit) > 0
        assert quote(row, i, limit + 1) == 0
        with world.backend.undone():
            world.block_of(*swap(adapter, pool, i, limit))
        with world.backend.undone(), pytest.raises(Reverted):
            world.block_of(*swap(adapter, pool, i, limit + 1))


async def test_without_a_holder_what_is_in_hand_can_be_redeemed(made: dict[str, Artifact]) -> None:
    """Assets that grow with time are not in hand, so the last shares are not quoted; the vault reverts."""
    world = World(made["Earning"])
    adapter, pool, row = await world.open()
    shares = world.has(world.vault.address)
    hand = world.has(world.usdc, world.vault.address)
    assert quote(row, 1, shares) == 0
    with pytest.raises(Reverted):
        world.block_of(*swap(adapter, pool, 1, shares))
    part = shares - shares // 1_000_000
    assert 0 < quote(row, 1, part) <= hand


async def test_a_vault_that_earns_is_read_anew(made: dict[str, Artifact]) -> None:
    """Its events do not tell its totals, and after a while nothing that was read is believed."""
    world = World(made["Earning"])
    adapter, pool, row = await world.open(max_age_seconds=24)
    now = world.latest.timestamp
    with Region(4096) as memory:
        memory.view("u1", ROW_BYTES)[:] = bytearray(row)
        assert hot.apply_log(memory.address, 0, 0, memory.address + ROW_BYTES, 64) == LOG_RELOAD
        assert hot.advance(memory.address, now + 24) == LOG_IGNORED
        assert hot.advance(memory.address, now + 25) == LOG_RELOAD
    assert pool.ages
    world.block_of()
    world.block_of()
    (fresh,) = await adapter.load(world, [pool], block=world.latest)
    shares = world.has(world.vault.address) // 2
    assert quote(fresh, 1, shares) > quote(row, 1, shares) > 0
    assert quote(fresh, 1, shares) == world.backend.read(world.vault, "previewRedeem", shares)[0]


async def test_in_a_market_a_vault_waits_for_a_fresh_row_when_it_is_too_old(
    made: dict[str, Artifact],
) -> None:
    """A row is believed for the block that trades next, if that is young enough."""
    world = World(made["Earning"])
    adapter = world.adapter(max_age_seconds=2 * BLOCK_SECONDS)
    market, _ = await load_market(world, [("erc4626", adapter)], head=world.latest)
    with market:
        for is_believed in (True, False):
            block = world.block_of()
            market.apply(block, next_timestamp=block.head.timestamp + BLOCK_SECONDS)
            assert market.is_enabled(0) is is_believed
        assert market.waiting == (0,)
        (fresh,) = await adapter.load(world, market.shape.pools, block=world.latest)
        assert market.reload(0, fresh, block=world.latest.hash)
        assert market.is_enabled(0)
        shares = world.has(world.vault.address) // 2
        assert market.quote(0, 1, 0, shares) == world.backend.read(world.vault, "previewRedeem", shares)[0]


async def test_an_empty_vault_starts_as_its_kind_does(made: dict[str, Artifact]) -> None:
    for name, kind, shares in (("Virtual", "virtual", 5 * 10**6), ("Solmate", "plain", 5)):
        world = World(made[name], *ARGUMENTS[name])
        code = made[name]
        empty = world.backend.deploy(code.encode_constructor(world.usdc, *ARGUMENTS[name]))
        adapter = Erc4626({"vaults": [{"address": checksum(empty), "kind": kind, "idle": True}]})
        pools = await adapter.discover(world, block=world.latest)
        (row,) = await adapter.load(world, pools, block=world.latest)
        assert quote(row, 0, 5) == shares
        assert quote(row, 1, 5) == 0


# --- through the executor --------------------------------------------------------------------


class Cycle:
    """A vault, and a pair of its shares and its asset where shares cost something else."""

    def __init__(self, code: Artifact, *, mille: int) -> None:
        """Let shares cost `mille` thousandths of what they are worth."""
        world = self.world = World(code, 6)
        venue = world.world.v2["v2a"]
        factory = Contract(artifact("UniswapV2Factory"), venue.factory)
        world.block_of(factory.call("createPair", world.usdc, world.vault.address))
        (self.pair,) = world.backend.read(factory, "getPair", world.usdc, world.vault.address)
        shares = world.has(world.vault.address) // 4
        (worth,) = world.backend.read(world.vault, "previewRedeem", shares)
        world.block_of(transfer(world.vault.address, self.pair, shares))
        world.block_of(transfer(world.usdc, self.pair, worth * mille // 1_000))
        world.block_of(Contract(artifact("UniswapV2Pair"), self.pair).call("mint", OPERATOR))
        self.executor = world.backend.deploy(deployment(OPERATOR))

    async def load(self) -> None:
        """Find both pools with their own adapters."""
        world, head = self.world, self.world.latest
        v2 = UniswapV2(protocol_tables(world.world)["uniswap_v2"])
        self.adapters: list[ExchangeProtocol] = [v2, world.adapter(idle=True)]
        found = [await adapter.discover(world, block=head) for adapter in self.adapters]
        (pair,) = [pool for pool in found[0] if pool.address == self.pair]
        self.pools: list[PoolSpec] = [pair, found[1][0]]
        self.rows = [
            (await adapter.load(world, [pool], block=head))[0]
            for adapter, pool in zip(self.adapters, self.pools, strict=True)
        ]

    def opportunity(self, start: Address, amount_in: int) -> Opportunity:
        """Return the way of `amount_in` through the pair and the vault, as the compiled quotes say."""
        legs: list[Leg] = []
        at, amount = start, amount_in
        for number, quoting in enumerate((v2_hot.quote, hot.quote)):
            i = self.pools[number].tokens.index(at)
            with Region(len(self.rows[number])) as memory:
                memory.view("u1", len(self.rows[number]))[:] = bytearray(self.rows[number])
                out = quoting(memory.address, i, 1 - i, amount)
            legs.append(Leg(pool=number, token_in=i, token_out=1 - i, amount_in=amount, amount_out=out))
            at, amount = self.pools[number].tokens[1 - i], out
        return _opportunity(start, legs)


def _opportunity(start: Address, legs: Sequence[Leg]) -> Opportunity:
    return Opportunity(
        id=1,
        strategy="test",
        block_hash=Hash(bytes(32)),
        block_number=0,
        token=start,
        legs=tuple(legs),
        amount_in=legs[0].amount_in,
        amount_out=legs[-1].amount_out,
        gas=0,
        net_wei=0.0,
    )


@pytest.mark.parametrize(("side", "mille"), [("asset", 950), ("shares", 1_050)])
async def test_a_cycle_through_a_vault_realises_what_was_predicted(
    made: dict[str, Artifact], side: str, mille: int
) -> None:
    """Cheap shares are bought and redeemed; dear ones are made by a deposit and sold."""
    cycle = Cycle(made["Virtual"], mille=mille)
    await cycle.load()
    world = cycle.world
    start = world.usdc if side == "asset" else world.vault.address
    amount = units("USDC", 5_000) * (1 if side == "asset" else 10**6)
    found = cycle.opportunity(start, amount)
    assert found.profit > 0
    call = plan(
        found,
        cycle.pools,
        cycle.adapters,
        executor=cycle.executor,
        sender=OPERATOR,
        deadline_block=2**64,
    ).call
    before = world.has(start)
    world.block_of(call)
    assert world.has(start) - before == found.profit
    for token in (world.usdc, world.vault.address):
        assert world.has(token, cycle.executor) == 0
