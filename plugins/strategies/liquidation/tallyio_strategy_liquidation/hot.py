"""The search in compiled code: the best deal of every position at risk.

For each position every pair of a debt and a collateral is asked for the most that is lawful, and for what it
cannot bring more than. In the order of these bounds the pairs are sized (`sizing`), until no other can be
better; each amount is evaluated exactly. What is seized for a unit of debt is the same for every amount, but
for rounding and for what the protocol clips: so the bound of a pair's most is one for its smaller amounts.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.lending.abi import (
    COLLATERAL,
    DEBT,
    LAWFUL,
    LIQUIDATION,
    NO_CASH,
    balance_at,
    count_of,
    reserve_of,
)
from tallyio.market.abi import word
from tallyio.native.atomics import copy_bytes, load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio.native.pointers import call
from tallyio.native.u256 import const, load128, load256, store256, to_f64
from tallyio_strategy_liquidation import layout
from tallyio_strategy_liquidation.batching import gather
from tallyio_strategy_liquidation.facts import book_at, gas_cost, gas_used, most_lent, token_of, worth_of
from tallyio_strategy_liquidation.layout import (
    BOOK,
    DEAL,
    NO_LOAN,
    NO_PROFIT,
    NO_SALE,
    NO_SIDE,
    NO_VALUE,
    NOBODY,
    NOTHING,
    OFFER,
    PAIR,
    PRICE,
    SCENE,
)
from tallyio_strategy_liquidation.sizing import HALVINGS, learn, next_amount, start

_PAIRS: Final = word(SCENE, "pairs")
_MAX_PAIRS: Final = word(SCENE, "max_pairs")
_TRIAL: Final = word(SCENE, "trial")
_SIZING: Final = word(SCENE, "sizing")
_PLAN_GAS: Final = word(SCENE, "plan_gas")
_ROUND: Final = word(SCENE, "round")
_PRICES: Final = word(SCENE, "prices")
_ASK: Final = word(SCENE, "ask")
_PRICE_OFFER: Final = word(SCENE, "price")
_READ_PRICE: Final = word(SCENE, "read_price")
_CALLS_BACK: Final = word(BOOK, "calls_back")

_PAIR_BYTES: Final = PAIR.itemsize
_BOUND: Final = word(PAIR, "bound")
_PAIR_COLLATERAL: Final = word(PAIR, "collateral")
_PAIR_DEBT: Final = word(PAIR, "debt")

_PRICE_BYTES: Final = PRICE.itemsize
_PRICE_SOLD: Final = word(PRICE, "sold")
_PRICE_BOUGHT: Final = word(PRICE, "bought")
_SINCE: Final = word(PRICE, "round")
_AMOUNT: Final = word(PRICE, "amount")
_PRICE: Final = word(PRICE, "price")

_OFFER_BYTES: Final = OFFER.itemsize
_POSITION: Final = word(OFFER, "position")
_BOOK: Final = word(OFFER, "book")
_FAULT: Final = word(OFFER, "fault")
_COLLATERAL: Final = word(OFFER, "collateral")
_DEBT: Final = word(OFFER, "debt")
_AT_COLLATERAL: Final = word(OFFER, "at_collateral")
_AT_DEBT: Final = word(OFFER, "at_debt")
_SOLD: Final = word(OFFER, "sold")
_BOUGHT: Final = word(OFFER, "bought")
_IS_MOST: Final = word(OFFER, "is_most")
_NET: Final = word(OFFER, "net")
_NEXT: Final = word(OFFER, "next")
_HEAD: Final = word(OFFER, "head")
_COUNT: Final = word(OFFER, "count")
_ASKED: Final = 8 * word(OFFER, "asked")
_TERM_MOST: Final = 8 * word(OFFER, "terms") + 8 * word(LIQUIDATION, "most")
_PAID: Final = 8 * word(OFFER, "paid")
_GIVEN: Final = 8 * word(OFFER, "given")

_ZERO: Final = const(0)
_NO_AMOUNT: Final = const(0, 128)
_MOST: Final = const((1 << 256) - 1)
_NEVER: Final = float("-inf")
_SMALL: Final = 1.0 / 64.0
_SLACK: Final = 1e-6
"""Above the error of a path in floats, so that a bound is one."""


@hot("float64(int64, int64, int64, u256)")
def _most_brought(scene: int, sold: int, bought: int, given: int) -> float:
    """Return what `given` of a token cannot bring more than, in floats; 0: nothing buys it.

    It is the amount at the price of a small part of it, which is kept for other amounts: nothing that is
    larger than that part sells at a better one.
    """
    amount = to_f64(given)
    if sold == bought or not amount > 0.0:
        return amount
    if sold < 0:
        return 0.0
    slot = load(scene, _PRICES) + ((sold * 31 + bought) & (layout.PRICES - 1)) * _PRICE_BYTES
    is_kept = load(slot, _SINCE) == load(scene, _ROUND) and load_f64(slot, _AMOUNT) <= amount
    if not is_kept or load(slot, _PRICE_SOLD) != sold or load(slot, _PRICE_BOUGHT) != bought:
        store(slot, _PRICE_SOLD, sold)
        store(slot, _PRICE_BOUGHT, bought)
        store(slot, _SINCE, load(scene, _ROUND))
        store_f64(slot, _AMOUNT, amount * _SMALL)
        call(load(scene, _READ_PRICE), scene, slot)
    return amount * load_f64(slot, _PRICE) * (1.0 + _SLACK)


@hot("void(int64, int64, int64, int64)")
def _choose(scene: int, trial: int, collateral: int, debt: int) -> None:
    """Set the pair of an OFFER, by places among the position's balances."""
    position, book = load(trial, _POSITION), book_at(scene, load(trial, _BOOK))
    store(trial, _AT_COLLATERAL, collateral)
    store(trial, _AT_DEBT, debt)
    store(trial, _COLLATERAL, reserve_of(balance_at(position, collateral)))
    store(trial, _DEBT, reserve_of(balance_at(position, debt)))
    store(trial, _SOLD, token_of(book, load(trial, _COLLATERAL), 0))
    store(trial, _BOUGHT, token_of(book, load(trial, _DEBT), 1))
    store256(trial + _ASKED, _MOST)


