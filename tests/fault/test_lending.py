"""Faults of lending: what the contract refuses, the bot leaves alone, and its ledger has the reason.

One world and one live bot for all tests. Each opens a position, closes a gate, lets the price fall, and sees
three things: the contract's own refusal, the reason in the ledger, and, once the gate is open, that the bot
takes the position to the unit. So it was the gate, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tallyio.lab.lending.moves import OUTBID_WEI
from tallyio.lab.steps import Transaction
from tallyio.lab.world import DEPLOYER, OPERATOR
from tallyio.model.erc20 import approve, transfer
from tallyio.model.hashing import selector
from tallyio.model.units import Address, Wei, checksum, hex_text
from tests.e2e.harness import tallyio
from tests.fault.lending_ground import FollowingBot, Ground, open_bot, open_ground
from tests.fault.lending_places import DOLLAR, GRACE_SECONDS
from tests.fault.odd_contracts import FRESH_SECONDS, TAX_PERCENT
from tests.fault.stage import Stage, staged

if TYPE_CHECKING:
    from tallyio.model.execution import Call

pytestmark = pytest.mark.node

UNLIMITED = 2**256 - 1
HIGHER, LOWER = 100, 92
"""Percent of a token's first price."""
FREEZE_GAS = 12_000_000
"""It looks at every e-mode category that there could be."""
SEIZE = 4
"""Venus's number of that action."""
ETHER_IN_MORPHO = 2_500 * 10**24


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage[Ground]]:
    with staged(open_ground(tmp_path_factory.mktemp("ground"))) as made:
        yield made


def aave_call(
    ground: Ground, person: Address, collateral: str = "WETH", debt: str = "USDC", offer: int = UNLIMITED
) -> Call:
    """Return the liquidation that anybody could send."""
    tokens = (ground.token(collateral), ground.token(debt))
    return ground.places.aave.pool.call("liquidationCall", *tokens, person, offer, False)


def is_error(said: str, error: str) -> bool:
    """Return whether the node's words carry an error of that signature; some it takes for a text."""
    mark = selector(error)
    return any(each in said for each in (mark.hex(), mark.decode("latin-1"), error.partition("(")[0]))


def test_a_paused_reserve_and_the_grace_period_after_it(stage: Stage[Ground]) -> None:
    async def act(ground: Ground) -> None:
        person = await ground.borrow_aave({"WETH": 10_000}, USDC=7_400)
        configure = ground.places.aave.configurator
        await ground.operate(configure.call("setReservePause", ground.token("WETH"), True))
        await ground.price("WETH", LOWER)
        await ground.told(person, "liquidation is paused")
        assert is_error(await ground.refusal(aave_call(ground, person)), "ReservePaused()")
        await ground.operate(configure.call("setReservePause", ground.token("WETH"), False, GRACE_SECONDS))
        await ground.told(person, "a grace period runs")
        said = await ground.refusal(aave_call(ground, person))
        assert is_error(said, "LiquidationGraceSentinelCheckFailed()")
        await ground.pass_time(GRACE_SECONDS)
        (trade,) = await ground.landed()
        assert trade["path"].startswith("USDC > aave liquidation > WETH")
        assert ground.reasons(person) == ["liquidation is paused", "a grace period runs"]
        await ground.price("WETH", HIGHER)

    stage.play(act)


def test_a_sequencer_that_is_down_or_was_a_moment_ago(stage: Stage[Ground]) -> None:
    async def act(ground: Ground) -> None:
        person = await ground.borrow_aave({"WETH": 10_000}, USDC=7_400)
        sequencer = ground.places.sequencer.aggregator
        await ground.operate(sequencer.call("post", 1))
        await ground.price("WETH", LOWER)
        await ground.told(person, "the sequencer's sentinel forbids it")
        await ground.operate(sequencer.call("post", 0))
        said = await ground.refusal(aave_call(ground, person))
        assert is_error(said, "PriceOracleSentinelCheckFailed()")
        await ground.pass_time(GRACE_SECONDS)
        (trade,) = await ground.landed()
        up_since = int((await ground.lab.read(sequencer, "latestRoundData"))[2])
        mined = await ground.lab.rpc("eth_getBlockByNumber", hex(trade["block"]), False)
        assert int(mined["timestamp"], 16) - up_since > GRACE_SECONDS
        assert ground.reasons(person) == ["the sequencer's sentinel forbids it"]
        await ground.price("WETH", HIGHER)

    stage.play(act)


