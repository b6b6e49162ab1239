"""Markets made up from a seed, for benchmarks and tests: a few hubs, many tails.

Of the pools 95 percent trade one of the hubs, the first hubs far more often than the last; of those a
few trade two hubs, and the rest a hub and a tail. Prices agree up to `noise`, and no further than
`band`: within 0.27 percent, less than the fee, a market is at rest as arbitrage leaves it, and no cycle
gains. A block's trades push some of its pools out of that. Pools between hubs are deep, the others
anything from shallow to deep. Amounts are of tokens with 6, 8 and 18 decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tallyio.hooks.interfaces import CompiledProtocol
from tallyio.market.market import Head as MarketHead
from tallyio.market.shape import Holding
from tallyio.model.chain import Block, Head, Log
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash, Wei
from tallyio_strategy_arbitrage.bench_pools import RESERVES_TOPIC, pack_row

HUBS: Final = 16
NATIVE: Final = 0
"""The token that everything is priced in."""
START: Final = MarketHead(Hash(bytes(32)), 0)
_DECIMALS: Final = (18, 6, 8)
_COMPILED: Final = CompiledProtocol(module="tallyio_strategy_arbitrage.bench_pools")
_ETHER: Final = 1e18
_MOST_RESERVE: Final = 1 << 110
PUSHED: Final = 0.1
MOST_PUSH: Final = 0.01
MOST_OF_A_PAIR: Final = 8
"""Pools of the same two tokens: a few exchanges, a few fees each. Further ones trade some other tail."""
AT_REST: Final = 0.00135
"""Most that a reserve is off, either way, so that a price is off by 0.27 percent."""


class World(NamedTuple):
    """The pools of a made-up market."""

    values: npt.NDArray[np.float64]
    """Per token wei for one smallest unit."""
    tokens: tuple[tuple[int, ...], ...]
    """Per pool its tokens."""
    depth: npt.NDArray[np.float64]
    """Per pool what its reserve of each token is worth, in wei."""
    noise: float
    band: float

    def row(self, pool: int, draw: np.random.Generator, *, push: float = 0.0) -> tuple[int, ...]:
        """Return reserves of the pool around its prices, the first token's pushed up by `push`."""
        off = draw.normal(0.0, self.noise, len(self.tokens[pool])).clip(-self.band, self.band)
        off[0] += push
        reserves = self.depth[pool] / self.values[list(self.tokens[pool])] * np.exp(off)
        return tuple(min(_MOST_RESERVE, max(1, int(reserve))) for reserve in reserves)


def make_world(  # noqa: PLR0913 - each has a usual value
    pools: int,
    seed: int,
    *,
    hubs: int = HUBS,
    tails: int | None = None,
    noise: float = 0.0014,
    band: float = AT_REST,
    many: float = 0.0,
    shallow: float = 18.0,
) -> World:
    """Return a world of so many pools; a share `many` of them trade three to eight tokens.

    Depths run from 10**shallow wei to 10**22.5, between hubs from 10**21.5 to 10**23.
    """
    draw = np.random.default_rng(seed)
    tokens = hubs + (max(4, int(pools * 0.6)) if tails is None else tails)
    ends = _ends(draw, pools, hubs, tokens)
    groups = [tuple(map(int, pair)) for pair in ends]
    for pool in np.flatnonzero(draw.random(pools) < many):
        wanted = min(int(draw.integers(3, 9)), tokens)
        more = (int(token) for token in draw.choice(tokens, wanted, replace=False))
        groups[pool] = tuple(dict.fromkeys((*groups[pool], *more)))[:wanted]
    between_hubs = ends.max(axis=1) < hubs
    depth = 10 ** np.where(between_hubs, draw.uniform(21.5, 23, pools), draw.uniform(shallow, 22.5, pools))
    decimals = draw.choice(_DECIMALS, tokens)
    values = _ETHER / 10.0**decimals * 10 ** draw.uniform(-5, 1, tokens)
    values[NATIVE] = 1.0
    return World(values, tuple(groups), depth, noise, band)


