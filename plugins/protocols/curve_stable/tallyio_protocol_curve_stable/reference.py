"""What a pool pays, in Python integers: the specification of the compiled functions.

Sources: the templates of `templates.py`; functions keep the names of the sources. Scaled balances
(`xp`) are `rate * balance / 10**18`: all coins in one unit. The arithmetic is checked as Vyper's is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tallyio_protocol_curve_stable.templates import DRule, Flag, Template

PRECISION: Final = 10**18
FEE_DENOMINATOR: Final = 10**10
MAX_STEPS: Final = 255
UINT128_MAX: Final = 2**128 - 1
PRICE_CAP: Final = 2 * 10**18
_LIMIT: Final = 2**256


class Revert(ArithmeticError):
    """The contract reverts here."""


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a pool as an exchange at one moment reads it; amounts in smallest units."""

    template: Template
    balances: tuple[int, ...]
    """Without what belongs to the admin."""
    rates: tuple[int, ...]
    """10**(36 - decimals), times the oracle's or the base pool's rate over 10**18."""
    amp: int
    """A times `a_precision`, at this moment."""
    fee: int
    """Of `FEE_DENOMINATOR`."""
    admin_fee: int
    """The admin's part of the fee, of `FEE_DENOMINATOR`."""
    offpeg_fee_multiplier: int = 0
    """Of `FEE_DENOMINATOR`; NG only."""

    @property
    def xp(self) -> tuple[int, ...]:
        """The scaled balances."""
        return tuple(
            mul(rate, balance) // PRECISION for rate, balance in zip(self.rates, self.balances, strict=True)
        )


class Exchange(msgspec.Struct, frozen=True):
    """What an exchange does."""

    paid: int
    balances: tuple[int, ...]


def add(a: int, b: int) -> int:
    """Return a + b. Raises: Revert: it does not fit."""
    return _fitting(a + b)


def sub(a: int, b: int) -> int:
    """Return a - b. Raises: Revert: it is negative."""
    return _fitting(a - b)


def mul(a: int, b: int) -> int:
    """Return a * b. Raises: Revert: it does not fit."""
    return _fitting(a * b)


def div(a: int, b: int) -> int:
    """Return a / b, rounded down. Raises: Revert: b is 0."""
    if b == 0:
        raise Revert("division by zero")
    return a // b


def _fitting(value: int) -> int:
    if not 0 <= value < _LIMIT:
        raise Revert("overflow")
    return value


