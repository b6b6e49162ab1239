"""A market pulled apart, and an executor in it: real contracts on an EVM in this process."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from tallyio_protocol_uniswap_v2.adapter import UniswapV2
from tallyio_protocol_uniswap_v3.adapter import UniswapV3

from tallyio.engine.executor import deployment
from tallyio.engine.planner import plan
from tallyio.hooks.interfaces import ExchangeProtocol
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.recipe import sqrt_price_x96
from tallyio.lab.revm import build_revm_world
from tallyio.lab.world import OPERATOR, Pool, account
from tallyio.model.chain import Head
from tallyio.model.execution import Call, Leg, Opportunity, Plan
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address
from tallyio.testing import head_at
from tests.demo_tables import protocol_tables

OWNER = account("owner")
STRANGER = account("stranger")
FOREVER = 2**64


class Cycle(NamedTuple):
    """A way through pools, written "venue:A/B:fee", and what to send round."""

    symbol: str
    amount_in: int
    pools: tuple[str, ...]


CYCLES = {
    "V2 to V2": Cycle("WETH", 10**18, ("v2b:WETH/USDC:3000", "v2a:USDC/WETH:3000")),
    "V2 to V3": Cycle("USDC", 3_000 * 10**6, ("v2a:USDC/WETH:3000", "v3:USDC/WETH:500")),
    "V3 to V2": Cycle("WETH", 10**18, ("v3:USDC/WETH:500", "v2a:USDC/WETH:3000")),
    "V3 to V3": Cycle("WETH", 10**18, ("v3:USDC/WETH:500", "v3:USDC/WETH:3000")),
    "three legs on V2": Cycle(
        "WETH", 5 * 10**17, ("v2b:WETH/USDT:3000", "v2b:USDC/USDT:3000", "v2a:USDC/WETH:3000")
    ),
    "three legs, V3 first": Cycle(
        "WETH", 5 * 10**17, ("v3:WETH/USDT:3000", "v2b:USDC/USDT:3000", "v2a:USDC/WETH:3000")
    ),
    "three legs, V3 last": Cycle(
        "USDT", 10**9, ("v2b:USDC/USDT:3000", "v2a:USDC/WETH:3000", "v3:WETH/USDT:3000")
    ),
    "four legs": Cycle(
        "WETH",
        10**17,
        ("v3:WETH/USDT:3000", "v2b:USDC/USDT:3000", "v2a:USDC/DAI:3000", "v2a:WETH/DAI:3000"),
    ),
}
"""Every mix of two and three legs, and one of four; all of them pay in a market that `unbalance` made."""


class Practice:
    """The lab's world, a second V3 pool of WETH and USDC, and an executor of `OWNER`."""

    def __init__(self) -> None:
        made = self.lab = build_revm_world()
        self.backend = made.backend
        self.world = made.world
        self.executor = self.backend.deploy(deployment(OWNER))
        self.pools = [*self.world.pools, self._second_v3_pool()]
        self.specs = [self._spec(pool) for pool in self.pools]
        tables = protocol_tables(self.world)
        by_kind: dict[str, ExchangeProtocol] = {
            "v2": UniswapV2(tables["uniswap_v2"]),
            "v3": UniswapV3(tables["uniswap_v3"]),
        }
        self.adapters = [by_kind[pool.kind] for pool in self.pools]
        self.plan = partial(
            plan,
            pools=self.specs,
            adapters=self.adapters,
            executor=self.executor,
            sender=OWNER,
            deadline_block=FOREVER,
        )

    def token(self, symbol: str) -> Address:
        """Return the address of the token called `symbol`."""
        return self.world.tokens[symbol].address

    def find(self, name: str) -> int:
        """Return the id of the pool called "venue:A/B:fee", its tokens in either order."""
        venue, tokens, fee = name.split(":")
        wanted = (venue, frozenset(tokens.split("/")), int(fee))
        return [(p.venue, frozenset(p.tokens), p.fee_pips) for p in self.pools].index(wanted)

    def balance(self, symbol: str, owner: Address) -> int:
        """Return what `owner` holds of a token."""
        return self.read(self.token(symbol), "Token", "balanceOf", owner)

    def read(self, contract: Address, kind: str, name: str, *args: object) -> int:
        """Return the first value that a contract function returns."""
        made = Contract(artifact(kind), contract)
        value: int = made.artifact.decode(name, self.backend.call(made.call(name, *args)))[0]
        return value

    def quote(self, pool: int, symbol_in: str, amount_in: int) -> int:
        """Return what a swap pays, as the venue's own router or quoter says."""
        made = self.pools[pool]
        other = made.tokens[1 - made.tokens.index(symbol_in)]
        path = [self.token(symbol_in), self.token(other)]
        if made.kind == "v3":
            return self.read(
                self.world.v3.quoter,
                "QuoterV2",
                "quoteExactInputSingle",
                (*path, amount_in, made.fee_pips, 0),
            )
        router = Contract(artifact("UniswapV2Router02"), self.world.v2[made.venue].router)
        output = self.backend.call(router.call("getAmountsOut", amount_in, path))
        amounts: tuple[int, ...] = router.artifact.decode("getAmountsOut", output)[0]
        return amounts[-1]

    def pull_apart(self, pool: int, symbol_in: str, amount_in: int) -> None:
        """Let the operator sell into a V2 pool, which moves its price away from the others'."""
        made = self.pools[pool]
        out = self.quote(pool, symbol_in, amount_in)
        outputs = (0, out) if made.tokens[0] == symbol_in else (out, 0)
        self.transact(self.transfer(symbol_in, made.address, amount_in))
        pair = Contract(artifact("UniswapV2Pair"), made.address)
        self.transact(pair.call("swap", *outputs, OPERATOR, b""))

    def pull_v3_apart(self, symbol_in: str, amount_in: int) -> None:
        """Let the operator sell into the second V3 pool of WETH and USDC."""
        router = Contract(artifact("SwapRouter"), self.world.v3.router)
        token = Contract(artifact("Token"), self.token(symbol_in))
        self.transact(token.call("approve", router.address, amount_in))
        other = "USDC" if symbol_in == "WETH" else "WETH"
        path = (self.token(symbol_in), self.token(other))
        self.transact(router.call("exactInputSingle", (*path, 3_000, OPERATOR, FOREVER, amount_in, 0, 0)))

    def transfer(self, symbol: str, to: Address, amount: int) -> Call:
        """Return the call that moves tokens from whoever makes it."""
        return Contract(artifact("Token"), self.token(symbol)).call("transfer", to, amount)

    def transact(self, call: Call, sender: Address = OPERATOR) -> bytes:
        """Run `call` in a block of its own. Raises: Reverted."""
        return self.backend.transact(call, sender=sender)

    def unbalance(self) -> None:
        """Make WETH cheap at venue v2a, and a little so in the second V3 pool."""
        self.pull_apart(self.find("v2a:WETH/USDC:3000"), "WETH", 30 * 10**18)
        self.pull_apart(self.find("v2a:WETH/DAI:3000"), "WETH", 30 * 10**18)
        self.pull_v3_apart("WETH", 20 * 10**18)

    def opportunity(self, cycle: Cycle) -> Opportunity:
        """Return `cycle` as a strategy would find it, priced by the venues themselves."""
        legs, held, amount = [], cycle.symbol, cycle.amount_in
        for pool in map(self.find, cycle.pools):
            tokens = self.pools[pool].tokens
            side = tokens.index(held)
            out = self.quote(pool, held, amount)
            legs.append(Leg(pool=pool, token_in=side, token_out=1 - side, amount_in=amount, amount_out=out))
            held, amount = tokens[1 - side], out
        assert held == cycle.symbol
        return Opportunity(
            id=1,
            strategy="practice",
            block_hash=self.head.hash,
            block_number=self.head.number,
            token=self.token(cycle.symbol),
            legs=tuple(legs),
            amount_in=cycle.amount_in,
            amount_out=amount,
            gas=300_000,
            net_wei=0.0,
        )

    def land(self, made: Plan, sender: Address = OWNER) -> int:
        """Send `made` in a block of its own; return by how much the sender's balance grew."""
        before = self._holding(made.token, sender)
        self.transact(made.call, sender)
        return self._holding(made.token, sender) - before

    @property
    def head(self) -> Head:
        """The newest block."""
        return head_at(self.backend.number)

    def _holding(self, token: Address, owner: Address) -> int:
        return self.read(token, "Token", "balanceOf", owner)

    def _spec(self, pool: Pool) -> PoolSpec:
        return PoolSpec(
            address=pool.address,
            tokens=tuple(self.token(symbol) for symbol in pool.tokens),
            venue=pool.venue,
            fee_pips=pool.fee_pips,
            can_flash=True,
        )

    def _second_v3_pool(self) -> Pool:
        like = next(pool for pool in self.world.pools if pool.kind == "v3" and "USDC" in pool.tokens)
        pair = tuple(self.token(symbol) for symbol in like.tokens)
        positions = Contract(artifact("NonfungiblePositionManager"), self.world.v3.positions)
        price = sqrt_price_x96(*like.tokens)
        create = positions.call("createAndInitializePoolIfNecessary", *pair, 3_000, price)
        address = Address(self.transact(create)[-20:])
        tick = _tick_of(self, address)
        for width in (600, 6_000, 60_000):
            ends = ((tick - width) // 60 * 60, (tick + width) // 60 * 60)
            amounts = [10**18 * 100 if symbol == "WETH" else 250_000 * 10**6 for symbol in like.tokens]
            self.transact(
                positions.call("mint", (*pair, 3_000, *ends, *amounts, 0, 0, OPERATOR, FOREVER)),
            )
        return Pool(kind="v3", venue="v3", address=address, tokens=like.tokens, fee_pips=3_000)


def _tick_of(practice: Practice, pool: Address) -> int:
    made = Contract(artifact("UniswapV3Pool"), pool)
    tick: int = made.artifact.decode("slot0", practice.backend.call(made.call("slot0")))[1]
    return tick
