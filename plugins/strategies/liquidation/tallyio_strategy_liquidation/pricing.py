"""What liquidations bring after sale, loan and gas, in compiled code.

An OFFER says what is paid and what arrives; this module finds the sale of what arrives and the loan of what
is paid, both exact, and the net profit, which ranks.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.market.abi import MARKET, word
from tallyio.market.pairing import PATH_BYTES, best_sale, gas_of, price_of
from tallyio.market.route_layout import PATH
from tallyio.native.atomics import load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load256, store256, to_f64, u256
from tallyio_strategy_liquidation import layout
from tallyio_strategy_liquidation.layout import (
    BOOK,
    DEAL,
    LOAN,
    NO_LOAN,
    NO_SALE,
    NO_VALUE,
    NOBODY,
    OFFER,
    SCENE,
)
from tallyio_strategy_liquidation.layout import PRICE as PRICE_RECORD

_ROUTER: Final = word(SCENE, "router")
_MARKET: Final = word(SCENE, "market")
_POOLS: Final = word(MARKET, "pools")
_WORTH: Final = word(MARKET, "native_per_unit")
_GAS_PRICE: Final = word(SCENE, "gas_price")
_LIQUIDATION_GAS: Final = word(SCENE, "liquidation_gas")
_PLAN_GAS: Final = word(SCENE, "plan_gas")
_BOOKS: Final = word(SCENE, "books")
_LOANS_AT: Final = word(SCENE, "loans_at")
_LOANS: Final = word(SCENE, "loans")
_LOCKS_AT: Final = word(SCENE, "locks_at")
_LOCKS: Final = word(SCENE, "locks")
_PRICES: Final = word(SCENE, "prices")
_ROUND: Final = word(SCENE, "round")

_BOOK_BYTES: Final = BOOK.itemsize
_CALLS_BACK: Final = word(BOOK, "calls_back")

_LOAN_BYTES: Final = LOAN.itemsize
_NUMERATOR: Final = word(LOAN, "numerator")
_DENOMINATOR: Final = word(LOAN, "denominator")
_ADDEND: Final = word(LOAN, "addend")
_LOAN_GAS: Final = word(LOAN, "gas")
_LENDER: Final = word(LOAN, "lender")
_INDEX: Final = word(LOAN, "index")

_PRICE_BYTES: Final = PRICE_RECORD.itemsize
_PAIR: Final = word(PRICE_RECORD, "pair")
_SINCE: Final = word(PRICE_RECORD, "round")
_AMOUNT: Final = word(PRICE_RECORD, "amount")
_PRICE: Final = word(PRICE_RECORD, "price")

_BOOK: Final = word(OFFER, "book")
_FAULT: Final = word(OFFER, "fault")
_SOLD: Final = word(OFFER, "sold")
_BOUGHT: Final = word(OFFER, "bought")
_LOAN: Final = word(OFFER, "loan")
_GAS: Final = word(OFFER, "gas")
_NET: Final = word(OFFER, "net")
_COUNT: Final = word(OFFER, "count")
PAID: Final = 8 * word(OFFER, "paid")
GIVEN: Final = 8 * word(OFFER, "given")
FEE: Final = 8 * word(OFFER, "fee")
BROUGHT: Final = 8 * word(OFFER, "brought")
SALE: Final = 8 * word(OFFER, "sale")

_HOPS: Final = word(PATH, "hops")
_PATH_POOLS: Final = word(PATH, "pools")
_SALE_PATHS: Final = 2

_NOTHING: Final = const(0)
_MOST_LENT: Final = const(1 << 190)
"""Larger loans are refused, so that `amount * numerator + addend` stays below 2**254."""
_SMALL: Final = 1.0 / 64.0
_NEVER: Final = float("-inf")
SLACK: Final = 1e-6
"""Above the error of the floats of a path, so that a bound is one."""


@hot("int64(int64, int64)", inline=True)
def book_at(scene: int, number: int) -> int:
    """Return the address of a book's BOOK of `layout`."""
    return load(scene, _BOOKS) + number * _BOOK_BYTES


@hot("float64(int64, int64)", inline=True)
def worth_of(scene: int, token: int) -> float:
    """Return what one smallest unit of a token is worth in wei; 0: not known."""
    return load_f64(load(load(scene, _MARKET), _WORTH), token) if token >= 0 else 0.0


@hot("u256(int64, u256)", inline=True)
def _fee(loan: int, amount: int) -> int:
    """Return the exact fee of borrowing `amount`, which is below 2**190."""
    owed = amount * u256(load(loan, _NUMERATOR)) + u256(load(loan, _ADDEND))
    return divmod256(owed, u256(load(loan, _DENOMINATOR)))[0]


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
def _cheapest(scene: int, token: int, amount: int, sale: int) -> int:
    """Return the address of the LOAN that costs least, the first of equals, or 0: nobody lends that much."""
    worth, gas_price = worth_of(scene, token), load_f64(scene, _GAS_PRICE)
    best, least, at = 0, float("inf"), load(scene, _LOANS_AT)
    if amount == _NOTHING or amount >= _MOST_LENT:
        return 0
    for k in range(load(at, token), load(at, token + 1)):
        loan = load(scene, _LOANS) + k * _LOAN_BYTES
        if amount > load256(loan):
            continue
        cost = to_f64(_fee(loan, amount)) * worth + float(load(loan, _LOAN_GAS)) * gas_price
        if cost < least and not _is_locked(scene, sale, load(loan, _LENDER)):
            best, least = loan, cost
    return best


