"""What moves a lending world: seeded prices, and another liquidator.

Layer: lab. Both look at the head's state and depend on the seed, the block's number and that state, on
nothing else. Sources: `Feed.sol` beside this file, `SimplePriceOracle.setUnderlyingPrice`, Aave's `IPool`.
"""

from __future__ import annotations

from math import exp, log
from random import Random
from typing import Final

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.lending.aave import AaveVersion, aave_artifacts
from tallyio.lab.lending.facts import Borrower, LendingFacts
from tallyio.lab.lending.feeds import feed_artifacts
from tallyio.lab.lending.world import CALL_GAS, PRICE_UNIT, venus_price
from tallyio.lab.recipe import UNLIMITED, USD_PRICES
from tallyio.lab.steps import Recipe, Transaction, read
from tallyio.lab.traders import block_rng
from tallyio.lab.world import OPERATOR, World
from tallyio.model.execution import Call
from tallyio.model.units import Wei

MOVING: Final = ("WETH", "WBTC", "LINK")
"""What has a price that moves; the others are dollars."""

MOVES_PERCENT: Final = 75
"""In how many blocks of a hundred a price moves."""
SMALLEST_PPM: Final = 5_000
LARGEST_PPM: Final = 60_000
LOWEST_PERCENT: Final = 70
HIGHEST_PERCENT: Final = 120
"""Of its first answer: where a price turns."""

WATCHES_PERCENT: Final = 40
"""Of how many of a hundred borrowers in Aave the competitor knows; who they are depends on the seed alone.

At those it is first, whoever else wants them.
"""
WORTH_PERCENT: Final = 105
"""Of what is owed: it leaves alone whose collateral is worth less, for nobody would gain by it."""
OUTBID_WEI: Final = Wei(80 * 10**9)

_WAD: Final = 10**18
_PPM: Final = 1_000_000
_SALT: Final = "moves"


def moves(world: World, *, seed: int, number: int) -> Recipe[tuple[Transaction, ...]]:
    """Return what oracles and the competitor send in block `number`; nothing in a world without lending."""
    facts = world.lending
    if facts is None:
        return ()
    rng = Random(f"{_SALT} {block_rng(seed, number).random()}")
    posts = yield from _prices(facts, rng)
    taken = yield from _competitor(world, facts, seed)
    return (*posts, *taken)


def _prices(facts: LendingFacts, rng: Random) -> Recipe[tuple[Transaction, ...]]:
    if rng.randrange(100) >= MOVES_PERCENT:
        return ()
    symbol = rng.choice(MOVING)
    feed = Contract(feed_artifacts()["Feed"], facts.feeds[symbol])
    (answer,) = yield from read(feed, "latestAnswer")
    answer = _moved(rng, answer, USD_PRICES[symbol] * PRICE_UNIT)
    calls = [feed.call("post", answer)]
    if symbol in facts.vtokens:
        oracle = Contract(artifact("SimplePriceOracle"), facts.venus_oracle)
        price = venus_price(symbol, answer)
        calls.append(oracle.call("setUnderlyingPrice", facts.vtokens[symbol], price))
    return tuple(Transaction(sender=OPERATOR, call=call) for call in calls)


def _moved(rng: Random, answer: int, first: int) -> int:
    """Return the next answer: a step of random size, towards the middle the more it is away from it."""
    size = round(exp(rng.uniform(log(SMALLEST_PPM), log(LARGEST_PPM))))
    percent = answer * 100 // first
    # At the lowest price all steps go up, at the highest all go down.
    is_up = rng.randrange(LOWEST_PERCENT, HIGHEST_PERCENT) >= percent
    return answer + (answer * size // _PPM) * (1 if is_up else -1)


def _competitor(world: World, facts: LendingFacts, seed: int) -> Recipe[tuple[Transaction, ...]]:
    """Return the liquidations that the competitor sends, of those that it knows and that pay."""
    pool = Contract(aave_artifacts(AaveVersion.V3_0)["Pool"], facts.aave_pool)
    wanted: list[Borrower] = []
    for borrower in _watched(facts, seed):
        secured, owed, *_, factor = yield from read(pool, "getUserAccountData", borrower.account)
        if factor < _WAD and secured * 100 > owed * WORTH_PERCENT:
            wanted.append(borrower)
    return tuple(
        Transaction(
            sender=facts.competitor,
            call=_liquidation(world, pool, borrower),
            gas_limit=CALL_GAS,
            priority_fee_wei=OUTBID_WEI,
            may_fail=True,
        )
        for borrower in wanted
    )


def _watched(facts: LendingFacts, seed: int) -> list[Borrower]:
    rng = Random(f"{_SALT} watched {seed}")
    borrowers = [each for each in facts.borrowers if each.place == "aave"]
    return [each for each in borrowers if rng.randrange(100) < WATCHES_PERCENT]


def _liquidation(world: World, pool: Contract, borrower: Borrower) -> Call:
    tokens = [world.tokens[symbol].address for symbol in (borrower.collateral, borrower.debt)]
    # False: take the collateral itself, not the claim on it.
    return pool.call("liquidationCall", *tokens, borrower.account, UNLIMITED, False)
