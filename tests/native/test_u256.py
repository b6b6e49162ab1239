"""Wide integers equal Python's, with every limb pattern that breaks carries and quotient guesses."""

import math
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallyio.native import reference
from tallyio.native import u256 as wide
from tallyio.native.divide import divide_portable
from tallyio.native.jit import HotFunction, entry, hot
from tallyio.native.memory import Region
from tallyio.native.root import _root128
from tallyio.native.u256 import (
    clz,
    const,
    i64,
    is_negative,
    limb,
    lo64,
    load128,
    load256,
    negate,
    pack4,
    store128,
    store256,
    u64,
    u128,
    u256,
    u320,
    u512,
    u576,
)

CASES = 4_000
M64, M256 = 2**64 - 1, 2**256 - 1
PATTERNS = (0, 1, 2, 2**32 - 1, 2**32, 2**63 - 1, 2**63, M64 - 1, M64)


def pattern(draw: random.Random, bits: int) -> int:
    """An integer of at most `bits` bits: at an edge, with extreme limbs, or of random length."""
    kind = draw.random()
    if kind < 0.15:
        value = (1 << draw.randrange(bits + 1)) + draw.choice((-1, 0, 1))
    elif kind < 0.5:
        limbs = [draw.choice((*PATTERNS, draw.getrandbits(64))) for _ in range(bits // 64)]
        value = sum(part << 64 * k for k, part in enumerate(limbs)) >> draw.choice(
            (0, 0, draw.randrange(bits))
        )
    else:
        value = draw.getrandbits(draw.randrange(1, bits + 1))
    return value % (1 << bits)


LIMBS = st.one_of(st.sampled_from(PATTERNS), st.integers(0, M64))


def uint(bits: int) -> st.SearchStrategy[int]:
    """Integers of at most `bits` bits, extreme limbs among them."""
    by_limbs = st.lists(LIMBS, min_size=bits // 64, max_size=bits // 64).map(
        lambda limbs: sum(part << 64 * k for k, part in enumerate(limbs))
    )
    return st.one_of(st.integers(0, 2**bits - 1), by_limbs, st.integers(0, bits - 1).map(lambda k: 1 << k))


U256 = uint(256)


# Operators and conversions: one compiled function each, to keep compilation short.

Q96 = const(2**96)
SMALL = const(7, 64)


@hot("UniTuple(u256, 10)(u256, u256, int64)")
def operate(a: int, b: int, n: int) -> tuple[int, ...]:
    c = a
    c += b
    c ^= a
    return a + b, a - b, a * b, a & b, a | b, ~a, a << n, a >> n, c, max(a, b) - min(a, b)


@hot("UniTuple(boolean, 7)(u256, u256)")
def compare(a: int, b: int) -> tuple[bool, ...]:
    return a == b, a != b, a < b, a <= b, a > b, a >= b, is_negative(a)


@hot("Tuple(u128, u320, u512)(u128, u320, u512, int64)")
def operate_other_widths(a: int, b: int, c: int, n: int) -> tuple[int, int, int]:
    return a * a - (a >> n), b * b - (b << n), c * c + (c >> n)


@hot("UniTuple(u512, 10)(u512, u512, int64)")
def operate_512(a: int, b: int, n: int) -> tuple[int, ...]:
    return a + b, a - b, a * b, a & b, a | b, ~a, a << n, a >> n, a ^ b, max(a, b) - min(a, b)


@hot("UniTuple(boolean, 7)(u512, u512)")
def compare_512(a: int, b: int) -> tuple[bool, ...]:
    return a == b, a != b, a < b, a <= b, a > b, a >= b, is_negative(a)


@hot("Tuple(u128, u256, u320, u512, u576, uint64)(u512)")
def convert(x: int) -> tuple[int, ...]:
    return u128(x), u256(x), u320(u256(x)), u512(u128(x)), u576(x) << 64, lo64(x)


@hot("Tuple(u256, u256, u256, int64, uint64)(int64, uint64)")
def convert_plain(signed: int, unsigned: int) -> tuple[int, int, int, int, int]:
    return u256(signed), u256(unsigned), u256(unsigned > SMALL), i64(unsigned), u64(signed)


@hot("Tuple(u256, uint64, uint64, int64, int64, u256, u256)(u256, int64)")
def take_apart(x: int, k: int) -> tuple[int, ...]:
    whole = pack4(limb(x, 0), limb(x, 1), limb(x, 2), limb(x, 3))
    return whole, limb(x, k), lo64(x) + SMALL, clz(x), clz(lo64(x)), negate(x), -x


@hot("u256(u256)")
def with_constants(x: int) -> int:
    return (x + Q96) * u256(SMALL)


@hot("void(int64)")
def copy_words(address: int) -> None:
    store256(address + 32, load256(address))
    store128(address + 64, load128(address + 8))


@given(U256, U256, st.integers(0, 300))
@example(M256, M256, 256)
@example(M256, 1, 2**62)
def test_operators_wrap_like_the_evm(a: int, b: int, n: int) -> None:
    results = (a + b, a - b, a * b, a & b, a | b, ~a, a << min(n, 256), a >> n, (a + b) ^ a, abs(a - b))
    assert operate(a, b, n) == tuple(value & M256 for value in results)
    assert compare(a, b) == (a == b, a != b, a < b, a <= b, a > b, a >= b, a >= 2**255)


@given(uint(512), uint(512), st.integers(0, 600))
def test_512_bits_do_all_that_256_do(a: int, b: int, n: int) -> None:
    results = (a + b, a - b, a * b, a & b, a | b, ~a, a << n, a >> n, a ^ b, abs(a - b))
    assert operate_512(a, b, n) == tuple(value % 2**512 for value in results)
    assert compare_512(a, b) == (a == b, a != b, a < b, a <= b, a > b, a >= b, a >= 2**511)


@pytest.mark.parametrize("value", [-1, 2**512])
def test_a_python_integer_that_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(OverflowError):
        operate_512(0, value, 0)


@given(uint(128), uint(320), uint(512), st.integers(0, 600))
def test_other_widths_wrap_at_theirs(a: int, b: int, c: int, n: int) -> None:
    assert operate_other_widths(a, b, c, n) == (
        (a * a - (a >> n)) % 2**128,
        (b * b - (b << n)) % 2**320,
        (c * c + (c >> n)) % 2**512,
    )


@given(uint(512))
def test_conversions_keep_the_low_bits(x: int) -> None:
    assert convert(x) == (x % 2**128, x & M256, x & M256, x % 2**128, x << 64, x & M64)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, M64))
