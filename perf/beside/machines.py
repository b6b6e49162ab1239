"""A swap on the EVM, beside our quote of it."""

from __future__ import annotations

import importlib.metadata
import random
from functools import partial
from typing import Final

import trio
from tallyio_protocol_uniswap_v2.adapter import UniswapV2

from perf.market.row import Case, require_equal, row
from perf.market.uniswap_v2 import quote_all
from perf.peers.session import Peers
from tallyio.bench.rounds import Timer, timed
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.world import OPERATOR
from tallyio.model.errors import TallyError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum, hex_text
from tallyio.native.columns import from_column, to_column
from tallyio.native.jit import entry
from tallyio.native.memory import Region
from tallyio.testing import RevmChain

COUNT: Final = 1_000
ASKED: Final = 20
_WORD: Final = 32


@row("evm.v2_amounts_out")
def amounts_out(_: Peers) -> Case:
    """What a pair of the lab pays, beside its router's own `getAmountsOut` on pyrevm."""
    name = f"pyrevm {importlib.metadata.version('pyrevm')}, getAmountsOut"
    try:
        chain = RevmChain()
    except TallyError as fault:
        raise SystemExit(f"the lab's world cannot be built: {fault}") from fault
    pool, raw = trio.run(partial(_first_pair, chain))
    draw = random.Random(9)
    amounts = [draw.getrandbits(draw.randrange(8, 60)) + 1 for _ in range(COUNT)]
    # The compiled loop walks rows: the same pair, as often as there are amounts.
    memory = Region(COUNT * (len(raw) + 2 * _WORD))
    memory.view("u1", COUNT * len(raw))[:] = bytearray(raw * COUNT)
    memory.view("<u8", 4 * COUNT, COUNT * len(raw))[:] = to_column(amounts).reshape(-1)
    start = memory.address
    arguments = start, start + COUNT * len(raw), start + COUNT * (len(raw) + _WORD), COUNT
    entry(quote_all)(*arguments)
    answers = from_column(memory.view("<u8", 4 * COUNT, COUNT * (len(raw) + _WORD)).reshape(COUNT, 4))
    router = Contract(artifact("UniswapV2Router02"), next(iter(chain.world.v2.values())).router)
    calls = [
        router.call("getAmountsOut", amount, [checksum(each) for each in _way(pool, k & 1)])
        for k, amount in enumerate(amounts[:ASKED])
    ]
    paid = [router.artifact.decode("getAmountsOut", chain.backend.call(call))[0][-1] for call in calls]
    require_equal(answers[:ASKED], paid, name)
    return Case(
        ours=timed(entry(quote_all), *arguments, operations=COUNT),
        peers={name: _on_the_evm(chain, calls)},
        keeps=(chain, memory),
    )


def _way(pool: PoolSpec, side: int) -> tuple[Address, Address]:
    return pool.tokens[side], pool.tokens[1 - side]


def _on_the_evm(chain: RevmChain, calls: list[Call]) -> Timer:
    run, sender = chain.backend.evm.message_call, hex_text(OPERATOR)
    messages = [(hex_text(call.to), call.data) for call in calls]

    def ask() -> None:
        for target, data in messages:
            run(sender, target, calldata=data)

    return timed(ask, operations=len(calls))


async def _first_pair(chain: RevmChain) -> tuple[PoolSpec, bytes]:
    name, venue = next(iter(chain.world.v2.items()))
    settings = {
        "name": name,
        "factory": checksum(venue.factory),
        "fee_numerator": 997,
        "fee_denominator": 1000,
    }
    adapter = UniswapV2({"venues": [settings]})
    pool, *_ = await adapter.discover(chain, block=chain.latest)
    [raw] = await adapter.load(chain, [pool], block=chain.latest)
    return pool, raw
