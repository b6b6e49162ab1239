"""Put slots on places so that what belongs together is close: a small quadratic assignment.

Layer: kernel. Knows no machine: `placement_cost` says what places and closeness are.

The problem is NP-hard, so this is a search: from several first places, greedily outwards from
the slot with the strongest ties, then moves and swaps as long as one of them lowers the cost; then
the best of them is disturbed, one slot at a time, and searched on from there. Every step is
deterministic, and the work is bounded. For each slot the cost of every place is kept up to date, so
that judging a move takes constant time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, islice, product

import msgspec
import numpy as np

FORBIDDEN = 1e9
"""The cost of a place that a slot must not have; far above any sum of others."""

_LEAST_GAIN = 1e-6
"""What floating-point noise cannot feign."""

_JUDGEMENTS = 25_000
"""Moves and swaps that may be judged, about, once growing from first places and once disturbing: small
problems are searched through, large ones, which are more regular, for some milliseconds."""
_STARTS = 8


class Link(msgspec.Struct, frozen=True):
    """What ties a slot to another one."""

    other: int
    pull: float
    """Cost per distance: they want to be close."""
    push: float
    """Cost of being in one domain: they want to be apart."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Places with room for several slots each; places within one domain are close."""

    room: Sequence[int]
    """How many slots each place holds; together at least as many as there are slots."""
    distance: Sequence[Sequence[float]]
    """Between two places, and between two slots in one place; symmetric, >= 0."""
    domain: Sequence[int]
    """The domain of each place."""
    own_cost: Sequence[Sequence[float]]
    """`own_cost[slot][place]`."""
    links: Sequence[Sequence[Link]]
    """The ties of each slot; both ends list them."""

    def cost(self, places: Sequence[int]) -> float:
        """Return the cost of an assignment, `places[slot]`."""
        own = sum(self.own_cost[slot][place] for slot, place in enumerate(places))
        ties = sum(
            self.between(link, place, places[link.other])
            for slot, place in enumerate(places)
            for link in self.links[slot]
            if link.other > slot
        )
        return own + ties

    def between(self, link: Link, place: int, other: int) -> float:
        """Return the cost of one tie whose ends are at `place` and `other`."""
        push = link.push if self.domain[place] == self.domain[other] else 0.0
        return link.pull * self.distance[place][other] + push


def solve(problem: Problem) -> list[int]:
    """Return the place of each slot; none for no slots."""
    if not problem.links:
        return []
    order = _order(problem)
    # A search judges every move and swap about three times before none is left that helps.
    rounds = _JUDGEMENTS // (3 * len(order) * (len(order) + len(problem.room)))
    starts = max(2, min(_STARTS, rounds))
    found = [_Search(problem, order, place) for place in _first_places(problem, order[0])[:starts]]
    best = min(found, key=lambda search: problem.cost(search.places))
    best.disturb(rounds)
    return best.places


def _first_places(problem: Problem, slot: int) -> list[int]:
    """Return places to start from, the cheapest first, and of different domains before others of one."""
    cheap = sorted(range(len(problem.room)), key=lambda place: problem.own_cost[slot][place])
    fresh = [*{problem.domain[place]: place for place in reversed(cheap)}.values()][::-1]
    return [*fresh, *(place for place in cheap if place not in fresh)]


def _order(problem: Problem) -> list[int]:
    """Return the slots outwards from the one with the strongest ties; choosy ones come first."""
    total = [sum(link.pull for link in links) for links in problem.links]
    choosy = [any(cost >= FORBIDDEN for cost in costs) for costs in problem.own_cost]
    tied = [0.0] * len(total)
    left = set(range(len(total)))
    order: list[int] = []
    while left:
        slot = max(left, key=lambda each: (choosy[each], tied[each], total[each], -each))
        left.remove(slot)
        order.append(slot)
        for link in problem.links[slot]:
            tied[link.other] += link.pull
    return order


