"""Exact division of wide integers: Knuth's algorithm D with 64-bit digits.

Layer: native; use it through `tallyio.native.u256`. Source: D. E. Knuth, The Art of Computer
Programming, volume 2, 4.3.1, algorithm D and theorem B; H. S. Warren, Hacker's Delight, `divlu`.

A divisor is first shifted so that its highest bit is set (the dividend with it). Each step brings one
64-bit digit into the remainder, guesses a quotient digit from the remainder's highest two limbs and
the divisor's highest one, and corrects: theorem B says that the guess is at most 2 too large.
Divisors of one to four limbs have a step each, because short ones are common and much cheaper; so are
quotients of at most 128 bits. Multiplying by a reciprocal of the divisor instead of dividing by its highest
limb was measured to be no faster here: a quotient has four digits at most.

Nothing here traps: a hardware division is reached only with high digit < divisor.
"""

# mypy: disable-error-code="no-untyped-call,no-any-return"
from __future__ import annotations

import platform
from typing import Any, Final

from llvmlite import ir

from tallyio.native.arithmetic import clz, const, limb, lo64, pack4, u64, u128, u256, u320, u512
from tallyio.native.funnel import shift_down, shift_up
from tallyio.native.jit import hot
from tallyio.native.primitive import INT64, primitive

_HAS_DIVQ: Final = platform.machine() in {"x86_64", "AMD64"}
_ZERO: Final = const(0, 64)
_ONE: Final = const(1, 64)
_ALL_ONES: Final = const(0xFFFF_FFFF_FFFF_FFFF, 64)
_TOP_BIT: Final = const(63, 64)
_HALF: Final = const(32, 64)
_LOW_HALF: Final = const(0xFFFF_FFFF, 64)
_HALF_BASE: Final = const(1 << 32, 64)
_ZERO256: Final = const(0)
# Leading zeros, at least, of a divisor that has so few limbs.
_ONE_LIMB: Final = 192
_TWO_LIMBS: Final = 128
_THREE_LIMBS: Final = 64


@primitive("UniTuple(uint64, 2)(uint64, uint64, uint64)")
def _divq(builder: Any, high: int, low: int, divisor: int) -> tuple[int, int]:
    # A quotient that does not fit raises SIGFPE and ends the process: callers prove high < divisor.
    kind = ir.FunctionType(ir.LiteralStructType([INT64, INT64]), [INT64, INT64, INT64])
    constraint = "={rax},={rdx},{rax},{rdx},r,~{dirflag},~{fpsr},~{flags}"
    pair = builder.asm(kind, "divq $4", constraint, [low, high, divisor], side_effect=False)
    return builder.extract_value(pair, 0), builder.extract_value(pair, 1)


@hot("UniTuple(uint64, 2)(uint64, uint64, uint64)")
def divide_portable(high: int, low: int, divisor: int) -> tuple[int, int]:
    """Return quotient and remainder of high:low by divisor, where high < divisor, on any processor."""
    # Two steps of algorithm D with 32-bit digits, after a shift that makes divisor >= 2**63. The bits that
    # move from low to high are low >> (64 - shift), in two parts: a shift by 64 is undefined.
    shift = u64(clz(divisor))
    divisor = divisor << shift
    high = (high << shift) | (low >> _ONE >> (_TOP_BIT - shift))
    low = low << shift
    quotient1, rest = _half_digit(high, low >> _HALF, divisor)
    quotient0, rest = _half_digit(rest, low & _LOW_HALF, divisor)
    return (quotient1 << _HALF) | quotient0, rest >> shift


@hot("UniTuple(uint64, 2)(uint64, uint64, uint64)", inline=True)
def _half_digit(rest: int, digit: int, divisor: int) -> tuple[int, int]:
    # rest < divisor, digit < 2**32 and divisor >= 2**63, so top >= 2**31: no division by zero. The sums
    # below wrap modulo 2**64 on purpose: the true new remainder is < divisor and so is what is left.
    top, bottom = divisor >> _HALF, divisor & _LOW_HALF
    guess = rest // top
    left = rest - guess * top
    while guess >= _HALF_BASE or guess * bottom > (left << _HALF) + digit:
        guess -= _ONE
        left += top
        if left >= _HALF_BASE:
            break
    return guess, (rest << _HALF) + digit - guess * divisor


_divide: Final = _divq if _HAS_DIVQ else divide_portable