def test_frozen_collateral_is_no_reason_on_aave(stage: Stage[Ground]) -> None:
    """Frozen reserves take no deposits and lend nothing; the contract liquidates them, and so do we."""

    async def act(ground: Ground) -> None:
        person = await ground.borrow_aave({"WETH": 10_000}, USDC=7_400)
        configure = ground.places.aave.configurator
        freeze = configure.call("setReserveFreeze", ground.token("WETH"), True)
        await ground.operate(freeze, gas_limit=FREEZE_GAS)
        supply = ground.places.aave.pool.call("supply", ground.token("WETH"), 1, OPERATOR, 0)
        assert is_error(await ground.refusal(supply), "ReserveFrozen()")
        await ground.price("WETH", LOWER)
        (trade,) = await ground.landed()
        assert trade["path"].startswith("USDC > aave liquidation > WETH")
        assert ground.reasons(person) == []
        for name in ("setReserveFreeze", "setReserveLtvzero"):
            await ground.operate(configure.call(name, ground.token("WETH"), False))
        await ground.price("WETH", HIGHER)

    stage.play(act)


def test_collateral_that_venus_lets_nobody_seize(stage: Stage[Ground]) -> None:
    async def act(ground: Ground) -> None:
        person = await ground.borrow_venus(10_000, 7_400)
        seized, setter = ground.places.venus.market("WETH").vtoken, ground.places.venus.setter_facet
        await ground.operate(
            setter.call("setActionsPaused", [seized.address], [SEIZE], True), sender=DEPLOYER
        )
        await ground.venus_price(LOWER)
        await ground.told(person, "liquidation is paused")
        assert "action is paused" in await venus_refusal(ground, person)
        await ground.operate(
            setter.call("setActionsPaused", [seized.address], [SEIZE], False), sender=DEPLOYER
        )
        (trade,) = await ground.landed()
        assert trade["path"].startswith("USDC > venus liquidation > WETH")
        await ground.venus_price(HIGHER)

    stage.play(act)


async def venus_refusal(ground: Ground, person: Address) -> str:
    """Return why the contract refuses a liquidation of a dollar by somebody who has it."""
    venus, offer = ground.places.venus, ground.units("USDC", 1)
    payer = await ground.somebody(USDC=offer)
    owed, seized = (venus.market(symbol).vtoken.address for symbol in ("USDC", "WETH"))
    await ground.operate(approve(ground.token("USDC"), venus.liquidator.address, offer), sender=payer)
    call = venus.liquidator.call("liquidateBorrow", owed, person, offer, seized)
    return await ground.refusal(call, sender=payer)


# --- dust ------------------------------------------------------------------------------------


def test_where_only_dust_could_be_left_the_position_is_left_alone(stage: Stage[Ground]) -> None:
    """Nobody lends all of a debt of 900, and whatever remains of it is less than a thousand."""

    async def act(ground: Ground) -> None:
        person = await ground.borrow_aave({"WETH": 1_220}, GEM=900)
        await ground.price("WETH", LOWER)
        await ground.told(person, "it would leave dust")
        gem, pool = ground.places.gem, ground.places.aave.pool
        cash = await ground.balance("GEM", await a_token(ground, "GEM"))
        assert cash == 500 * 10**18
        payer = await ground.somebody(GEM=1_000 * 10**18)
        await ground.operate(approve(gem.address, pool.address, UNLIMITED), sender=payer)
        call = aave_call(ground, person, debt="GEM", offer=cash)
        assert is_error(await ground.refusal(call, sender=payer), "MustNotLeaveDust()")
        await ground.lab.call(aave_call(ground, person, debt="GEM"), sender=payer)
        more = (
            approve(gem.address, pool.address, UNLIMITED),
            pool.call("supply", gem.address, 10**22, OPERATOR, 0),
        )
        await ground.operate(*more)
        (trade,) = await ground.landed()
        assert trade["path"].startswith("GEM > aave liquidation > WETH")
        await ground.price("WETH", HIGHER)

    stage.play(act)


