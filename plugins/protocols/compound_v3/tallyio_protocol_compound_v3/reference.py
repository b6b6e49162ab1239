"""Interest, health, absorption and sale in Python integers: the specification of `hot`.

Source: `CometWithExtendedAssetList`, `CometCore` (compound-finance/comet).

A liquidation is two acts. `absorb` moves an account's whole collateral and debt to the Comet; it pays
whoever calls it nothing. `buyCollateral` sells collateral that the Comet owns at a discount, while its
reserves of the base token are below their target. It takes an amount of the base token, and reverts where
that buys more than there is. The largest that it takes, and the least that buys as much, follow without a
search: rounding down twice is rounding down once, and

    floor(n / d) >= m   if and only if   n >= m * d
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from tallyio_protocol_compound_v3.layout import Comet, Curve, Reserve

FACTOR = 10**18
INDEX = 10**15
MOST_SECONDS = 1 << 40
MOST_BASE = 1 << 104
"""Principals and base amounts are below it, as uint104 in the contract."""
MOST_RATE = 1 << 63
MOST_VALUE = 1 << 190
"""Of an account's collateral, in 1e-8."""
MOST_WORTH = 1 << 20
"""Of one unit of the base token, in units of 1e-8: what `unit_slack` of the adapter covers."""
UINT256_MAX = (1 << 256) - 1


class Absorbed(msgspec.Struct, frozen=True, kw_only=True):
    """What an absorption leaves."""

    comet: Comet
    paid_out: int
    """Base units by which the account's balance grew, as the event AbsorbDebt has it."""
    written_off: int
    """Base units of debt that its collateral did not cover."""


class Sale(msgspec.Struct, frozen=True):
    """What a purchase pays and brings."""

    repay: int
    seize: int
    most: int


def rate(curve: Curve, utilization: int) -> int:
    """Return the rate at a utilisation, as `getSupplyRate` and `getBorrowRate`."""
    below = min(utilization, curve.kink)
    return curve.base + curve.low * below // FACTOR + curve.high * max(utilization - curve.kink, 0) // FACTOR


def accrued(comet: Comet, time: int) -> Comet | None:
    """Return `comet` with its indexes at `time`, as `accrueInternal`; None: out of domain."""
    elapsed = time - comet.last_accrual
    if not 0 <= elapsed < MOST_SECONDS or max(comet.total_supply, comet.total_borrow) >= MOST_BASE:
        return None
    supply = comet.total_supply * comet.supply_index // INDEX
    borrow = comet.total_borrow * comet.borrow_index // INDEX
    utilization = borrow * FACTOR // supply if supply else 0
    rates = [rate(curve, utilization) for curve in (comet.supply, comet.borrow)]
    indexes = [
        index + index * (each * elapsed) // FACTOR
        for index, each in zip((comet.supply_index, comet.borrow_index), rates, strict=True)
    ]
    if elapsed and max(*rates, *indexes) >= MOST_RATE:
        return None
    supply_index, borrow_index = indexes if elapsed else (comet.supply_index, comet.borrow_index)
    return msgspec.structs.replace(
        comet, supply_index=supply_index, borrow_index=borrow_index, last_accrual=time
    )


def debt_of(grown: Comet, principal: int) -> int:
    """Return the debt of a negative principal of this size, in base units."""
    return principal * grown.borrow_index // INDEX


def health(
    comet: Comet, reserves: Sequence[Reserve], principal: int, held: Mapping[int, int], time: int
) -> tuple[int, int, bool] | None:
    """Return value of collateral and of debt in 1e-8, and whether it can be liquidated; None: unknown.

    `principal` is the debt's; `held` has the collateral by reserve number, of assets that the account is
    in. `isLiquidatable` asks for no more prices once the debt is covered; the sum here goes on over those
    that are known.
    """
    grown = accrued(comet, time)
    if principal == 0:
        return _worth(reserves, held)[0], 0, False
    base = reserves[0]
    if grown is None or base.price == 0 or principal >= MOST_BASE:
        return None
    debt = debt_of(grown, principal) * base.price // base.scale
    total, known = _worth(reserves, held)
    return (total, debt, total < debt) if known is None or known >= debt else None


