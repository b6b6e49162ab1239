"""The plugin beside contracts: bytecode at random states, and whole pools on an EVM in this process.

The bytecode is our own deployment of the public formulas (`CryptoSwap.vy` and the math files), for no
package registry carries Curve's. It is compiled once and kept between runs.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any, Final

import pytest
from tallyio_protocol_curve_crypto import hot, reference
from tallyio_protocol_curve_crypto.adapter import CurveCrypto
from tallyio_protocol_curve_crypto.layout import unpack_d
from tallyio_protocol_curve_crypto.loading import pool_of
from tallyio_protocol_curve_crypto.reference_words import Revert
from tallyio_protocol_curve_crypto.samples import Row, draw_amount, draw_state
from tallyio_protocol_curve_crypto.templates import TEMPLATES

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.revm import RevmBackend
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.market.abi import LOG_RELOAD
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.execution import Call
from tallyio.model.units import Address, checksum
from tests import curve_crypto_lab
from tests.curve_crypto_lab import PRICES, ROOM, CodeOf, Lab

CASES = int(os.environ.get("CURVE_CRYPTO_CASES", "2600"))
NOTHING = 2**256 - 1

NATIVE: Final = Address(bytes.fromhex("ee" * 20))


@pytest.fixture(scope="session")
def code_of() -> CodeOf:
    """Return what compiles a pool of a kind, or the factory."""
    return curve_crypto_lab.code_of


@pytest.fixture(scope="module")
def backend() -> RevmBackend:
    return RevmBackend()


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    row = Row()
    yield row
    row.close()


def deployed(backend: RevmBackend, code: Artifact, coins: int) -> Contract:
    """Deploy a pool whose state does not matter: the tests hand one to `dy_of`."""
    arguments = ([bytes(20)] * coins, [1] * coins, [1] * (coins - 1), [0, 0], [0, 0, 0])
    return Contract(code, backend.deploy(code.encode_constructor(*arguments)))


def said(backend: RevmBackend, pool: Contract, function: str, *args: object) -> Any:
    """Return the number that a function answers, or None where it reverts."""
    try:
        answer = backend.call(pool.call(function, *args))
    except Reverted:
        return None
    return pool.artifact.decode(function, answer)[0]


@pytest.mark.parametrize("kind", TEMPLATES)
def test_an_exchange_equals_the_bytecode(backend: RevmBackend, code_of: CodeOf, row: Row, kind: str) -> None:
    """2,600 states a kind: the amount paid, or a revert, in all three; and D where it is computed anew."""
    draw, template = random.Random(f"curve {kind}"), TEMPLATES[kind]
    contract = deployed(backend, code_of(kind), template.coins)
    paid = reverted = moving = 0
    for _ in range(CASES):
        state = draw_state(draw, kind)
        pool = pool_of(state)
        i, j = draw.sample(range(template.coins), 2)
        amount = draw_amount(draw, state.balances[i])
        facts = (
            list(state.balances),
            list(state.price_scale),
            list(state.precisions),
            [pool.ann, pool.gamma],
        )
        fees = [state.mid_fee, state.out_fee, state.fee_gamma]
        answer = said(backend, contract, "dy_of", i, j, amount, *facts, state.d, pool.d is None, fees)
        assert paid_by_reference(pool, i, j, amount) == answer, (state, i, j, amount)
        assert hot.quote(row.set(state), i, j, amount) == (answer or 0), (state, i, j, amount)
        if pool.d is None:
            moving += 1
            xp = reference.scaled(pool, pool.balances)
            invariant = said(backend, contract, "newton_D_of", pool.ann, pool.gamma, xp)
            assert unpack_d(row.raw(template.coins)) == (NOTHING if invariant is None else invariant)
        paid, reverted = paid + (answer is not None), reverted + (answer is None)
    print(f"{kind}: {paid} paid, {reverted} reverted, {moving} with D anew")  # noqa: T201 - shown with -s
    assert paid > CASES // 2
    assert min(reverted, moving) > CASES // 50


def paid_by_reference(pool: reference.Pool, i: int, j: int, amount: int) -> int | None:
    """Return what the reference says, or None where it reverts."""
    try:
        return reference.exchange(pool, i, j, amount)
    except Revert:
        return None


@pytest.mark.parametrize("kind", TEMPLATES)
async def test_a_pool_pays_the_quote_and_not_one_unit_more(code_of: CodeOf, kind: str) -> None:
    """Real swaps through the calls of the adapter; every exchange asks for a reload."""
    lab, draw = Lab(code_of, kind), random.Random(kind)
    pool = await lab.load()
    for _ in range(12):
        i, j = draw.sample(range(lab.coins), 2)
        amount = lab.units(i, draw.choice((1, 1_000, 300_000)) * draw.uniform(1, 2))
        quoted, before = hot.quote(lab.row, i, j, amount), lab.balance(j)
        assert quoted > 0
        approval, _, none = calls = lab.swap(pool, i, j, amount, quoted)
        lab.chain.block_of(approval)
        with pytest.raises(Reverted):
            lab.backend.call(lab.swap(pool, i, j, amount, quoted + 1)[1])
        block = lab.chain.block_of(calls[1])
        assert lab.balance(j) - before == quoted
        assert lab.statuses(block) == [LOG_RELOAD]
        lab.chain.block_of(none)
        await lab.reload(pool)
        lab.chain.block_of(lab.tokens[i].call("approve", lab.pool.address, 2**256 - 1))


@pytest.mark.parametrize("kind", TEMPLATES)
async def test_a_moved_price_scale_is_read_anew(code_of: CodeOf, kind: str) -> None:
    lab = Lab(code_of, kind)
    pool = await lab.load()
    lab.transact("move", [price * 103 // 100 for price in PRICES[: lab.coins - 1]])
    lab.transact("exchange", 0, 1, lab.units(0, 1_000), 0)
    await lab.reload(pool)
    assert all(lab.pays_exactly(i, j, lab.units(i, 50_000)) for i, j in ((0, 1), (1, 0)))


@pytest.mark.parametrize("kind", TEMPLATES)
async def test_a_ramp_is_followed_block_by_block(code_of: CodeOf, kind: str) -> None:
    """An old pool computes D anew until somebody exchanges after the ramp; NG only while it runs."""
    lab = Lab(code_of, kind)
    pool = await lab.load()
    ends = lab.chain.latest.timestamp + 30 * 12
    block = lab.transact("ramp_A_gamma", lab.template.min_a * 900, 10**14, ends)
    assert lab.statuses(block) == [LOG_RELOAD]
    await lab.reload(pool)
    (kept,) = lab.backend.read(lab.pool, "D")
    seen = set()
    for _ in range(35):
        block = lab.chain.block_of()
        assert hot.advance(lab.row, block.head.timestamp) != LOG_RELOAD
        await lab.check_fresh(pool)
        assert lab.pays_exactly(0, 1, lab.units(0, 100_000))
        seen.add(unpack_d(lab.memory.view("u1", ROOM).tobytes()))
    assert len(seen) > 25
    moving = unpack_d(lab.memory.view("u1", ROOM).tobytes()) != kept
    assert moving != lab.template.ng
    lab.transact("exchange", 0, 1, lab.units(0, 1_000), 0)
    await lab.reload(pool)
    assert lab.pays_exactly(1, 0, lab.units(1, 70_000))


@pytest.mark.parametrize("kind", ["twocrypto", "tricrypto_ng"])
async def test_every_event_of_a_pool_asks_for_a_reload(code_of: CodeOf, kind: str) -> None:
    lab = Lab(code_of, kind)
    await lab.load()
    now = lab.chain.latest.timestamp
    for function, *args in (
        ("exchange", 0, 1, lab.units(0, 1_000), 0),
        ("remove_liquidity", 10**16),
        ("set_fees", [1, 2, 3]),
        ("ramp_A_gamma", lab.template.min_a * 500, 10**14, now + 10_000),
        ("stop_ramp_A_gamma",),
    ):
        assert lab.statuses(lab.transact(str(function), *args)) == [LOG_RELOAD], function


async def test_a_stopped_ramp_stays_where_it_was(code_of: CodeOf) -> None:
    lab = Lab(code_of, "twocrypto_ng")
    pool = await lab.load()
    lab.transact("ramp_A_gamma", lab.template.min_a * 900, 10**14, lab.chain.latest.timestamp + 360)
    lab.chain.block_of()
    lab.transact("stop_ramp_A_gamma")
    await lab.reload(pool)
    lab.chain.block_of()
    hot.advance(lab.row, lab.chain.latest.timestamp)
    await lab.check_fresh(pool)
    assert lab.pays_exactly(0, 1, lab.units(0, 100_000))


async def test_a_pool_of_another_kind_is_refused(code_of: CodeOf) -> None:
    lab = Lab(code_of, "tricrypto_ng")
    adapter = CurveCrypto({"pools": [{**lab.settings, "kind": "tricrypto"}]})
    with pytest.raises(ChainError, match=r"does not compute as a 'tricrypto' pool: get_dy\("):
        await adapter.discover(lab.chain, block=lab.chain.latest)


async def test_an_address_that_is_no_pool_is_named(code_of: CodeOf) -> None:
    lab = Lab(code_of, "twocrypto")
    adapter = CurveCrypto({"pools": [{"address": checksum(OPERATOR), "kind": "twocrypto"}]})
    with pytest.raises(ChainError, match="a Curve CryptoSwap contract"):
        await adapter.discover(lab.chain, block=lab.chain.latest)


async def test_a_pool_that_names_native_ether_is_left_to_others(code_of: CodeOf) -> None:
    lab = Lab(code_of, "twocrypto")
    pool = lab.deploy(code_of("twocrypto"), [lab.tokens[0].address, NATIVE])
    adapter = CurveCrypto({"pools": [{"address": checksum(pool.address), "kind": "twocrypto"}]})
    with pytest.raises(ConfigError, match="native ether"):
        await adapter.discover(lab.chain, block=lab.chain.latest)


async def test_a_pool_takes_exactly_what_it_was_allowed(code_of: CodeOf) -> None:
    lab = Lab(code_of, "twocrypto")
    pool = await lab.load()
    assert set(lab.chain.asked_at) == {lab.chain.latest.hash}
    amount = lab.units(0, 1_000)
    quoted = hot.quote(lab.row, 0, 1, amount)
    approval, exchange, none = lab.swap(pool, 0, 1, amount, quoted)
    assert approval == lab.tokens[0].call("approve", pool.address, amount)
    assert exchange == lab.pool.call("exchange", 0, 1, amount, quoted)
    assert none == lab.tokens[0].call("approve", pool.address, 0)
    lab.chain.block_of(approval, exchange)
    assert lab.backend.read(lab.tokens[0], "allowance", OPERATOR, pool.address) == (0,)


async def test_a_pool_cannot_flash(code_of: CodeOf) -> None:
    lab = Lab(code_of, "twocrypto")
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


async def test_a_factory_lists_its_pools(code_of: CodeOf) -> None:
    lab = Lab(code_of, "twocrypto_ng")
    other = Lab(code_of, "twocrypto_ng", chain=lab.chain)
    code = code_of("factory")
    factory = Contract(code, lab.backend.deploy(code.encode_constructor()))
    for pool in (lab.pool, other.pool):
        lab.backend.transact(factory.call("add", pool.address))
    named = {"factories": [{"address": checksum(factory.address), "kind": "twocrypto_ng"}]}
    pools = await CurveCrypto(named).discover(lab.chain, block=lab.chain.latest)
    assert [(pool.address, pool.venue, pool.fee_pips) for pool in pools] == [
        (lab.pool.address, "curve twocrypto_ng", 2_600),
        (other.pool.address, "curve twocrypto_ng", 2_600),
    ]