@hot("uint64(uint64, uint64, uint64)", inline=True)
def _guess(high: int, low: int, divisor: int) -> int:
    # Theorem B's guess: min(high:low // divisor, 2**64 - 1), with high <= divisor and divisor >= 2**63.
    if high >= divisor:
        return _ALL_ONES
    return _divide(high, low, divisor)[0]


@hot("Tuple(uint64, u128)(u128, uint64, u128)", inline=True)
def step2(rest: int, digit: int, divisor: int) -> tuple[int, int]:
    """Return a quotient digit and the new remainder, with rest < divisor and its highest bit set."""
    # rest < divisor < 2**128, so rest:digit < 2**192 and divisor * guess < 2**192: both fit u256.
    top = lo64(divisor >> 64)
    guess = _guess(lo64(rest >> 64), lo64(rest), top)
    whole = (u256(rest) << 64) | u256(digit)
    part = u256(divisor) * u256(guess)
    if part > whole:
        guess -= _ONE
        part -= u256(divisor)
        if part > whole:
            guess -= _ONE
            part -= u256(divisor)
    return guess, u128(whole - part)


@hot("Tuple(uint64, u256)(u256, uint64, u256)", inline=True)
def step3(rest: int, digit: int, divisor: int) -> tuple[int, int]:
    """Do what `step2` does for a divisor of three limbs."""
    # rest < divisor < 2**192, so rest:digit and divisor * guess are < 2**256: both fit u256.
    guess = _guess(limb(rest, 2), limb(rest, 1), limb(divisor, 2))
    whole = (rest << 64) | u256(digit)
    part = divisor * u256(guess)
    if part > whole:
        guess -= _ONE
        part -= divisor
        if part > whole:
            guess -= _ONE
            part -= divisor
    return guess, whole - part


@hot("Tuple(uint64, u256)(u256, uint64, u256)", inline=True)
def step4(rest: int, digit: int, divisor: int) -> tuple[int, int]:
    """Do what `step2` does for a divisor of four limbs."""
    # rest < divisor < 2**256, so rest:digit and divisor * guess are < 2**320: both fit u320.
    guess = _guess(limb(rest, 3), limb(rest, 2), limb(divisor, 3))
    whole = (u320(rest) << 64) | u320(digit)
    part = u320(divisor) * u320(guess)
    if part > whole:
        guess -= _ONE
        part -= u320(divisor)
        if part > whole:
            guess -= _ONE
            part -= u320(divisor)
    return guess, u256(whole - part)


@hot("UniTuple(u256, 2)(u256, u256)")
def divmod256(n: int, d: int) -> tuple[int, int]:
    """Return (n // d, n % d); (0, 0) for d == 0, as the EVM's DIV and MOD."""
    if n < d:
        return _ZERO256, n
    zeros = clz(d)
    if zeros >= _ONE_LIMB:
        return _divide256_by1(n, lo64(d))
    if zeros >= _TWO_LIMBS:
        return _divide256_by2(n, d, zeros - _TWO_LIMBS)
    if zeros >= _THREE_LIMBS:
        return _divide256_by3(n, d, zeros - _THREE_LIMBS)
    return _divide256_by4(n, d, zeros)


@hot("UniTuple(u256, 2)(u256, uint64)", inline=True)
def _divide256_by1(n: int, d: int) -> tuple[int, int]:
    if d == _ZERO:
        return _ZERO256, _ZERO256
    quotient3, quotient2, quotient1, rest = _ZERO, _ZERO, _ZERO, _ZERO
    # Leading zero digits leave quotient and remainder 0. Each remainder is < d, the next high digit.
    if n >> 192 != _ZERO256:
        quotient3, rest = _divide(_ZERO, limb(n, 3), d)
    if n >> 128 != _ZERO256:
        quotient2, rest = _divide(rest, limb(n, 2), d)
    if n >> 64 != _ZERO256:
        quotient1, rest = _divide(rest, limb(n, 1), d)
    quotient0, rest = _divide(rest, lo64(n), d)
    return pack4(quotient0, quotient1, quotient2, quotient3), u256(rest)


# In the three below shift < 64, and n << shift has up to five limbs. The remainder that the steps start with
# are its top 2, 3 or 4 limbs: below 2**(64 + shift), 2**(128 + shift) or 2**(192 + shift), and with that
# below the divisor, whose highest bit is 127, 191 or 255.


