"""256-bit arithmetic, each operation in a compiled loop over operands that it cannot foresee."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from perf.market.row import Case, require_equal, row
from perf.peers.session import Peers
from tallyio.bench.rounds import timed
from tallyio.native import reference
from tallyio.native.columns import to_column
from tallyio.native.jit import HotFunction, entry, hot
from tallyio.native.memory import Region
from tallyio.native.u256 import const, divmod256, load256, mul_wide, muldiv

_ZERO: Final = const(0)
_OPERANDS: Final = 96
"""Bytes of the three operands of one operation."""
_M256: Final = 2**256 - 1
IN_CACHE: Final = 256
"""Sums and products have no branch to learn: operands in the first-level cache show the operation itself."""
UNFORESEEN: Final = 4_096
"""Divisions have some; so many different ones are not learnt."""

type Operands = list[tuple[int, int, int]]


@hot("u256(int64, int64, int64)")
def add_all(operands: int, count: int, times: int) -> int:
    """Fold sums of first and second operands."""
    total = _ZERO
    for _ in range(times):
        for at in range(operands, operands + count * _OPERANDS, _OPERANDS):
            total = total ^ (load256(at) + load256(at + 32))
    return total


@hot("u256(int64, int64, int64)")
def multiply_all(operands: int, count: int, times: int) -> int:
    """Fold products modulo 2**256."""
    total = _ZERO
    for _ in range(times):
        for at in range(operands, operands + count * _OPERANDS, _OPERANDS):
            total = total ^ (load256(at) * load256(at + 32))
    return total


@hot("u256(int64, int64, int64)")
def multiply_wide_all(operands: int, count: int, times: int) -> int:
    """Fold both halves of whole products."""
    total = _ZERO
    for _ in range(times):
        for at in range(operands, operands + count * _OPERANDS, _OPERANDS):
            high, low = mul_wide(load256(at), load256(at + 32))
            total = total ^ high ^ low
    return total


@hot("u256(int64, int64, int64)")
def divide_all(operands: int, count: int, times: int) -> int:
    """Fold quotients and remainders of first by third operands."""
    total = _ZERO
    for _ in range(times):
        for at in range(operands, operands + count * _OPERANDS, _OPERANDS):
            quotient, rest = divmod256(load256(at), load256(at + 64))
            total = total ^ quotient ^ rest
    return total


@hot("u256(int64, int64, int64)")
def muldiv_all(operands: int, count: int, times: int) -> int:
    """Fold first times second by third operands."""
    total = _ZERO
    for _ in range(times):
        for at in range(operands, operands + count * _OPERANDS, _OPERANDS):
            total = total ^ muldiv(load256(at), load256(at + 32), load256(at + 64))
    return total


def _case(
    fold: HotFunction[[int, int, int], int],
    one: Callable[[int, int, int], int],
    bits: tuple[int, int, int],
    *,
    count: int,
    times: int,
) -> Case:
    draw = random.Random(repr(bits))
    operands: Operands = [
        (
            draw.getrandbits(bits[0]) | 1 << bits[0] - 1,
            draw.getrandbits(bits[1]),
            draw.getrandbits(bits[2]) | 1 << bits[2] - 1,
        )
        for _ in range(count)
    ]
    memory = Region(count * _OPERANDS)
    memory.view("<u8", count * 12)[:] = to_column([n for each in operands for n in each]).reshape(-1)

    def reference_fold() -> int:
        total = 0
        for a, b, d in operands:
            total ^= one(a, b, d)
        return total

    compiled = entry(fold)
    require_equal(compiled(memory.address, count, 1), reference_fold(), "the reference")
    arguments: tuple[Any, ...] = (memory.address, count, times)
    return Case(
        ours=timed(compiled, *arguments, operations=count * times),
        reference=timed(reference_fold, operations=count),
        counted=lambda operations: compiled(memory.address, operations, 1),
        keeps=memory,
    )


def _divmod(a: int, _: int, d: int) -> int:
    quotient, rest = reference.divmod256(a, d)
    return quotient ^ rest


def _mul_wide(a: int, b: int, _: int) -> int:
    high, low = reference.mul_wide(a, b)
    return high ^ low


@row("u256.add", goal_ns=1.0)
def add(_: Peers) -> Case:
    """A sum of 256 bits."""
    return _case(add_all, lambda a, b, _: a + b & _M256, (256, 256, 1), count=IN_CACHE, times=64)


@row("u256.mul", goal_ns=3.0)
def multiply(_: Peers) -> Case:
    """A product modulo 2**256."""
    return _case(multiply_all, lambda a, b, _: a * b & _M256, (256, 256, 1), count=IN_CACHE, times=64)


@row("u256.mul_wide", goal_ns=6.0)
def multiply_wide(_: Peers) -> Case:
    """A whole product."""
    return _case(multiply_wide_all, _mul_wide, (256, 256, 1), count=IN_CACHE, times=32)


@row("u256.divmod.128", goal_ns=22.0)
def divide_by_two_limbs(_: Peers) -> Case:
    """256 bits by 128."""
    return _case(divide_all, _divmod, (256, 1, 128), count=UNFORESEEN, times=1)


@row("u256.divmod.160", goal_ns=22.0)
def divide_by_three_limbs(_: Peers) -> Case:
    """256 bits by 160, as long as a price."""
    return _case(divide_all, _divmod, (256, 1, 160), count=UNFORESEEN, times=1)


@row("u256.divmod.250", goal_ns=22.0)
def divide_by_four_limbs(_: Peers) -> Case:
    """256 bits by 250."""
    return _case(divide_all, _divmod, (256, 1, 250), count=UNFORESEEN, times=1)


@row("u256.muldiv.160", goal_ns=40.0)
def muldiv_by_three_limbs(_: Peers) -> Case:
    """224 * 158 bits by 160: what Uniswap V3 does for token 0."""
    return _case(muldiv_all, reference.muldiv, (224, 158, 160), count=UNFORESEEN, times=1)


@row("u256.muldiv.256", goal_ns=40.0)
def muldiv_by_four_limbs(_: Peers) -> Case:
    """255 * 255 bits by 256: the longest there are."""
    return _case(muldiv_all, reference.muldiv, (255, 255, 256), count=UNFORESEEN, times=1)
