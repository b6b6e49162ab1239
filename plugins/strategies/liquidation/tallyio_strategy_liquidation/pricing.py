"""What asks pools and protocols, in compiled code: terms of a liquidation, price, sale and loan.

This alone is built on the fused functions. The search calls it by address, so that it is compiled once and
not with everything that stands on it. All three functions take a SCENE and the record that they fill in.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.lending.fused import liquidate
from tallyio.market.abi import MARKET, word
from tallyio.market.pairing import best_sale, gas_of, price_of
from tallyio.market.pairing_layout import PATH_BYTES
from tallyio.market.route_layout import PATH
from tallyio.native.atomics import load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio.native.pointers import SIGNATURE
from tallyio.native.u256 import const, load256, store256, to_f64
from tallyio_strategy_liquidation.facts import (
    book_at,
    cheapest_loan,
    fee_of,
    gas_cost,
    gas_used,
    worth_of,
)
from tallyio_strategy_liquidation.layout import (
    BOOK,
    DEAL,
    LOAN,
    NO_LOAN,
    NO_SALE,
    NO_VALUE,
    NOBODY,
    OFFER,
    PRICE,
    SCENE,
)

_ROUTER: Final = word(SCENE, "router")
_MARKET: Final = word(SCENE, "market")
_POOLS: Final = word(MARKET, "pools")
_GAS_PRICE: Final = word(SCENE, "gas_price")
_TIME: Final = word(SCENE, "time")
_NUMBER: Final = word(SCENE, "number")

_ROWS: Final = word(BOOK, "book")
_CALLS_BACK: Final = word(BOOK, "calls_back")
_LOAN_GAS: Final = word(LOAN, "gas")
_INDEX: Final = word(LOAN, "index")
_PRICE_SOLD: Final = word(PRICE, "sold")
_PRICE_BOUGHT: Final = word(PRICE, "bought")
_AMOUNT: Final = word(PRICE, "amount")
_PRICE: Final = word(PRICE, "price")

_POSITION: Final = word(OFFER, "position")
_BOOK: Final = word(OFFER, "book")
_COLLATERAL: Final = word(OFFER, "at_collateral")
_DEBT: Final = word(OFFER, "at_debt")
_SOLD: Final = word(OFFER, "sold")
_BOUGHT: Final = word(OFFER, "bought")
_LOAN: Final = word(OFFER, "loan")
_GAS: Final = word(OFFER, "gas")
_NET: Final = word(OFFER, "net")
_COUNT: Final = word(OFFER, "count")
_ASKED: Final = 8 * word(OFFER, "asked")
_TERMS: Final = 8 * word(OFFER, "terms")
_SEIZE: Final = 32
_PAID: Final = 8 * word(OFFER, "paid")
_GIVEN: Final = 8 * word(OFFER, "given")
_FEE: Final = 8 * word(OFFER, "fee")
_BROUGHT: Final = 8 * word(OFFER, "brought")
_SALE: Final = 8 * word(OFFER, "sale")
_HOPS: Final = word(PATH, "hops")
_NOTHING: Final = const(0)


@hot(SIGNATURE)
def ask(scene: int, offer: int) -> int:
    """Ask the protocol what it takes and gives for what an OFFER asks; return the verdict."""
    book, terms = load(book_at(scene, load(offer, _BOOK)), _ROWS), offer + _TERMS
    verdict = liquidate(
        book,
        load(offer, _POSITION),
        load(offer, _COLLATERAL),
        load(offer, _DEBT),
        load256(offer + _ASKED),
        load(scene, _TIME),
        load(scene, _NUMBER),
        terms,
    )
    store256(offer + _PAID, load256(terms))
    store256(offer + _GIVEN, load256(terms + _SEIZE))
    return verdict


@hot(SIGNATURE)
def read_price(scene: int, price: int) -> int:
    """Fill in a PRICE for its tokens and its amount."""
    sold, bought, amount = load(price, _PRICE_SOLD), load(price, _PRICE_BOUGHT), load_f64(price, _AMOUNT)
    store_f64(price, _PRICE, price_of(load(scene, _ROUTER), sold, bought, amount))
    return 0


@hot(SIGNATURE)
def price_offer(scene: int, offer: int) -> int:
    """Find the sale and the loan of an OFFER that says what is paid and given, and its net.

    Returns DEAL, or the fault for which there is none. Several liquidations in one transaction are always
    paid with a loan.
    """
    sold, bought, sale = load(offer, _SOLD), load(offer, _BOUGHT), offer + _SALE
    worth, paid, given = worth_of(scene, bought), load256(offer + _PAID), load256(offer + _GIVEN)
    if not worth > 0.0:
        return NO_VALUE
    brought = given
    store(sale, _HOPS, 0)
    store(sale + PATH_BYTES, _HOPS, 0)
    if sold != bought:
        if sold < 0 or given == _NOTHING:
            return NO_SALE
        unit_gas, pools = load_f64(scene, _GAS_PRICE) / worth, load(load(scene, _MARKET), _POOLS)
        brought = best_sale(load(scene, _ROUTER), pools, sold, bought, given, unit_gas, sale)
    if brought == _NOTHING:
        return NO_SALE
    spent, fee, index = gas_of(sale) + gas_of(sale + PATH_BYTES), _NOTHING, NOBODY
    count = load(offer, _COUNT)
    if count > 1 or load(book_at(scene, load(offer, _BOOK)), _CALLS_BACK) == 0:
        loan = cheapest_loan(scene, bought, paid, sale)
        if loan == 0:
            return NO_LOAN
        fee, index = fee_of(loan, paid), load(loan, _INDEX)
        spent += load(loan, _LOAN_GAS)
    cost = paid + fee  # a loan is below 2**190, and what a callback pays is one position's own debt
    gain = to_f64(brought - cost) if brought >= cost else -to_f64(cost - brought)
    gas = gas_used(scene, count, spent)
    store256(offer + _FEE, fee)
    store256(offer + _BROUGHT, brought)
    store(offer, _LOAN, index)
    store(offer, _GAS, gas)
    store_f64(offer, _NET, gain * worth - gas_cost(scene, gas))
    return DEAL