def test_of_a_debt_as_much_is_repaid_as_leaves_no_dust(stage: Stage[Ground]) -> None:
    """Half of 3,960 would take all but 400 of 2,480 dollars of ether; a thousand must stay."""

    async def act(ground: Ground) -> None:
        person = await ground.borrow_aave({"WETH": 2_700, "WBTC": 2_650}, USDC=3_960)
        payer = await ground.somebody(USDC=ground.units("USDC", 4_000))
        pool = ground.places.aave.pool
        await ground.operate(approve(ground.token("USDC"), pool.address, UNLIMITED), sender=payer)
        for symbol in ("WETH", "WBTC"):
            await ground.price(symbol, LOWER)
        (trade,) = await ground.landed()
        before, offer = hex(trade["block"] - 1), int(trade["amount_in"])
        assert offer < ground.units("USDC", 1_980)
        seized = trade["path"].split(" > ")[2]
        for more, refused in ((0, False), (1, True)):
            call = aave_call(ground, person, seized, offer=offer + more)
            assert await ground.reverts(call, payer, before, "MustNotLeaveDust()") is refused
        for symbol in ("WETH", "WBTC"):
            await ground.price(symbol, HIGHER)

    stage.play(act)


async def a_token(ground: Ground, symbol: str) -> Address:
    """Return who holds what Aave has of a token."""
    asked = ground.token(symbol)
    (address,) = await ground.lab.read(ground.places.aave.pool, "getReserveAToken", asked)
    return Address(address)


# --- prices ----------------------------------------------------------------------------------


def test_an_oracle_of_morpho_that_is_stale_is_no_price(stage: Stage[Ground]) -> None:
    async def act(ground: Ground) -> None:
        oracle, low = ground.places.forgetful, ETHER_IN_MORPHO * LOWER // 100
        await ground.operate(oracle.call("post", ETHER_IN_MORPHO, 0))
        person = await ground.borrow_morpho(0, 4 * 10**18, ground.units("USDC", 8_400))
        await ground.operate(oracle.call("post", low, FRESH_SECONDS + 1))
        await ground.told(person, "the oracle has no price")
        market, contract = ground.places.markets[0], ground.places.morpho.contract
        call = contract.call("liquidate", market.parameters, person, 10**15, 0, b"")
        assert "the price is stale" in await ground.refusal(call)
        # Fresh in this block for the last time: it is stale where the transaction would run.
        await ground.operate(oracle.call("post", low, FRESH_SECONDS))
        await ground.soon(lambda: bool(ground.stopped("simulation")))
        assert "the price is stale" in ground.stopped("simulation")[-1]
        await ground.operate(oracle.call("post", low, 0))
        (trade,) = await ground.landed()
        assert "morpho liquidation" in trade["path"]

    stage.play(act)


def test_an_expired_price_of_venus_is_no_price(stage: Stage[Ground]) -> None:
    async def act(ground: Ground) -> None:
        person = await ground.borrow_venus(10_000, 7_400)
        oracle, vtoken = ground.places.expiring, ground.places.venus.market("WETH").vtoken.address
        await ground.operate(oracle.call("stamp", vtoken, FRESH_SECONDS + 1))
        await ground.venus_price(LOWER)
        await ground.told(person, "the oracle has no price")
        assert "chainlink price expired" in await venus_refusal(ground, person)
        await ground.operate(oracle.call("stamp", vtoken, 0))
        (trade,) = await ground.landed()
        assert trade["path"].startswith("USDC > venus liquidation > WETH")
        await ground.operate(oracle.call("forget", vtoken))
        await ground.venus_price(HIGHER)

    stage.play(act)


