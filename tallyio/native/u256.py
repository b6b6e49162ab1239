"""Wide unsigned integers for hot functions: the EVM's arithmetic, exact and without traps.

Layer: native. Values of 128, 256, 320, 512 and 576 bits that live in registers. In signatures they are
written `u128`, `u256`, `u320`, `u512` and `u576`; from Python they are plain integers.

    operators   + - * & | ^ ~ << >> == != < <= > >= min max between equal widths, wrapping;
                shifting by the width or more gives 0. No `//`, `%`, `**`.
    u64 u128 u256 u320 u512 u576(x)  convert from any integer or width, modulo 2**bits; -1 becomes
                all ones. `lo64` is another name of `u64`; `i64(x)` is its signed view
    const(value, bits)      a module's constant, an int in Python: `Q96 = const(1 << 96)`; 64 bits: uint64
    lo64 limb pack4 clz     limbs of 64 bits as uint64, counted from the lowest; leading zeros, int64
    is_negative negate      the two's complement view: Solidity's int256
    load256(address)        and store256(address, value), also 128 and 512: little-endian, 8-byte aligned;
                `tallyio.native.columns` fills and reads whole arrays of them from Python
    divmod256 divmod512     quotient and remainder; `div512(hi, lo, d)`: 512 by 256 bits with hi < d
    quotient128(n, d)       the quotient alone, faster, where it is below 2**128; else 0
    mul_wide mul_wide512    whole products as (high, low)
    muldiv muldiv_up        FullMath: a * b / d with the whole product, rounded down and up
    isqrt256 isqrt512       square roots, rounded down
    to_f64 from_f64         nearest float64; truncated and saturated integer

Where a contract would revert (division by zero, overflow of a quotient) the result is 0, never a trap.
The same functions on Python integers are in `tallyio.native.reference`.
"""

from __future__ import annotations

from tallyio.native.arithmetic import (
    Const,
    clz,
    const,
    i64,
    is_negative,
    limb,
    lo64,
    load128,
    load256,
    load512,
    negate,
    pack4,
    store128,
    store256,
    store512,
    u64,
    u128,
    u256,
    u320,
    u512,
    u576,
)
from tallyio.native.divide import div512, divmod256, quotient128
from tallyio.native.floats import float_bits, float_of_bits, from_f64, to_f64
from tallyio.native.muldiv import mul_wide, muldiv, muldiv_up
from tallyio.native.root import isqrt256, isqrt512
from tallyio.native.wide import U128, U256, U320, U512, U576, WideInt
from tallyio.native.wider import divmod512, mul_wide512

__all__ = [
    "U128",
    "U256",
    "U320",
    "U512",
    "U576",
    "Const",
    "WideInt",
    "clz",
    "const",
    "div512",
    "divmod256",
    "divmod512",
    "float_bits",
    "float_of_bits",
    "from_f64",
    "i64",
    "is_negative",
    "isqrt256",
    "isqrt512",
    "limb",
    "lo64",
    "load128",
    "load256",
    "load512",
    "mul_wide",
    "mul_wide512",
    "muldiv",
    "muldiv_up",
    "negate",
    "pack4",
    "quotient128",
    "store128",
    "store256",
    "store512",
    "to_f64",
    "u64",
    "u128",
    "u256",
    "u320",
    "u512",
    "u576",
]