def test_plain_integers_convert_modulo_the_width(signed: int, unsigned: int) -> None:
    as_signed = (unsigned + 2**63) % 2**64 - 2**63
    assert convert_plain(signed, unsigned) == (signed & M256, unsigned, unsigned > 7, as_signed, signed & M64)


@given(U256, st.integers(-2, 6))
def test_a_number_is_its_limbs(x: int, k: int) -> None:
    expected = x >> 64 * k & M64 if 0 <= k < 4 else 0
    zeros, low_zeros = 256 - x.bit_length(), 64 - (x & M64).bit_length()
    assert take_apart(x, k) == (x, expected, (x + 7) & M64, zeros, low_zeros, -x & M256, -x & M256)


@given(U256)
def test_constants_are_integers_here_and_wide_there(x: int) -> None:
    assert with_constants(x) == (x + Q96) * 7 & M256
    assert Q96 == 2**96


@pytest.mark.parametrize(("value", "bits"), [(2**128, 128), (-1, 256), (1, 100), (2**64, 64)])
def test_a_constant_that_does_not_fit_is_refused(value: int, bits: int) -> None:
    with pytest.raises(ValueError, match=f"not an unsigned integer of {bits} bits"):
        const(value, bits)


@given(U256)
def test_memory_is_little_endian_words(x: int) -> None:
    with Region(128) as region:
        memory = region.view("u1", 128)
        memory[:32] = list(x.to_bytes(32, "little"))
        copy_words(region.address)
        assert memory[32:64].tobytes() == x.to_bytes(32, "little")
        assert memory[64:80].tobytes() == memory[8:24].tobytes()


# Functions, each against its twin on Python integers.

TWINS = (
    "divmod256",
    "quotient128",
    "div512",
    "mul_wide",
    "muldiv",
    "muldiv_up",
    "isqrt256",
    "isqrt512",
    "to_f64",
)
WIDER_TWINS = ("divmod512", "mul_wide512")


