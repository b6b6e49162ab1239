"""The lab's world, as one recipe: real contracts, coherent prices, realistic depth.

Layer: lab. All prices start at their references, so nothing can be earned before traders have
pulled the pools apart. Sources: the deployment and liquidity functions of the Uniswap V2 and V3
core and periphery contracts.
"""

from __future__ import annotations

from math import isqrt
from typing import NamedTuple

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import Deploy, Recipe, Send, Transaction, deploy, read, send
from tallyio.lab.world import CHAIN_ID, OPERATOR, TRADER_ACCOUNTS, Pool, V2Venue, V3Venue, World
from tallyio.model.market import Token
from tallyio.model.units import ZERO_ADDRESS, Address

UNLIMITED = 2**256 - 1
FOREVER = 2**64
"""A deadline that never comes."""

USD_PRICES = {"WETH": 2_500, "USDC": 1, "USDT": 1, "DAI": 1, "WBTC": 60_000, "LINK": 15}
"""Reference prices of whole tokens."""

DECIMALS = {"WETH": 18, "USDC": 6, "USDT": 6, "DAI": 18, "WBTC": 8, "LINK": 18}

V2_FEE_PIPS = 3_000
"""The fee is a constant of UniswapV2Library and UniswapV2Pair."""

# Per venue: two tokens and the USD value on each side.
V2_POOLS = {
    "v2a": (
        ("WETH", "USDC", 5_000_000),
        ("WETH", "DAI", 2_000_000),
        ("WETH", "WBTC", 4_000_000),
        ("USDC", "DAI", 3_000_000),
    ),
    "v2b": (
        ("WETH", "USDC", 2_000_000),
        ("WETH", "USDT", 3_000_000),
        ("WETH", "LINK", 1_000_000),
        ("USDC", "USDT", 4_000_000),
    ),
}

# Two tokens, fee, and how much of `V3_RANGES` is provided, in percent.
V3_POOLS = (
    ("WETH", "USDC", 500, 100),
    ("WETH", "USDT", 3_000, 50),
    ("WETH", "WBTC", 3_000, 80),
    ("WETH", "LINK", 10_000, 30),
)


class Range(NamedTuple):
    """A position: its ends in ticks from the pool's price, and the USD value on each side."""

    below: int
    above: int
    usd: int


# Narrow ranges are left often, so that swaps cross initialised ticks; the widest is never left.
V3_RANGES = (
    Range(400, 600, 60_000),
    Range(1_500, 1_200, 200_000),
    Range(6_000, 6_000, 500_000),
    Range(60_000, 60_000, 700_000),
)

FUNDS_USD = 100_000_000
"""What the operator and each trader own of each token."""

POOL_GAS = 6_000_000
"""Gas limit of a transaction that creates a pool."""

MINT_GAS = 1_000_000
"""Gas limit of a new position."""

APPROVE_GAS = 60_000
"""Gas limit of an approval; they share one block, so the sum of the limits has to fit."""

# Stores the byte 0xfe (INVALID, EIP-141) and returns it as the contract's code.
GAS_BURNER_INIT = bytes.fromhex("60fe60005360016000f3")

Tokens = dict[str, Contract]


def build_world() -> Recipe[World]:
    """Deploy everything and return what stands where."""
    tokens = yield from _tokens()
    v2, pools = yield from _v2_venues(tokens)
    v3, more_pools = yield from _v3_venue(tokens)
    yield from _approve_all(tokens, [*(venue.router for venue in v2.values()), v3.router])
    burner = yield from _gas_burner()
    return World(
        chain_id=CHAIN_ID,
        weth=tokens["WETH"].address,
        tokens={
            symbol: Token(address=token.address, symbol=symbol, decimals=DECIMALS[symbol])
            for symbol, token in tokens.items()
        },
        v2=v2,
        v3=v3,
        pools=(*pools, *more_pools),
        traders=TRADER_ACCOUNTS,
        gas_burner=burner,
    )


def units(symbol: str, usd: int) -> int:
    """Return how many smallest units of token `symbol` are worth `usd` at its reference price."""
    unit: int = 10 ** DECIMALS[symbol]
    return usd * unit // USD_PRICES[symbol]


def _tokens() -> Recipe[Tokens]:
    tokens = {"WETH": (yield from deploy(artifact("WETH9")))}
    for symbol, decimals in DECIMALS.items():
        if symbol != "WETH":
            tokens[symbol] = yield from deploy(artifact("Token"), f"Lab {symbol}", symbol, decimals)
    owners = (OPERATOR, *TRADER_ACCOUNTS)
    yield Send(tuple(_fund(tokens[symbol], symbol, owner) for symbol in tokens for owner in owners))
    return tokens


def _fund(token: Contract, symbol: str, owner: Address) -> Transaction:
    amount = units(symbol, FUNDS_USD)
    if symbol == "WETH":
        return Transaction(sender=owner, call=token.call("deposit", value_wei=amount))
    return Transaction(sender=owner, call=token.call("mint", owner, amount))


def _approve_all(tokens: Tokens, spenders: list[Address]) -> Recipe[None]:
    yield Send(
        tuple(
            Transaction(sender=trader, call=token.call("approve", spender, UNLIMITED), gas_limit=APPROVE_GAS)
            for trader in TRADER_ACCOUNTS
            for token in tokens.values()
            for spender in spenders
        )
    )


