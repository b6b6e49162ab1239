"""The adapter against a Comet: books that follow the chain, and liquidations and purchases that land."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest
from tallyio_protocol_compound_v3.adapter import CompoundV3
from tallyio_protocol_compound_v3.layout import STORE_FRONT
from tallyio_protocol_compound_v3.venues import DEPLOYMENTS

from tallyio.engine.trades import Lending
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.lending import abi
from tallyio.lending.loans import choose_loan
from tallyio.model.erc20 import approve, balance_of, transfer
from tallyio.model.errors import ChainError, ConfigError, PluginError
from tallyio.model.execution import Leg, Liquidation, Opportunity
from tallyio.model.lending import PositionKey
from tallyio.model.units import Address
from tests.comet_world import ASSETS, FEED_UNIT, PRICES, SCALES, TARGET, USDC, WETH, CometWorld, adapter_of
from tests.engine.practice import OWNER

FACTOR = 10**18


async def test_a_book_that_follows_events_is_what_a_fresh_load_is() -> None:
    world, draw, seen = CometWorld(), random.Random(6), Counter[str]()
    books, call, usdc = await world.books(), world.comet.call, world.token("USDC")
    (held,) = books
    traders = world.world.traders
    for trader in traders:
        for symbol in (*ASSETS, "USDC"):
            await books.apply(
                world.chain.block_of(approve(world.token(symbol), world.comet.address, 2**255), sender=trader)
            )
    for trader in traders:
        for symbol in ASSETS:
            some, debt = 8_000 * SCALES[symbol] // PRICES[symbol], draw.randrange(4_000, 5_500) * USDC
            block = world.chain.block_of(
                call("supply", world.token(symbol), some), call("withdraw", usdc, debt), sender=trader
            )
            await books.apply(block)
    for number in range(90):
        trader, symbol = draw.choice(traders), draw.choice(ASSETS)
        some = draw.randrange(1, 9) * SCALES[symbol] * 2_500 // PRICES[symbol]
        at_risk = held.book.at_risk(world.soon, 0)
        weak = next((key.account for key in at_risk if key != world.store), trader)
        acts = {
            "add": call("supply", world.token(symbol), some),
            "take": call("withdraw", world.token(symbol), some // 3),
            "move": call("transferAsset", draw.choice(traders), world.token(symbol), some // 5),
            "borrow": call("withdraw", usdc, draw.randrange(1, 9_000) * USDC),
            "repay": call("supply", usdc, draw.randrange(1, 9_000) * USDC),
            "absorb": call("absorb", trader, [weak]),
            "buy": call("buyCollateral", world.token(symbol), 0, draw.randrange(1, 99) * USDC, trader),
            "pause": call("pause", *(draw.random() < 0.02 for _ in range(5))),
            "accrue": call("accrueAccount", trader),
            "donate": transfer(usdc, world.comet.address, 12_345),
        }
        name = draw.choice(sorted(acts))
        if at_risk and draw.random() < 0.4:
            name = "absorb" if weak != trader else "buy"
        act = acts[name]
        if number % 7 == 0:
            name, price = "price", PRICES[symbol] * FEED_UNIT
            block = world.post(symbol, price * draw.randrange(600, 1_250) // 1_000)
        else:
            try:
                block = world.chain.block_of(act, sender=trader)
            except Reverted:
                block, name = world.chain.block(world.backend.number), "reverted"
        seen[name] += 1
        await books.apply(block)
        assert not held.is_stale
        await world.check(held)
    print(f"\nCompound III: {dict(sorted(seen.items()))}")  # noqa: T201 - shown with -s
    keys = await world.adapter.accounts(world.chain, held.book.spec, block=world.chain.latest)
    assert set(keys) == {world.store, *map(PositionKey, traders)} >= set(held.book.keys)
    assert set(seen) >= {"add", "take", "move", "borrow", "repay", "absorb", "buy", "price"}
    books.close()


async def test_an_account_is_absorbed_and_what_it_had_is_bought() -> None:
    """Twice: part of it with the account, and the rest from the store front, all as predicted."""
    world = CometWorld()
    trader = world.world.traders[0]
    world.open(trader, "WETH", 4 * WETH, 7_900 * USDC)
    books = await world.books()
    (held,) = books
    key = PositionKey(trader)
    assert held.book.at_risk(world.soon, 0) == []
    await books.apply(world.post("WETH", 2_250 * FEED_UNIT))
    assert held.book.at_risk(world.soon, 0) == [key]
    assert held.book.health(key, world.soon, 0).factor < FACTOR
    for who, offer in ((key, 3_000 * USDC), (world.store, 2**256 - 1)):
        terms = world.terms(held, who, "WETH", offer)
        assert terms.verdict == abi.LAWFUL
        tokens = (world.token("USDC"), world.token("WETH"))
        before = [int.from_bytes(world.backend.call(balance_of(token, OPERATOR))) for token in tokens]
        await books.apply(world.calls(held, who, "WETH", terms))
        after = [int.from_bytes(world.backend.call(balance_of(token, OPERATOR))) for token in tokens]
        assert (before[0] - after[0], after[1] - before[1]) == (terms.repay, terms.seize)
        await world.check(held)
        assert held.book.position(key) is None
    # A unit of the base token buys more than what is left.
    assert held.book.at_risk(world.soon, 0) == []
    coin = Contract(artifact("Token"), world.token("USDC"))
    assert world.backend.read(coin, "allowance", OPERATOR, world.comet.address) == (0,)
    books.close()


async def test_the_executor_buys_with_a_loan_and_keeps_the_profit() -> None:
    """A Comet is paid first: a pair lends the price, and the sale of the collateral pays it back."""
    world = CometWorld()
    trader = world.world.traders[0]
    world.open(trader, "WETH", 4 * WETH, 7_900 * USDC)
    books = await world.books()
    (held,) = books
    # The Comet's feeds are below the pools' prices, so its discount is deeper than it says.
    await books.apply(world.post("WETH", 2_250 * FEED_UNIT))
    key = PositionKey(trader)
    terms = world.terms(held, key, "WETH")
    pool = world.find("v3:USDC/WETH:500")
    side = world.pools[pool].tokens.index("WETH")
    paid = world.quote(pool, "WETH", terms.seize)
    first = Liquidation(book=0, key=key, collateral=1, debt=0, amount_in=terms.repay, amount_out=terms.seize)
    sale = Leg(pool=pool, token_in=side, token_out=1 - side, amount_in=terms.seize, amount_out=paid)
    usdc = world.token("USDC")
    lender = world.adapters[world.find("v2a:WETH/USDC:3000")]
    offers = await lender.loans(world.chain, {usdc}, block=world.chain.latest)  # type: ignore[attr-defined]
    loan = choose_loan(offers, usdc, terms.repay, native_per_unit=1, gas_price_wei=1, locked=set())
    assert loan is not None
    found = Opportunity(
        id=1,
        strategy="practice",
        block_hash=world.head.hash,
        block_number=world.head.number,
        token=usdc,
        legs=(first, sale),
        amount_in=terms.repay,
        amount_out=paid,
        gas=1,
        net_wei=1.0,
        loan=loan,
    )
    assert found.profit > 0
    lending = Lending(
        books=[held.book.spec],
        protocols=[world.adapter],
        lenders={loan.offer.lender: lender},  # type: ignore[dict-item]
    )
    assert world.land(world.plan(found, lending=lending)) == found.profit
    assert world.balance("WETH", OWNER) == world.balance("USDC", world.executor) == 0
    books.close()


async def test_a_feed_without_an_answer_a_pause_and_a_full_till_say_why() -> None:
    world = CometWorld()
    trader = world.world.traders[0]
    world.open(trader, "LINK", 1_000 * WETH, 11_000 * USDC)
    books = await world.books()
    (held,) = books
    key = PositionKey(trader)
    await books.apply(world.post("LINK", 12 * FEED_UNIT))
    assert world.terms(held, key, "LINK").verdict == abi.LAWFUL
    await books.apply(world.post("USDC", -1))
    assert world.terms(held, key, "LINK").verdict == abi.NO_PRICE
    assert held.book.health(key, world.soon, 0).status == abi.UNKNOWN
    assert held.book.at_risk(world.soon, 0) == [key]
    await books.apply(world.post("USDC", FEED_UNIT))
    await books.apply(world.chain.block_of(world.comet.call("pause", False, False, False, True, False)))
    assert world.terms(held, key, "LINK").verdict == abi.PAUSED
    await books.apply(world.chain.block_of(world.comet.call("pause", False, False, False, False, False)))
    gift = transfer(world.token("USDC"), world.comet.address, 2 * TARGET)
    await books.apply(world.chain.block_of(gift))
    assert world.terms(held, key, "LINK").verdict == abi.NOT_FOR_SALE
    with world.backend.undone(), pytest.raises(Reverted):
        world.calls(held, key, "LINK", msgspec.structs.replace(world.terms(held, key, "LINK"), repay=1))
    await world.check(held)
    books.close()


async def test_what_a_comet_owns_is_for_sale_without_an_account() -> None:
    world = CometWorld()
    world.transact(transfer(world.token("WBTC"), world.comet.address, 10**8))
    books = await world.books()
    (held,) = books
    position = held.book.position(world.store)
    assert position is not None
    assert position.flags == STORE_FRONT
    assert held.book.at_risk(world.soon, 0) == [world.store]
    terms = world.terms(held, world.store, "WBTC")
    assert terms.verdict == abi.LAWFUL
    # A factor of 93 per cent and three fifths of the penalty: 4.2 per cent below the price.
    assert abs(terms.repay * 1_000 - 60_000 * USDC * 958) < 60_000 * 1_000
    await books.apply(world.calls(held, world.store, "WBTC", terms))
    assert held.book.at_risk(world.soon, 0) == []
    books.close()


async def test_an_upgrade_asks_for_the_book_afresh_and_callbacks_are_refused() -> None:
    world = CometWorld()
    books = await world.books()
    (held,) = books
    block = world.chain.block_of(world.comet.call("upgrade"))
    edit = held.book.change(block.head)
    (log,) = block.logs
    world.adapter.follow(edit, held.book.spec, world.adapter.topics.index(log.topics[0]), log)
    assert edit.wanted.rebuild
    assert not world.adapter.can_call_back(held.book.spec)
    inner = (transfer(world.token("USDC"), OPERATOR, 1),)
    with pytest.raises(PluginError, match="callback"):
        world.adapter.liquidate(
            held.book.spec,
            world.store,
            collateral=1,
            debt=0,
            repay=1,
            offer=1,
            seize=1,
            recipient=OPERATOR,
            inner=inner,
            encode=lambda _: b"",
        )
    books.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"venues": []}, "names no venue"),
        ({"venues": [{"name": "m"}]}, "neither factory nor preset"),
        ({"venues": [{"name": "m", "preset": "usdd"}]}, "did you mean"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        CompoundV3(settings)


async def test_contracts_that_are_no_comet_are_refused() -> None:
    world = CometWorld()
    with pytest.raises(ChainError, match="does not answer as a Comet"):
        await adapter_of(world.token("USDC")).discover(world.chain, block=world.chain.latest)


def test_the_presets_are_addresses() -> None:
    for preset in DEPLOYMENTS.presets.values():
        for text in preset.factories.values():
            adapter_of(Address(bytes.fromhex(text[2:])))