@hot("u256(int64, int64)")
def most_lent(scene: int, token: int) -> int:
    """Return the largest loan of a token that anybody offers; 0: nobody does."""
    most, at = _NOTHING, load(scene, _LOANS_AT)
    for k in range(load(at, token), load(at, token + 1)):
        most = max(most, load256(load(scene, _LOANS) + k * _LOAN_BYTES))
    return most


@hot("float64(int64, int64, int64, float64)")
def _price(scene: int, sold: int, bought: int, amount: float) -> float:
    """Return the price of a small part of `amount`, which a sale of all of it cannot surpass."""
    pair = (sold << 32) | bought
    slot = load(scene, _PRICES) + ((sold * 31 + bought) & (layout.PRICES - 1)) * _PRICE_BYTES
    is_kept = load(slot, _PAIR) == pair and load(slot, _SINCE) == load(scene, _ROUND)
    if not is_kept or load_f64(slot, _AMOUNT) > amount:
        small = amount * _SMALL
        store(slot, _PAIR, pair)
        store(slot, _SINCE, load(scene, _ROUND))
        store_f64(slot, _AMOUNT, small)
        store_f64(slot, _PRICE, price_of(load(scene, _ROUTER), sold, bought, small))
    return load_f64(slot, _PRICE)


@hot("float64(int64, int64, int64, u256)")
def most_brought(scene: int, sold: int, bought: int, given: int) -> float:
    """Return what `given` of a token cannot bring more than, in floats; 0: nothing buys it."""
    amount = to_f64(given)
    if sold == bought or not amount > 0.0:
        return amount
    return amount * _price(scene, sold, bought, amount) * (1.0 + SLACK) if sold >= 0 else 0.0


@hot("float64(int64, float64, int64)", inline=True)
def gas_cost(scene: int, gas: float, count: int) -> float:
    """Return in wei what a plan of `count` liquidations costs without sale and loan, and `gas` besides."""
    own = load(scene, _PLAN_GAS) + count * load(scene, _LIQUIDATION_GAS)
    return (float(own) + gas) * load_f64(scene, _GAS_PRICE)


@hot("float64(int64, int64)", inline=True)
def _fail(offer: int, fault: int) -> float:
    store(offer, _FAULT, fault)
    return _NEVER


@hot("u256(int64, int64, float64)")
def _sell(scene: int, offer: int, worth: float) -> int:
    """Write the sale of what is given, and return what it brings; 0: nothing."""
    sold, bought, sale = load(offer, _SOLD), load(offer, _BOUGHT), offer + SALE
    given = load256(offer + GIVEN)
    if sold == bought:
        store(sale, _HOPS, 0)
        store(sale + PATH_BYTES, _HOPS, 0)
        return given
    if sold < 0 or given == _NOTHING:
        return _NOTHING
    unit_gas = load_f64(scene, _GAS_PRICE) / worth
    pools = load(load(scene, _MARKET), _POOLS)
    return best_sale(load(scene, _ROUTER), pools, sold, bought, given, unit_gas, sale)


@hot("float64(int64, int64)")
def price_offer(scene: int, offer: int) -> float:
    """Find the sale and the loan of an OFFER that says what is paid and given; return the net, and write it.

    Where there is none the fault is written, and the net is minus infinity. Several liquidations in one
    transaction are always paid with a loan.
    """
    bought, count = load(offer, _BOUGHT), load(offer, _COUNT)
    worth, paid = worth_of(scene, bought), load256(offer + PAID)
    if not worth > 0.0:
        return _fail(offer, NO_VALUE)
    brought = _sell(scene, offer, worth)
    if brought == _NOTHING:
        return _fail(offer, NO_SALE)
    sale = offer + SALE
    spent = gas_of(sale) + gas_of(sale + PATH_BYTES)
    fee, index = _NOTHING, NOBODY
    if count > 1 or load(book_at(scene, load(offer, _BOOK)), _CALLS_BACK) == 0:
        loan = _cheapest(scene, bought, paid, sale)
        if loan == 0:
            return _fail(offer, NO_LOAN)
        fee, index = _fee(loan, paid), load(loan, _INDEX)
        spent += load(loan, _LOAN_GAS)
    cost = paid + fee  # both below 2**255: see `_fee`, and what callbacks pay is a position's own debt
    gain = to_f64(brought - cost) if brought >= cost else -to_f64(cost - brought)
    net = gain * worth - gas_cost(scene, float(spent), count)
    store256(offer + FEE, fee)
    store256(offer + BROUGHT, brought)
    store(offer, _LOAN, index)
    store(offer, _GAS, load(scene, _PLAN_GAS) + count * load(scene, _LIQUIDATION_GAS) + spent)
    store_f64(offer, _NET, net)
    store(offer, _FAULT, DEAL)
    return net