def _v2_venues(tokens: Tokens) -> Recipe[tuple[dict[str, V2Venue], list[Pool]]]:
    venues, pools = {}, []
    for name, plan in V2_POOLS.items():
        venue, made = yield from _v2_venue(name, plan, tokens)
        venues[name] = venue
        pools += made
    return venues, pools


def _v2_venue(
    name: str, plan: tuple[tuple[str, str, int], ...], tokens: Tokens
) -> Recipe[tuple[V2Venue, list[Pool]]]:
    factory = yield from deploy(artifact("UniswapV2Factory"), OPERATOR)
    router = yield from deploy(artifact("UniswapV2Router02"), factory.address, tokens["WETH"].address)
    pools = []
    for a, b, usd in plan:
        pools.append((yield from _v2_pool(name, factory, {a: usd, b: usd}, tokens)))
    return V2Venue(factory=factory.address, router=router.address), pools


def _v2_pool(venue: str, factory: Contract, sides: dict[str, int], tokens: Tokens) -> Recipe[Pool]:
    symbols = _pool_order(tokens, *sides)
    pair_tokens = [tokens[symbol].address for symbol in symbols]
    yield from send(OPERATOR, factory.call("createPair", *pair_tokens), gas_limit=POOL_GAS)
    (pair,) = yield from read(factory, "getPair", *pair_tokens)
    deposits = [tokens[symbol].call("transfer", pair, units(symbol, sides[symbol])) for symbol in symbols]
    mint = Contract(artifact("UniswapV2Pair"), pair).call("mint", OPERATOR)
    yield from send(OPERATOR, *deposits, mint)
    return Pool(kind="v2", venue=venue, address=pair, tokens=symbols, fee_pips=V2_FEE_PIPS)


def _v3_venue(tokens: Tokens) -> Recipe[tuple[V3Venue, list[Pool]]]:
    weth = tokens["WETH"].address
    factory = yield from deploy(artifact("UniswapV3Factory"))
    positions = yield from deploy(artifact("NonfungiblePositionManager"), factory.address, weth, ZERO_ADDRESS)
    router = yield from deploy(artifact("SwapRouter"), factory.address, weth)
    quoter = yield from deploy(artifact("QuoterV2"), factory.address, weth)
    lens = yield from deploy(artifact("TickLens"))
    approvals = [token.call("approve", positions.address, UNLIMITED) for token in tokens.values()]
    yield from send(OPERATOR, *approvals)
    pools = []
    for a, b, fee_pips, percent in V3_POOLS:
        pool = yield from _v3_pool(factory, positions, _pool_order(tokens, a, b), fee_pips, tokens)
        yield from _provide(positions, pool, percent, tokens)
        pools.append(pool)
    venue = V3Venue(
        factory=factory.address,
        router=router.address,
        quoter=quoter.address,
        positions=positions.address,
        tick_lens=lens.address,
    )
    return venue, pools


def _v3_pool(
    factory: Contract, positions: Contract, symbols: tuple[str, str], fee_pips: int, tokens: Tokens
) -> Recipe[Pool]:
    token0, token1 = (tokens[symbol].address for symbol in symbols)
    price = sqrt_price_x96(*symbols)
    create = positions.call("createAndInitializePoolIfNecessary", token0, token1, fee_pips, price)
    yield from send(OPERATOR, create, gas_limit=POOL_GAS)
    (address,) = yield from read(factory, "getPool", token0, token1, fee_pips)
    return Pool(kind="v3", venue="v3", address=address, tokens=symbols, fee_pips=fee_pips)


def _provide(positions: Contract, pool: Pool, percent: int, tokens: Tokens) -> Recipe[None]:
    contract = Contract(artifact("UniswapV3Pool"), pool.address)
    tick: int = (yield from read(contract, "slot0"))[1]
    (spacing,) = yield from read(contract, "tickSpacing")
    pair = tuple(tokens[symbol].address for symbol in pool.tokens)
    mints = []
    for below, above, usd in V3_RANGES:
        ends = ((tick - below) // spacing * spacing, (tick + above) // spacing * spacing)
        amounts = [units(symbol, usd * percent // 100) for symbol in pool.tokens]
        mints.append((*pair, pool.fee_pips, *ends, *amounts, 0, 0, OPERATOR, FOREVER))
    yield from send(OPERATOR, *(positions.call("mint", mint) for mint in mints), gas_limit=MINT_GAS)


def _gas_burner() -> Recipe[Address]:
    address: Address = yield Deploy(GAS_BURNER_INIT)
    return address


def _pool_order(tokens: Tokens, a: str, b: str) -> tuple[str, str]:
    return (a, b) if tokens[a].address < tokens[b].address else (b, a)


def sqrt_price_x96(symbol0: str, symbol1: str) -> int:
    """Return the root of token1's smallest units per token0's at reference prices, in Q64.96."""
    numerator: int = USD_PRICES[symbol0] * 10 ** DECIMALS[symbol1]
    denominator: int = USD_PRICES[symbol1] * 10 ** DECIMALS[symbol0]
    return isqrt((numerator << 192) // denominator)
