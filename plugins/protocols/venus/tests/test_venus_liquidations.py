"""Liquidations by the adapter on real contracts: they take and give what was said, or revert where it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tallyio_protocol_venus import state
from tallyio_protocol_venus.layout import unpack_market, unpack_own

from tallyio.lab import Reverted
from tallyio.lab.world import DEPLOYER, OPERATOR
from tallyio.lending import abi
from tallyio.lending.book import AS_MUCH_AS_ALLOWED
from tallyio.model.errors import PluginError
from tallyio.model.execution import Call
from tallyio.model.lending import PositionKey
from tallyio.model.units import Address, hex_text
from tallyio.model.words import unsigned
from tests.venus_scene import DAI, LINK, USDC, VAI, Scene, fresh_scene, indebted, reprice


@pytest.fixture
def scene() -> Scene:
    """Return a fresh scene."""
    return fresh_scene()


async def test_liquidations_take_and_give_what_was_said(scene: Scene) -> None:
    users = [indebted(scene, user, debt=debt) for user, debt in ((0, DAI), (1, USDC), (2, DAI))]
    scene.do(scene.vtokens[DAI].call("mint", 10**21), users[2])
    scene.do(scene.venus.market_facet.call("enterMarkets", [hex_text(scene.vtokens[DAI].address)]), users[2])
    reprice(scene, LINK, 12.5)
    await scene.open()
    assert set(scene.book.at_risk(**scene.next_block())) == {PositionKey(user) for user in users[:2]}
    reprice(scene, LINK, 2)
    await scene.follow(scene.chain.block(scene.chain.latest.number))
    for user, collateral, debt in ((users[0], LINK, DAI), (users[1], LINK, USDC), (users[2], DAI, DAI)):
        terms = scene.liquidate(user, collateral, debt, AS_MUCH_AS_ALLOWED)
        assert terms.verdict == abi.LAWFUL
        assert terms.repay == terms.most > 0
        before = scene.balance(debt), scene.balance(collateral)
        block = scene.chain.block_of(*scene.calls(user, collateral, debt, (terms.repay, terms.seize)))
        after = scene.balance(debt), scene.balance(collateral)
        if debt == collateral:
            assert after[0] - before[0] == terms.seize - terms.repay
        else:
            assert (before[0] - after[0], after[1] - before[1]) == (terms.repay, terms.seize)
        assert not (await scene.follow(block)).rows
        await scene.compare()


async def test_what_is_read_after_health_are_questions_that_the_comptroller_answers(scene: Scene) -> None:
    user, stranger = indebted(scene, 0), scene.users[1]
    await scene.open()
    for account, may_seize in ((user, True), (stranger, False)):
        calls = scene.adapter.reads(
            scene.spec, PositionKey(account), collateral=LINK, debt=DAI, recipient=OPERATOR
        )
        answers = await scene.chain.call(calls, block=scene.chain.latest.hash)
        # Whoever did not enter the market has no collateral in it.
        assert [not unsigned(each or b"", 0) for each in answers] == [True, may_seize]


async def test_one_unit_above_the_most_reverts(scene: Scene) -> None:
    user = indebted(scene, 0)
    reprice(scene, LINK, 12.5)
    await scene.open()
    terms = scene.liquidate(user, LINK, DAI, AS_MUCH_AS_ALLOWED)
    assert scene.liquidate(user, LINK, DAI, terms.most + 1).verdict == abi.TOO_MUCH
    with pytest.raises(Reverted):
        scene.chain.block_of(*scene.calls(user, LINK, DAI, (terms.most + 1, terms.seize)))


async def test_a_debt_in_vai_is_liquidated_and_comes_first_where_it_is_large(scene: Scene) -> None:
    user, controller = indebted(scene, 0, debt=USDC), scene.venus.vai_controller
    scene.do(scene.vtokens[LINK].call("mint", 1_000 * 10**18), user)
    scene.do(controller.call("mintVAI", 5_000 * 10**18), user)
    scene.do(scene.venus.vai.call("transfer", hex_text(OPERATOR), 4_000 * 10**18), user)
    reprice(scene, LINK, 4)
    await scene.open()
    assert scene.liquidate(user, LINK, USDC, AS_MUCH_AS_ALLOWED).verdict == abi.PAUSED
    with pytest.raises(Reverted):
        scene.chain.block_of(*scene.calls(user, LINK, USDC, (10**6, 10**15)))
    await scene.open()
    terms = scene.liquidate(user, LINK, VAI, AS_MUCH_AS_ALLOWED)
    assert terms.verdict == abi.LAWFUL
    before = scene.balance(VAI), scene.balance(LINK)
    block = scene.chain.block_of(*scene.calls(user, LINK, VAI, (terms.repay, terms.seize)))
    assert (before[0] - scene.balance(VAI), scene.balance(LINK) - before[1]) == (terms.repay, terms.seize)
    await scene.follow(block)
    await scene.compare()
    # What is left is too little to come first.
    terms = scene.liquidate(user, LINK, VAI, terms.repay // 2)
    scene.chain.block_of(*scene.calls(user, LINK, VAI, (terms.repay, terms.seize)))
    govern_vai = scene.venus.liquidator.call("setMinLiquidatableVAI", 10**25)
    await scene.open()
    await scene.follow(scene.do(govern_vai, DEPLOYER))
    assert scene.liquidate(user, LINK, USDC, AS_MUCH_AS_ALLOWED).verdict == abi.LAWFUL


def rules(scene: Scene, user: Address) -> Iterator[tuple[Call, int]]:
    """Yield what governance may do to close the door to a liquidation of DAI for LINK, and the verdict."""
    setter, liquidator = scene.venus.setter_facet, scene.venus.liquidator
    dai, link = hex_text(scene.vtokens[DAI].address), hex_text(scene.vtokens[LINK].address)
    yield setter.call("_setProtocolPaused", True), abi.PAUSED
    yield setter.call("setActionsPaused", [dai], [5], True), abi.PAUSED
    yield setter.call("setActionsPaused", [dai], [3], True), abi.PAUSED
    yield setter.call("setActionsPaused", [link], [4], True), abi.PAUSED
    yield setter.call("setActionsPaused", [link], [1], True), abi.PAUSED
    yield setter.call("setActionsPaused", [link], [6], True), abi.PAUSED
    yield liquidator.call("restrictLiquidation", hex_text(user)), abi.CLOSED
    yield scene.venus.oracle.call("setUnderlyingPrice", link, 0), abi.NO_PRICE
    yield setter.call("setCollateralFactor", link, 10**17, 9 * 10**17), abi.HEALTH_IS_SOUND


async def test_each_gate_is_closed_where_the_contracts_close_it(scene: Scene) -> None:
    user = indebted(scene, 0)
    reprice(scene, LINK, 12.5)
    await scene.open()
    terms = scene.liquidate(user, LINK, DAI, AS_MUCH_AS_ALLOWED)
    assert terms.verdict == abi.LAWFUL
    for rule, verdict in rules(scene, user):
        with scene.chain.backend.undone():
            wanted = await scene.follow(scene.do(rule, DEPLOYER))
            assert not wanted.rebuild
            assert scene.liquidate(user, LINK, DAI, AS_MUCH_AS_ALLOWED).verdict == verdict, rule
            with pytest.raises(Reverted):
                scene.chain.block_of(*scene.calls(user, LINK, DAI, (terms.repay, terms.seize)))
        await scene.open()


@pytest.mark.parametrize("for_user", [False, True])
async def test_a_forced_liquidation_asks_for_no_shortfall_and_no_close_factor(
    scene: Scene,
    for_user: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    user, setter = indebted(scene, 0), scene.venus.setter_facet
    await scene.open()
    assert scene.liquidate(user, LINK, DAI, AS_MUCH_AS_ALLOWED).verdict == abi.HEALTH_IS_SOUND
    assert scene.book.at_risk(**scene.next_block()) == []
    at = hex_text(scene.vtokens[DAI].address)
    rule = (
        setter.call("_setForcedLiquidationForUser", hex_text(user), at, True)
        if for_user
        else setter.call("_setForcedLiquidation", at, True)
    )
    await scene.follow(scene.do(rule, DEPLOYER))
    assert scene.book.at_risk(**scene.next_block()) == [PositionKey(user)]
    terms = scene.liquidate(user, LINK, DAI, AS_MUCH_AS_ALLOWED)
    assert terms.verdict == abi.LAWFUL
    assert terms.repay > 1_100 * 10**18
    scene.chain.block_of(*scene.calls(user, LINK, DAI, (terms.repay, terms.seize)))
    owed = scene.chain.backend.read(scene.vtokens[DAI], "borrowBalanceStored", hex_text(user))[0]
    assert owed == 0


async def test_without_a_liquidator_contract_anybody_liquidates_and_nothing_is_kept(scene: Scene) -> None:
    user = indebted(scene, 0)
    reprice(scene, LINK, 12.5)
    scene.chain.backend.evm.insert_account_storage(hex_text(scene.venus.comptroller), 37, 0)
    await scene.open()
    terms = scene.liquidate(user, LINK, DAI, AS_MUCH_AS_ALLOWED)
    assert (terms.verdict, terms.fee) == (abi.LAWFUL, 0)
    before = scene.balance(DAI), scene.balance(LINK)
    block = scene.chain.block_of(*scene.calls(user, LINK, DAI, (terms.repay, terms.seize)))
    assert (before[0] - scene.balance(DAI), scene.balance(LINK) - before[1]) == (terms.repay, terms.seize)
    await scene.follow(block)
    await scene.compare()


async def test_what_the_liquidator_could_not_redeem_it_redeems_with_the_next_liquidation(
    scene: Scene,
) -> None:
    users = [indebted(scene, 0), indebted(scene, 1)]
    # Somebody borrows all the cash, so the Liquidator cannot redeem its share of the first.
    borrower, vlink = scene.users[2], scene.vtokens[LINK]
    cash = scene.chain.backend.read(vlink, "getCash")[0]
    scene.do(scene.vtokens[DAI].call("mint", 10**25), borrower)
    dai = hex_text(scene.vtokens[DAI].address)
    scene.do(scene.venus.market_facet.call("enterMarkets", [dai]), borrower)
    scene.do(vlink.call("borrow", cash), borrower)
    reprice(scene, LINK, 12.5)
    await scene.open()
    assert scene.liquidate(users[0], LINK, DAI, AS_MUCH_AS_ALLOWED).verdict == abi.NO_CASH
    scene.chain.block_of(*scene.calls(users[0], LINK, DAI, (10**20, 1))[:3])
    with pytest.raises(Reverted):
        scene.do(vlink.call("redeem", 1_000))
    scene.do(vlink.call("repayBorrow", cash // 2), borrower)
    await scene.open()
    market = unpack_market(scene.book.reserve(LINK), 2)
    assert market.flags & state.PENDING
    assert market.liquidator_tokens > 0
    terms = scene.liquidate(users[1], LINK, DAI, AS_MUCH_AS_ALLOWED)
    before = scene.balance(LINK)
    block = scene.chain.block_of(*scene.calls(users[1], LINK, DAI, (terms.repay, terms.seize)))
    assert scene.balance(LINK) - before == terms.seize
    await scene.follow(block)
    assert not unpack_market(scene.book.reserve(LINK), 2).flags & state.PENDING
    await scene.compare()


async def test_a_fee_on_redeeming_is_taken_off(scene: Scene) -> None:
    user, income = indebted(scene, 0), hex_text(scene.venus.income)
    scene.govern(scene.venus.setter_facet, "_setTreasuryData", income, income, 10**15)
    reprice(scene, LINK, 12.5)
    await scene.open()
    assert unpack_own(scene.book.own()).redeem_fee == 10**15
    terms = scene.liquidate(user, LINK, DAI, AS_MUCH_AS_ALLOWED)
    before = scene.balance(LINK)
    block = scene.chain.block_of(*scene.calls(user, LINK, DAI, (terms.repay, terms.seize)))
    assert scene.balance(LINK) - before == terms.seize
    await scene.follow(block)
    await scene.compare()


async def test_nobody_is_called_back(scene: Scene) -> None:
    await scene.open()
    assert not scene.adapter.can_call_back(scene.spec)
    assert not scene.adapter.polls(scene.spec)
    with pytest.raises(PluginError, match="calls nobody back"):
        scene.adapter.liquidate(
            scene.spec,
            PositionKey(scene.users[0]),
            collateral=LINK,
            debt=DAI,
            repay=1,
            offer=1,
            seize=1,
            recipient=OPERATOR,
            inner=(Call(to=OPERATOR, data=b""),),
            encode=lambda _calls: b"",
        )
