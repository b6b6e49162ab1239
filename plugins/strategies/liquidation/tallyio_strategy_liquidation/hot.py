"""The search in compiled code: the best deal of every position at risk, and which go together.

For each position every pair of a debt and a collateral is asked for the most that is lawful, and for what it
cannot bring more than. In the order of these bounds the pairs are sized, until no other can be better. Mostly
profit still rises at the most that is lawful: two evaluations say so. Otherwise the highest point is
bracketed by halving and closed in on; each evaluation is exact, and the best of them wins.

What is seized for a unit of debt is the same for every amount, but for rounding and for what the protocol
clips. So the bound of a pair's most is one for its smaller amounts as well.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.lending.abi import COLLATERAL, DEBT, LAWFUL, balance_at, count_of, reserve_of
from tallyio.lending.fused import liquidate
from tallyio.market.abi import word
from tallyio.native.atomics import copy_bytes, load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load128, load256, store256, to_f64
from tallyio_strategy_liquidation.batching import gather
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
    SCENE,
)
from tallyio_strategy_liquidation.pricing import (
    GIVEN,
    PAID,
    book_at,
    gas_cost,
    most_brought,
    most_lent,
    price_offer,
    worth_of,
)

_TIME: Final = word(SCENE, "time")
_NUMBER: Final = word(SCENE, "number")
_PAIRS: Final = word(SCENE, "pairs")
_MAX_PAIRS: Final = word(SCENE, "max_pairs")
_TRIAL: Final = word(SCENE, "trial")
_SCENE_TERMS: Final = word(SCENE, "terms")
_PLAN_GAS: Final = word(SCENE, "plan_gas")
_GAS_PRICE: Final = word(SCENE, "gas_price")
_ROUND: Final = word(SCENE, "round")

_PAIR_BYTES: Final = PAIR.itemsize
_BOUND: Final = word(PAIR, "bound")
_PAIR_COLLATERAL: Final = word(PAIR, "collateral")
_PAIR_DEBT: Final = word(PAIR, "debt")

_ROWS: Final = word(BOOK, "book")
_TOKENS: Final = word(BOOK, "tokens")
_CALLS_BACK: Final = word(BOOK, "calls_back")

OFFER_BYTES: Final = OFFER.itemsize
_POSITION: Final = word(OFFER, "position")
_BOOK: Final = word(OFFER, "book")
_FAULT: Final = word(OFFER, "fault")
_COLLATERAL: Final = word(OFFER, "collateral")
_DEBT: Final = word(OFFER, "debt")
_SOLD: Final = word(OFFER, "sold")
_BOUGHT: Final = word(OFFER, "bought")
_IS_MOST: Final = word(OFFER, "is_most")
_NET: Final = word(OFFER, "net")
_NEXT: Final = word(OFFER, "next")
_HEAD: Final = word(OFFER, "head")
_COUNT: Final = word(OFFER, "count")
_TERMS: Final = 8 * word(OFFER, "terms")
_TERMS_BYTES: Final = 160
_SEIZE: Final = 32

_ZERO: Final = const(0)
_ONE: Final = const(1)
_TWO: Final = const(2)
_THREE: Final = const(3)
_FIVE: Final = const(5)
_MOST: Final = const((1 << 256) - 1)
_NEVER: Final = float("-inf")
_HALVINGS: Final = 12
_STEPS: Final = 16
_NEAR: Final = const(16)
_NUDGE: Final = 6
_NO_AMOUNT: Final = const(0, 128)


@hot("int64(int64, int64, int64)", inline=True)
def _token(book: int, reserve: int, side: int) -> int:
    return load(load(book, _TOKENS), 2 * reserve + side)


@hot("void(int64, int64, int64, int64, float64, int64)")
def _keep(scene: int, count: int, collateral: int, debt: int, bound: float, room: int) -> None:
    """Put a pair in its place among the `count` best of which there is `room` for."""
    place = min(count, room - 1)
    pairs = load(scene, _PAIRS)
    if count == room and not bound > load_f64(pairs + place * _PAIR_BYTES, _BOUND):
        return
    while place > 0 and bound > load_f64(pairs + (place - 1) * _PAIR_BYTES, _BOUND):
        copy_bytes(pairs + place * _PAIR_BYTES, pairs + (place - 1) * _PAIR_BYTES, _PAIR_BYTES)
        place -= 1
    own = pairs + place * _PAIR_BYTES
    store_f64(own, _BOUND, bound)
    store(own, _PAIR_COLLATERAL, collateral)
    store(own, _PAIR_DEBT, debt)


@hot("int64(int64, int64, int64, int64, u256)", inline=True)
def _ask(scene: int, offer: int, collateral: int, debt: int, repay: int) -> int:
    """Write the terms of repaying `repay` to the scene's LIQUIDATION and return the verdict."""
    book = load(book_at(scene, load(offer, _BOOK)), _ROWS)
    time, number, terms = load(scene, _TIME), load(scene, _NUMBER), load(scene, _SCENE_TERMS)
    return liquidate(book, load(offer, _POSITION), collateral, debt, repay, time, number, terms)