@hot("UniTuple(u256, 2)(u256, u256, int64)", inline=True)
def _divide256_by2(n: int, d: int, shift: int) -> tuple[int, int]:
    divisor = shift_up(u128(d), shift)
    shifted = shift_up(u320(n), shift)
    # Most quotients are below 2**128: then the third digit is 0, and what is above it a remainder already.
    quotient2, rest = _ZERO, u128(shifted >> 128)
    if n >> 128 >= d:
        quotient2, rest = step2(u128(shifted >> 192), limb(shifted, 2), divisor)
    quotient1, rest = step2(rest, limb(shifted, 1), divisor)
    quotient0, rest = step2(rest, lo64(shifted), divisor)
    return pack4(quotient0, quotient1, quotient2, _ZERO), u256(shift_down(rest, shift))


@hot("UniTuple(u256, 2)(u256, u256, int64)", inline=True)
def _divide256_by3(n: int, d: int, shift: int) -> tuple[int, int]:
    divisor = shift_up(d, shift)
    shifted = shift_up(u320(n), shift)
    quotient1, rest = step3(u256(shifted >> 128), limb(shifted, 1), divisor)
    quotient0, rest = step3(rest, lo64(shifted), divisor)
    return pack4(quotient0, quotient1, _ZERO, _ZERO), shift_down(rest, shift)


@hot("UniTuple(u256, 2)(u256, u256, int64)", inline=True)
def _divide256_by4(n: int, d: int, shift: int) -> tuple[int, int]:
    divisor = shift_up(d, shift)
    shifted = shift_up(u320(n), shift)
    quotient, rest = step4(u256(shifted >> 64), lo64(shifted), divisor)
    return u256(quotient), shift_down(rest, shift)


@hot("u256(u256, u256)", inline=True)
def quotient128(n: int, d: int) -> int:
    """Return n // d where that is below 2**128; else, and for d == 0, 0."""
    if n >> 128 >= d:
        return _ZERO256
    # Below, n < d * 2**128: n >> 128 is a remainder already, and n << shift has no more limbs than n.
    zeros = clz(d)
    if zeros >= _ONE_LIMB:
        return _quotient_by1(n, lo64(d))
    if zeros >= _TWO_LIMBS:
        return _quotient_by2(n, d, zeros - _TWO_LIMBS)
    return divmod256(n, d)[0]


@hot("u256(u256, uint64)", inline=True)
def _quotient_by1(n: int, d: int) -> int:
    quotient1, rest = _ZERO, limb(n, 1)
    if limb(n, 2) != _ZERO or rest >= d:
        quotient1, rest = _divide(limb(n, 2), rest, d)
    return (u256(quotient1) << 64) | u256(_divide(rest, lo64(n), d)[0])


@hot("u256(u256, u256, int64)", inline=True)
def _quotient_by2(n: int, d: int, shift: int) -> int:
    divisor, shifted = shift_up(u128(d), shift), shift_up(n, shift)
    quotient1, rest = _ZERO, u128(shifted >> 64)
    if shifted >> 64 >= u256(divisor):
        quotient1, rest = _level_step2(u128(shifted >> 128), limb(shifted, 1), divisor)
    return (u256(quotient1) << 64) | u256(_level_step2(rest, lo64(shifted), divisor)[0])


@hot("Tuple(uint64, u128)(u128, uint64, u128)", inline=True)
def _level_step2(rest: int, digit: int, divisor: int) -> tuple[int, int]:
    # `step2` without its branches. Over thousands of pools the corrections are due as if by chance, and
    # a branch that is guessed wrong costs more than both. All sums are < 2**193: they fit u256.
    guess = _guess(lo64(rest >> 64), lo64(rest), lo64(divisor >> 64))
    long, whole = u256(divisor), (u256(rest) << 64) | u256(digit)
    part = long * u256(guess)
    once, twice = u64(part > whole), u64(part > whole + long)
    left = whole - part + (long & (_ZERO256 - u256(once))) + (long & (_ZERO256 - u256(twice)))
    return guess - once - twice, u128(left)


@hot("UniTuple(u256, 2)(u256, u256, u256)")
def div512(hi: int, lo: int, d: int) -> tuple[int, int]:
    """Return quotient and remainder of hi * 2**256 + lo by d, where hi < d.

    (0, 0) where hi >= d: the quotient would not fit (or d is 0).
    """
    return div512_inline(hi, lo, d)


