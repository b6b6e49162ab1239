"""A path over two families: sold in a pair, a concentrated pool and a second pair."""

from __future__ import annotations

import random
from functools import partial
from typing import Final

from tallyio_protocol_uniswap_v2 import hot as v2
from tallyio_protocol_uniswap_v2 import reference
from tallyio_protocol_uniswap_v2.layout import ROW_BYTES, pack_row
from tallyio_protocol_uniswap_v3 import hot as v3

from perf.market.row import Case, require_equal, row
from perf.market.uniswap_v3 import make_quotes
from perf.peers.session import Peers
from tallyio.bench.rounds import timed
from tallyio.market.concentrated import reference as concentrated
from tallyio.native.columns import from_column, to_column
from tallyio.native.jit import entry, hot
from tallyio.native.memory import Region
from tallyio.native.u256 import load256, store256

COUNT: Final = 1_000
CHECKED: Final = 50
"""Paths that the reference quotes: it takes long."""
CROSSED: Final = 10
"""Ticks that an amount of the middle pool's size would cross."""
_WORD: Final = 32
_FEE: Final = (997, 1000)
_SELL_V2: Final = v2.quote
_SELL_V3: Final = v3.quote


@hot("void(int64, int64, int64, int64, int64)")
def quote_paths(pairs: int, middle: int, amounts: int, answers: int, count: int) -> None:
    """Quote `count` paths: pair 2k, the concentrated pool, pair 2k + 1."""
    for k in range(count):
        first = pairs + 2 * k * ROW_BYTES
        amount = _SELL_V2(first, 0, 1, load256(amounts + k * _WORD))
        amount = _SELL_V3(middle, k & 1, 1 - (k & 1), amount)
        store256(answers + k * _WORD, _SELL_V2(first + ROW_BYTES, 0, 1, amount))


def _pair_quote(reserves: tuple[int, int], amount: int) -> int:
    return reference.quote(*reserves, amount, fee_numerator=_FEE[0], fee_denominator=_FEE[1])


@row("path.v2_v3_v2", goal_ns=100.0)
def path(_: Peers) -> Case:
    """An exact quote of three legs; the middle one crosses a few ticks."""
    draw, quotes = random.Random(11), make_quotes(CROSSED)
    depths = [10 ** draw.uniform(22, 24) for _ in range(2 * COUNT)]
    reserves = [(int(depth), int(depth * draw.uniform(0.9, 1.1))) for depth in depths]
    amounts = quotes.amounts[:COUNT]
    raw = b"".join(
        pack_row(each, fee_numerators=(_FEE[0],) * 2, fee_denominator=_FEE[1], gas=0) for each in reserves
    )
    memory = Region(len(raw) + 2 * COUNT * _WORD)
    memory.view("u1", len(raw))[:] = bytearray(raw)
    memory.view("<u8", 4 * COUNT, len(raw))[:] = to_column(amounts).reshape(-1)
    pairs, middle = memory.address, quotes.addresses[0]
    arguments = pairs, middle, pairs + len(raw), pairs + len(raw) + COUNT * _WORD, COUNT
    compiled = entry(quote_paths)
    compiled(*arguments)

    def plain(count: int) -> list[int]:
        answers = []
        for k in range(count):
            amount = _pair_quote(reserves[2 * k], amounts[k])
            amount = concentrated.quote(quotes.pool, amount, zero_for_one=not k & 1)
            answers.append(_pair_quote(reserves[2 * k + 1], amount))
        return answers

    answers = from_column(memory.view("<u8", 4 * COUNT, len(raw) + COUNT * _WORD).reshape(COUNT, 4))
    require_equal(answers[:CHECKED], plain(CHECKED), "the reference")
    require_equal(min(answers) > 0, True, "every path")
    return Case(
        ours=timed(compiled, *arguments, operations=COUNT),
        reference=timed(plain, 10, operations=10),
        counted=partial(compiled, *arguments[:-1]),
        keeps=(memory, quotes),
    )
