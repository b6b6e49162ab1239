"""The arithmetic of concentrated liquidity in Python integers, function by function as in the Solidity.

Layer: market. Sources: `TickMath`, `SqrtPriceMath`, `SwapMath` and `TickBitmap` of v3-core 1.0.1, which
v4-core and the forks keep; names follow theirs in snake case. `x96` numbers are Q64.96 fixed point; a
tick is a price of 1.0001**tick. Python integers do not wrap, so the branches that avoid overflow in
Solidity are kept where they round differently, and noted.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

Q96: Final = 1 << 96
UINT128_MAX: Final = (1 << 128) - 1
UINT160_MAX: Final = (1 << 160) - 1
UINT256_MAX: Final = (1 << 256) - 1
PIPS: Final = 1_000_000
MIN_TICK: Final = -887_272
MAX_TICK: Final = 887_272
MIN_SQRT_RATIO: Final = 4_295_128_739
MAX_SQRT_RATIO: Final = 1_461_446_703_485_210_103_287_273_052_203_988_822_378_723_970_342
LOWEST_LIMIT: Final = MIN_SQRT_RATIO + 1
HIGHEST_LIMIT: Final = MAX_SQRT_RATIO - 1
"""The furthest price limits that a swap accepts."""

TICK_FACTORS: Final = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x9AA508B5B7A84E1C677DE54F3E99BC9,
    0x5D6AF8DEDB81196699C329225EE604,
    0x2216E584F5FA1EA926041BEDFE98,
    0x48A170391F7DC42444E8FA2,
)
"""Q128.128 of 1.0001**(-2**k / 2), k from 0: the magic numbers of `TickMath.getSqrtRatioAtTick`."""


def ceil_div(numerator: int, denominator: int) -> int:
    """Return numerator / denominator, rounded up."""
    return -(-numerator // denominator)


@lru_cache(1 << 16)  # a swap asks for the same ends of words again and again
def get_sqrt_ratio_at_tick(tick: int) -> int:
    """Return sqrt(1.0001**tick) as x96. Raises: ValueError: beyond MIN_TICK or MAX_TICK."""
    if not MIN_TICK <= tick <= MAX_TICK:
        raise ValueError(f"tick {tick} is not within {MIN_TICK}..{MAX_TICK}")
    ratio = 1 << 128
    for bit, factor in enumerate(TICK_FACTORS):
        if abs(tick) >> bit & 1:
            ratio = ratio * factor >> 128
    if tick > 0:
        ratio = UINT256_MAX // ratio
    return ceil_div(ratio, 1 << 32)


def get_amount0_delta(sqrt_a_x96: int, sqrt_b_x96: int, liquidity: int, *, round_up: bool) -> int:
    """Return the token0 between two prices, in either order."""
    low, high = sorted((sqrt_a_x96, sqrt_b_x96))
    product = (liquidity << 96) * (high - low)
    if round_up:
        return ceil_div(ceil_div(product, high), low)
    return product // high // low


def get_amount1_delta(sqrt_a_x96: int, sqrt_b_x96: int, liquidity: int, *, round_up: bool) -> int:
    """Return the token1 between two prices, in either order."""
    product = liquidity * abs(sqrt_a_x96 - sqrt_b_x96)
    return ceil_div(product, Q96) if round_up else product // Q96


def get_next_sqrt_price_from_input(
    sqrt_price_x96: int, liquidity: int, amount_in: int, *, zero_for_one: bool
) -> int:
    """Return the price after `amount_in` (fee already off) is added, rounded so as not to pass it."""
    if not zero_for_one:
        return sqrt_price_x96 + (amount_in << 96) // liquidity
    if amount_in == 0:
        return sqrt_price_x96
    shifted = liquidity << 96
    product = amount_in * sqrt_price_x96
    if product <= UINT256_MAX and shifted + product <= UINT256_MAX:
        return ceil_div(shifted * sqrt_price_x96, shifted + product)
    # Where the product overflows 256 bits the contract takes this less precise form.
    return ceil_div(shifted, shifted // sqrt_price_x96 + amount_in)


def get_next_sqrt_price_from_output(
    sqrt_price_x96: int, liquidity: int, amount_out: int, *, zero_for_one: bool
) -> int:
    """Return the price after `amount_out` is taken, rounded so as to reach far enough.

    Raises: ValueError: the contract would revert; the step of a swap never gets there.
    """
    if zero_for_one:
        quotient = ceil_div(amount_out << 96, liquidity)
        if sqrt_price_x96 <= quotient:
            raise ValueError(f"there is no {amount_out} of token1 below the price")
        return sqrt_price_x96 - quotient
    shifted = liquidity << 96
    product = amount_out * sqrt_price_x96
    if product > UINT256_MAX or shifted <= product:
        raise ValueError(f"there is no {amount_out} of token0 above the price")
    reached = ceil_div(shifted * sqrt_price_x96, shifted - product)
    if reached > UINT160_MAX:
        raise ValueError(f"price {reached} does not exist")
    return reached


class Step(NamedTuple):
    """What one step of a swap did."""

    sqrt_price_x96: int
    amount_in: int
    amount_out: int
    fee: int


def compute_swap_step(
    sqrt_current_x96: int, sqrt_target_x96: int, liquidity: int, amount_remaining: int, fee_pips: int
) -> Step:
    """Swap towards a target price: `SwapMath.computeSwapStep`.

    `amount_remaining` is input that may be spent, or, negative, output that is wanted.
    """
    zero_for_one = sqrt_current_x96 >= sqrt_target_x96
    span = (sqrt_current_x96, sqrt_target_x96, liquidity)
    reached = sqrt_target_x96
    if amount_remaining >= 0:
        left = amount_remaining * (PIPS - fee_pips) // PIPS
        if left < amount_in_between(*span, zero_for_one=zero_for_one):
            reached = get_next_sqrt_price_from_input(
                sqrt_current_x96, liquidity, left, zero_for_one=zero_for_one
            )
    elif -amount_remaining < amount_out_between(*span, zero_for_one=zero_for_one):
        reached = get_next_sqrt_price_from_output(
            sqrt_current_x96, liquidity, -amount_remaining, zero_for_one=zero_for_one
        )
    amount_in = amount_in_between(sqrt_current_x96, reached, liquidity, zero_for_one=zero_for_one)
    amount_out = amount_out_between(sqrt_current_x96, reached, liquidity, zero_for_one=zero_for_one)
    if amount_remaining < 0:
        amount_out = min(amount_out, -amount_remaining)
    if amount_remaining >= 0 and reached != sqrt_target_x96:
        fee = amount_remaining - amount_in
    else:
        fee = fee_of(amount_in, fee_pips)
    return Step(reached, amount_in, amount_out, fee)


def fee_of(amount_in: int, fee_pips: int) -> int:
    """Return the fee that comes on top of an input."""
    return ceil_div(amount_in * fee_pips, PIPS - fee_pips)


def amount_in_between(sqrt_from_x96: int, sqrt_to_x96: int, liquidity: int, *, zero_for_one: bool) -> int:
    """Return the input, without fee, that moves the price."""
    delta = get_amount0_delta if zero_for_one else get_amount1_delta
    return delta(sqrt_from_x96, sqrt_to_x96, liquidity, round_up=True)


def amount_out_between(sqrt_from_x96: int, sqrt_to_x96: int, liquidity: int, *, zero_for_one: bool) -> int:
    """Return the output that moving the price pays."""
    delta = get_amount1_delta if zero_for_one else get_amount0_delta
    return delta(sqrt_from_x96, sqrt_to_x96, liquidity, round_up=False)
