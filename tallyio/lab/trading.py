"""Between traders and the chain: read pools into a snapshot, turn swaps into router calls.

Layer: lab. Sources: UniswapV2Router02.swapExactTokensForTokens, SwapRouter.exactInputSingle; the
virtual reserves of a concentrated pool are L / sqrt(P) and L * sqrt(P) (Uniswap v3 white paper, 6.2).
"""

from __future__ import annotations

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.recipe import DECIMALS, FOREVER, USD_PRICES
from tallyio.lab.steps import Recipe, Transaction, read
from tallyio.lab.traders import BPS, PoolState, Snapshot, Swap, block_rng, choose_swaps
from tallyio.lab.world import Pool, World
from tallyio.model.execution import Call
from tallyio.model.units import Wei

MAX_DECIMALS = max(DECIMALS.values())

TIP_STEP_WEI = 1_000
"""Traders tip a few thousand wei per gas: anybody who wants to come first in the block easily can."""


def observe(world: World) -> Recipe[Snapshot]:
    """Read price and depth of all pools of `world`, in its order."""
    states = []
    for pool in world.pools:
        depth0, depth1 = yield from depths(pool)
        premium_bps = _premium_bps(pool, depth0, depth1)
        states.append(PoolState(depth0=depth0, depth1=depth1, premium_bps=premium_bps))
    return tuple(states)


def depths(pool: Pool) -> Recipe[tuple[int, int]]:
    """Return the reserves of `pool` in smallest units, virtual ones if its liquidity is concentrated."""
    if pool.kind == "v2":
        pair = Contract(artifact("UniswapV2Pair"), pool.address)
        reserve0, reserve1, _ = yield from read(pair, "getReserves")
        return reserve0, reserve1
    contract = Contract(artifact("UniswapV3Pool"), pool.address)
    sqrt_price_x96 = (yield from read(contract, "slot0"))[0]
    (liquidity,) = yield from read(contract, "liquidity")
    return (liquidity << 96) // sqrt_price_x96, (liquidity * sqrt_price_x96) >> 96


def choose(world: World, *, seed: int, number: int) -> Recipe[tuple[Swap, ...]]:
    """Let the traders of `seed` choose their swaps for block `number`, on the state of the head."""
    snapshot = yield from observe(world)
    return tuple(choose_swaps(block_rng(seed, number), snapshot, traders=len(world.traders)))


def transactions(world: World, swaps: tuple[Swap, ...]) -> tuple[Transaction, ...]:
    """Return the transactions that make `swaps`; falling tips keep their order within the block."""
    return tuple(
        Transaction(
            sender=world.traders[swap.trader],
            call=_router_call(world, swap),
            priority_fee_wei=Wei((len(swaps) - place) * TIP_STEP_WEI),
            may_fail=True,
        )
        for place, swap in enumerate(swaps)
    )


def _router_call(world: World, swap: Swap) -> Call:
    pool = world.pools[swap.pool]
    trader = world.traders[swap.trader]
    symbols = pool.tokens if swap.zero_for_one else pool.tokens[::-1]
    path = [world.tokens[symbol].address for symbol in symbols]
    if pool.kind == "v2":
        router = Contract(artifact("UniswapV2Router02"), world.v2[pool.venue].router)
        return router.call("swapExactTokensForTokens", swap.amount_in, 0, path, trader, FOREVER)
    router = Contract(artifact("SwapRouter"), world.v3.router)
    return router.call("exactInputSingle", (*path, pool.fee_pips, trader, FOREVER, swap.amount_in, 0, 0))


def _premium_bps(pool: Pool, depth0: int, depth1: int) -> int:
    # A pool's sides are worth the same at its own price, so their ratio at reference prices is the premium.
    value0, value1 = _value(pool.tokens[0], depth0), _value(pool.tokens[1], depth1)
    return (value1 - value0) * BPS // value0


def _value(symbol: str, amount: int) -> int:
    scale: int = 10 ** (MAX_DECIMALS - DECIMALS[symbol])
    return amount * USD_PRICES[symbol] * scale
