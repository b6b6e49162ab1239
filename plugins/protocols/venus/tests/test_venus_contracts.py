"""The adapter finds the protocol on real contracts, and refuses what is not it."""

from __future__ import annotations

from typing import Any

import pytest
from tallyio_protocol_venus.adapter import Venus

from tallyio.lab.world import DEPLOYER
from tallyio.lending import abi
from tallyio.lending.book import AS_MUCH_AS_ALLOWED
from tallyio.model.errors import ChainError, ConfigError, PluginError
from tallyio.model.lending import PositionKey
from tallyio.model.units import checksum, hex_text
from tallyio.testing.revm_chain import RevmChain
from tests.venus_scene import DAI, LINK, NATIVE, Scene, fresh_scene, indebted


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return fresh_scene()


async def test_accounts_are_all_who_ever_borrowed_or_minted_vai(scene: Scene) -> None:
    borrower = indebted(scene, 0)
    supplier = scene.users[1]
    scene.do(scene.vtokens[DAI].call("mint", 10**21), supplier)
    minter = scene.users[2]
    scene.do(scene.vtokens[LINK].call("mint", 10**21), minter)
    entered = [hex_text(scene.vtokens[LINK].address)]
    scene.do(scene.venus.market_facet.call("enterMarkets", entered), minter)
    scene.do(scene.venus.vai_controller.call("mintVAI", 10**18), minter)
    await scene.open()
    assert set(scene.book.keys) == {PositionKey(borrower), PositionKey(minter)}


async def test_the_native_market_counts_for_health_and_is_not_liquidated(scene: Scene) -> None:
    user = scene.users[0]
    scene.chain.backend.fund(user, 10**24)
    scene.do(scene.vtokens[NATIVE].call("mint", value_wei=2_000 * 10**18), user)
    at = hex_text(scene.vtokens[NATIVE].address)
    scene.do(scene.venus.market_facet.call("enterMarkets", [at]), user)
    scene.do(scene.vtokens[DAI].call("borrow", 1_000 * 10**18), user)
    await scene.open()
    health = scene.book.health(PositionKey(user), **scene.next_block())
    above = scene.chain.backend.read(scene.venus.policy_facet, "getAccountLiquidity", hex_text(user))[1]
    assert abs(health.collateral - health.debt - above) < 10**15
    assert scene.liquidate(user, NATIVE, DAI, AS_MUCH_AS_ALLOWED).verdict == abi.OUT_OF_DOMAIN
    assert scene.spec.reserves[NATIVE].collateral is None
    assert scene.spec.reserves[NATIVE].debt is None
    with pytest.raises(PluginError, match="native"):
        scene.calls(user, NATIVE, DAI, (1, 1))


async def test_what_changes_the_description_of_a_book_asks_for_another(scene: Scene) -> None:
    await scene.open()
    facet, setter = scene.venus.market_facet, scene.venus.setter_facet
    income = hex_text(scene.venus.income)
    for call in (
        facet.call("createPool", "more"),
        setter.call("_setLiquidatorContract", income),
        setter.call("_setTreasuryData", income, income, 10**15),
        setter.call("_setPriceOracle", income),
    ):
        with scene.chain.backend.undone():
            assert (await scene.follow(scene.do(call, DEPLOYER))).rebuild
        await scene.open()


class Lying(RevmChain):
    """A chain on which storage is somewhere else."""

    async def call(self, calls: Any, *, pretend: Any = (), **facts: Any) -> list[bytes | None]:
        """Answer questions for storage with zeros."""
        if pretend:
            return [bytes(len(call.data)) for call in calls]
        return await super().call(calls, **facts)


async def test_vtokens_of_another_layout_are_refused(scene: Scene) -> None:
    with pytest.raises(ChainError, match="other slots"):
        await scene.adapter.discover(Lying(scene.chain.lab), block=scene.chain.latest)


async def test_what_is_no_comptroller_is_refused(scene: Scene) -> None:
    adapter = Venus({"venues": [{"name": "no", "comptroller": checksum(scene.tokens[0].address)}]})
    with pytest.raises(ChainError, match="Venus"):
        await adapter.discover(scene.chain, block=scene.chain.latest)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"venues": []}, "names no venue"),
        ({"venues": [{"name": "a"}]}, "neither comptroller nor preset"),
        ({"venues": [{"name": "a", "preset": "cor"}]}, "did you mean"),
        ({"venues": [{"name": "a", "comptroller": "0x12"}]}, "an address is"),
        ({"venues": [{"name": "a", "preset": "core", "from_block": -1}]}, "from_block"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Venus(settings)


async def test_a_preset_knows_its_chains_only(scene: Scene) -> None:
    adapter = Venus({"venues": [{"name": "venus", "preset": "core"}]})
    with pytest.raises(ConfigError, match="no known comptroller on chain 31337"):
        await adapter.discover(scene.chain, block=scene.chain.latest)