@hot("UniTuple(u256, 2)(u256, u256, u256)", inline=True)
def div512_inline(hi: int, lo: int, d: int) -> tuple[int, int]:
    """Do what `div512` does, inside the caller: twelve limbs through memory cost as much as a digit."""
    if hi == _ZERO256:
        return divmod256(lo, d)
    if hi >= d:
        return _ZERO256, _ZERO256
    zeros = clz(d)
    if zeros >= _ONE_LIMB:
        return _divide512_by1(lo64(hi), lo, lo64(d))
    if zeros >= _TWO_LIMBS:
        return _divide512_by2(hi, lo, d, zeros - _TWO_LIMBS)
    if zeros >= _THREE_LIMBS:
        return _divide512_by3(hi, lo, d, zeros - _THREE_LIMBS)
    return _divide512_by4(hi, lo, d, zeros)


# In the four below hi < d, so the remainder that the steps start with (the shifted hi) is < divisor. Where
# the quotient is below 2**128, the first two of its four digits are 0 (with two limbs that is hi == 0).


@hot("UniTuple(u256, 2)(uint64, u256, uint64)", inline=True)
def _divide512_by1(rest: int, lo: int, d: int) -> tuple[int, int]:
    quotient3, rest = _divide(rest, limb(lo, 3), d)
    quotient2, rest = _divide(rest, limb(lo, 2), d)
    quotient1, rest = _divide(rest, limb(lo, 1), d)
    quotient0, rest = _divide(rest, lo64(lo), d)
    return pack4(quotient0, quotient1, quotient2, quotient3), u256(rest)


@hot("UniTuple(u256, 2)(u256, u256, u256, int64)", inline=True)
def _divide512_by2(hi: int, lo: int, d: int, shift: int) -> tuple[int, int]:
    divisor = shift_up(u128(d), shift)
    rest, lo = _shifted(hi, lo, shift)
    short = u128(rest)
    quotient3, short = step2(short, limb(lo, 3), divisor)
    quotient2, short = step2(short, limb(lo, 2), divisor)
    quotient1, short = step2(short, limb(lo, 1), divisor)
    quotient0, short = step2(short, lo64(lo), divisor)
    return pack4(quotient0, quotient1, quotient2, quotient3), u256(shift_down(short, shift))


@hot("UniTuple(u256, 2)(u256, u256, u256, int64)", inline=True)
def _divide512_by3(hi: int, lo: int, d: int, shift: int) -> tuple[int, int]:
    divisor = shift_up(d, shift)
    rest, lo = _shifted(hi, lo, shift)
    quotient3, quotient2 = _ZERO, _ZERO
    if _is_short(rest, lo, divisor):
        rest = (rest << 128) | (lo >> 128)
    else:
        quotient3, rest = step3(rest, limb(lo, 3), divisor)
        quotient2, rest = step3(rest, limb(lo, 2), divisor)
    quotient1, rest = step3(rest, limb(lo, 1), divisor)
    quotient0, rest = step3(rest, lo64(lo), divisor)
    return pack4(quotient0, quotient1, quotient2, quotient3), shift_down(rest, shift)


@hot("UniTuple(u256, 2)(u256, u256, u256, int64)", inline=True)
def _divide512_by4(hi: int, lo: int, d: int, shift: int) -> tuple[int, int]:
    divisor = shift_up(d, shift)
    rest, lo = _shifted(hi, lo, shift)
    quotient3, quotient2 = _ZERO, _ZERO
    if _is_short(rest, lo, divisor):
        rest = (rest << 128) | (lo >> 128)
    else:
        quotient3, rest = step4(rest, limb(lo, 3), divisor)
        quotient2, rest = step4(rest, limb(lo, 2), divisor)
    quotient1, rest = step4(rest, limb(lo, 1), divisor)
    quotient0, rest = step4(rest, lo64(lo), divisor)
    return pack4(quotient0, quotient1, quotient2, quotient3), shift_down(rest, shift)


@hot("UniTuple(u256, 2)(u256, u256, int64)", inline=True)
def _shifted(hi: int, lo: int, shift: int) -> tuple[int, int]:
    whole = shift_up((u512(hi) << 256) | u512(lo), shift)
    return u256(whole >> 256), u256(whole)


@hot("boolean(u256, u256, u256)", inline=True)
def _is_short(rest: int, lo: int, divisor: int) -> bool:
    # Whether rest:lo // 2**128 < divisor, a remainder already.
    return rest >> 128 == _ZERO256 and (rest << 128) | (lo >> 128) < divisor