@pytest.mark.parametrize("name", [*TWINS, *WIDER_TWINS])
def test_a_function_equals_its_reference_on_edge_patterns(name: str) -> None:
    function: HotFunction[..., Any] = getattr(wide, name)
    compiled, twin = entry(function), getattr(reference, name)
    draw, bits = random.Random(name), 512 if name in WIDER_TWINS else 256
    for _ in range(CASES):
        arguments = [pattern(draw, bits) for _ in function.declared.args]
        assert compiled(*arguments) == twin(*arguments), arguments


@pytest.mark.parametrize("name", ["div512", "muldiv", "muldiv_up"])
def test_a_quotient_that_fits_equals_its_reference(name: str) -> None:
    """Random operands mostly overflow; these have quotients of every length."""
    function: HotFunction[..., Any] = getattr(wide, name)
    compiled, twin = entry(function), getattr(reference, name)
    draw = random.Random(name)
    for _ in range(CASES):
        divisor = pattern(draw, draw.choice((64, 128, 192, 256))) or 1
        first = pattern(draw, 256) % divisor
        arguments = (first, pattern(draw, 256), divisor)
        assert compiled(*arguments) == twin(*arguments), arguments


def near_multiples(draw: random.Random, divisor: int) -> int:
    """A dividend whose quotient digits are extreme and whose remainder is next to 0 or the divisor."""
    return min(pattern(draw, 256) * divisor + draw.choice((-1, 0, 1, divisor - 1)), 2**512 - 1) % (
        divisor << 256
    )


def test_remainders_next_to_zero_and_the_divisor_are_exact() -> None:
    compiled = entry(wide.div512)
    draw = random.Random(1)
    for _ in range(CASES):
        divisor = pattern(draw, draw.choice((64, 128, 192, 256))) or 1
        dividend = near_multiples(draw, divisor)
        assert compiled(dividend >> 256, dividend & M256, divisor) == divmod(dividend, divisor), (
            dividend,
            divisor,
        )


@pytest.mark.parametrize("limbs", [1, 2, 3, 4])
def test_a_quotient_below_128_bits_is_exact_next_to_whole_ones(limbs: int) -> None:
    compiled = entry(wide.quotient128)
    draw = random.Random(limbs)
    for _ in range(CASES):
        divisor = pattern(draw, 64 * limbs) or 1
        dividend = pattern(draw, 128) * divisor + draw.choice((-1, 0, 1, divisor - 1))
        dividend = min(max(dividend, 0), M256)
        assert compiled(dividend, divisor) == reference.quotient128(dividend, divisor), (dividend, divisor)


@pytest.mark.parametrize(("n", "d"), [(2**128, 1), (2**255, 2**127), (M256, 2**128 - 1), (0, 0), (7, 0)])
def test_a_quotient_of_more_than_128_bits_is_none(n: int, d: int) -> None:
    assert wide.quotient128(n, d) == reference.quotient128(n, d) == 0


