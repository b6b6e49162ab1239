"""A book's compiled functions; `tallyio.lending.abi` states what each must do.

They equal those of `reference` to the unit. A position has one balance: its collateral, and its debt in
shares, of the market that is its part. Values are in the loan token's smallest units, which differ from
market to market, as no position has two.
"""

from __future__ import annotations

from typing import Final

from tallyio.lending.abi import (
    COLLATERAL,
    DEBT,
    HEALTH_IS_SOUND,
    HEALTH_SIGNATURE,
    HEALTHY,
    KNOWN,
    LAWFUL,
    LIQUIDATABLE,
    LIQUIDATE_SIGNATURE,
    NO_PRICE,
    NOT_COLLATERAL,
    NOTHING_GAINED,
    NOTHING_OWED,
    OUT_OF_DOMAIN,
    UNKNOWN,
    VALUES_SIGNATURE,
    WEIGHT_SIGNATURE,
    balance_at,
    reserve_at,
    reserve_of,
)
from tallyio.native.atomics import load, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import (
    const,
    divmod256,
    is_negative,
    load128,
    load256,
    mul_wide,
    store256,
    to_f64,
    u256,
)
from tallyio_protocol_morpho_blue import curve, reference
from tallyio_protocol_morpho_blue.layout import (
    BORROW_ASSETS,
    BORROW_SHARES,
    HAS_PRICE,
    INCENTIVE,
    IRM,
    LAST_UPDATE,
    LLTV,
    PRICE,
    RATE,
    SUPPLY_ASSETS,
    UINT128_MAX,
    Irm,
)
from tallyio_protocol_morpho_blue.rates import borrow_rate

_ZERO: Final = const(0)
_ONE: Final = const(1)
_ALL: Final = const((1 << 256) - 1)
_WAD: Final = const(curve.WAD)
_TWO_WAD: Final = const(2 * curve.WAD)
_THREE_WAD: Final = const(3 * curve.WAD)
_PRICE_SCALE: Final = const(reference.PRICE_SCALE)
_VIRTUAL_SHARES: Final = const(reference.VIRTUAL_SHARES)
_VIRTUAL_ASSETS: Final = const(reference.VIRTUAL_ASSETS)
_MOST_ASSETS: Final = const(reference.MOST_ASSETS)
_MOST_SHARES: Final = const(reference.MOST_SHARES)
_MOST_GROWTH: Final = const(reference.MOST_GROWTH)
_MOST_OFFER: Final = const(UINT128_MAX)
_MOST_SECONDS: Final = reference.MOST_SECONDS
_NONE: Final = int(Irm.NONE)
_ADAPTIVE: Final = int(Irm.ADAPTIVE)


@hot("u256(int64)", inline=True)
def _amount(address: int) -> int:
    return u256(load128(address))


@hot("u256(u256, u256)", inline=True)
def _divide_up(n: int, d: int) -> int:
    """Return n / d rounded up; n + d below 2**256."""
    return divmod256(n + (d - _ONE), d)[0]


@hot("Tuple(u256, boolean)(int64, int64)")
def _interest(row: int, time: int) -> tuple[int, bool]:
    """Return what a market's debt and supply grow by until `time`, and whether it is in domain."""
    supplied, borrowed = _amount(row + SUPPLY_ASSETS), _amount(row + BORROW_ASSETS)
    most = max(supplied, borrowed)
    if most >= _MOST_ASSETS or _amount(row + BORROW_SHARES) >= _MOST_SHARES:
        return _ZERO, False
    irm, elapsed = load(row + IRM, 0), time - load(row + LAST_UPDATE, 0)
    if irm == _NONE or elapsed == 0:
        return _ZERO, True
    if not 0 < elapsed < _MOST_SECONDS or (irm == _ADAPTIVE and borrowed > supplied):
        return _ZERO, False
    rate = load(row + RATE, 0)
    if irm == _ADAPTIVE:
        rate = borrow_rate(supplied, borrowed, rate, elapsed)
    # rate < 2**63: the terms are below 2**103, 2**145 and 2**187, and the largest product below 2**248.
    first = u256(rate) * u256(elapsed)
    second = divmod256(first * first, _TWO_WAD)[0]
    growth = first + second + divmod256(second * first, _THREE_WAD)[0]
    if growth >= _MOST_GROWTH:
        return _ZERO, False
    interest = divmod256(borrowed * growth, _WAD)[0]  # below 2**126 * 2**127
    return interest, interest + most < _MOST_ASSETS


