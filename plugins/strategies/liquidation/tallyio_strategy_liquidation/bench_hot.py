"""A made-up exchange and a made-up lending protocol, compiled, for benchmarks and tests only.

A pool's row holds two reserves of constant product, with a fee of 0.3 percent. Of the protocol everybody can
be liquidated: half of each debt may be repaid, for collateral of the same number of units and a bonus of 8
percent, or for all the collateral there is where that is less. It can pay out `CASH` at once. All tokens cost
the same.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.lending.abi import (
    COLLATERAL,
    DEBT,
    HEALTH_SIGNATURE,
    KNOWN,
    LAWFUL,
    LIQUIDATABLE,
    LIQUIDATE_SIGNATURE,
    NO_CASH,
    TOO_MUCH,
    VALUES_SIGNATURE,
    WEIGHT_SIGNATURE,
    balance_at,
)
from tallyio.market.abi import (
    APPLY_LOG_SIGNATURE,
    CURVE_SIGNATURE,
    GAS_SIGNATURE,
    LOG_IGNORED,
    QUOTE_SIGNATURE,
)
from tallyio.native.atomics import store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load128, store256, to_f64, u256

BONUS_PERCENT: Final = 108
GAS: Final = 80_000
CASH: Final = 10**26
_KEEP: Final = const(997)
_THOUSAND: Final = const(1_000)
_RESERVE_BYTES: Final = 16
_ZERO: Final = const(0)
_BONUS: Final = const(BONUS_PERCENT)
_HUNDRED: Final = const(100)
_CASH: Final = const(CASH)
_MOST: Final = const((1 << 256) - 1)


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return the exact output. Reserves and amounts are below 2**112, so nothing wraps."""
    reserve_in = u256(load128(row + _RESERVE_BYTES * i))
    kept = amount_in * _KEEP
    if reserve_in == _ZERO:
        return _ZERO
    return divmod256(kept * u256(load128(row + _RESERVE_BYTES * j)), reserve_in * _THOUSAND + kept)[0]


@hot(CURVE_SIGNATURE)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope in floats."""
    reserve_in = to_f64(u256(load128(row + _RESERVE_BYTES * i)))
    reserve_out = to_f64(u256(load128(row + _RESERVE_BYTES * j)))
    if reserve_in == 0.0:
        return 0.0, 0.0
    kept = 0.997 * amount_in
    price = reserve_out / (reserve_in + kept)
    return kept * price, 0.997 * price * (reserve_in / (reserve_in + kept))


@hot(GAS_SIGNATURE)
def gas(row: int, i: int, j: int, amount_in: int) -> int:  # noqa: ARG001 - the same for every swap
    """Return the gas of a swap."""
    return GAS


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:  # noqa: ARG001 - nothing happens
    """Change nothing."""
    return LOG_IGNORED


@hot(VALUES_SIGNATURE)
def values(book: int, reserve: int, time: int, number: int, out: int) -> int:  # noqa: ARG001 - all cost the same
    """Write one, twice."""
    store_f64(out, 0, 1.0)
    store_f64(out, 1, 1.0)
    return KNOWN


@hot(WEIGHT_SIGNATURE)
def weight(book: int, position: int, k: int) -> float:  # noqa: ARG001 - nothing secures anything
    """Return nothing."""
    return 0.0


@hot(HEALTH_SIGNATURE)
def health(book: int, position: int, time: int, number: int, out: int) -> int:  # noqa: ARG001 - everybody is
    """Return that it can be liquidated."""
    store256(out, _ZERO)
    store256(out + 32, _MOST)
    store256(out + 64, _ZERO)
    return LIQUIDATABLE


@hot(LIQUIDATE_SIGNATURE)
def liquidate(  # noqa: PLR0913, PLR0917 - as the ABI has it
    book: int,  # noqa: ARG001 - rows are empty
    position: int,
    collateral: int,
    debt: int,
    repay: int,
    time: int,  # noqa: ARG001 - no interest
    number: int,  # noqa: ARG001 - the same
    out: int,
) -> int:
    """Write the terms. Amounts are below 2**128, so nothing wraps."""
    most = u256(load128(balance_at(position, debt) + DEBT)) >> 1
    held = u256(load128(balance_at(position, collateral) + COLLATERAL))
    store256(out + 128, most)
    if repay > most and repay != _MOST:
        return TOO_MUCH
    taken = min(repay, most)
    seize = divmod256(taken * _BONUS, _HUNDRED)[0]
    if seize > held:
        taken, seize = divmod256(held * _HUNDRED, _BONUS)[0], held
    if seize > _CASH:
        return NO_CASH
    store256(out, taken)
    store256(out + 32, seize)
    store256(out + 64, _ZERO)
    store256(out + 96, _ZERO)
    return LAWFUL
