"""A book's compiled functions; `tallyio.lending.abi` states what each must do.

They equal those of `reference` to the unit. A position's first balance is its debt in reserve 0, of
principal; the others are collateral. One position is no account: the `STORE_FRONT`, which stands for the
collateral that the Comet owns already. It can be "liquidated" while that is for sale; nothing is absorbed
then, and what it owes is what its reserves lack.
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
    NOT_FOR_SALE,
    NOTHING_GAINED,
    NOTHING_OWED,
    OUT_OF_DOMAIN,
    PAUSED,
    UNKNOWN,
    VALUES_SIGNATURE,
    WEIGHT_SIGNATURE,
    balance_at,
    count_of,
    flags_of,
    own_at,
    reserve_at,
    reserve_of,
)
from tallyio.native.atomics import load, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, store256, u256
from tallyio_protocol_compound_v3 import reference
from tallyio_protocol_compound_v3.interest import accrued, amount_at, is_for_sale, scaled
from tallyio_protocol_compound_v3.layout import (
    ABSORB_PAUSED,
    BASE_HELD,
    BUY_PAUSED,
    LIQUIDATE_FACTOR,
    LIQUIDATION_FACTOR,
    PAUSES,
    PRICE,
    RESERVES,
    SCALE,
    STORE_FRONT,
    STORE_FRONT_FACTOR,
    TARGET,
    TOTAL_BORROW,
    TOTAL_SUPPLY,
)

_ZERO: Final = const(0)
_ONE: Final = const(1)
_ALL: Final = const((1 << 256) - 1)
_FACTOR: Final = const(reference.FACTOR)
_INDEX: Final = const(reference.INDEX)
_MOST_BASE: Final = const(reference.MOST_BASE)
_MOST_OWNED: Final = const(1 << 128)
_MOST_VALUE: Final = const(reference.MOST_VALUE)
_MOST_WORTH: Final = reference.MOST_WORTH


@hot("u256(int64, int64)", inline=True)
def _word(row: int, offset: int) -> int:
    return u256(load(row + offset, 0))


@hot("boolean(int64, int64)", inline=True)
def _is_in(flags: int, reserve: int) -> bool:
    """Return whether an account is in a collateral reserve, as `isInAsset`."""
    return reserve > 0 and (flags >> (reserve - 1)) & 1 != 0


@hot(VALUES_SIGNATURE)
def values(book: int, reserve: int, time: int, number: int, out: int) -> int:  # noqa: ARG001 - time only
    """Write what a unit of collateral, or a unit of principal, is worth in 1e-8 of the feeds' currency."""
    row = reserve_at(book, reserve)
    price, scale = load(row + PRICE, 0), load(row + SCALE, 0)
    store_f64(out, 0, 0.0)
    store_f64(out, 1, 0.0)
    if price == 0:
        return UNKNOWN
    worth = float(price) / float(scale)
    if reserve > 0:
        store_f64(out, 0, worth)
        return KNOWN
    _, index, is_sound = accrued(own_at(book), time)
    store_f64(out, 1, float(index) * 1e-15 * worth)
    return KNOWN if is_sound and worth < _MOST_WORTH else UNKNOWN


@hot(WEIGHT_SIGNATURE)
def weight(book: int, position: int, k: int) -> float:
    """Return the liquidate collateral factor of an asset that the account is in."""
    flags, reserve = flags_of(position), reserve_of(balance_at(position, k))
    if flags & STORE_FRONT != 0 or not _is_in(flags, reserve):
        return 0.0
    return float(load(reserve_at(book, reserve) + LIQUIDATE_FACTOR, 0)) * 1e-18


@hot("u256(int64, int64)", inline=True)
def _stock(book: int, reserve: int) -> int:
    """Return what the Comet owns of a collateral."""
    return amount_at(reserve_at(book, reserve) + RESERVES)


@hot("u256(int64)", inline=True)
def _principal(position: int) -> int:
    """Return the principal of a position's debt."""
    if count_of(position) > 0 and reserve_of(balance_at(position, 0)) == 0:
        return amount_at(balance_at(position, 0) + DEBT)
    return _ZERO


@hot("UniTuple(u256, 2)(int64, int64)")
def _worth(book: int, position: int) -> tuple[int, int]:
    """Return `reference._worth`; all ones where all prices are known."""
    total, known, flags = _ZERO, _ALL, flags_of(position)
    for k in range(count_of(position)):
        balance = balance_at(position, k)
        reserve = reserve_of(balance)
        if _is_in(flags, reserve):
            row = reserve_at(book, reserve)
            if load(row + PRICE, 0) == 0:
                known = min(known, total)
            # 128 + 63 bits, then at most 191 + 63.
            value = scaled(amount_at(balance + COLLATERAL), _word(row, PRICE), _word(row, SCALE))
            total = total + scaled(value, _word(row, LIQUIDATE_FACTOR), _FACTOR)
    return total, known


