"""Ask a market questions, cell by cell: quotes, prices, paths, splits, cycles.

Editors that know `# %%` run it as a notebook; `python queries.py` runs it whole. The market is the lab's,
on an EVM inside this process: real Uniswap contracts, and nothing to connect to. It needs
tallyio[evm], and the network once, for the contracts.
"""

# %% A world to ask about: tokens, pools, and a chain that a test kit plays.
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from tallyio.engine.markets import load_market
from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.market.pools import integers, words
from tallyio.testing import RevmChain

if TYPE_CHECKING:
    from tallyio.market.market import Market

chain = RevmChain()
tokens = {symbol: token.address for symbol, token in chain.world.tokens.items()}
names = {address: symbol for symbol, address in tokens.items()}
WETH, USDC, DAI = tokens["WETH"], tokens["USDC"], tokens["DAI"]


# %% Settings are those of a configuration file; here they come from the lab's world.
def venues() -> dict[str, Any]:
    """Return the `[protocols.…]` tables."""
    world = chain.world
    fee = {"fee_numerator": 997, "fee_denominator": 1000}
    v2 = [{"name": name, "factory": "0x" + made.factory.hex(), **fee} for name, made in world.v2.items()]
    v3 = [{"name": "v3", "factory": "0x" + world.v3.factory.hex()}]
    return {"uniswap_v2": {"venues": v2}, "uniswap_v3": {"venues": v3}}


async def open_market() -> Market:
    """Load every pool of the world."""
    host = PluginHost(Catalog.scan())
    protocols = [(name, host.protocol(name, table)) for name, table in venues().items()]
    market, _ = await load_market(chain, protocols, head=chain.latest, native=WETH)
    return market


market = trio.run(open_market)
print(f"{len(market.shape.pools)} pools, {len(market.shape.tokens)} tokens, at block {market.head.number}")

# %% One pool: exact quotes in both directions, the spot price, what an amount does to it.
pool = market.pool(0)
sold, bought = pool.spec.tokens
amount = 10 ** (chain.world.tokens[names[sold]].decimals + 3)
out = pool.quote_exact_in(sold, amount)
print(f"{amount} {names[sold]} buy {out} {names[bought]} at {pool.spec.venue}")
print(f"and {out} {names[bought]} cost {pool.quote_exact_out(bought, out)} {names[sold]}")
print(f"spot price {pool.spot_price(sold):.6g}, price impact {pool.price_impact(sold, amount):.3%}")

# %% Many amounts at once: arrays of 256-bit integers, one compiled loop.
ladder = [amount * 10**k for k in range(4)]
print(integers(pool.quotes_exact_in(sold, words(ladder))))

# %% The best way from one token to another, and whether to divide the amount.
path = market.router.best_path(DAI, USDC, 1_000 * 10**18)
if path is None:
    raise SystemExit("no path")
way = " -> ".join(names[market.shape.pools[hop.pool].tokens[hop.j]] for hop in path.hops)
print(f"1000 DAI -> {way}: {path.amount_out / 10**6:.2f} USDC over {len(path.hops)} pools")
split = market.router.best_split(WETH, USDC, 20 * 10**18, gas_price_wei=10**9)
if split is None:
    raise SystemExit("no path")
print(f"20 WETH over {len(split.paths)} paths: {split.amount_out / 10**6:.2f} USDC")

# %% Let traders swap, follow their blocks, and look for what they left behind.
for _ in range(5):
    block = chain.step(seed=7)
    dirty = market.apply(block)
    cycles = market.router.cycles(market.dirty, max_legs=3)
    print(f"block {block.head.number}: {dirty} pools changed, {len(cycles)} cycles gain")
    for cycle in cycles[:2]:
        start = market.shape.pools[cycle.hops[0].pool].tokens[cycle.hops[0].i]
        print(f"  {cycle.amount_in} {names[start]} in, {cycle.amount_out - cycle.amount_in} more out")
    market.settle()
market.close()
