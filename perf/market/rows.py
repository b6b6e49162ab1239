"""Prices of a whole market: rows of 10,000 pairs, read beside their writer, and changed."""

from __future__ import annotations

import random
from typing import Final

from tallyio_protocol_uniswap_v2.hot import apply_log
from tallyio_protocol_uniswap_v2.layout import ROW_BYTES

from perf.market.row import Case, require_equal, row
from perf.market.uniswap_v2 import POOLS, Pairs, make_pairs
from perf.peers.session import Peers
from tallyio.bench.rounds import timed
from tallyio.hooks.interfaces import CompiledProtocol
from tallyio.market.fusion import fuse
from tallyio.market.market import Head, Market
from tallyio.market.rows import begin_change, end_change, pool_record, read_row
from tallyio.market.shape import Holding
from tallyio.model.hashing import event_topic
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash
from tallyio.native.atomics import load
from tallyio.native.jit import entry, hot
from tallyio.native.memory import Region

_MODULE: Final = "tallyio_protocol_uniswap_v2.hot"
_ROW: Final = 1
"""Word of a POOL record that holds the row's address."""
_SYNC: Final = 64
_TOKENS: Final = 500


@hot("int64(int64, int64, int64, int64)")
def read_all(state: int, order: int, count: int, target: int) -> int:
    """Read rows in an order that nobody foresees; return the sum of their first words, modulo 2**64."""
    total = 0
    for k in range(count):
        read_row(state, load(order, k), target, ROW_BYTES)
        total += load(target, 0)
    return total


@hot("void(int64, int64, int64, int64)")
def change_all(state: int, order: int, logs: int, count: int) -> None:
    """Apply a Sync to each pool in the order, telling readers."""
    for k in range(count):
        pool = load(order, k)
        begin_change(state, pool)
        apply_log(load(pool_record(state, pool), _ROW), 0, 0, logs + pool * _SYNC, _SYNC)
        end_change(state, pool)


def _market(pairs: Pairs) -> Market:
    draw = random.Random(5)
    tokens = [Address(number.to_bytes(20)) for number in range(1, _TOKENS + 1)]
    raw = pairs.memory.view("u1", POOLS * ROW_BYTES).tobytes()
    pools = tuple(
        PoolSpec(
            address=Address((1 << 64 | k).to_bytes(20)),
            tokens=tuple(sorted(draw.sample(tokens, 2))),
            venue="bench",
            fee_pips=3000,
            can_flash=True,
        )
        for k in range(POOLS)
    )
    compiled = CompiledProtocol(module=_MODULE)
    holding = Holding(
        protocol="uniswap_v2",
        compiled=compiled,
        topics=(event_topic("Sync(uint112,uint112)"),),
        pools=pools,
        rows=tuple(raw[at : at + ROW_BYTES] for at in range(0, len(raw), ROW_BYTES)),
    )
    return Market(fuse([("uniswap_v2", compiled)]), [holding], Head(Hash(bytes(32)), 0))


def _order(memory: Region) -> list[int]:
    order = list(range(POOLS))
    random.Random(3).shuffle(order)
    memory.view("i8", POOLS)[:] = order
    return order


@row("price.read", goal_ns=10.0)
def read(_: Peers) -> Case:
    """A pair's whole row, copied while a writer might be at it."""
    pairs = make_pairs(POOLS)
    market, memory = _market(pairs), Region(8 * POOLS + ROW_BYTES)
    _order(memory)
    arguments = market.state, memory.address, POOLS, memory.address + 8 * POOLS
    expected = sum(reserve0 % 2**64 for reserve0, _ in pairs.reserves) % 2**64
    require_equal(read_all(*arguments) % 2**64, expected, "the pairs")
    return Case(
        ours=timed(entry(read_all), *arguments, operations=POOLS),
        bytes_each=ROW_BYTES,
        keeps=(market, memory),
    )


@row("price.update", goal_ns=20.0)
def update(_: Peers) -> Case:
    """A pair's reserves, changed by a Sync between two counts of the pair's number."""
    pairs = make_pairs(POOLS)
    market, memory = _market(pairs), Region((8 + _SYNC) * POOLS + ROW_BYTES)
    _order(memory)
    changed = [(reserve0 + 1, reserve1 + 1) for reserve0, reserve1 in pairs.reserves]
    logs = b"".join(reserve.to_bytes(32) for each in changed for reserve in each)
    memory.view("u1", len(logs), 8 * POOLS)[:] = bytearray(logs)
    arguments = market.state, memory.address, memory.address + 8 * POOLS, POOLS
    change_all(*arguments)
    target = memory.address + (8 + _SYNC) * POOLS
    expected = sum(reserve0 % 2**64 for reserve0, _ in changed) % 2**64
    require_equal(read_all(market.state, memory.address, POOLS, target) % 2**64, expected, "the logs")
    return Case(ours=timed(entry(change_all), *arguments, operations=POOLS), keeps=(market, memory))
