"""`detect`, compiled and fused with the quotes of every enabled protocol: one crossing per block."""

from __future__ import annotations

from typing import Final

from trips import LEAST, RUNGS

from tallyio.market import abi
from tallyio.market.abi import DETECT_SIGNATURE, word
from tallyio.market.fused import gas, quote
from tallyio.native.atomics import load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const, load256, store256, to_f64

_POOLS: Final = word(abi.MARKET, "pools")
_WORTH: Final = word(abi.MARKET, "native_per_unit")
_GAS_PRICE: Final = word(abi.MARKET, "gas_price_wei")
_POOL_BYTES: Final = abi.POOL.itemsize
_LEGS: Final = word(abi.FOUND, "leg_count")
_TOKEN: Final = word(abi.FOUND, "token")
_GAS: Final = word(abi.FOUND, "gas")
_NET: Final = word(abi.FOUND, "net")
_POOL: Final = word(abi.FOUND, "pool")
_IN: Final = word(abi.FOUND, "token_in")
_OUT: Final = word(abi.FOUND, "token_out")
_AMOUNTS: Final = 8 * word(abi.FOUND, "amounts")
_AMOUNT_BYTES: Final = 32
_HEAD: Final = 2
_TRIP: Final = 4
_BASE: Final = 1
_ZERO: Final = const(0)
_TWO: Final = const(2)
_LEAST: Final = const(LEAST)


@hot(DETECT_SIGNATURE)
def detect(market: int, index: int, found: int, capacity: int) -> int:
    """Write the trip that gains most to `found`, and return 1; 0 where none gains."""
    pools, best = load(market, _POOLS), _ZERO
    for number in range(load(index, 0)):
        trip = _HEAD + _TRIP * number
        first, second = load(index, trip), load(index, trip + 2)
        i, j = load(index, trip + 1), load(index, trip + 3)
        there, back = pools + first * _POOL_BYTES, pools + second * _POOL_BYTES
        amount = _LEAST
        for _ in range(RUNGS):
            middle = quote(there, i, 1 - i, amount)
            out = quote(back, 1 - j, j, middle)
            if capacity > 0 and out > amount and out - amount > best:
                best = out - amount
                _write_leg(found, 0, first, i, amount)
                _write_leg(found, 1, second, 1 - j, middle)
                store256(found + _AMOUNTS + 2 * _AMOUNT_BYTES, out)
                store(found, _GAS, gas(there, i, 1 - i, amount) + gas(back, 1 - j, j, middle))
            amount = amount * _TWO
    if best == _ZERO:
        return 0
    base = load(index, _BASE)
    gain = to_f64(best) * load_f64(load(market, _WORTH), base)
    store(found, _LEGS, 2)
    store(found, _TOKEN, base)
    store_f64(found, _NET, gain - load_f64(market, _GAS_PRICE) * load(found, _GAS))
    return 1


@hot("void(int64, int64, int64, int64, u256)")
def _write_leg(found: int, leg: int, pool: int, token_in: int, amount: int) -> None:
    store(found, _POOL + leg, pool)
    store(found, _IN + leg, token_in)
    store(found, _OUT + leg, 1 - token_in)
    store256(found + _AMOUNTS + leg * _AMOUNT_BYTES, amount)


@hot("u256(int64, int64)")
def amount_of(found: int, k: int) -> int:
    """Return amount `k` of a record."""
    return load256(found + _AMOUNTS + k * _AMOUNT_BYTES)