def test_aave_takes_a_price_of_any_age_and_none_of_zero(stage: Stage[Ground]) -> None:
    """Its oracle looks at no time: what the feed said in 1970 counts, and we count with it."""

    async def act(ground: Ground) -> None:
        person = await ground.borrow_aave({"WETH": 10_000}, USDC=7_400)
        feed = ground.places.aave.feeds["WETH"].aggregator
        await ground.operate(feed.call("postAt", 0, 1))
        await ground.told(person, "the oracle has no price")
        payer = await ground.somebody(USDC=ground.units("USDC", 1))
        assert await ground.refusal(aave_call(ground, person), sender=payer)
        await ground.operate(feed.call("postAt", 2_500 * DOLLAR * LOWER // 100, 1))
        (trade,) = await ground.landed()
        assert trade["path"].startswith("USDC > aave liquidation > WETH")
        await ground.price("WETH", HIGHER)

    stage.play(act)


# --- tokens and blocks -----------------------------------------------------------------------


def test_collateral_that_keeps_a_part_of_what_is_sent(stage: Stage[Ground]) -> None:
    """The contract seizes an amount and less of it arrives, so what follows cannot be paid."""

    async def act(ground: Ground) -> None:
        oracle, market = ground.places.constant, ground.places.markets[1]
        contract = ground.places.morpho.contract
        await ground.operate(oracle.call("post", 10**24, 0))
        await ground.operate(transfer(market.collateral, contract.address, 10**23))
        person = await ground.borrow_morpho(1, 10_000 * 10**18, ground.units("USDC", 8_200))
        # Nobody may sell it before all of it is worth less than is owed.
        await ground.operate(oracle.call("post", 10**24 * LOWER // 100, 0))
        known = len(ground.stopped("simulation"))
        await ground.until(lambda: len(ground.stopped("simulation")) > known)
        assert ground.stopped("simulation")[-1].startswith("TAXD keeps a part of what is sent: of ")
        payer = await ground.somebody(USDC=ground.units("USDC", 1_000))
        await ground.operate(approve(ground.token("USDC"), contract.address, UNLIMITED), sender=payer)
        taken = 10**20
        await ground.operate(
            contract.call("liquidate", market.parameters, person, taken, 0, b""), sender=payer
        )
        assert await ground.balance("TAXD", payer) == taken * (100 - TAX_PERCENT) // 100
        await ground.operate(oracle.call("post", 10**24, 0))

    stage.play(act)


def test_a_block_with_a_liquidation_leaves_the_chain(stage: Stage[Ground]) -> None:
    """The position is open again in the book, the transaction in the ledger, and both close once more."""

    async def act(ground: Ground) -> None:
        person = await ground.borrow_aave({"WETH": 10_000}, USDC=7_400)
        await ground.price("WETH", LOWER)
        (trade,) = await ground.landed()
        pool = ground.places.aave.pool
        owed = (await ground.lab.read(pool, "getUserAccountData", person))[1]
        landed, head = ground.bot.landed(), int((await ground.lab.head())["number"], 16)
        await ground.lab.reorg(head - trade["block"] + 1)
        assert (await ground.lab.read(pool, "getUserAccountData", person))[1] > owed
        await ground.until(lambda: ground.block_of(trade["hash"]) != trade["hash_of_block"])
        await ground.until(lambda: ground.bot.landed() >= landed)
        assert (await ground.lab.read(pool, "getUserAccountData", person))[1] <= owed + DOLLAR
        await ground.price("WETH", HIGHER)

    stage.play(act)


# --- somebody else ---------------------------------------------------------------------------


def test_what_somebody_took_in_the_block_of_the_price_is_left_to_him(stage: Stage[Ground]) -> None:
    """He is behind the price in its block, where nobody can be who waits for it. The other is ours."""

    async def act(ground: Ground) -> None:
        people = [await ground.borrow_aave({"WETH": 10_000}, USDC=7_400) for _ in range(2)]
        taken, left = people
        rush = await ground.rival(aave_call(ground, taken))
        tried = len(ground.bot.rows("SELECT id FROM intents"))
        feed = ground.places.aave.feeds["WETH"].aggregator
        post = feed.call("post", 2_500 * DOLLAR * LOWER // 100)
        first = Transaction(sender=OPERATOR, call=post, priority_fee_wei=Wei(2 * OUTBID_WEI))
        theirs = (await ground.block(first, rush))[1]
        assert theirs["from"] == hex_text(rush.sender)
        (trade,) = await ground.landed()
        assert len(ground.bot.rows("SELECT id FROM intents")) == tried + 1
        ours = await ground.lab.rpc("eth_getTransactionReceipt", trade["hash"])
        named = {topic[-40:] for log in ours["logs"] for topic in log["topics"]}
        assert left.hex() in named
        assert taken.hex() not in named
        assert ground.reasons(taken) == []
        await ground.price("WETH", HIGHER)

    stage.play(act)


@pytest.mark.parametrize("blocks", [0, 1], ids=["in the block of ours", "in the block before ours"])
def test_somebody_who_is_first_costs_the_gas_of_one_revert(stage: Stage[Ground], blocks: int) -> None:
    """Ours is on its way already. The ledger says lost, and whose transaction was there first."""

    async def act(ground: Ground) -> None:
        person = await ground.borrow_aave({"WETH": 10_000}, USDC=7_400)
        rush = await ground.rival(aave_call(ground, person))
        await ground.until(lambda: not ground.bot.open_intents())
        await ground.price("WETH", LOWER)
        sent = await ground.sent()
        wei, tokens = await ground.funds()
        if blocks:
            await ground.lab.rpc("anvil_dropTransaction", sent)
        mined = await ground.block(rush)
        if blocks:
            await ground.back_again()
            mined += await ground.block()
        theirs, ours = mined
        assert (theirs["from"], theirs["status"]) == (hex_text(rush.sender), "0x1")
        assert (ours["transactionHash"], ours["status"]) == (sent, "0x0")
        assert int(ours["blockNumber"], 16) - int(theirs["blockNumber"], 16) == blocks
        first = theirs["transactionHash"]
        why = f"reverted: transaction {first} was there first; its gas is lost, nothing else"
        await ground.soon(lambda: any(why in reason for reason in ground.stopped("lost")))
        cost = int(ours["gasUsed"], 16) * int(ours["effectiveGasPrice"], 16)
        assert await ground.funds() == (wei - cost, tokens)
        told = await tallyio("why", "--data-dir", ground.bot.data_dir, "--last", 1, "--json")
        (lost,) = json.loads(told.out)["opportunities"]
        assert (lost["gate"], lost["hash"]) == ("lost", sent)
        assert lost["reason"] == f"transaction {sent} in block {int(ours['blockNumber'], 16)} {why}"
        await ground.price("WETH", HIGHER)

    stage.play(act)


def test_the_ledger_and_the_chain_tell_the_same_story_in_the_end(stage: Stage[Ground]) -> None:
    async def act(ground: Ground) -> None:
        await ground.until(lambda: not ground.bot.open_intents())
        await ground.bot.check_books()

    stage.play(act)


# --- what waits in the mempool ---------------------------------------------------------------


def test_a_bot_that_follows_the_mempool_lands_right_behind_the_update(
    stage: Stage[Ground], tmp_path: Path
) -> None:
    """One that does not comes a block later. Where the update never lands, gas is lost and nothing else."""

    async def act(slower: Ground) -> None:
        await slower.until(lambda: not slower.bot.open_intents())
        async with open_bot(FollowingBot, slower.lab, tmp_path, slower.places) as ground:
            person = await ground.borrow_aave({"WETH": 10_000}, USDC=7_400)
            feed = ground.places.aave.feeds["WETH"].aggregator
            lower = feed.call("post", 2_500 * DOLLAR * LOWER // 100)
            await never_lands(ground, lower)
            update = await ground.followed(lower, tip_wei=5 * 10**9)
            said = await ground.refusal(aave_call(ground, person))
            assert is_error(said, "HealthFactorNotBelowThreshold()")
            block = await ground.lab.mine()
            first, second = await ground.lab.rpc("eth_getBlockReceipts", hex(block))
            assert (first["transactionHash"], first["status"], second["status"]) == (update, "0x1", "0x1")
            assert int(second["effectiveGasPrice"], 16) <= int(first["effectiveGasPrice"], 16)
            (trade,) = await ground.landed()
            assert (trade["hash"], trade["block"]) == (second["transactionHash"], block)
            assert trade["path"].startswith("USDC > aave liquidation > WETH")
            trigger = f"behind pending oracle update {update} of feed {checksum(feed.address)}"
            assert trade["path"].endswith(trigger)
            await ground.price("WETH", HIGHER)

    stage.play(act)


async def never_lands(ground: Ground, lower: Call) -> None:
    """Let an update be dropped when the bot is behind it already."""
    wei, tokens = await ground.funds()
    update = await ground.followed(lower, tip_wei=5 * 10**9)
    await ground.lab.rpc("anvil_dropTransaction", update)
    (ours,) = await ground.lab.rpc("eth_getBlockReceipts", hex(await ground.lab.mine()))
    assert (ours["from"], ours["status"]) == (hex_text(ground.bot.account), "0x0")
    cost = int(ours["gasUsed"], 16) * int(ours["effectiveGasPrice"], 16)
    assert await ground.funds() == (wei - cost, tokens)
    await ground.until(lambda: not ground.bot.open_intents())