@hot("void(int64, int64, int64, float64)")
def _keep(scene: int, count: int, trial: int, bound: float) -> None:
    """Put the pair of an OFFER in its place among the `count` best of which there is room for `max_pairs`."""
    pairs, room = load(scene, _PAIRS), load(scene, _MAX_PAIRS)
    place = min(count, room - 1)
    if count == room and not bound > load_f64(pairs + place * _PAIR_BYTES, _BOUND):
        return
    while place > 0 and bound > load_f64(pairs + (place - 1) * _PAIR_BYTES, _BOUND):
        copy_bytes(pairs + place * _PAIR_BYTES, pairs + (place - 1) * _PAIR_BYTES, _PAIR_BYTES)
        place -= 1
    own = pairs + place * _PAIR_BYTES
    store_f64(own, _BOUND, bound)
    store(own, _PAIR_COLLATERAL, load(trial, _AT_COLLATERAL))
    store(own, _PAIR_DEBT, load(trial, _AT_DEBT))


@hot("int64(int64, int64)")
def _ask_payable(scene: int, trial: int) -> int:
    """Ask for the most that is lawful, or half by half for as much as can be paid out; return the verdict."""
    verdict, step = call(load(scene, _ASK), scene, trial), 1
    most = load256(trial + _TERM_MOST)
    while verdict == NO_CASH and step < HALVINGS:
        store256(trial + _ASKED, most >> step)
        verdict = call(load(scene, _ASK), scene, trial)
        step += 1
    return verdict


@hot("int64(int64, int64, int64)")
def _weigh(scene: int, trial: int, count: int) -> int:
    """Look at the pair of an OFFER; keep it and return DEAL, or return the fault that speaks against it."""
    sold, bought = load(trial, _SOLD), load(trial, _BOUGHT)
    verdict, worth = _ask_payable(scene, trial), worth_of(scene, bought)
    if verdict != LAWFUL:
        return verdict
    if not worth > 0.0:
        return NO_VALUE
    if load(book_at(scene, load(trial, _BOOK)), _CALLS_BACK) == 0 and most_lent(scene, bought) == _ZERO:
        return NO_LOAN
    most = _most_brought(scene, sold, bought, load256(trial + _GIVEN))
    if not most > 0.0:
        return NO_SALE
    gain = (most - to_f64(load256(trial + _PAID))) * worth
    if load256(trial + _ASKED) != _MOST:
        gain *= 2.0  # up to twice as much may be payable, for no better price
    # What goes with others shares the plan's gas with them.
    if not gain > gas_cost(scene, gas_used(scene, 1, -load(scene, _PLAN_GAS))):
        return NO_PROFIT
    _keep(scene, count, trial, gain - gas_cost(scene, gas_used(scene, 1, 0)))
    return DEAL


