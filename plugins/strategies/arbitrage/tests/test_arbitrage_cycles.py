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
    """Every cycle, as the rotation that starts at the base named first, found by following all legs."""
    best: dict[frozenset[Leg], tuple[Leg, ...]] = {}
    for base in reversed(bases):
        for path in walks(shape, (), base, max_legs):
            pools, tokens = ({leg[0] for leg in path}, {shape.pool_tokens[leg[0]][leg[1]] for leg in path})
            simple = len(pools) == len(tokens) == len(path) > 1
            if simple and shape.pool_can_flash[path[0][0]] and end_of(shape, path) == base:
                best[frozenset(path)] = path
    return set(best.values())


def walks(shape: Shape, path: tuple[Leg, ...], at: int, most: int) -> Iterator[tuple[Leg, ...]]:
    """Yield every walk of at most `most` legs that goes on with `path` from token `at`."""
    yield path
    if len(path) == most:
        return
    for pool, tokens in enumerate(shape.pool_tokens):
        for i, j in itertools.permutations(range(len(tokens)), 2):
            if tokens[i] == at:
                yield from walks(shape, (*path, (pool, i, j)), tokens[j], most)


def end_of(shape: Shape, path: tuple[Leg, ...]) -> int:
    """Return the token that a walk ends with."""
    pool, _, j = path[-1]
    return shape.pool_tokens[pool][j]


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
    cycles = find_cycles(shape, (0,), max_legs=3)
    assert len(cycles.legs) > 100_000
    assert len(np.unique(cycles.legs, axis=0)) == len(cycles.legs)
