"""A sale over the best path, or divided over two that share no pool, whichever leaves more after gas.

Layer: market. Compiled, and built on `tallyio.market.fused`: import it through `Fused.load`.

What a path brings never grows faster than in proportion (outputs are concave), so dividing an amount
cannot bring more than the whole of it would at the price of a small part. Where the price moves by less than
the gas of a second path is worth, none is looked for. Otherwise the second is the best without the pools of
the first, and the amount is divided where both pay as much for one unit more, in floats; the two shares are
then walked with exact quotes, and only if these leave more after gas is the sale divided.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.market.abi import POOL, word
from tallyio.market.fused import curve, gas, quote
from tallyio.market.pairing_layout import PATH_BYTES
from tallyio.market.route_layout import FINALIST, MAX_HOPS, PATH, ROUTER
from tallyio.market.routing import ban, best_path, search
from tallyio.native.atomics import load, load_f64, store
from tallyio.native.jit import hot
from tallyio.native.u256 import const, from_f64, load256, store256, to_f64

_HOPS: Final = word(PATH, "hops")
_POOLS: Final = word(PATH, "pools")
_I: Final = word(PATH, "i")
_J: Final = word(PATH, "j")
_GAS: Final = word(PATH, "gas")
_FINALISTS: Final = word(ROUTER, "finalists")
_AMOUNT: Final = word(FINALIST, "amount")
_AMOUNTS: Final = 8 * word(PATH, "amounts")
_WIDE: Final = 32
_POOL_BYTES: Final = POOL.itemsize
_NOTHING: Final = const(0)

LEAST_GAS: Final = 60_000
"""Less than any path costs, transfers and calls counted."""
_SMALL: Final = 1.0 / 64.0
_HALVINGS: Final = 48


@hot("int64(int64, int64, int64)", inline=True)
def _record(pools: int, path: int, hop: int) -> int:
    return pools + load(path, _POOLS + hop) * _POOL_BYTES


@hot("u256(int64)")
def brings(path: int) -> int:
    """Return what leaves the last hop of a PATH; 0 where it has none."""
    hops = load(path, _HOPS)
    return load256(path + _AMOUNTS + hops * _WIDE) if hops > 0 else _NOTHING


@hot("int64(int64)", inline=True)
def gas_of(path: int) -> int:
    """Return the gas of a PATH; 0 where it has no hops."""
    return load(path, _GAS) if load(path, _HOPS) > 0 else 0


@hot("u256(int64, int64, u256)")
def walk(pools: int, path: int, amount: int) -> int:
    """Give a PATH another amount, exactly, and return what it brings; `pools` is where POOL records are."""
    spent = 0
    store256(path + _AMOUNTS, amount)
    for k in range(load(path, _HOPS)):
        record, i, j = _record(pools, path, k), load(path, _I + k), load(path, _J + k)
        spent += gas(record, i, j, amount)
        amount = quote(record, i, j, amount)
        store256(path + _AMOUNTS + (k + 1) * _WIDE, amount)
    store(path, _GAS, spent)
    return amount


@hot("UniTuple(float64, 2)(int64, int64, float64)")
def _curve_of(pools: int, path: int, amount: float) -> tuple[float, float]:
    """Return output and slope of a whole path, in floats."""
    slope = 1.0
    for k in range(load(path, _HOPS)):
        amount, own = curve(_record(pools, path, k), load(path, _I + k), load(path, _J + k), amount)
        slope *= own
    return amount, slope


@hot("float64(int64, int64, int64, float64)")
def _share(pools: int, path: int, other: int, amount: float) -> float:
    """Return what of `amount` goes to `path` where both paths end with one slope."""
    low, high = 0.0, amount
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if _curve_of(pools, path, middle)[1] > _curve_of(pools, other, amount - middle)[1]:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@hot("void(int64, int64)")
def copy_path(source: int, target: int) -> None:
    """Copy a PATH."""
    for k in range(PATH_BYTES // 8):
        store(target, k, load(source, k))


@hot("float64(int64, int64, int64, float64)")
def price_of(router: int, sold: int, bought: int, amount: float) -> float:
    """Return what the best path brings for each unit of `amount`, in floats; 0: nothing sells it.

    A larger amount brings no more for each, over whatever paths it is divided into parts of at least this.
    """
    search(router, sold, bought, amount, MAX_HOPS)
    return load_f64(load(router, _FINALISTS), _AMOUNT) / amount


@hot("u256(int64, int64, int64, int64, u256, float64, int64)")
def best_sale(  # noqa: PLR0913, PLR0917 - the facts of one sale
    router: int, pools: int, sold: int, bought: int, amount: int, unit_gas: float, sale: int
) -> int:
    """Write one or two PATHs to `sale` and return what they bring together; 0: nothing brings anything.

    `unit_gas` is what one gas costs in smallest units of the token bought, 0 where that is not known.
    Behind the two PATHs `sale` has room for two more, to work with. An absent path has no hops.
    """
    first, second = sale, sale + PATH_BYTES
    part, rest = sale + 2 * PATH_BYTES, sale + 3 * PATH_BYTES
    store(second, _HOPS, 0)
    size, whole = to_f64(amount), _NOTHING
    # The best path, then the best without its pools; one call of the search, which is compiled in once.
    for target in range(first, rest + 1, rest - first):
        store(target, _HOPS, 0)
        found = best_path(router, sold, bought, amount, size, MAX_HOPS, target)
        if found == _NOTHING:
            return whole
        if target == first:
            whole = found
            most = price_of(router, sold, bought, size * _SMALL) * size
            if not most - to_f64(whole) > LEAST_GAS * unit_gas:
                return whole
            for k in range(load(first, _HOPS)):
                ban(router, load(first, _POOLS + k))
    copy_path(first, part)
    share = from_f64(_share(pools, part, rest, size))
    if share == _NOTHING or share >= amount:
        return whole
    one, other = walk(pools, part, share), walk(pools, rest, amount - share)
    more = load(part, _GAS) + load(rest, _GAS) - load(first, _GAS)
    gain = to_f64(one + other) - to_f64(whole)
    if min(one, other) == _NOTHING or not gain > float(more) * unit_gas:
        return whole
    copy_path(part, first)
    copy_path(rest, second)
    return one + other
