"""What the adapter follows from events is what a fresh read of real contracts says."""

from __future__ import annotations

from random import Random
from typing import Final

import pytest
from tallyio_protocol_venus import rates
from tallyio_protocol_venus.state import MANTISSA

from tallyio.lab import Reverted
from tallyio.lab.world import DEPLOYER
from tallyio.model.execution import Call
from tallyio.model.units import Address, hex_text
from tests.venus_scene import DOLLARS, NATIVE, SYMBOLS, USDC, WBTC, Scene, fresh_scene, indebted

BLOCKS: Final = 160


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return fresh_scene()


def random_call(rng: Random, scene: Scene) -> tuple[Call, Address]:
    """Return something that a user may do, which may revert."""
    user, k = rng.choice(scene.users), rng.randrange(4)
    unit, vtoken = 10 ** scene.venus.markets[k].listing.decimals, scene.vtokens[k]
    worth = int(unit * rng.uniform(10, 4_000) / DOLLARS[SYMBOLS[k]])
    other = hex_text(rng.choice(scene.users))
    controller, facet = scene.venus.vai_controller, scene.venus.market_facet
    calls = [
        vtoken.call("mint", worth),
        vtoken.call("mint", worth),
        vtoken.call("mintBehalf", other, worth),
        facet.call("enterMarkets", [hex_text(each.address) for each in rng.sample(scene.vtokens[:4], 2)]),
        facet.call("exitMarket", hex_text(vtoken.address)),
        vtoken.call("borrow", worth // 2),
        vtoken.call("borrow", worth // 3),
        vtoken.call("repayBorrow", worth // 4),
        vtoken.call("repayBorrow", 2**256 - 1),
        vtoken.call("redeem", rng.randrange(10**10)),
        vtoken.call("redeemUnderlying", worth // 5),
        vtoken.call("transfer", other, rng.randrange(10**9)),
        controller.call("mintVAI", rng.randrange(10**20)),
        controller.call("repayVAI", rng.randrange(10**20)),
        controller.call("accrueVAIInterest"),
        facet.call("enterPool", rng.randrange(2)),
        vtoken.call("accrueInterest"),
        vtoken.call("_addReserves", rng.randrange(unit)),
        scene.vtokens[NATIVE].call("mint", value_wei=rng.randrange(10**18)),
        scene.vtokens[NATIVE].call("borrow", rng.randrange(10**16)),
    ]
    return rng.choice(calls), user


def random_rule(rng: Random, scene: Scene) -> Call:
    """Return something that governance may do."""
    setter, k = scene.venus.setter_facet, rng.randrange(4)
    at, user = hex_text(scene.vtokens[k].address), hex_text(rng.choice(scene.users))
    usual = DOLLARS[SYMBOLS[k]] * 10 ** (36 - scene.venus.markets[k].listing.decimals)
    price, vai_price = int(usual * rng.uniform(0.9, 1.1)), int(MANTISSA * rng.uniform(0.9, 1.1))
    return rng.choice(
        [
            setter.call("_setCloseFactor", rng.randrange(MANTISSA // 4, 9 * 10**17)),
            setter.call("setActionsPaused", [at], [rng.choice((1, 3, 4, 5, 6))], rng.random() < 0.4),
            setter.call("_setForcedLiquidationForUser", user, at, rng.random() < 0.5),
            setter.call("_setForcedLiquidation", at, rng.random() < 0.5),
            setter.call("setLiquidationIncentive", at, rng.randrange(MANTISSA, 12 * 10**17)),
            scene.vtokens[k].call("_setReserveFactor", rng.randrange(3 * 10**17)),
            scene.vtokens[k].call("setReduceReservesBlockDelta", rng.randrange(1, 30)),
            scene.venus.liquidator.call("restrictLiquidation", user),
            scene.venus.liquidator.call("unrestrictLiquidation", user),
            scene.venus.vai_controller.call("setBaseRate", rng.randrange(10**17)),
            scene.venus.vai_controller.call("setFloatRate", rng.randrange(10**18)),
            scene.venus.oracle.call("setUnderlyingPrice", at, price),
            scene.venus.oracle.call("setDirectPrice", hex_text(scene.venus.vai.address), vai_price),
        ]
    )


async def test_what_is_followed_is_what_a_fresh_read_says(scene: Scene) -> None:
    rng = Random(3)
    for user in range(4):
        indebted(scene, user)
    for account in scene.users:
        scene.chain.backend.fund(account, 10**20)
    await scene.open()
    # As are vTokens of earlier versions: cash is what they have, and nobody knows the rate model.
    scene.describe(WBTC, without=("counts_cash",))
    scene.describe(USDC, without=("counts_cash", *rates.JUMP, *rates.TWO_KINKS))
    done = 0
    for _ in range(BLOCKS):
        call, sender = random_call(rng, scene) if rng.random() < 0.9 else (random_rule(rng, scene), DEPLOYER)
        try:
            block = scene.do(call, sender)
            done += 1
        except Reverted:
            block = scene.chain.block(scene.chain.latest.number)
        wanted = await scene.follow(block)
        assert not wanted.rebuild
        await scene.compare()
    assert done > BLOCKS // 2
    assert scene.quiet > BLOCKS * 4 // 5