def _ends(draw: np.random.Generator, pools: int, hubs: int, tokens: int) -> npt.NDArray[np.int64]:
    """Return two different tokens per pool."""
    hub_share = 1.0 / np.arange(1, hubs + 1) ** 1.2
    tail_share = 1.0 / np.arange(1, tokens - hubs + 1) ** 0.6
    hub_of = draw.choice(hubs, (2, pools), p=hub_share / hub_share.sum())
    tail_of = draw.choice(tokens - hubs, (2, pools), p=tail_share / tail_share.sum()) + hubs
    kind = draw.random(pools)
    one = np.where(kind < 0.95, hub_of[0], tail_of[0])  # noqa: PLR2004 - see above
    other = np.where(kind < 0.08, hub_of[1], tail_of[1])  # noqa: PLR2004 - see above
    other = np.where(one == other, (other + 1) % tokens, other)
    ends = np.stack((np.minimum(one, other), np.maximum(one, other)), axis=1).astype(np.int64)
    crowded = _earlier(ends) >= MOST_OF_A_PAIR
    ends[crowded, 1] = draw.integers(hubs, tokens, int(crowded.sum()))
    same = ends[:, 0] == ends[:, 1]
    ends[same, 0] = 0
    return ends


def _earlier(ends: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return per pool how many pools of the same tokens come before it."""
    order = np.lexsort((np.arange(len(ends)), ends[:, 1], ends[:, 0]))
    pairs = ends[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    places = np.arange(len(order))
    counted = np.empty(len(order), dtype=np.int64)
    counted[order] = places - np.maximum.accumulate(np.where(first, places, 0))
    return counted


def token(number: int) -> Address:
    """Return the address of a token."""
    return Address((number + 1).to_bytes(20))


def pool_address(number: int) -> Address:
    """Return the address of a pool."""
    return Address((0xF00D << 32 | number).to_bytes(20))


def holding(world: World, seed: int, *, gas: int = 100_000) -> Holding:
    """Return all pools of the world, as of `START`."""
    draw = np.random.default_rng(seed)
    specs = tuple(
        PoolSpec(
            address=pool_address(number),
            tokens=tuple(token(each) for each in tokens),
            venue="made up",
            fee_pips=3000,
            can_flash=True,
        )
        for number, tokens in enumerate(world.tokens)
    )
    rows = tuple(pack_row(*world.row(pool, draw), gas=gas) for pool in range(len(world.tokens)))
    return Holding(protocol="pools", compiled=_COMPILED, topics=(RESERVES_TOPIC,), pools=specs, rows=rows)


def protocol() -> tuple[str, CompiledProtocol]:
    """Return what `fuse` wants of the made-up pools."""
    return "pools", _COMPILED


def make_block(
    world: World, number: int, parent: Hash, pools: Sequence[int], seed: int, pushed: float = PUSHED
) -> Block:
    """Return a block that gives each of `pools` other reserves, in one event each.

    A share `pushed`, the first ones, are pushed off their price by up to one percent.
    """
    draw = np.random.default_rng(seed)
    pushes = draw.uniform(-MOST_PUSH, MOST_PUSH, len(pools))
    pushes[int(pushed * len(pools)) :] = 0.0
    block_hash = Hash(number.to_bytes(32))
    logs = tuple(
        Log(
            address=pool_address(pool),
            topics=(RESERVES_TOPIC,),
            data=b"".join(
                reserve.to_bytes(32) for reserve in world.row(pool, draw, push=float(pushes[index]))
            ),
            block_hash=block_hash,
            block_number=number,
            log_index=index,
            transaction_hash=Hash(bytes(32)),
        )
        for index, pool in enumerate(pools)
    )
    head = Head(
        number=number,
        hash=block_hash,
        parent_hash=parent,
        timestamp=12 * number,
        base_fee_wei=Wei(0),
        gas_used=0,
        gas_limit=0,
        logs_bloom=b"",
    )
    return Block(head=head, logs=logs, bytes_in_ns=0, decoded_ns=0)