@hot("int64(int64, int64, int64, int64, int64)")
def _weigh(scene: int, offer: int, collateral: int, debt: int, count: int) -> int:
    """Look at one pair; keep it and return DEAL, or return the fault that speaks against it."""
    verdict = _ask(scene, offer, collateral, debt, _MOST)
    if verdict != LAWFUL:
        return verdict
    position, book = load(offer, _POSITION), book_at(scene, load(offer, _BOOK))
    sold = _token(book, reserve_of(balance_at(position, collateral)), 0)
    bought = _token(book, reserve_of(balance_at(position, debt)), 1)
    terms, worth = load(scene, _SCENE_TERMS), worth_of(scene, bought)
    if not worth > 0.0:
        return NO_VALUE
    if load(book, _CALLS_BACK) == 0 and most_lent(scene, bought) == _ZERO:
        return NO_LOAN
    most = most_brought(scene, sold, bought, load256(terms + _SEIZE))
    if not most > 0.0:
        return NO_SALE
    bound = (most - to_f64(load256(terms))) * worth - gas_cost(scene, 0.0, 1)
    # What goes with others shares the plan's gas with them.
    if not bound + float(load(scene, _PLAN_GAS)) * load_f64(scene, _GAS_PRICE) > 0.0:
        return NO_PROFIT
    _keep(scene, count, collateral, debt, bound, load(scene, _MAX_PAIRS))
    return DEAL


@hot("int64(int64, int64)")
def _pairs(scene: int, offer: int) -> int:
    """Keep the pairs that may gain, and return how many; without any the fault of the first is written."""
    position, book = load(offer, _POSITION), book_at(scene, load(offer, _BOOK))
    count, room, lawful = 0, load(scene, _MAX_PAIRS), False
    store(offer, _FAULT, NOTHING)
    for d in range(count_of(position)):
        owed = balance_at(position, d)
        if load128(owed + DEBT) == _NO_AMOUNT or _token(book, reserve_of(owed), 1) == NO_SIDE:
            continue
        for c in range(count_of(position)):
            held = balance_at(position, c)
            if load128(held + COLLATERAL) == _NO_AMOUNT or _token(book, reserve_of(held), 0) == NO_SIDE:
                continue
            fault = _weigh(scene, offer, c, d, count)
            if fault == DEAL:
                count = min(count + 1, room)
            is_better = not lawful and fault >= NO_SALE
            if load(offer, _FAULT) == NOTHING or is_better:
                lawful = lawful or is_better
                store(offer, _FAULT, fault)
                store(offer, _COLLATERAL, reserve_of(held))
                store(offer, _DEBT, reserve_of(owed))
    return count