@pytest.mark.parametrize("limbs", range(1, 9))
def test_512_bit_remainders_next_to_zero_and_the_divisor_are_exact(limbs: int) -> None:
    compiled = entry(wide.divmod512)
    draw = random.Random(limbs)
    for _ in range(CASES // 4):
        divisor = pattern(draw, 64 * limbs) or 1
        dividend = pattern(draw, 512) // divisor * divisor + draw.choice((-1, 0, 1, divisor - 1))
        dividend = min(max(dividend, 0), 2**512 - 1)
        assert compiled(dividend, divisor) == divmod(dividend, divisor), (dividend, divisor)


def test_roots_next_to_squares_are_exact() -> None:
    root256, root512 = entry(wide.isqrt256), entry(wide.isqrt512)
    draw = random.Random(2)
    for _ in range(CASES):
        small, large = pattern(draw, 128), pattern(draw, 256)
        for step in (-1, 0, 1):
            n, m = max(small**2 + step, 0), max(large**2 + step, 0)
            assert root256(n) == math.isqrt(n)
            assert root512(m >> 256, m & M256) == math.isqrt(m)
    assert root512(M256, M256) == M256
    assert root256(M256) == 2**128 - 1


def test_the_first_64_bits_of_a_root_are_exact() -> None:
    """What the proof of the longer roots rests on: they would repair an error of 1 in silence."""
    root = entry(_root128)
    draw = random.Random(4)
    near = [2**127, 2**128 - 1, (2**64 - 1) ** 2, (2**64 - 1) ** 2 - 1, 2**126]
    squares = [draw.randrange(2**63, 2**64) ** 2 + draw.choice((-1, 0, 1)) for _ in range(CASES)]
    for n in (*near, *squares, *(draw.randrange(2**126, 2**128) for _ in range(CASES))):
        assert root(max(n, 2**126)) == math.isqrt(max(n, 2**126)), n


@given(U256, U256)
def test_divmod256_equals_its_reference(n: int, d: int) -> None:
    assert wide.divmod256(n, d) == reference.divmod256(n, d)


@given(uint(512), uint(512))
@example(2**512 - 1, 2**512 - 1)
def test_512_bit_products_and_quotients_equal_their_references(a: int, b: int) -> None:
    assert wide.divmod512(a, b) == reference.divmod512(a, b)
    assert wide.mul_wide512(a, b) == reference.mul_wide512(a, b)


@given(U256, U256, U256)
def test_muldiv_equals_its_reference(a: int, b: int, d: int) -> None:
    assert wide.muldiv(a, b, d) == reference.muldiv(a, b, d)
    assert wide.muldiv_up(a, b, d) == reference.muldiv_up(a, b, d)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (wide.divmod256, (5, 0)),
        (wide.divmod256, (0, 0)),
        (wide.divmod512, (2**300, 0)),
        (wide.divmod512, (0, 0)),
        (wide.div512, (0, 5, 0)),
        (wide.div512, (7, 5, 7)),
        (wide.div512, (8, 5, 7)),
    ],
)
def test_division_without_an_answer_gives_zeros(
    function: Callable[..., Any], arguments: tuple[int, ...]
) -> None:
    assert function(*arguments) == (0, 0)


@pytest.mark.parametrize("arguments", [(1, 1, 0), (0, 0, 0), (2**255, 2, 1), (M256, M256, M256 - 1)])
def test_muldiv_gives_zero_where_the_contract_reverts(arguments: tuple[int, int, int]) -> None:
    assert (wide.muldiv(*arguments), wide.muldiv_up(*arguments)) == (0, 0)


def test_rounding_up_over_the_top_gives_zero() -> None:
    """The quotient is 2**256 - 1 and a rest remains, so rounding up does not fit."""
    a, b, d = 2**255 + 1, 2**256 - 2, 2**255
    assert wide.muldiv(a, b, d) == M256
    assert reference.muldiv_up(a, b, d) == wide.muldiv_up(a, b, d) == 0
    assert wide.muldiv_up(M256, 2, 2) == M256


@given(
    st.one_of(
        st.floats(),
        U256.map(float),
        st.integers(0, 2**256).map(lambda x: struct.unpack("d", struct.pack("Q", x & M64))[0]),
    )
)
@example(2.0**256)
@example(math.nextafter(2.0**256, 0))
@example(math.nextafter(1, 0))
@example(math.nan)
@example(-math.inf)
def test_floats_are_cut_and_saturated(x: float) -> None:
    assert wide.from_f64(x) == reference.from_f64(x)


@given(st.integers(0, 202), st.integers(2**52, 2**53 - 1), st.sampled_from((-1, 0, 1)))
@example(100, 2**52, 1)
@example(100, 2**52 + 1, -1)
def test_ties_round_to_even_and_a_single_bit_below_breaks_them(shift: int, mantissa: int, step: int) -> None:
    x = (((2 * mantissa + 1) << shift) + step) & M256
    assert wide.to_f64(x) == float(x)


# The path of processors without a 128-by-64-bit division.


def test_portable_division_equals_its_reference() -> None:
    divide = entry(divide_portable)
    draw = random.Random(3)
    for _ in range(5 * CASES):
        divisor = pattern(draw, 64) or 1
        high, low = pattern(draw, 64) % divisor, pattern(draw, 64)
        assert divide(high, low, divisor) == divmod(high << 64 | low, divisor), (high, low, divisor)


def test_everything_here_holds_on_another_processor() -> None:
    """Runs this file again in a process that believes to be on one without our assembly."""
    code = (
        "import platform, sys, pytest; platform.machine = lambda: 'elsewhere'; "
        f"file = {__file__!r}; "
        "sys.exit(pytest.main([file, '-q', '-p', 'no:cacheprovider', '-k', 'not another_processor']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