@hot(VALUES_SIGNATURE)
def values(book: int, reserve: int, time: int, number: int, out: int) -> int:  # noqa: ARG001 - time only
    """Write what a unit of collateral and a share of debt are worth in the loan token's smallest units."""
    row = reserve_at(book, reserve)
    interest, is_sound = _interest(row, time)
    if not is_sound or load(row + HAS_PRICE, 0) == 0:
        return UNKNOWN
    assets = to_f64(_amount(row + BORROW_ASSETS) + interest + _VIRTUAL_ASSETS)
    store_f64(out, 0, to_f64(load256(row + PRICE)) * 1e-36)
    store_f64(out, 1, assets / to_f64(_amount(row + BORROW_SHARES) + _VIRTUAL_SHARES))
    return KNOWN


@hot(WEIGHT_SIGNATURE)
def weight(book: int, position: int, k: int) -> float:
    """Return the market's liquidation loan-to-value."""
    return float(load(reserve_at(book, reserve_of(balance_at(position, k))) + LLTV, 0)) * 1e-18


@hot("Tuple(u256, u256, int64)(int64, int64, u256)")
def _judge(row: int, balance: int, interest: int) -> tuple[int, int, int]:
    """Return what the collateral lets one owe, what is owed, and the status, in a market in domain."""
    collateral, shares = _amount(balance + COLLATERAL), _amount(balance + DEBT)
    high, value = mul_wide(collateral, load256(row + PRICE))
    is_known = load(row + HAS_PRICE, 0) != 0 and high == _ZERO and not is_negative(value)
    limit = _ZERO
    if is_known:
        # Below 2**255 / 1e36 * 1e18.
        limit = divmod256(divmod256(value, _PRICE_SCALE)[0] * u256(load(row + LLTV, 0)), _WAD)[0]
    if shares == _ZERO:
        return limit, _ZERO, HEALTHY
    all_shares = _amount(row + BORROW_SHARES)
    if not is_known or shares > all_shares:
        return limit, _ZERO, UNKNOWN
    owed = _worth(shares, _amount(row + BORROW_ASSETS) + interest, all_shares)
    return limit, owed, LIQUIDATABLE if limit < owed else HEALTHY


@hot("u256(u256, u256, u256)", inline=True)
def _worth(shares: int, assets: int, all_shares: int) -> int:
    """Return what shares of debt are worth, rounded up; assets < 2**127 and shares, all_shares < 2**127."""
    return _divide_up(shares * (assets + _VIRTUAL_ASSETS), all_shares + _VIRTUAL_SHARES)


@hot(HEALTH_SIGNATURE)
def health(book: int, position: int, time: int, number: int, out: int) -> int:  # noqa: ARG001 - time only
    """Write limit and debt of the position in its market, as `Morpho._isHealthy` compares them."""
    balance = balance_at(position, 0)
    row = reserve_at(book, reserve_of(balance))
    interest, is_sound = _interest(row, time)
    limit, owed, status = _judge(row, balance, interest)
    store256(out, limit)
    store256(out + 32, owed)
    factor = _ALL
    if owed != _ZERO:
        factor = divmod256(limit * _WAD, owed)[0]  # limit is below 2**136
    store256(out + 64, factor)
    # Without debt nobody asks what it has grown to.
    return status if is_sound or owed == _ZERO else UNKNOWN


