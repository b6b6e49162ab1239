"""Cycle enumeration against plain brute force."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tallyio_strategy_arbitrage.cycles import NO_LEG, Cycles, cycles_of_pools, find_cycles


class Shape(NamedTuple):
    """The pools of a market."""

    pool_tokens: tuple[tuple[int, ...], ...]
    pool_can_flash: tuple[bool, ...]


Leg = tuple[int, int, int]


def brute_force(shape: Shape, bases: tuple[int, ...], max_legs: int) -> set[tuple[Leg, ...]]:
    """Every cycle, as the rotation that starts at the base named first, found by trying all legs."""
    legs = [
        (pool, i, j)
        for pool, tokens in enumerate(shape.pool_tokens)
        for i, j in itertools.permutations(range(len(tokens)), 2)
    ]

    def sold(leg: Leg) -> int:
        return shape.pool_tokens[leg[0]][leg[1]]

    def closed(path: tuple[Leg, ...]) -> bool:
        bought = [shape.pool_tokens[pool][j] for pool, _, j in path]
        return all(sold(leg) == bought[k - 1] for k, leg in enumerate(path))

    def simple(path: tuple[Leg, ...]) -> bool:
        return len({leg[0] for leg in path}) == len({sold(leg) for leg in path}) == len(path)

    def walks(path: tuple[Leg, ...], count: int) -> Iterator[tuple[Leg, ...]]:
        """Yield every walk of `count` legs that goes on from `path`."""
        if len(path) == count:
            yield path
            return
        for leg in legs:
            if shape.pool_tokens[path[-1][0]][path[-1][2]] == sold(leg):
                yield from walks((*path, leg), count)

    best: dict[frozenset[Leg], tuple[Leg, ...]] = {}
    for base in reversed(bases):
        for first, count in itertools.product(legs, range(2, max_legs + 1)):
            if sold(first) == base and shape.pool_can_flash[first[0]]:
                for path in walks((first,), count):
                    if closed(path) and simple(path):
                        best[frozenset(path)] = path
    return set(best.values())


def paths(cycles: Cycles) -> list[tuple[Leg, ...]]:
    edges = cycles.edges
    return [
        tuple((int(edges.pool[e]), int(edges.i[e]), int(edges.j[e])) for e in row if e != NO_LEG)
        for row in cycles.legs
    ]


pools = st.lists(
    st.tuples(st.lists(st.integers(0, 4), min_size=2, max_size=3, unique=True).map(tuple), st.booleans()),
    min_size=1,
    max_size=6,
)


@given(pools, st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True), st.integers(2, 4))
def test_every_cycle_is_found_once_at_its_best_base(
    made: list[tuple[tuple[int, ...], bool]], bases: list[int], max_legs: int
) -> None:
    shape = Shape(tuple(tokens for tokens, _ in made), tuple(flash for _, flash in made))
    present = {token for tokens, _ in made for token in tokens}
    known = tuple(base for base in bases if base in present)
    found = paths(find_cycles(shape, known, max_legs))
    assert len(found) == len(set(found))
    assert set(found) == brute_force(shape, known, max_legs)


def test_a_cycle_starts_elsewhere_when_its_best_base_has_no_pool_that_can_flash() -> None:
    shape = Shape(((0, 1), (0, 1)), (False, True))
    assert paths(find_cycles(shape, (0, 1))) == [((1, 0, 1), (0, 1, 0)), ((1, 1, 0), (0, 0, 1))]


def test_pools_lead_to_their_cycles() -> None:
    shape = Shape(((0, 1), (0, 1), (1, 2), (2, 0)), (True,) * 4)
    cycles = find_cycles(shape, (0,))
    offsets, numbers = cycles_of_pools(cycles, 4)
    for pool in range(4):
        mine = set(numbers[offsets[pool] : offsets[pool + 1]].tolist())
        assert mine == {
            number for number, path in enumerate(paths(cycles)) if pool in {leg[0] for leg in path}
        }


def test_a_hundred_thousand_cycles_are_enumerated() -> None:
    random = np.random.default_rng(7)
    hubs = [tuple(map(int, random.choice(8, 2, replace=False))) for _ in range(400)]
    tails = [(int(random.integers(8)), 8 + int(random.integers(300))) for _ in range(800)]
    shape = Shape((*hubs, *tails), (True,) * 1200)
    cycles = find_cycles(shape, (0,))
    assert len(cycles.legs) > 100_000
    assert len(np.unique(cycles.legs, axis=0)) == len(cycles.legs)
