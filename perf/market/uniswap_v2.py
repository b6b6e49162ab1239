"""Constant-product pairs: half of them dollars with 6 decimals against ether, half 18 against 18."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from functools import partial
from typing import Final

from tallyio_protocol_uniswap_v2 import reference
from tallyio_protocol_uniswap_v2.hot import apply_log, quote, quote_exact_out
from tallyio_protocol_uniswap_v2.layout import ROW_BYTES, pack_row, unpack_reserves

from perf.market.row import Case, beside_degenbot, require_equal, row
from perf.peers.session import Peers
from tallyio.bench.rounds import timed
from tallyio.market.abi import LOG_APPLIED, POOL
from tallyio.native.columns import from_column, to_column
from tallyio.native.jit import entry, hot
from tallyio.native.memory import Region
from tallyio.native.u256 import load256, store256

POOLS: Final = 10_000
CALLS: Final = 1_000
_WORD: Final = 32
_SYNC: Final = 64
_NUMERATOR, _DENOMINATOR = 997, 1000


@hot("void(int64, int64, int64, int64)")
def quote_all(rows: int, amounts: int, answers: int, count: int) -> None:
    """Quote once per pair, the directions in turns."""
    for k in range(count):
        i = k & 1
        store256(answers + k * _WORD, quote(rows + k * ROW_BYTES, i, 1 - i, load256(amounts + k * _WORD)))


@hot("void(int64, int64, int64, int64)")
def quote_exact_out_all(rows: int, amounts: int, answers: int, count: int) -> None:
    """Quote an exact output once per pair."""
    for k in range(count):
        i = k & 1
        amount = load256(amounts + k * _WORD)
        store256(answers + k * _WORD, quote_exact_out(rows + k * ROW_BYTES, i, 1 - i, amount))


@hot("int64(int64, int64, int64)")
def sync_all(rows: int, logs: int, count: int) -> int:
    """Apply one Sync per pair; return how many were applied."""
    applied = 0
    for k in range(count):
        applied += apply_log(rows + k * ROW_BYTES, 0, 0, logs + k * _SYNC, _SYNC) == LOG_APPLIED
    return applied


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Pairs in native memory, and an amount for each."""

    reserves: list[tuple[int, int]]
    amounts: list[int]
    memory: Region

    @property
    def addresses(self) -> tuple[int, int, int, int]:
        """Where rows, amounts and answers are, and how many."""
        rows, count = self.memory.address, len(self.reserves)
        amounts = rows + count * ROW_BYTES
        return rows, amounts, amounts + count * _WORD, count

    def answers(self) -> list[int]:
        """Return what the last compiled loop wrote."""
        count = len(self.reserves)
        column = self.memory.view("<u8", 4 * count, count * (ROW_BYTES + _WORD))
        return from_column(column.reshape(count, 4))

    def sides(self) -> list[int]:
        """Return the token that each quote sells."""
        return [k & 1 for k in range(len(self.reserves))]