def get_d(template: Template, xp: Sequence[int], amp: int) -> int:
    """Return the invariant of scaled balances. Raises: Revert."""
    n, total = len(xp), 0
    for x in xp:
        total = add(total, x)
    if total == 0:
        return 0
    ann, d = mul(amp, n), total
    for _ in range(MAX_STEPS):
        d_p = _d_product(template.d_rule, xp, d)
        before = d
        sums = add(mul(ann, total) // template.a_precision, mul(d_p, n))
        rest = mul(sub(ann, template.a_precision), d) // template.a_precision
        d = div(mul(sums, d), add(rest, mul(n + 1, d_p)))
        if abs(d - before) <= 1:
            return d
    return _unconverged(template, d)


def _d_product(rule: DRule, xp: Sequence[int], d: int) -> int:
    n, product = len(xp), d
    for x in xp:
        divisor = x if rule is DRule.POWERS else mul(x, n) + (rule is DRule.PLUS_ONE)
        product = div(mul(product, d), divisor)
    return product // n**n if rule is DRule.POWERS else product


def get_y(template: Template, xp: Sequence[int], d: int, amp: int, *, i: int, j: int, x: int) -> int:  # noqa: PLR0913 - the contract's own facts
    """Return the scaled balance of coin `j` once that of coin `i` is `x`. Raises: Revert."""
    n, c, total = len(xp), d, 0
    ann = mul(amp, n)
    for k, held in enumerate(xp):
        if k != j:
            here = x if k == i else held
            total = add(total, here)
            c = div(mul(c, d), mul(here, n))
    c = div(mul(mul(c, d), template.a_precision), mul(ann, n))
    b = add(total, div(mul(d, template.a_precision), ann))
    y = d
    for _ in range(MAX_STEPS):
        before = y
        y = div(add(mul(y, y), c), sub(add(mul(2, y), b), d))
        if abs(y - before) <= 1:
            return y
    return _unconverged(template, y)


def _unconverged(template: Template, value: int) -> int:
    if Flag.FALLS_THROUGH in template.flags:
        return value
    raise Revert("no convergence in 255 steps")


def dynamic_fee(pool: Pool, xp_i: int, xp_j: int) -> int:
    """Return the fee at these scaled balances; the plain fee where the multiplier is off."""
    multiplier = pool.offpeg_fee_multiplier
    if Flag.DYNAMIC_FEE not in pool.template.flags or multiplier <= FEE_DENOMINATOR:
        return pool.fee
    square = mul(add(xp_i, xp_j), add(xp_i, xp_j))
    weight = mul(mul(mul(multiplier - FEE_DENOMINATOR, 4), xp_i), xp_j)
    return multiplier * pool.fee // (div(weight, square) + FEE_DENOMINATOR)


def exchange(pool: Pool, i: int, j: int, amount_in: int, *, d: int | None = None) -> Exchange:
    """Do what `exchange(i, j, amount_in, 0)` does; `d` is the pool's invariant if it is known.

    Raises: Revert: where the contract does.
    """
    template, xp = pool.template, pool.xp
    if not (0 <= i < len(xp) and 0 <= j < len(xp) and i != j):
        raise Revert("no such direction")
    if Flag.DYNAMIC_FEE in template.flags and amount_in == 0:
        raise Revert("nothing to exchange")
    x = add(xp[i], mul(amount_in, pool.rates[i]) // PRECISION)
    d = get_d(template, xp, pool.amp) if d is None else d
    y = get_y(template, xp, d, pool.amp, i=i, j=j, x=x)
    dy = _output(template, xp[j], y)
    fee = mul(dy, dynamic_fee(pool, (xp[i] + x) // 2, (xp[j] + y) // 2)) // FEE_DENOMINATOR
    paid = div(mul(dy - fee, PRECISION), pool.rates[j])
    _check_prices(pool, [x if k == i else y if k == j else held for k, held in enumerate(xp)], d)
    admin = mul(fee, pool.admin_fee) // FEE_DENOMINATOR
    after = list(pool.balances)
    if Flag.BALANCES_FROM_XP in template.flags:
        after[i] = div(mul(x, PRECISION), pool.rates[i])
        after[j] = div(mul(add(y, fee - admin), PRECISION), pool.rates[j])
    else:
        after[i] = add(after[i], amount_in)
        after[j] = sub(after[j], paid + mul(admin, PRECISION) // pool.rates[j])
    return Exchange(paid, tuple(after))


def _output(template: Template, before: int, after: int) -> int:
    margin = 0 if Flag.NO_MARGIN in template.flags else 1
    return sub(sub(before, after), margin)


def _check_prices(pool: Pool, xp: Sequence[int], d: int) -> None:
    """Compute the prices that the oracles keep, for the reverts that this may cause."""
    flags = pool.template.flags
    if not flags & (Flag.SAVES_CAPPED_PRICES | Flag.SAVES_PRICE):
        return
    n = len(xp)
    product = d // n**n
    for x in xp:
        product = div(mul(product, d), x)
    weighted = mul(mul(pool.amp, n), xp[0]) // pool.template.a_precision
    for x in xp[1:]:
        sums = add(weighted, div(mul(product, xp[0]), x))
        price = div(mul(PRECISION, sums), add(weighted, product))
        if Flag.SAVES_PRICE in flags and price > UINT128_MAX:
            raise Revert("price of more than 128 bits")
    if Flag.SAVES_CAPPED_PRICES in flags and d > UINT128_MAX:
        raise Revert("D of more than 128 bits")


def quote(pool: Pool, i: int, j: int, amount_in: int, *, d: int | None = None) -> int:
    """Return what an exchange pays; 0 where it reverts."""
    try:
        return exchange(pool, i, j, amount_in, d=d).paid
    except Revert:
        return 0


def get_dy(pool: Pool, i: int, j: int, amount_in: int) -> int:
    """Return what the contract's view of the same name says, which may differ from `exchange` by a unit.

    Raises: Revert: where it does.
    """
    template, xp = pool.template, pool.xp
    x = add(xp[i], mul(amount_in, pool.rates[i]) // PRECISION)
    d = get_d(template, xp, pool.amp)
    y = get_y(template, xp, d, pool.amp, i=i, j=j, x=x)
    dy = _output(template, xp[j], y)
    if Flag.FEE_AFTER_RATE in template.flags:
        dy = div(mul(dy, PRECISION), pool.rates[j])
        return dy - mul(pool.fee, dy) // FEE_DENOMINATOR
    fee = mul(dy, dynamic_fee(pool, (xp[i] + x) // 2, (xp[j] + y) // 2)) // FEE_DENOMINATOR
    return div(mul(dy - fee, PRECISION), pool.rates[j])


def get_dx(pool: Pool, i: int, j: int, amount_out: int) -> int:
    """Return NG's estimate of the input for `amount_out` (`CurveStableSwapNGViews.get_dx`).

    It takes the fee at the balances before the exchange, so an exchange of it may pay less or more.
    Raises: Revert: where it does.
    """
    template, xp = pool.template, pool.xp
    if not (0 <= i < len(xp) and 0 <= j < len(xp) and i != j):
        raise Revert("no such direction")
    d = get_d(template, xp, pool.amp)
    wanted = add(mul(amount_out, pool.rates[j]) // PRECISION, 1)
    fee = dynamic_fee(pool, xp[i], xp[j])
    y = sub(xp[j], mul(wanted, FEE_DENOMINATOR) // (FEE_DENOMINATOR - fee))
    x = get_y(template, xp, d, pool.amp, i=j, j=i, x=y)
    return div(mul(sub(x, xp[i]), PRECISION), pool.rates[i])


def amplification(initial: int, future: int, started: int, ends: int, now: int) -> int:
    """Return `_A()` at time `now`: A moves linearly from `initial` at `started` to `future` at `ends`."""
    if now >= ends:
        return future
    if future > initial:
        return initial + (future - initial) * (now - started) // (ends - started)
    return initial - (initial - future) * (now - started) // (ends - started)
