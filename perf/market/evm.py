"""Our quotes beside the protocol's own quoter, run by an EVM in this process."""

from __future__ import annotations

import random
from functools import partial
from typing import Final

import trio
from tallyio_protocol_uniswap_v3.adapter import UniswapV3

from perf.market.row import Case, require_equal, row
from perf.market.uniswap_v3 import quote_all
from perf.peers.session import Peers
from tallyio.bench.rounds import Timer, timed
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.world import OPERATOR
from tallyio.market.concentrated.reference_math import HIGHEST_LIMIT, LOWEST_LIMIT
from tallyio.model.errors import TallyError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import checksum, hex_text
from tallyio.native.columns import from_column, to_column
from tallyio.native.jit import entry
from tallyio.native.memory import Region
from tallyio.testing import RevmChain

COUNT: Final = 1_000
ASKED: Final = 20
_WORD: Final = 32


class Quoter:
    """QuoterV2 of the lab's world, on pyrevm."""

    def __init__(self, chain: RevmChain, pool: PoolSpec) -> None:
        self._chain, self._pool = chain, pool
        self._contract = Contract(artifact("QuoterV2"), chain.world.v3.quoter)

    def call(self, i: int, amount: int) -> Call:
        """Return the call that asks for a quote."""
        order = (self._pool.tokens[i], self._pool.tokens[1 - i], amount, self._pool.fee_pips, 0)
        return self._contract.call("quoteExactInputSingle", order)

    def answer(self, call: Call) -> int:
        """Return what it says; 0 where the swap would end at the furthest price."""
        output = self._chain.backend.call(call)
        paid, after, _, _ = self._contract.artifact.decode("quoteExactInputSingle", output)
        return 0 if after in {LOWEST_LIMIT, HIGHEST_LIMIT} else int(paid)

    def timer(self, calls: list[Call]) -> Timer:
        """Return a timer of the EVM alone: a quote ends in a revert inside, so there is nothing to undo."""
        run, sender = self._chain.backend.evm.message_call, hex_text(OPERATOR)
        messages = [(hex_text(call.to), call.data) for call in calls]

        def ask() -> None:
            for target, data in messages:
                run(sender, target, calldata=data)

        return timed(ask, operations=len(calls))


def _chain() -> RevmChain | str:
    try:
        return RevmChain()
    except TallyError as fault:
        return str(fault)


async def _first_pool(chain: RevmChain) -> tuple[PoolSpec, bytes]:
    venue = {"name": "lab", "factory": checksum(chain.world.v3.factory)}
    adapter = UniswapV3({"venues": [venue]})
    pool, *_ = await adapter.discover(chain, block=chain.latest)
    [raw] = await adapter.load(chain, [pool], block=chain.latest)
    return pool, raw


@row("v3.quote.lab", quoter=1 / 500)
def beside_the_quoter(_: Peers) -> Case:
    """An exact quote on a pool of the lab, beside QuoterV2's bytecode for the same amounts."""
    chain, draw = _chain(), random.Random(9)
    amounts = [draw.getrandbits(draw.randrange(8, 36)) + 1 for _ in range(COUNT)]
    if isinstance(chain, str):
        raise SystemExit(f"the lab's world cannot be built: {chain}")
    pool, raw = trio.run(partial(_first_pool, chain))
    memory = Region(len(raw) + 2 * COUNT * _WORD)
    memory.view("u1", len(raw))[:] = bytearray(raw)
    memory.view("<u8", 4 * COUNT, len(raw))[:] = to_column(amounts).reshape(-1)
    place = memory.address
    arguments = place, place + len(raw), place + len(raw) + COUNT * _WORD, COUNT
    entry(quote_all)(*arguments)
    answers = from_column(memory.view("<u8", 4 * COUNT, len(raw) + COUNT * _WORD).reshape(COUNT, 4))
    quoter = Quoter(chain, pool)
    calls = [quoter.call(k & 1, amount) for k, amount in enumerate(amounts[:ASKED])]
    require_equal(answers[:ASKED], [quoter.answer(call) for call in calls], "QuoterV2")
    return Case(
        ours=timed(entry(quote_all), *arguments, operations=COUNT),
        peers={"quoter": quoter.timer(calls)},
        keeps=(chain, memory),
    )