@functools.cache
def make_pairs(count: int) -> Pairs:
    """Return so many pairs, from a seed."""
    draw = random.Random(7)
    reserves, amounts = [], []
    for k in range(count):
        own = [draw.randrange(10**11, 10**14), draw.randrange(10**19, 10**22)]
        if draw.random() < 0.5:  # noqa: PLR2004 - half of them
            own[0] = draw.randrange(10**20, 10**25)
        reserves.append((own[0], own[1]))
        amounts.append(draw.randrange(1, own[k & 1] // 10))
    memory = Region(count * (ROW_BYTES + 2 * _WORD))
    fees = (_NUMERATOR, _NUMERATOR)
    raw = b"".join(
        pack_row(each, fee_numerators=fees, fee_denominator=_DENOMINATOR, gas=0) for each in reserves
    )
    memory.view("u1", len(raw))[:] = bytearray(raw)
    memory.view("<u8", 4 * count, len(raw))[:] = to_column(amounts).reshape(-1)
    return Pairs(reserves=reserves, amounts=amounts, memory=memory)


def _expected(reserves: tuple[int, int], side: int, amount: int) -> int:
    return reference.quote(
        reserves[side],
        reserves[1 - side],
        amount,
        fee_numerator=_NUMERATOR,
        fee_denominator=_DENOMINATOR,
    )


def _expected_in(reserves: tuple[int, int], side: int, amount: int) -> int:
    return reference.quote_exact_out(
        reserves[side],
        reserves[1 - side],
        amount,
        fee_numerator=_NUMERATOR,
        fee_denominator=_DENOMINATOR,
    )


@row("v2.quote", goal_ns=17.0, degenbot=1 / 15)
def quotes(peers: Peers) -> Case:
    """An exact quote in a compiled loop over 10,000 pairs."""
    pairs = make_pairs(POOLS)
    compiled = entry(quote_all)
    compiled(*pairs.addresses)
    answers = pairs.answers()
    cases = list(zip(pairs.reserves, pairs.sides(), pairs.amounts, strict=True))

    def in_python() -> list[int]:
        return [_expected(*case) for case in cases[:CALLS]]

    require_equal(answers, [_expected(*case) for case in cases], "the reference")
    prepared = "v2", "v2.quote", pairs.reserves, pairs.sides(), pairs.amounts
    found, absent = beside_degenbot(peers, answers, prepared)
    return Case(
        ours=timed(compiled, *pairs.addresses, operations=POOLS),
        reference=timed(in_python, operations=CALLS),
        peers=found,
        absent=absent,
        bytes_each=ROW_BYTES + POOL.itemsize,
        counted=partial(compiled, *pairs.addresses[:-1]),
        keeps=pairs,
    )


@row("v2.quote_exact_out")
def exact_outputs(_: Peers) -> Case:
    """An exact quote of an exact output, in a compiled loop over 10,000 pairs."""
    pairs = make_pairs(POOLS)
    compiled = entry(quote_exact_out_all)
    compiled(*pairs.addresses)
    cases = list(zip(pairs.reserves, pairs.sides(), pairs.amounts, strict=True))
    require_equal(pairs.answers(), [_expected_in(*case) for case in cases], "the reference")

    def in_python() -> list[int]:
        return [_expected_in(*case) for case in cases[:CALLS]]

    return Case(
        ours=timed(compiled, *pairs.addresses, operations=POOLS),
        reference=timed(in_python, operations=CALLS),
        counted=partial(compiled, *pairs.addresses[:-1]),
        keeps=pairs,
    )


@row("v2.quote.from_python", goal_ns=180.0, degenbot=0.5)
def calls(peers: Peers) -> Case:
    """One call from Python per quote, Python integers in and out, on 1,000 pairs in turns."""
    pairs = make_pairs(CALLS)
    rows = pairs.addresses[0]
    compiled = entry(quote)
    cases = [(rows + k * ROW_BYTES, k & 1, 1 - (k & 1), amount) for k, amount in enumerate(pairs.amounts)]

    def ours() -> None:
        for place, i, j, amount in cases:
            compiled(place, i, j, amount)

    expected = list(zip(pairs.reserves, pairs.sides(), pairs.amounts, strict=True))

    def in_python() -> None:
        for each in expected:
            _expected(*each)

    answers = [compiled(*case) for case in cases]
    require_equal(answers, [_expected(*each) for each in expected], "the reference")
    prepared = "v2", "v2.quote.from_python", pairs.reserves, pairs.sides(), pairs.amounts
    found, absent = beside_degenbot(peers, answers, prepared)
    return Case(
        ours=timed(ours, operations=CALLS),
        reference=timed(in_python, operations=CALLS),
        peers=found,
        absent=absent,
        keeps=pairs,
    )


@row("v2.sync", degenbot=1 / 20)
def syncs(peers: Peers) -> Case:
    """A Sync applied to a row, from the bytes of its data, over 10,000 pairs."""
    reserves = make_pairs(POOLS).reserves
    memory = Region(POOLS * (ROW_BYTES + _SYNC))
    empty = pack_row((1, 1), fee_numerators=(1, 1), fee_denominator=1, gas=0) * POOLS
    logs = b"".join(reserve.to_bytes(_WORD) for each in reserves for reserve in each)
    memory.view("u1", len(empty) + len(logs))[:] = bytearray(empty + logs)
    arguments = memory.address, memory.address + len(empty), POOLS
    require_equal(sync_all(*arguments), POOLS, "the count of applied logs")
    raw = memory.view("u1", len(empty)).tobytes()
    rows = [raw[at : at + ROW_BYTES] for at in range(0, len(raw), ROW_BYTES)]
    require_equal([unpack_reserves(each) for each in rows], reserves, "the logs")
    applied = [list(each) for each in reserves[:CALLS]]
    found, absent = beside_degenbot(peers, applied, ("syncs", applied), measure=("syncs_ns",))
    return Case(
        ours=timed(entry(sync_all), *arguments, operations=POOLS),
        counted=partial(entry(sync_all), *arguments[:-1]),
        peers=found,
        absent=absent,
        keeps=memory,
    )