@hot("u256(int64, u256, u256, u256, u256)")
def _most_seized(row: int, collateral: int, shares: int, interest: int, repay: int) -> int:
    """Return `reference.most_seized`."""
    price = load256(row + PRICE)
    if price == _ZERO:
        return collateral
    assets = _amount(row + BORROW_ASSETS) + interest + _VIRTUAL_ASSETS
    all_shares = _amount(row + BORROW_SHARES) + _VIRTUAL_SHARES
    # The offer is below 2**128, all_shares and shares below 2**128, assets below 2**127.
    payable = min(divmod256(min(repay, _MOST_OFFER) * all_shares, assets)[0], shares)
    value = divmod256(payable * assets, all_shares)[0]
    # value <= assets, as shares <= all_shares; times an incentive below 2**61 over 1e18: below 2**128.
    quoted = divmod256(value * u256(load(row + INCENTIVE, 0)), _WAD)[0]
    return min(divmod256(quoted * _PRICE_SCALE, price)[0], collateral)


@hot("UniTuple(u256, 2)(int64, u256, u256)")
def _cost_of(row: int, interest: int, seize: int) -> tuple[int, int]:
    """Return `reference.cost_of`, for no more than `_most_seized`."""
    assets, all_shares = _amount(row + BORROW_ASSETS) + interest, _amount(row + BORROW_SHARES)
    # seize * price < 2**255 was seen to by `_judge`, and 1e36 < 2**120; quoted < 2**136.
    quoted = _divide_up(seize * load256(row + PRICE), _PRICE_SCALE)
    value = _divide_up(quoted * _WAD, u256(load(row + INCENTIVE, 0)))
    # No more than `_most_seized` is worth no more than all debt: value < 2**127.
    shares = _divide_up(value * (all_shares + _VIRTUAL_SHARES), assets + _VIRTUAL_ASSETS)
    return shares, _worth(shares, assets, all_shares)


@hot("u256(int64, u256, u256, u256, u256)")
def _bad_debt(row: int, interest: int, burned: int, paid: int, left: int) -> int:
    """Return what is written off after the last collateral went, with `left` shares still owed."""
    assets = _amount(row + BORROW_ASSETS) + interest
    assets = assets - min(paid, assets)
    return min(assets, _worth(left, assets, _amount(row + BORROW_SHARES) - burned))


@hot("int64(int64, int64, int64)", inline=True)
def _objection(row: int, balance: int, status: int) -> int:
    """Return why the position cannot be liquidated in a market in domain, or `LAWFUL`."""
    if _amount(balance + DEBT) == _ZERO:
        return NOTHING_OWED
    if load(row + HAS_PRICE, 0) == 0:
        return NO_PRICE
    if status == UNKNOWN:
        return OUT_OF_DOMAIN
    if status == HEALTHY:
        return HEALTH_IS_SOUND
    return NOT_COLLATERAL if _amount(balance + COLLATERAL) == _ZERO else LAWFUL


@hot(LIQUIDATE_SIGNATURE)
def liquidate(  # noqa: PLR0913, PLR0917 - the contract's own facts
    book: int,
    position: int,
    collateral: int,  # noqa: ARG001 - a position has one balance
    debt: int,  # noqa: ARG001
    repay: int,
    time: int,
    number: int,  # noqa: ARG001 - time only
    out: int,
) -> int:
    """Write what seizing the most that `repay` pays for takes and gives; see `reference`."""
    balance = balance_at(position, 0)
    row = reserve_at(book, reserve_of(balance))
    interest, is_sound = _interest(row, time)
    for field in range(5):
        store256(out + 32 * field, _ZERO)
    if not is_sound:
        return OUT_OF_DOMAIN
    verdict = _objection(row, balance, _judge(row, balance, interest)[2])
    if verdict != LAWFUL:
        return verdict
    held, shares = _amount(balance + COLLATERAL), _amount(balance + DEBT)
    most = _cost_of(row, interest, _most_seized(row, held, shares, interest, _ALL))[1]
    store256(out + 128, most)
    seize = _most_seized(row, held, shares, interest, repay)
    burned, paid = _cost_of(row, interest, seize)
    if seize == _ZERO:
        return NOTHING_GAINED
    if seize == held:
        written_off = _bad_debt(row, interest, burned, paid, shares - burned)
        if written_off > _amount(row + SUPPLY_ASSETS) + interest:
            return OUT_OF_DOMAIN
        store256(out + 96, written_off)
    store256(out, paid)
    store256(out + 32, seize)
    return LAWFUL
