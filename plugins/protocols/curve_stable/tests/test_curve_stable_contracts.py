"""Discovery, loading, events and calls with whole pools on an EVM in this process."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest
from tallyio_protocol_curve_stable import hot
from tallyio_protocol_curve_stable.adapter import CurveStable
from tallyio_protocol_curve_stable.events import TOPICS
from tallyio_protocol_curve_stable.layout import unpack_balances

from tallyio.lab.artifact import Contract
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.market.abi import LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.execution import Call
from tallyio.model.market import LogSource
from tallyio.model.units import checksum
from tallyio.testing import RevmChain
from tests.curve_stable_lab import CodeOf, Lab

SHAPES = (("susd", 4), ("three_pool", 3), ("base", 2), ("plain", 3), ("ema", 2), ("ng", 3))


@pytest.mark.parametrize(("kind", "coins"), SHAPES)
async def test_a_pool_pays_the_quote_and_not_one_unit_more(code_of: CodeOf, kind: str, coins: int) -> None:
    """Real swaps through the calls of the adapter; the row follows the events to what a fresh load says."""
    lab, draw = Lab(code_of, kind, coins), random.Random(kind)
    pool = await lab.load()
    for _ in range(12):
        i, j = draw.sample(range(coins), 2)
        amount = lab.units(i, draw.choice((0.001, 1, 1_000, 300_000)) * draw.uniform(1, 2))
        quoted, before = hot.quote(lab.row, i, j, amount), lab.balance(j)
        assert quoted > 0
        approve, _, none = calls = lab.swap(pool, i, j, amount, quoted)
        lab.chain.block_of(approve)
        with pytest.raises(Reverted):
            lab.backend.call(lab.swap(pool, i, j, amount, quoted + 1)[1])
        block = lab.chain.block_of(calls[1])
        assert lab.balance(j) - before == quoted
        assert lab.follow(block) == [LOG_APPLIED]
        lab.chain.block_of(none)
        hot.advance(lab.row, lab.chain.latest.timestamp)
        await lab.check_fresh(pool)
        lab.chain.block_of(lab.tokens[i].call("approve", lab.pool.address, 2**256 - 1))


@pytest.mark.parametrize(("kind", "coins"), SHAPES)
async def test_liquidity_comes_and_goes_and_the_row_follows(code_of: CodeOf, kind: str, coins: int) -> None:
    lab = Lab(code_of, kind, coins)
    pool = await lab.load()
    leaning = [lab.units(k, 10_000 * (k + 1)) for k in range(coins)]
    for function, *args in (
        ("add_liquidity", leaning, 0),
        ("add_liquidity", [leaning[0], *[0] * (coins - 1)], 0),
        ("remove_liquidity_imbalance", leaning, 2**255),
        ("remove_liquidity", 12_345 * 10**18 + 7, [0] * coins),
    ):
        assert lab.follow(lab.transact(str(function), *args)) == [LOG_APPLIED], function
        await lab.check_fresh(pool)


async def test_a_withdrawal_in_one_coin_says_too_little(code_of: CodeOf) -> None:
    lab = Lab(code_of, "base", 2)
    await lab.load()
    assert lab.follow(lab.transact("remove_liquidity_one_coin", 10**18, 0, 10**17)) == [LOG_RELOAD]


@pytest.mark.parametrize(("kind", "coins"), [("three_pool", 3), ("base", 2), ("ng", 3)])
async def test_a_ramp_of_a_is_followed_block_by_block(code_of: CodeOf, kind: str, coins: int) -> None:
    lab = Lab(code_of, kind, coins)
    pool = await lab.load()
    ends = lab.chain.latest.timestamp + 40 * 12
    assert lab.follow(lab.transact("ramp_A", 900, ends)) == [LOG_APPLIED]
    seen = set()
    for _ in range(45):
        block = lab.chain.block_of()
        lab.follow(block)
        await lab.check_fresh(pool)
        quoted = hot.quote(lab.row, 0, 1, lab.units(0, 100_000))
        seen.add(quoted)
        call = lab.pool.call("exchange", 0, 1, lab.units(0, 100_000), quoted)
        lab.backend.call(call)
        with pytest.raises(Reverted):
            lab.backend.call(lab.pool.call("exchange", 0, 1, lab.units(0, 100_000), quoted + 1))
    assert len(seen) > 30
    assert hot.advance(lab.row, lab.chain.latest.timestamp + 12) == LOG_IGNORED
    lab.follow(lab.transact("ramp_A", 300, lab.chain.latest.timestamp + 1000))
    lab.follow(lab.chain.block_of())
    if kind != "ng":
        assert lab.follow(lab.transact("stop_ramp_A")) == [LOG_APPLIED]
    await lab.check_fresh(pool)


@pytest.mark.parametrize(
    ("kind", "coins", "function", "args"),
    [
        ("base", 2, "apply_new_fee", (5_000_000, 10**10)),
        ("plain", 3, "apply_plain_fee", (5_000_000,)),
        ("susd", 4, "apply_new_parameters", (256, 2_000_000, 0)),
        ("ng", 3, "set_new_fee", (1_000_000, 5 * 10**10)),
        ("ng", 3, "set_new_admin_fee", (0,)),
    ],
)
async def test_new_settings_are_followed(
    code_of: CodeOf, kind: str, coins: int, function: str, args: tuple[int, ...]
) -> None:
    lab = Lab(code_of, kind, coins)
    pool = await lab.load()
    assert lab.follow(lab.transact(function, *args)) == [LOG_APPLIED]
    await lab.check_fresh(pool)


async def metapool(code_of: CodeOf, kind: str) -> tuple[Lab, Lab]:
    """Return a base pool and a metapool on it."""
    base = Lab(code_of, "base", 2)
    named = {"base_pool": checksum(base.pool.address)} if kind == "factory_meta" else {}
    return base, Lab(code_of, kind, 2, base=base, more=named)


@pytest.mark.parametrize("kind", ["meta", "factory_meta", "ng_meta"])
async def test_a_metapool_quotes_with_its_bases_virtual_price(code_of: CodeOf, kind: str) -> None:
    """And asks for a reload at every event of its own or of its base."""
    base, lab = await metapool(code_of, kind)
    pool = await lab.load()
    assert pool.sources == (LogSource(lab.pool.address), LogSource(base.pool.address))
    for _ in range(60):  # more than the ten minutes that a price may be kept
        block = base.transact("exchange", 0, 1, base.units(0, 300_000), 0)
        assert lab.follow(block) == [LOG_RELOAD]
        base.transact("exchange", 1, 0, base.units(1, 250_000), 0)
        lab.put(*await lab.adapter.load(lab.chain, [pool], block=lab.chain.latest))
        for i, j in ((0, 1), (1, 0)):
            amount = lab.units(i, 12_345)
            quoted = hot.quote(lab.row, i, j, amount)
            lab.backend.call(lab.pool.call("exchange", i, j, amount, quoted))
            with pytest.raises(Reverted):
                lab.backend.call(lab.pool.call("exchange", i, j, amount, quoted + 1))
    block = lab.transact("exchange", 0, 1, lab.units(0, 1_000), 0)
    assert lab.follow(block) == [LOG_RELOAD]


async def test_a_kept_virtual_price_expires_with_time(code_of: CodeOf) -> None:
    base, lab = await metapool(code_of, "meta")
    pool = await lab.load()
    base.transact("exchange", 0, 1, base.units(0, 300_000), 0)
    lab.put(*await lab.adapter.load(lab.chain, [pool], block=lab.chain.latest))
    statuses = []
    for _ in range(60):
        statuses.append(hot.advance(lab.row, lab.chain.block_of().head.timestamp))
        await lab.check_fresh(pool)
    assert statuses.count(LOG_APPLIED) == 1
    assert LOG_RELOAD not in statuses


async def test_rates_that_move_are_believed_for_their_time_only(code_of: CodeOf) -> None:
    lab = Lab(code_of, "ng", 3, more={"moves": True})
    pool = await lab.load()
    lab.backend.transact(lab.pool.call("set_rate", 0, 11 * 10**17))
    [fresh] = await lab.adapter.load(lab.chain, [pool], block=lab.chain.latest)
    lab.put(fresh)
    time = lab.chain.latest.timestamp
    assert [hot.advance(lab.row, time + seconds) for seconds in (0, 12, 13)] == [
        LOG_IGNORED,
        LOG_IGNORED,
        LOG_RELOAD,
    ]
    assert lab.follow(lab.transact("exchange", 0, 1, 10**18, 0)) == [LOG_RELOAD]


async def test_an_older_ng_pool_is_loaded_anew_after_every_event(code_of: CodeOf) -> None:
    """It sets what it stores to its balance, with what anybody gave it: no event says that."""
    lab = Lab(code_of, "ng", 3)
    lab.backend.transact(lab.pool.call("set_version", "v6.0.1"))
    await lab.load()
    assert lab.follow(lab.transact("exchange", 0, 1, 10**18, 0)) == [LOG_RELOAD]
    assert hot.advance(lab.row, lab.chain.latest.timestamp + 1_000_000) == LOG_IGNORED


async def test_an_event_that_contradicts_the_row_asks_for_a_reload(code_of: CodeOf) -> None:
    lab = Lab(code_of, "plain", 3)
    pool = await lab.load()
    [row] = await lab.adapter.load(lab.chain, [pool], block=lab.chain.latest)
    leaning = [lab.units(k, 10_000 * (k + 1)) for k in range(3)]
    blocks = [
        lab.transact("exchange", 0, 1, 10**21, 0),
        lab.transact("add_liquidity", leaning, 0),
        lab.transact("remove_liquidity_imbalance", leaning, 2**255),
        lab.transact("remove_liquidity", 10**21, [0] * 3),
    ]
    for block in blocks[1:]:  # each without those before it
        lab.put(row)
        assert lab.follow(block) == [LOG_RELOAD]
    for block in blocks:
        [log] = [log for log in block.logs if log.topics[0] in TOPICS]
        for data in (log.data[:-32], log.data + bytes(32), b"", b"\xff" * len(log.data)):
            lab.put(row)
            assert lab.apply(msgspec.structs.replace(log, data=data)) == LOG_RELOAD


async def test_a_pool_of_another_kind_is_refused(code_of: CodeOf) -> None:
    lab = Lab(code_of, "base", 2)
    adapter = CurveStable({"pools": [{**lab.settings, "kind": "three_pool"}]})
    with pytest.raises(ChainError, match=r"does not compute as a 'three_pool' pool: get_dy\(0, 1, "):
        await adapter.discover(lab.chain, block=lab.chain.latest)


async def test_an_address_that_is_no_pool_is_named(code_of: CodeOf) -> None:
    lab = Lab(code_of, "base", 2)
    adapter = CurveStable({"pools": [{"address": checksum(OPERATOR), "kind": "base"}]})
    with pytest.raises(ChainError, match=r"does not answer coins\(\) as a 'base' pool does"):
        await adapter.discover(lab.chain, block=lab.chain.latest)


async def test_a_metapool_that_does_not_say_its_base_asks_for_it(code_of: CodeOf) -> None:
    class Silent(RevmChain):
        async def call(self, calls: Sequence[Call], **_: object) -> list[bytes | None]:
            answers = await super().call(calls)
            return [
                None if call.data[:4] == silent else answer
                for call, answer in zip(calls, answers, strict=True)
            ]

    _, lab = await metapool(code_of, "meta")
    silent = lab.pool.call("base_pool").data
    with pytest.raises(ConfigError, match="does not say its base pool; add base_pool"):
        await lab.adapter.discover(Silent(lab.chain.lab), block=lab.chain.latest)


async def test_everything_is_read_at_the_block_that_was_given(code_of: CodeOf) -> None:
    lab = Lab(code_of, "base", 2)
    await lab.load()
    assert set(lab.chain.asked_at) == {lab.chain.latest.hash}


async def test_a_pool_takes_exactly_what_it_was_allowed(code_of: CodeOf) -> None:
    lab = Lab(code_of, "base", 2)
    pool = await lab.load()
    quoted = hot.quote(lab.row, 0, 1, 10**18)
    approve, exchange, none = lab.swap(pool, 0, 1, 10**18, quoted)
    assert approve == lab.tokens[0].call("approve", pool.address, 10**18)
    assert exchange == lab.pool.call("exchange", 0, 1, 10**18, quoted)
    assert none == lab.tokens[0].call("approve", pool.address, 0)
    lab.chain.block_of(approve, exchange)
    assert lab.backend.read(lab.tokens[0], "allowance", OPERATOR, pool.address) == (0,)


async def test_a_pool_cannot_flash(code_of: CodeOf) -> None:
    lab = Lab(code_of, "base", 2)
    pool = await lab.load()
    assert not pool.can_flash
    with pytest.raises(ValueError, match="cannot flash"):
        lab.adapter.swap(
            pool,
            token_in=0,
            token_out=1,
            amount_in=1,
            amount_out=1,
            recipient=OPERATOR,
            inner=(Call(to=OPERATOR, data=b""),),
            encode=lambda _: b"",
        )


async def test_a_row_holds_what_the_pool_says(code_of: CodeOf) -> None:
    lab = Lab(code_of, "susd", 4)
    pool = await lab.load()
    [row] = await lab.adapter.load(lab.chain, [pool], block=lab.chain.latest)
    assert unpack_balances(row) == tuple(lab.backend.read(lab.pool, "balances", k)[0] for k in range(4))
    assert pool.fee_pips == 400
    assert pool.tokens == tuple(token.address for token in lab.tokens)


async def test_a_factory_lists_its_pools_by_kind(code_of: CodeOf) -> None:
    base, meta = await metapool(code_of, "ng_meta")
    plain = Lab(code_of, "ng", 3, chain=base.chain)
    code = code_of("factory", 0)
    factory = Contract(code, base.backend.deploy(code.encode_constructor()))
    base.backend.transact(factory.call("add", meta.pool.address, True, [0, 0]))
    base.backend.transact(factory.call("add", plain.pool.address, False, [0, 1, 3]))
    adapter = CurveStable({"factories": [{"address": checksum(factory.address)}]})
    pools = await adapter.discover(base.chain, block=base.chain.latest)
    assert [(pool.address, pool.venue) for pool in pools] == [
        (meta.pool.address, "curve ng_meta"),
        (plain.pool.address, "curve ng"),
    ]
    assert [dict(pool.parameters)["moves"] for pool in pools] == [0, 1]