@hot("Tuple(u256, u256, int64)(int64, int64, int64)")
def _judge(book: int, position: int, time: int) -> tuple[int, int, int]:
    """Return value of collateral and debt of an account, and its status."""
    total, known = _worth(book, position)
    principal = _principal(position)
    if principal == _ZERO:
        return total, _ZERO, HEALTHY
    _, index, is_sound = accrued(own_at(book), time)
    base = reserve_at(book, 0)
    if not is_sound or load(base + PRICE, 0) == 0 or principal >= _MOST_BASE:
        return total, _ZERO, UNKNOWN
    # Below 2**104 * 2**63 / 1e15, then times 2**63.
    debt = scaled(scaled(principal, u256(index), _INDEX), _word(base, PRICE), _word(base, SCALE))
    if known < debt:
        return total, debt, UNKNOWN
    return total, debt, LIQUIDATABLE if total < debt else HEALTHY


@hot("u256(int64, int64)", inline=True)
def _discounted(own: int, row: int) -> int:
    """Return the price at which a collateral is sold; factors are at most 1e18."""
    discount = scaled(_word(own, STORE_FRONT_FACTOR), _FACTOR - _word(row, LIQUIDATION_FACTOR), _FACTOR)
    return scaled(_word(row, PRICE), _FACTOR - discount, _FACTOR)


@hot("u256(u256, u256, u256)", inline=True)
def _cost(collateral: int, per_collateral: int, per_base: int) -> int:
    """Return the least of the base token that buys collateral: below 2**128, 2**123 and 2**123."""
    return divmod256(collateral * per_collateral + (per_base - _ONE), per_base)[0]


@hot("UniTuple(u256, 4)(int64, int64, u256)")
def _terms(book: int, reserve: int, owned: int) -> tuple[int, int, int, int]:
    """Return what collateral and base token are worth, what the largest lawful payment is, and what it buys.

    The first are to each other as prices are; all are 0 where a discount leaves nothing of the price, or
    there is no price. `owned` is below 2**128.
    """
    row, base = reserve_at(book, reserve), reserve_at(book, 0)
    per_collateral = _discounted(own_at(book), row) * _word(base, SCALE)
    per_base = _word(base, PRICE) * _word(row, SCALE)
    if min(per_collateral, per_base) == _ZERO:
        return _ZERO, _ZERO, _ZERO, _ZERO
    # The first amount that buys more than there is, less one; times `per_base` below 2**252.
    highest = _cost(owned + _ONE, per_collateral, per_base) - _ONE
    return per_collateral, per_base, highest, divmod256(highest * per_base, per_collateral)[0]


@hot("Tuple(u256, int64)(int64, int64, int64)")
def _store_front(book: int, position: int, time: int) -> tuple[int, int]:
    """Return the worth of what the reserves lack, and whether anything is for sale."""
    own, base = own_at(book), reserve_at(book, 0)
    supply_index, borrow_index, is_sound = accrued(own, time)
    if not is_sound or load(base + PRICE, 0) == 0:
        return _ZERO, UNKNOWN
    supplied, borrowed = amount_at(own + TOTAL_SUPPLY), amount_at(own + TOTAL_BORROW)
    if not is_for_sale(own, supply_index, borrow_index, supplied, borrowed):
        return _ZERO, HEALTHY
    lacking = scaled(supplied, u256(supply_index), _INDEX) + amount_at(own + TARGET)
    lacking = lacking - amount_at(own + BASE_HELD) - scaled(borrowed, u256(borrow_index), _INDEX)
    has_stock = False
    for k in range(count_of(position)):
        reserve = reserve_of(balance_at(position, k))
        if reserve > 0:
            has_stock = has_stock or _terms(book, reserve, _stock(book, reserve))[3] != _ZERO
    # Below 2**130 * 2**63.
    return scaled(lacking, _word(base, PRICE), _word(base, SCALE)), LIQUIDATABLE if has_stock else HEALTHY


@hot(HEALTH_SIGNATURE)
def health(book: int, position: int, time: int, number: int, out: int) -> int:  # noqa: ARG001 - time only
    """Write value of collateral and debt in 1e-8, as an absorption in that block compares them."""
    if flags_of(position) & STORE_FRONT != 0:
        total = _ZERO
        debt, status = _store_front(book, position, time)
    else:
        total, debt, status = _judge(book, position, time)
    store256(out, total)
    store256(out + 32, debt)
    # Below 24 * 2**191 * 1e18 < 2**256.
    store256(out + 64, scaled(total, _FACTOR, debt) if debt != _ZERO else _ALL)
    return status


