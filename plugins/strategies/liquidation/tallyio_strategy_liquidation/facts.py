"""What the compiled search knows of a scene without asking a pool or a protocol."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.market.abi import MARKET, word
from tallyio.market.pairing_layout import PATH_BYTES
from tallyio.market.route_layout import PATH
from tallyio.native.atomics import load, load_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load256, to_f64, u256
from tallyio_strategy_liquidation.layout import BOOK, LOAN, SCENE

_MARKET: Final = word(SCENE, "market")
_WORTH: Final = word(MARKET, "native_per_unit")
_GAS_PRICE: Final = word(SCENE, "gas_price")
_LIQUIDATION_GAS: Final = word(SCENE, "liquidation_gas")
_PLAN_GAS: Final = word(SCENE, "plan_gas")
_BOOKS: Final = word(SCENE, "books")
_LOANS_AT: Final = word(SCENE, "loans_at")
_LOANS: Final = word(SCENE, "loans")
_LOCKS_AT: Final = word(SCENE, "locks_at")
_LOCKS: Final = word(SCENE, "locks")
_BOOK_BYTES: Final = BOOK.itemsize
_BOOK_TOKENS: Final = word(BOOK, "tokens")
_LOAN_BYTES: Final = LOAN.itemsize
_NUMERATOR: Final = word(LOAN, "numerator")
_DENOMINATOR: Final = word(LOAN, "denominator")
_ADDEND: Final = word(LOAN, "addend")
_LOAN_GAS: Final = word(LOAN, "gas")
_LENDER: Final = word(LOAN, "lender")
_HOPS: Final = word(PATH, "hops")
_PATH_POOLS: Final = word(PATH, "pools")
_SALE_PATHS: Final = 2
_NOTHING: Final = const(0)
_MOST_LENT: Final = const(1 << 190)
"""Larger loans are refused, so that `amount * numerator + addend` stays below 2**254."""


@hot("int64(int64, int64)", inline=True)
def book_at(scene: int, number: int) -> int:
    """Return the address of a book's BOOK of `layout`."""
    return load(scene, _BOOKS) + number * _BOOK_BYTES


@hot("int64(int64, int64, int64)", inline=True)
def token_of(book: int, reserve: int, side: int) -> int:
    """Return the token of a reserve's collateral (side 0) or debt (side 1), or why there is none."""
    return load(load(book, _BOOK_TOKENS), 2 * reserve + side)


@hot("float64(int64, int64)", inline=True)
def worth_of(scene: int, token: int) -> float:
    """Return what one smallest unit of a token is worth in wei; 0: not known."""
    return load_f64(load(load(scene, _MARKET), _WORTH), token) if token >= 0 else 0.0


@hot("int64(int64, int64, int64)", inline=True)
def gas_used(scene: int, count: int, spent: int) -> int:
    """Return the gas of a plan of `count` liquidations whose sale and loan take `spent`."""
    return load(scene, _PLAN_GAS) + count * load(scene, _LIQUIDATION_GAS) + spent


@hot("float64(int64, int64)", inline=True)
def gas_cost(scene: int, gas: int) -> float:
    """Return what gas costs, in wei."""
    return float(gas) * load_f64(scene, _GAS_PRICE)


@hot("u256(int64, u256)", inline=True)
def fee_of(loan: int, amount: int) -> int:
    """Return the exact fee of borrowing `amount`, which is below 2**190."""
    owed = amount * u256(load(loan, _NUMERATOR)) + u256(load(loan, _ADDEND))
    return divmod256(owed, u256(load(loan, _DENOMINATOR)))[0]


@hot("u256(int64, int64)")
def most_lent(scene: int, token: int) -> int:
    """Return the largest loan of a token that anybody offers; 0: nobody does."""
    most, at = _NOTHING, load(scene, _LOANS_AT)
    for k in range(load(at, token), load(at, token + 1)):
        most = max(most, load256(load(scene, _LOANS) + k * _LOAN_BYTES))
    return most


@hot("boolean(int64, int64, int64)")
def _is_locked(scene: int, sale: int, lender: int) -> bool:
    """Return whether a lender's contract is one that the sale trades at."""
    at, locks = load(scene, _LOCKS_AT), load(scene, _LOCKS)
    for which in range(_SALE_PATHS):
        path = sale + which * PATH_BYTES
        for k in range(load(path, _HOPS)):
            pool = load(path, _PATH_POOLS + k)
            for n in range(load(at, pool), load(at, pool + 1)):
                if load(locks, n) == lender:
                    return True
    return False


@hot("int64(int64, int64, u256, int64)")
def cheapest_loan(scene: int, token: int, amount: int, sale: int) -> int:
    """Return the address of the LOAN that costs least, the first of equals, or 0: nobody lends that much.

    It does what `tallyio.lending.loans.choose_loan` does.
    """
    worth, best, least, at = worth_of(scene, token), 0, float("inf"), load(scene, _LOANS_AT)
    if amount == _NOTHING or amount >= _MOST_LENT:
        return 0
    for k in range(load(at, token), load(at, token + 1)):
        loan = load(scene, _LOANS) + k * _LOAN_BYTES
        if amount > load256(loan):
            continue
        cost = to_f64(fee_of(loan, amount)) * worth + gas_cost(scene, load(loan, _LOAN_GAS))
        if cost < least and not _is_locked(scene, sale, load(loan, _LENDER)):
            best, least = loan, cost
    return best
