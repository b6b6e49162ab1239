"""The best path from one token to another for an amount, over up to four hops.

Layer: market. Compiled, and built on `tallyio.market.fused`: import it through `Fused.load`.

A search meets in the middle. From the token sold, one hop and two hops are followed forwards, keeping for
each token the most that arrives; for two hops also the most that arrives through another token in
between. The token bought is looked at backwards: whatever sells it is reached by a third hop from what
two hops reached. So of the four hops only the two outer ones and their neighbours are looked at, and
yet no path is left out but those that visit a token twice: the second-best way to a token is there
for the third hop that would go back to where the best one came from.

Keeping only the most is right because every pool pays more for more. Amounts are floats until
`FINALISTS` paths are left; these are walked with exact quotes, and the best exact amount wins. Two paths
whose outputs differ by less than 1e-8 of them may be confused before that, if more than that
many are so close.

A pool of more than two tokens is not used twice in a row, nor by any finalist twice: it would have to
see its own state after the first time.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import word
from tallyio.market.edges import amount_after
from tallyio.market.fused import gas, quote
from tallyio.market.route_layout import EDGE, FINALIST, FINALISTS, NODE, PATH, ROUTER
from tallyio.native.atomics import load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const, store256

_OUT_AT: Final = word(ROUTER, "out_at")
_IN_AT: Final = word(ROUTER, "in_at")
_IN_EDGES: Final = word(ROUTER, "in_edges")
_IN_FROM: Final = word(ROUTER, "in_from")
_EDGES: Final = word(ROUTER, "edges")
_NODES: Final = word(ROUTER, "nodes")
_REACHED: Final = word(ROUTER, "reached")
_FINALISTS: Final = word(ROUTER, "finalists")
_BANNED: Final = word(ROUTER, "banned")
_BANS: Final = word(ROUTER, "bans")
_ROUND: Final = word(ROUTER, "round")

_EDGE_BYTES: Final = EDGE.itemsize
_TO: Final = word(EDGE, "to")
_POOL: Final = word(EDGE, "pool")
_RECORD: Final = word(EDGE, "record")
_I: Final = word(EDGE, "i")
_J: Final = word(EDGE, "j")

_NODE_BYTES: Final = NODE.itemsize
_ONE: Final = word(NODE, "one")
_ONE_EDGE: Final = word(NODE, "one_edge")
_TWO: Final = word(NODE, "two")
_TWO_EDGE: Final = word(NODE, "two_edge")
_TWO_BEFORE: Final = word(NODE, "two_before")
_OTHER: Final = word(NODE, "other")
_OTHER_EDGE: Final = word(NODE, "other_edge")
_OTHER_BEFORE: Final = word(NODE, "other_before")
_THREE: Final = word(NODE, "three")
_THREE_EDGE: Final = word(NODE, "three_edge")
_THREE_BEFORE: Final = word(NODE, "three_before")
_THREE_OTHER: Final = word(NODE, "three_other")
_ROUND_ONE: Final = word(NODE, "round_one")
_ROUND_TWO: Final = word(NODE, "round_two")
_ROUND_THREE: Final = word(NODE, "round_three")

_FINALIST_BYTES: Final = FINALIST.itemsize
_AMOUNT: Final = word(FINALIST, "amount")
_HOPS: Final = word(FINALIST, "hops")
_PATH_EDGES: Final = word(FINALIST, "edges")

_PATH_HOPS: Final = word(PATH, "hops")
_PATH_POOLS: Final = word(PATH, "pools")
_PATH_I: Final = word(PATH, "i")
_PATH_J: Final = word(PATH, "j")
_PATH_GAS: Final = word(PATH, "gas")
_PATH_AMOUNTS: Final = 8 * word(PATH, "amounts")
_WIDE: Final = 32
_NOTHING: Final = const(0)
_NOWHERE: Final = -1
_THREE_HOPS: Final = 3
_FOUR_HOPS: Final = 4


@hot("int64(int64, int64)", inline=True)
def _node(router: int, token: int) -> int:
    return load(router, _NODES) + token * _NODE_BYTES


@hot("boolean(int64, int64)", inline=True)
def _may_use(router: int, edge: int) -> bool:
    if load(router, _BANS) == 0:
        return True
    return load(load(router, _BANNED), load(edge, _POOL)) != load(router, _ROUND)


@hot("int64(int64, int64, int64, float64)")
def _first_hop(router: int, sold: int, bought: int, amount: float) -> int:
    """Follow the edges of `sold`; list the tokens reached, and return how many."""
    present, reached, count = load(router, _ROUND), load(router, _REACHED), 0
    at, edge = load(router, _OUT_AT), 0
    for k in range(load(at, sold), load(at, sold + 1)):
        edge = load(router, _EDGES) + k * _EDGE_BYTES
        if not _may_use(router, edge):
            continue
        out = amount_after(edge, amount)
        token = load(edge, _TO)
        if token == bought:
            _enter(router, out, edge, 0, 0, 0)
            continue
        node = _node(router, token)
        if load(node, _ROUND_ONE) != present:
            store(node, _ROUND_ONE, present)
            store_f64(node, _ONE, 0.0)
            store(reached, count, token)
            count += 1
        if out > load_f64(node, _ONE):
            store_f64(node, _ONE, out)
            store(node, _ONE_EDGE, edge)
    return count


@hot("void(int64, int64, int64, int64)")
def _second_hop(router: int, sold: int, bought: int, middle: int) -> None:
    """Follow the edges of a token that one hop reached."""
    present, node = load(router, _ROUND), _node(router, middle)
    amount, first = load_f64(node, _ONE), load(node, _ONE_EDGE)
    if not amount > 0.0:
        return
    at, used = load(router, _OUT_AT), load(first, _POOL)
    for k in range(load(at, middle), load(at, middle + 1)):
        edge = load(router, _EDGES) + k * _EDGE_BYTES
        token = load(edge, _TO)
        if token == sold or load(edge, _POOL) == used or not _may_use(router, edge):
            continue
        out = amount_after(edge, amount)
        if token == bought:
            _enter(router, out, first, edge, 0, 0)
        else:
            _keep_two(_node(router, token), present, out, edge, middle)


@hot("void(int64, int64, float64, int64, int64)", inline=True)
def _keep_two(node: int, present: int, out: float, edge: int, middle: int) -> None:
    """Keep the most that two hops bring, and the most with another token between."""
    if load(node, _ROUND_TWO) != present:
        store(node, _ROUND_TWO, present)
        store_f64(node, _TWO, 0.0)
        store_f64(node, _OTHER, 0.0)
        store(node, _TWO_BEFORE, _NOWHERE)
    if load(node, _TWO_BEFORE) == middle:
        if out > load_f64(node, _TWO):
            store_f64(node, _TWO, out)
            store(node, _TWO_EDGE, edge)
    elif out > load_f64(node, _TWO):
        # One token is followed at a time, so what was the most came through another one.
        store_f64(node, _OTHER, load_f64(node, _TWO))
        store(node, _OTHER_EDGE, load(node, _TWO_EDGE))
        store(node, _OTHER_BEFORE, load(node, _TWO_BEFORE))
        store_f64(node, _TWO, out)
        store(node, _TWO_EDGE, edge)
        store(node, _TWO_BEFORE, middle)
    elif out > load_f64(node, _OTHER):
        store_f64(node, _OTHER, out)
        store(node, _OTHER_EDGE, edge)
        store(node, _OTHER_BEFORE, middle)


@hot("float64(int64, int64, int64, int64)")
def _third_hop(router: int, sold: int, bought: int, last: int) -> float:
    """Return the most that three hops bring of `last`, the token before the one bought."""
    present, node = load(router, _ROUND), _node(router, last)
    if load(node, _ROUND_THREE) == present:
        return load_f64(node, _THREE)
    store(node, _ROUND_THREE, present)
    best, at, edges = 0.0, load(router, _IN_AT), load(router, _IN_EDGES)
    for k in range(load(at, last), load(at, last + 1)):
        token = load(load(router, _IN_FROM), k)
        between = _node(router, token)
        is_end = (token == sold) | (token == bought)  # `in` would build a tuple
        if is_end or load(between, _ROUND_TWO) != present:
            continue
        other = int(load(between, _TWO_BEFORE) == last)
        amount = load_f64(between, _OTHER if other else _TWO)
        edge = load(edges, k)
        second = load(between, _OTHER_EDGE if other else _TWO_EDGE)
        if not amount > 0.0 or load(edge, _POOL) == load(second, _POOL) or not _may_use(router, edge):
            continue
        out = amount_after(edge, amount)
        if out > best:
            best = out
            store(node, _THREE_EDGE, edge)
            store(node, _THREE_BEFORE, token)
            store(node, _THREE_OTHER, other)
    store_f64(node, _THREE, best)
    return best


@hot("void(int64, int64, int64, int64)")
def _last_hop(router: int, sold: int, bought: int, max_hops: int) -> None:
    """Look at everything that sells the token bought, after two and after three hops."""
    present, at, edges = load(router, _ROUND), load(router, _IN_AT), load(router, _IN_EDGES)
    for k in range(load(at, bought), load(at, bought + 1)):
        edge, last = load(edges, k), load(load(router, _IN_FROM), k)
        if last == sold or not _may_use(router, edge):
            continue
        node = _node(router, last)
        if load(node, _ROUND_TWO) == present and load_f64(node, _TWO) > 0.0:
            second, middle = load(node, _TWO_EDGE), load(node, _TWO_BEFORE)
            out = amount_after(edge, load_f64(node, _TWO))
            _enter(router, out, load(_node(router, middle), _ONE_EDGE), second, edge, 0)
        if max_hops < _FOUR_HOPS:
            continue
        amount = _third_hop(router, sold, bought, last)
        if amount > 0.0:
            between = _node(router, load(node, _THREE_BEFORE))
            other = load(node, _THREE_OTHER)
            second = load(between, _OTHER_EDGE if other else _TWO_EDGE)
            middle = load(between, _OTHER_BEFORE if other else _TWO_BEFORE)
            first = load(_node(router, middle), _ONE_EDGE)
            _enter(router, amount_after(edge, amount), first, second, load(node, _THREE_EDGE), edge)


@hot("void(int64, float64, int64, int64, int64, int64)")
def _enter(router: int, out: float, first: int, second: int, third: int, fourth: int) -> None:
    """Put a path among the finalists if it is better than the worst of them; they stay sorted."""
    place = FINALISTS - 1
    base = load(router, _FINALISTS)
    if not out > load_f64(base + place * _FINALIST_BYTES, _AMOUNT):
        return
    while place > 0 and out > load_f64(base + (place - 1) * _FINALIST_BYTES, _AMOUNT):
        above, below = base + (place - 1) * _FINALIST_BYTES, base + place * _FINALIST_BYTES
        for k in range(_PATH_EDGES + _FOUR_HOPS):
            store(below, k, load(above, k))
        place -= 1
    own = base + place * _FINALIST_BYTES
    store_f64(own, _AMOUNT, out)
    store(own, _HOPS, 1 + int(second != 0) + int(third != 0) + int(fourth != 0))
    store(own, _PATH_EDGES, first)
    store(own, _PATH_EDGES + 1, second)
    store(own, _PATH_EDGES + 2, third)
    store(own, _PATH_EDGES + 3, fourth)


@hot("boolean(int64)", inline=True)
def _uses_a_pool_twice(finalist: int) -> bool:
    hops = load(finalist, _HOPS)
    for k in range(hops):
        for other in range(k):
            one, two = load(finalist, _PATH_EDGES + k), load(finalist, _PATH_EDGES + other)
            if load(one, _POOL) == load(two, _POOL):
                return True
    return False


@hot("u256(int64, u256)")
def _walk(finalist: int, amount: int) -> int:
    for k in range(load(finalist, _HOPS)):
        edge = load(finalist, _PATH_EDGES + k)
        amount = quote(load(edge, _RECORD), load(edge, _I), load(edge, _J), amount)
        if amount == _NOTHING:
            return amount
    return amount


@hot("void(int64, u256, int64)")
def _write(finalist: int, amount: int, path: int) -> None:
    hops, spent = load(finalist, _HOPS), 0
    store(path, _PATH_HOPS, hops)
    store256(path + _PATH_AMOUNTS, amount)
    for k in range(hops):
        edge = load(finalist, _PATH_EDGES + k)
        record, i, j = load(edge, _RECORD), load(edge, _I), load(edge, _J)
        spent += gas(record, i, j, amount)
        amount = quote(record, i, j, amount)
        store(path, _PATH_POOLS + k, load(edge, _POOL))
        store(path, _PATH_I + k, i)
        store(path, _PATH_J + k, j)
        store256(path + _PATH_AMOUNTS + (k + 1) * _WIDE, amount)
    store(path, _PATH_GAS, spent)


@hot("void(int64, int64, int64, float64, int64)")
def search(router: int, sold: int, bought: int, amount: float, max_hops: int) -> None:
    """Find the finalists from token id `sold` to `bought`. Bans of pools hold for this search only."""
    for k in range(FINALISTS):
        store_f64(load(router, _FINALISTS) + k * _FINALIST_BYTES, _AMOUNT, 0.0)
    count = _first_hop(router, sold, bought, amount)
    if max_hops > 1:
        for k in range(count):
            _second_hop(router, sold, bought, load(load(router, _REACHED), k))
    if max_hops >= _THREE_HOPS:
        _last_hop(router, sold, bought, max_hops)
    store(router, _ROUND, load(router, _ROUND) + 1)
    store(router, _BANS, 0)


@hot("u256(int64, int64, int64, u256, float64, int64, int64)")
def best_path(  # noqa: PLR0913, PLR0917 - the facts of one search
    router: int, sold: int, bought: int, amount: int, amount_f64: float, max_hops: int, path: int
) -> int:
    """Write the path that brings most of `bought` for `amount` of `sold` to `path`; return what it brings.

    0, and nothing is written, where no path brings anything.
    """
    search(router, sold, bought, amount_f64, max_hops)
    best, winner = _NOTHING, 0
    for k in range(FINALISTS):
        finalist = load(router, _FINALISTS) + k * _FINALIST_BYTES
        if load_f64(finalist, _AMOUNT) > 0.0 and not _uses_a_pool_twice(finalist):
            out = _walk(finalist, amount)
            if out > best:
                best, winner = out, finalist
    if winner != 0:
        _write(winner, amount, path)
    return best


@hot("void(int64, int64)")
def ban(router: int, pool: int) -> None:
    """Leave a pool out of the next search."""
    store(load(router, _BANNED), pool, load(router, _ROUND))
    store(router, _BANS, 1)