@hot("float64(int64, int64, int64, int64, u256, int64)")
def _attempt(scene: int, offer: int, collateral: int, debt: int, repay: int, is_most: int) -> float:
    """Return the net of repaying `repay`; the best so far is kept in the OFFER."""
    if repay == _ZERO or _ask(scene, offer, collateral, debt, repay) != LAWFUL:
        return _NEVER
    trial, terms = load(scene, _TRIAL), load(scene, _SCENE_TERMS)
    position, book = load(offer, _POSITION), book_at(scene, load(offer, _BOOK))
    store(trial, _COLLATERAL, reserve_of(balance_at(position, collateral)))
    store(trial, _DEBT, reserve_of(balance_at(position, debt)))
    store(trial, _SOLD, _token(book, load(trial, _COLLATERAL), 0))
    store(trial, _BOUGHT, _token(book, load(trial, _DEBT), 1))
    store(trial, _IS_MOST, is_most)
    copy_bytes(trial + _TERMS, terms, _TERMS_BYTES)
    store256(trial + PAID, load256(terms))
    store256(trial + GIVEN, load256(terms + _SEIZE))
    net = price_offer(scene, trial)
    if load(offer, _FAULT) != DEAL or net > load_f64(offer, _NET):
        if load(trial, _FAULT) != DEAL:
            store(offer, _FAULT, load(trial, _FAULT))
            store(offer, _COLLATERAL, load(trial, _COLLATERAL))
            store(offer, _DEBT, load(trial, _DEBT))
        else:
            copy_bytes(offer, trial, OFFER_BYTES)
    return net


@hot("void(int64, int64, int64, int64, u256)")
def _close_in(scene: int, offer: int, collateral: int, debt: int, most: int) -> None:
    """Find the highest point below `most`."""
    best, top, amount = most, _NEVER, most
    for _ in range(_HALVINGS):
        net = _attempt(scene, offer, collateral, debt, amount, 0)
        if net > top:
            best, top = amount, net
        amount = amount >> 1
    low, high = best >> 1, min(best * _TWO, most)
    for _ in range(_STEPS):
        if high - low < _NEAR:
            return
        left = low + divmod256((high - low) * _TWO, _FIVE)[0]
        right = low + divmod256((high - low) * _THREE, _FIVE)[0]
        one = _attempt(scene, offer, collateral, debt, left, 0)
        if one < _attempt(scene, offer, collateral, debt, right, 0):
            low = left
        else:
            high = right


@hot("void(int64, int64, int64, int64)")
def _size(scene: int, offer: int, collateral: int, debt: int) -> None:
    """Try the amounts of one pair."""
    _ask(scene, offer, collateral, debt, _MOST)
    most = load256(load(scene, _SCENE_TERMS))
    book = book_at(scene, load(offer, _BOOK))
    is_most, asked = 1, _MOST
    if load(book, _CALLS_BACK) == 0:
        reserve = reserve_of(balance_at(load(offer, _POSITION), debt))
        lent = most_lent(scene, _token(book, reserve, 1))
        if lent < most:
            most, is_most, asked = lent, 0, lent
    net = _attempt(scene, offer, collateral, debt, asked, is_most)
    less = most - max(most >> _NUDGE, _ONE)
    if net < _attempt(scene, offer, collateral, debt, less, 0):
        _close_in(scene, offer, collateral, debt, most)


@hot("void(int64, int64)")
def _decide(scene: int, offer: int) -> None:
    """Write the best deal of a position, or why there is none."""
    trial = load(scene, _TRIAL)
    count = _pairs(scene, offer)
    copy_bytes(trial, offer, OFFER_BYTES)
    for k in range(count):
        pair = load(scene, _PAIRS) + k * _PAIR_BYTES
        if load(offer, _FAULT) == DEAL and not load_f64(pair, _BOUND) > load_f64(offer, _NET):
            return
        if k == 0:
            store(offer, _FAULT, NO_PROFIT)
        _size(scene, offer, load(pair, _PAIR_COLLATERAL), load(pair, _PAIR_DEBT))


@hot("void(int64, int64, int64)")
def search(scene: int, offers: int, count: int) -> None:
    """Decide the `count` OFFERs at `offers`, which name a position and its book each."""
    store(scene, _ROUND, load(scene, _ROUND) + 1)
    for k in range(count):
        offer = offers + k * OFFER_BYTES
        store(offer, _HEAD, k)
        store(offer, _NEXT, NOBODY)
        store(offer, _COUNT, 1)
        _decide(scene, offer)
    gather(scene, offers, count)
