"""Keccak-256 in compiled code, as Ethereum uses it (SHA3-256 pads differently).

Layer: native. Source: FIPS 202, algorithms 1 to 6, and "The Keccak reference" for the padding of the
original. The state is 25 lanes of 64 bits, lane x + 5 * y, little-endian, and stays in registers and on the
stack. `tallyio.model.hashing.keccak256` is the same from Python.

    keccak256(source, length, target)   hash `length` bytes at one address into 32 bytes at another
"""

# mypy: disable-error-code="no-untyped-call,no-any-return"
from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from tallyio.native.atomics import copy_bytes, load_u8, store, store_u8
from tallyio.native.jit import hot
from tallyio.native.primitive import INT64, pointer, primitive

RATE: Final = 136
"""Bytes that one permutation takes in."""

_LANES: Final = 25
_ROUNDS: Final = 24
_RATE_LANES: Final = RATE // 8
_STATE: Final = f"UniTuple(uint64, {_LANES})"
_DIGEST_LANES: Final = 4
_FIRST_PAD: Final = 0x01
_LAST_PAD: Final = 0x80


def _offsets() -> list[int]:
    # Algorithm 2 (rho): how far each lane is rotated, along the walk that starts at lane (1, 0).
    offsets, x, y = [0] * _LANES, 1, 0
    for step in range(_LANES - 1):
        offsets[x + 5 * y] = (step + 1) * (step + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % 5
    return offsets


def _round_constants() -> list[int]:
    # Algorithm 5: bit 2**k - 1 of a round's constant is the next output of a shift register of 8 bits.
    constants, register = [], 1
    for _ in range(_ROUNDS):
        constant = 0
        for k in range(7):
            constant |= (register & 1) << (2**k - 1)
            register = (register << 1) ^ (0x171 if register >> 7 else 0)
        constants.append(constant)
    return constants


_OFFSETS: Final = _offsets()
_CONSTANTS: Final = np.array(_round_constants(), np.uint64)


def _rotated(builder: Any, lane: Any, distance: int) -> Any:
    kind = ir.FunctionType(INT64, [INT64, INT64, INT64])
    rotate = cgutils.get_or_insert_function(builder.module, kind, "llvm.fshl.i64")
    return builder.call(rotate, [lane, lane, INT64(distance)])


def _mixed(builder: Any, lanes: list[Any]) -> list[Any]:
    # Algorithm 1 (theta): every lane takes up the parities of two neighbouring columns.
    parity = lanes[:5]
    for k in range(5, _LANES):
        parity[k % 5] = builder.xor(parity[k % 5], lanes[k])
    effect = [builder.xor(parity[(x + 4) % 5], _rotated(builder, parity[(x + 1) % 5], 1)) for x in range(5)]
    return [builder.xor(lane, effect[k % 5]) for k, lane in enumerate(lanes)]


def _moved(builder: Any, lanes: list[Any]) -> list[Any]:
    # Algorithms 2 and 3 (rho, pi): lane (x, y) is rotated and goes to (y, 2x + 3y).
    moved = lanes[:]
    for k, lane in enumerate(lanes):
        x, y = k % 5, k // 5
        moved[y + 5 * ((2 * x + 3 * y) % 5)] = _rotated(builder, lane, _OFFSETS[k])
    return moved


def _combined(builder: Any, lanes: list[Any]) -> list[Any]:
    # Algorithm 4 (chi): the only step that is not linear.
    return [
        builder.xor(
            lane,
            builder.and_(builder.not_(lanes[k - k % 5 + (k + 1) % 5]), lanes[k - k % 5 + (k + 2) % 5]),
        )
        for k, lane in enumerate(lanes)
    ]


@primitive(f"{_STATE}({_STATE}, uint64, uint64)")
def _two_rounds(builder: Any, lanes: Any, first: int, second: int) -> tuple[int, ...]:
    # Two, because the lanes change their registers in a round, and move back at the end of a loop.
    values = [builder.extract_value(lanes, k) for k in range(_LANES)]
    for constant in (first, second):
        values = _combined(builder, _moved(builder, _mixed(builder, values)))
        values[0] = builder.xor(values[0], constant)  # algorithm 6 (iota)
    return tuple(values)


@primitive(f"{_STATE}()")
def _no_lanes(_builder: Any) -> tuple[int, ...]:
    return (INT64(0),) * _LANES


@primitive(f"{_STATE}({_STATE}, int64)")
def _mixed_in(builder: Any, lanes: Any, block: int) -> tuple[int, ...]:
    values = [builder.extract_value(lanes, k) for k in range(_LANES)]
    for k in range(_RATE_LANES):
        given = builder.load(builder.gep(pointer(builder, block, INT64), [INT64(k)]), align=1)
        values[k] = builder.xor(values[k], given)
    return tuple(values)


@primitive("int64()")
def _last_block(builder: Any) -> int:
    # On the stack of the function that calls this.
    return builder.ptrtoint(cgutils.alloca_once(builder, ir.ArrayType(INT64, _RATE_LANES)), INT64)


@primitive(f"void(int64, {_STATE})")
def _write_digest(builder: Any, target: int, lanes: Any) -> None:
    for k in range(_DIGEST_LANES):
        place = builder.gep(pointer(builder, target, INT64), [INT64(k)])
        builder.store(builder.extract_value(lanes, k), place, align=1)


@hot(f"{_STATE}({_STATE}, int64)")
def _absorb(lanes: Any, block: int) -> Any:
    lanes = _mixed_in(lanes, block)
    for k in range(0, _ROUNDS, 2):
        lanes = _two_rounds(lanes, _CONSTANTS[k], _CONSTANTS[k + 1])
    return lanes


@hot("void(int64, int64, int64)")
def keccak256(source: int, length: int, target: int) -> None:
    """Write the 32-byte digest of the `length` bytes at address `source`, at least 0, to address `target`.

    Any alignment; the two may overlap, because the digest is written last.
    """
    lanes, block = _no_lanes(), _last_block()
    while length >= RATE:
        lanes = _absorb(lanes, source)
        source += RATE
        length -= RATE
    # Padding pad10*1: a bit 1 after the message and one at the end of the block, which has room for both.
    for lane in range(_RATE_LANES):
        store(block, lane, 0)
    copy_bytes(block, source, length)
    store_u8(block + length, _FIRST_PAD)
    store_u8(block + RATE - 1, load_u8(block + RATE - 1) | _LAST_PAD)
    _write_digest(target, _absorb(lanes, block))
