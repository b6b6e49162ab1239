"""Which deals go together in one transaction, in compiled code.

Deals that repay the same token and seize the same one share a loan, a sale, and the plan's gas. The best
opens; each other in its turn joins if the transaction gains by it: by more than it would gain alone, where
its own sale shares no pool with that of the transaction and it could be made beside it.

Of one book only such go together as do not touch each other's terms: the protocol says that none do, or they
have no reserve in common.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.market.abi import word
from tallyio.market.pairing_layout import PATH_BYTES
from tallyio.market.route_layout import PATH
from tallyio.native.atomics import copy_bytes, load, load_f64, store
from tallyio.native.jit import hot
from tallyio.native.pointers import call
from tallyio.native.u256 import load256, store256
from tallyio_strategy_liquidation.facts import book_at
from tallyio_strategy_liquidation.layout import BOOK, DEAL, NOBODY, OFFER, SCENE

_PRICE_OFFER: Final = word(SCENE, "price")
_TRIAL: Final = word(SCENE, "trial")
_ORDER: Final = word(SCENE, "order")
_HEADS: Final = word(SCENE, "heads")
_MAX_BATCH: Final = word(SCENE, "max_batch")
_MAX_GAS: Final = word(SCENE, "max_gas")

_IS_INDEPENDENT: Final = word(BOOK, "is_independent")

_OFFER_BYTES: Final = OFFER.itemsize
_BOOK: Final = word(OFFER, "book")
_FAULT: Final = word(OFFER, "fault")
_COLLATERAL: Final = word(OFFER, "collateral")
_DEBT: Final = word(OFFER, "debt")
_SOLD: Final = word(OFFER, "sold")
_BOUGHT: Final = word(OFFER, "bought")
_GAS: Final = word(OFFER, "gas")
_NET: Final = word(OFFER, "net")
_NEXT: Final = word(OFFER, "next")
_HEAD: Final = word(OFFER, "head")
_COUNT: Final = word(OFFER, "count")

_PAID: Final = 8 * word(OFFER, "paid")
_GIVEN: Final = 8 * word(OFFER, "given")
_SALE: Final = 8 * word(OFFER, "sale")
_HOPS: Final = word(PATH, "hops")
_POOLS: Final = word(PATH, "pools")
_PATHS: Final = 2


@hot("boolean(int64, int64)")
def _share_a_pool(sale: int, other: int) -> bool:
    for a in range(_PATHS * _PATHS):
        one, two = sale + (a & 1) * PATH_BYTES, other + (a >> 1) * PATH_BYTES
        for k in range(load(one, _HOPS)):
            for n in range(load(two, _HOPS)):
                if load(one, _POOLS + k) == load(two, _POOLS + n):
                    return True
    return False


@hot("boolean(int64, int64)", inline=True)
def _share_a_reserve(one: int, other: int) -> bool:
    a, b, c, d = load(one, _COLLATERAL), load(one, _DEBT), load(other, _COLLATERAL), load(other, _DEBT)
    return bool((a == c) | (a == d) | (b == c) | (b == d))


@hot("boolean(int64, int64, int64, int64)")
def _disturbs(scene: int, offers: int, head: int, offer: int) -> bool:
    """Return whether the terms of some deal with `head` may change by `offer`, or the other way round."""
    book, number = load(offer, _BOOK), head
    if load(book_at(scene, book), _IS_INDEPENDENT) != 0:
        return False
    while number != NOBODY:
        other = offers + number * _OFFER_BYTES
        if load(other, _BOOK) == book and _share_a_reserve(other, offer):
            return True
        number = load(other, _NEXT)
    return False


@hot("boolean(int64, int64, int64, int64)")
def _join(scene: int, offers: int, head: int, number: int) -> bool:
    """Let a deal go with the one that heads a transaction, if that pays; return whether it does."""
    first, offer, trial = offers + head * _OFFER_BYTES, offers + number * _OFFER_BYTES, load(scene, _TRIAL)
    if load(first, _COUNT) >= load(scene, _MAX_BATCH) or _disturbs(scene, offers, head, offer):
        return False
    copy_bytes(trial, first, _OFFER_BYTES)
    # Amounts are of tokens that exist: their sum is far below 2**256.
    store256(trial + _PAID, load256(first + _PAID) + load256(offer + _PAID))
    store256(trial + _GIVEN, load256(first + _GIVEN) + load256(offer + _GIVEN))
    store(trial, _COUNT, load(first, _COUNT) + 1)
    if call(load(scene, _PRICE_OFFER), scene, trial) != DEAL:
        return False
    net, apart = load_f64(trial, _NET), load_f64(first, _NET)
    if not _share_a_pool(first + _SALE, offer + _SALE):
        apart += max(load_f64(offer, _NET), 0.0)
    if not net > apart or load(trial, _GAS) > load(scene, _MAX_GAS):
        return False
    copy_bytes(first, trial, _OFFER_BYTES)
    store(offer, _HEAD, head)
    store(offer, _NEXT, load(first, _NEXT))
    store(first, _NEXT, number)
    return True


@hot("int64(int64, int64, int64)")
def _sorted(scene: int, offers: int, count: int) -> int:
    """Order the deals by falling net, and return how many there are."""
    order, deals = load(scene, _ORDER), 0
    for number in range(count):
        offer = offers + number * _OFFER_BYTES
        if load(offer, _FAULT) != DEAL:
            continue
        net, place = load_f64(offer, _NET), deals
        while place > 0 and net > load_f64(offers + load(order, place - 1) * _OFFER_BYTES, _NET):
            store(order, place, load(order, place - 1))
            place -= 1
        store(order, place, number)
        deals += 1
    return deals


@hot("int64(int64, int64, int64, int64)")
def _head_of(scene: int, offers: int, offer: int, known: int) -> int:
    """Return the place among the `known` heads of the one of the same two tokens; `known`: there is none."""
    for place in range(known):
        first = offers + load(load(scene, _HEADS), place) * _OFFER_BYTES
        if load(first, _SOLD) == load(offer, _SOLD) and load(first, _BOUGHT) == load(offer, _BOUGHT):
            return place
    return known


@hot("void(int64, int64, int64)")
def gather(scene: int, offers: int, count: int) -> None:
    """Put deals together that gain by it."""
    deals, heads, order, known = _sorted(scene, offers, count), load(scene, _HEADS), load(scene, _ORDER), 0
    for k in range(deals):
        number = load(order, k)
        place = _head_of(scene, offers, offers + number * _OFFER_BYTES, known)
        if place == known:
            known += 1
            store(heads, place, number)
        elif not _join(scene, offers, load(heads, place), number):
            is_full = load(offers + load(heads, place) * _OFFER_BYTES, _COUNT) >= load(scene, _MAX_BATCH)
            # Who finds it full heads the next.
            store(heads, place, number if is_full else load(heads, place))