@hot("int64(int64, int64)")
def _pairs(scene: int, offer: int) -> int:
    """Keep the pairs that may gain, and return how many; without any a fault is written.

    It is that of the first pair that is lawful, or else that of the first.
    """
    trial = load(scene, _TRIAL)
    position, book = load(offer, _POSITION), book_at(scene, load(offer, _BOOK))
    count, is_lawful = 0, False
    store(offer, _FAULT, NOTHING)
    for debt in range(count_of(position)):
        owed = balance_at(position, debt)
        if load128(owed + DEBT) == _NO_AMOUNT or token_of(book, reserve_of(owed), 1) == NO_SIDE:
            continue
        for collateral in range(count_of(position)):
            held = balance_at(position, collateral)
            if load128(held + COLLATERAL) == _NO_AMOUNT or token_of(book, reserve_of(held), 0) == NO_SIDE:
                continue
            _choose(scene, trial, collateral, debt)
            fault = _weigh(scene, trial, count)
            if fault == DEAL:
                count = min(count + 1, load(scene, _MAX_PAIRS))
            if load(offer, _FAULT) == NOTHING or (fault >= NO_SALE and not is_lawful):
                _fail(offer, trial, fault)
                is_lawful = fault >= NO_SALE
    return count


@hot("void(int64, int64, int64)", inline=True)
def _fail(offer: int, trial: int, fault: int) -> None:
    """Write why a pair gives nothing."""
    store(offer, _FAULT, fault)
    store(offer, _COLLATERAL, load(trial, _COLLATERAL))
    store(offer, _DEBT, load(trial, _DEBT))


@hot("float64(int64, int64)")
def _attempt(scene: int, offer: int) -> float:
    """Return the net of what the trial asks, minus infinity without a deal; the best is kept in `offer`."""
    trial = load(scene, _TRIAL)
    verdict = call(load(scene, _ASK), scene, trial)
    if verdict != LAWFUL:
        if load(offer, _FAULT) == NO_LOAN:  # less would be lent, but the protocol does not take less
            _fail(offer, trial, verdict)
        return _NEVER
    fault = call(load(scene, _PRICE_OFFER), scene, trial)
    if fault != DEAL:
        if load(offer, _FAULT) != DEAL:
            _fail(offer, trial, fault)
        return _NEVER
    net = load_f64(trial, _NET)
    if load(offer, _FAULT) != DEAL or net > load_f64(offer, _NET):
        copy_bytes(offer, trial, _OFFER_BYTES)
        store(offer, _FAULT, DEAL)
    return net


@hot("void(int64, int64, int64, int64)")
def _size(scene: int, offer: int, collateral: int, debt: int) -> None:
    """Try the amounts of one pair: up to the most that is lawful, and that somebody lends."""
    trial, sizing = load(scene, _TRIAL), load(scene, _SIZING)
    _choose(scene, trial, collateral, debt)
    verdict = call(load(scene, _ASK), scene, trial)
    most = load256(trial + (_PAID if verdict == LAWFUL else _TERM_MOST))
    store(trial, _IS_MOST, 1)
    if load(book_at(scene, load(offer, _BOOK)), _CALLS_BACK) == 0:
        lent = most_lent(scene, load(trial, _BOUGHT))
        if lent < most:
            most = lent
            store256(trial + _ASKED, lent)
            store(trial, _IS_MOST, 0)
    start(sizing, most)
    while next_amount(sizing) != _ZERO:
        learn(sizing, _attempt(scene, offer))
        store256(trial + _ASKED, next_amount(sizing))
        store(trial, _IS_MOST, 0)


@hot("void(int64, int64)")
def _decide(scene: int, offer: int) -> None:
    """Write the best deal of a position, or why there is none."""
    copy_bytes(load(scene, _TRIAL), offer, _OFFER_BYTES)
    for k in range(_pairs(scene, offer)):
        pair = load(scene, _PAIRS) + k * _PAIR_BYTES
        if k == 0:
            store(offer, _FAULT, NO_PROFIT)
        elif load(offer, _FAULT) == DEAL and not load_f64(pair, _BOUND) > load_f64(offer, _NET):
            return
        _size(scene, offer, load(pair, _PAIR_COLLATERAL), load(pair, _PAIR_DEBT))


@hot("void(int64, int64, int64)")
def search(scene: int, offers: int, count: int) -> None:
    """Decide the `count` OFFERs at `offers`, which name a position and its book each."""
    store(scene, _ROUND, load(scene, _ROUND) + 1)
    for k in range(count):
        offer = offers + k * _OFFER_BYTES
        store(offer, _HEAD, k)
        store(offer, _NEXT, NOBODY)
        store(offer, _COUNT, 1)
        _decide(scene, offer)
    gather(scene, offers, count)