class _Search:
    """One descent: where every slot is, and what every place would cost it."""

    def __init__(self, problem: Problem, order: Sequence[int], first: int) -> None:
        self._problem = problem
        self._order = order
        self._free = np.array(problem.room)
        self._place = np.full(len(problem.links), -1)
        self._ties = [_Ties(links) for links in problem.links]
        # What each place costs each slot, with all placed slots where they are.
        self._costs = np.array(problem.own_cost, dtype=np.float64)
        self._allowed = self._costs < FORBIDDEN
        self._distance = np.array(problem.distance, dtype=np.float64)
        self._inside = self._distance.diagonal()
        domain = np.array(problem.domain)
        self._together = domain[:, None] == domain[None, :]
        self._every = np.arange(len(problem.links))
        self._grow(first)

    @property
    def places(self) -> list[int]:
        """Where every slot is."""
        found: list[int] = self._place.tolist()
        return found

    def disturb(self, tries: int) -> None:
        """Force slots to other places, or two to change theirs, and keep what is better in the end."""
        best, least = self.places, self._problem.cost(self.places)
        for slot, place, other in islice(self._disturbances(), tries):
            if other >= 0:
                self._swap(slot, other)
            else:
                self._move(slot, place)
            self._improve(but=slot)
            self._descend()
            cost = self._problem.cost(self.places)
            if cost < least - _LEAST_GAIN:
                best, least = self.places, cost
            else:
                self._restore(best)
        self._restore(best)

    def _disturbances(self) -> Iterator[tuple[int, int, int]]:
        """Yield a slot, the place that it is forced to, and who must leave there (-1 for nobody)."""
        for slot, place in product(self._order, range(len(self._free))):
            if place != self._place[slot] and self._problem.room[place]:
                yield slot, place, -1 if self._free[place] else self.places.index(place)
        for slot, other in combinations(self._order, 2):
            if self._place[slot] != self._place[other]:
                yield slot, int(self._place[other]), other

    def _grow(self, first: int) -> None:
        """Put the slots down in order, the first at `first`, and improve until nothing helps."""
        self._move(self._order[0], first)
        for slot in self._order[1:]:
            self._move(slot, self._cheapest(slot))
        self._descend()

    def _cheapest(self, slot: int) -> int:
        costs: list[float] = self._costs[slot].tolist()
        room: list[int] = (self._together @ np.where(self._allowed[slot], self._free, 0)).tolist()
        # Among equals the domain with the most room: what is tied to this slot wants in, too.
        open_places: list[int] = np.flatnonzero(self._free).tolist()
        return min(open_places, key=lambda place: (costs[place], -room[place], place))

    def _descend(self) -> None:
        while self._improve():
            pass

    def _improve(self, but: int = -1) -> bool:
        """Make the best move or swap of every slot in turn; tell whether any lowered the cost."""
        return sum(self._improve_slot(slot) for slot in range(len(self._place)) if slot != but) > 0

    def _improve_slot(self, slot: int) -> bool:
        here, costs = self._place[slot], self._costs[slot]
        gains = np.where(self._free > 0, costs[here] - costs, 0.0)
        target = int(gains.argmax())
        gain = float(gains[target])
        swap_gain, other = self._best_swap(slot)
        if max(gain, swap_gain) <= _LEAST_GAIN:
            return False
        if swap_gain > gain:
            self._swap(slot, other)
        else:
            self._move(slot, target)
        return True

    def _best_swap(self, slot: int) -> tuple[float, int]:
        here, places, ties = self._place[slot], self._place, self._ties[slot]
        gains = self._costs[slot, here] - self._costs[slot, places]
        gains += self._costs[self._every, places] - self._costs[:, here]
        # Each slot's cost counts the other as if it stayed: it will not, their distance stays.
        there = places[ties.others]
        apart = self._distance[here, here] + self._inside[there] - 2.0 * self._distance[here, there]
        gains[ties.others] += ties.pulls * apart + 2.0 * ties.pushes * ~self._together[here, there]
        gains[places == here] = 0.0
        partner = int(gains.argmax())
        return float(gains[partner]), partner

    def _restore(self, best: Sequence[int]) -> None:
        for slot, place in enumerate(best):
            if self._place[slot] != place:
                self._move(slot, place)

    def _swap(self, slot: int, other: int) -> None:
        here, there = int(self._place[slot]), int(self._place[other])
        self._move(slot, there)
        self._move(other, here)

    def _move(self, slot: int, place: int) -> None:
        # For a moment a place may hold more slots than it has room for.
        before, ties = int(self._place[slot]), self._ties[slot]
        self._place[slot] = place
        self._free[place] -= 1
        farther, crowded = self._distance[place], self._together[place].astype(np.float64)
        if before >= 0:
            self._free[before] += 1
            farther = farther - self._distance[before]
            crowded -= self._together[before]
        self._costs[ties.others] += np.outer(ties.pulls, farther) + np.outer(ties.pushes, crowded)


class _Ties:
    """The links of one slot, as columns."""

    def __init__(self, links: Sequence[Link]) -> None:
        self.others = np.array([link.other for link in links], dtype=np.int64)
        self.pulls = np.array([link.pull for link in links], dtype=np.float64)
        self.pushes = np.array([link.push for link in links], dtype=np.float64)