@hot("Tuple(u256, boolean)(int64, int64)")
def _covered(book: int, position: int) -> tuple[int, bool]:
    """Return what an account's collateral pays of its debt, in base units, and whether that is in domain."""
    value, flags, is_sound = _ZERO, flags_of(position), True
    for k in range(count_of(position)):
        balance = balance_at(position, k)
        reserve = reserve_of(balance)
        if _is_in(flags, reserve):
            row = reserve_at(book, reserve)
            worth = scaled(amount_at(balance + COLLATERAL), _word(row, PRICE), _word(row, SCALE))
            value = value + scaled(worth, _word(row, LIQUIDATION_FACTOR), _FACTOR)
            is_sound = is_sound and load(row + PRICE, 0) != 0
    base = reserve_at(book, 0)
    if value >= _MOST_VALUE:
        return _ZERO, False
    return scaled(value, _word(base, SCALE), _word(base, PRICE)), is_sound


@hot("Tuple(u256, int64)(int64, int64, int64)")
def _absorb(book: int, position: int, time: int) -> tuple[int, int]:
    """Return the debt that an absorption leaves to nobody, and why it or a sale after it is refused."""
    own = own_at(book)
    supply_index, borrow_index, _ = accrued(own, time)
    covered, is_sound = _covered(book, position)
    principal = _principal(position)
    supplied, borrowed = amount_at(own + TOTAL_SUPPLY), amount_at(own + TOTAL_BORROW)
    if not is_sound or principal > borrowed or covered >= _MOST_BASE:
        return _ZERO, OUT_OF_DOMAIN
    debt = scaled(principal, u256(borrow_index), _INDEX)
    if covered > debt:
        supplied = supplied + scaled(covered - debt, _INDEX, u256(supply_index))
    if supplied >= _MOST_BASE:
        return _ZERO, OUT_OF_DOMAIN
    written_off = debt - covered if debt > covered else _ZERO
    if not is_for_sale(own, supply_index, borrow_index, supplied, borrowed - principal):
        return written_off, NOT_FOR_SALE
    return written_off, LAWFUL


@hot("int64(int64, int64, u256, u256, int64)")
def _buy(book: int, reserve: int, owned: int, repay: int, out: int) -> int:
    """Write repay, seize and the most of a purchase; return the verdict."""
    per_collateral, per_base, highest, all_ = _terms(book, reserve, owned)
    if per_collateral == _ZERO:
        return OUT_OF_DOMAIN
    store256(out + 128, _cost(all_, per_collateral, per_base))
    seize = divmod256(min(repay, highest) * per_base, per_collateral)[0]
    if seize == _ZERO:
        return NOTHING_GAINED
    store256(out, _cost(seize, per_collateral, per_base))
    store256(out + 32, seize)
    return LAWFUL


@hot("int64(int64, int64, int64)", inline=True)
def _gate(book: int, position: int, reserve: int) -> int:
    """Return what is wrong with the choice of collateral, or which gate is closed, or `LAWFUL`."""
    is_account = flags_of(position) & STORE_FRONT == 0
    if reserve <= 0 or (is_account and not _is_in(flags_of(position), reserve)):
        return NOT_COLLATERAL
    if is_account and _principal(position) == _ZERO:
        return NOTHING_OWED
    pauses = BUY_PAUSED | ABSORB_PAUSED if is_account else BUY_PAUSED
    if load(own_at(book) + PAUSES, 0) & pauses != 0:
        return PAUSED
    if load(reserve_at(book, 0) + PRICE, 0) == 0 or load(reserve_at(book, reserve) + PRICE, 0) == 0:
        return NO_PRICE
    return LAWFUL


@hot("int64(int64, int64, int64)")
def _objection(book: int, position: int, time: int) -> int:
    """Return why an account that no gate protects, or the store front, cannot be liquidated, or `LAWFUL`."""
    is_account = flags_of(position) & STORE_FRONT == 0
    status = _judge(book, position, time)[2] if is_account else _store_front(book, position, time)[1]
    if status == UNKNOWN:
        return OUT_OF_DOMAIN
    if status == HEALTHY:
        return HEALTH_IS_SOUND if is_account else NOT_FOR_SALE
    return LAWFUL


@hot(LIQUIDATE_SIGNATURE)
def liquidate(  # noqa: PLR0913, PLR0917 - the contract's own facts
    book: int,
    position: int,
    collateral: int,
    debt: int,  # noqa: ARG001 - only the base token is owed
    repay: int,
    time: int,
    number: int,  # noqa: ARG001 - time only
    out: int,
) -> int:
    """Write what absorbing the account, if it is one, and then buying with `repay` takes and gives."""
    for field in range(5):
        store256(out + 32 * field, _ZERO)
    balance = balance_at(position, collateral)
    reserve = reserve_of(balance)
    verdict = _gate(book, position, reserve)
    if verdict == LAWFUL:
        verdict = _objection(book, position, time)
    if verdict != LAWFUL:
        return verdict
    owned = _stock(book, reserve)
    if flags_of(position) & STORE_FRONT == 0:
        written_off, verdict = _absorb(book, position, time)
        if verdict != LAWFUL:
            return verdict
        owned = owned + amount_at(balance + COLLATERAL)
        if owned >= _MOST_OWNED:
            return OUT_OF_DOMAIN
        store256(out + 96, written_off)
    return _buy(book, reserve, owned, repay, out)