def _worth(reserves: Sequence[Reserve], held: Mapping[int, int]) -> tuple[int, int | None]:
    """Return what collateral counts for, and the part before the first without a price, if there is one."""
    total, known = 0, None
    for number in sorted(held):
        reserve = reserves[number]
        if reserve.price == 0 and known is None:
            known = total
        total += held[number] * reserve.price // reserve.scale * reserve.liquidate_factor // FACTOR
    return total, known


def covered(reserves: Sequence[Reserve], held: Mapping[int, int]) -> int | None:
    """Return what an account's collateral pays of its debt, in base units; None: no price, or too much."""
    base, taken = reserves[0], [(reserves[number], amount) for number, amount in held.items()]
    value = sum(
        amount * reserve.price // reserve.scale * reserve.liquidation_factor // FACTOR
        for reserve, amount in taken
    )
    if value >= MOST_VALUE or not all(reserve.price for reserve in (base, *(each for each, _ in taken))):
        return None
    return value * base.scale // base.price


def absorb(
    grown: Comet, reserves: Sequence[Reserve], principal: int, held: Mapping[int, int]
) -> Absorbed | None:
    """Return what absorbing an account leaves, in a Comet that has accrued; None: out of domain."""
    pays, debt = covered(reserves, held), debt_of(grown, principal)
    if pays is None or pays >= MOST_BASE or principal > grown.total_borrow:
        return None
    supplied = grown.total_supply + max(pays - debt, 0) * INDEX // grown.supply_index
    if supplied >= MOST_BASE:
        return None
    after = msgspec.structs.replace(grown, total_supply=supplied, total_borrow=grown.total_borrow - principal)
    return Absorbed(comet=after, paid_out=max(pays, debt), written_off=max(debt - pays, 0))


def base_reserves(grown: Comet) -> int:
    """Return the Comet's reserves of the base token, which may be negative, as `getReserves`."""
    supply = grown.total_supply * grown.supply_index // INDEX
    borrow = grown.total_borrow * grown.borrow_index // INDEX
    return grown.base_held - supply + borrow


def is_for_sale(grown: Comet) -> bool:
    """Return whether `buyCollateral` sells: reserves are below their target."""
    return base_reserves(grown) < grown.target


def discounted(comet: Comet, reserve: Reserve) -> int:
    """Return the price at which a collateral is sold, in 1e-8."""
    discount = comet.store_front_factor * (FACTOR - reserve.liquidation_factor) // FACTOR
    return reserve.price * (FACTOR - discount) // FACTOR


def quote(comet: Comet, base: Reserve, reserve: Reserve, amount: int) -> int:
    """Return the collateral that `amount` of the base token buys, as `quoteCollateral`."""
    return base.price * amount * reserve.scale // discounted(comet, reserve) // base.scale


def cost(comet: Comet, base: Reserve, reserve: Reserve, collateral: int) -> int:
    """Return the least of the base token that buys so much collateral, or more."""
    return -(-collateral * discounted(comet, reserve) * base.scale // (base.price * reserve.scale))


def sale(comet: Comet, base: Reserve, reserve: Reserve, owned: int, repay: int) -> Sale:
    """Return the most that an offer buys of the `owned` units of a collateral, and the least that does."""
    # The first amount that buys more than there is costs `cost(owned + 1)`.
    highest = cost(comet, base, reserve, owned + 1) - 1
    seize, all_ = (quote(comet, base, reserve, min(offer, highest)) for offer in (repay, highest))
    return Sale(repay=cost(comet, base, reserve, seize), seize=seize, most=cost(comet, base, reserve, all_))
