"""The strategy in Python: `tallyio_slow_strategy` of a plugin would build it.

It sees the market through a scene, one question at a time. Each question crosses into compiled code and
back, which is fine for a few, and slow for hundreds a block.
"""

from __future__ import annotations

from collections.abc import Mapping

from trips import LEAST, RUNGS, Trip, trips_of

from tallyio.hooks.search import Sale, Scene, Search
from tallyio.model.proposal import Proposal
from tallyio.model.units import Address


class SlowTrips:
    """See `tallyio.hooks.search.SlowStrategy`."""

    def __init__(self, base: Address) -> None:
        """Look for trips that start and end with token `base`."""
        self._base = base

    def search(self, scene: Scene) -> Search:
        """Return the best trip of the block, if one gains."""
        best = max(self._gaining(scene), key=lambda each: each.amount_out - each.amount_in, default=None)
        return Search(proposals=(best,) if best else ())

    def _gaining(self, scene: Scene) -> list[Proposal]:
        ids: Mapping[Address, int] = {
            token: number
            for number, token in enumerate(dict.fromkeys(t for pool in scene.pools for t in pool.tokens))
        }
        tokens = [tuple(ids[token] for token in pool.tokens) for pool in scene.pools]
        found = []
        for trip in trips_of(tokens, ids[self._base]):
            for rung in range(RUNGS):
                sales = self._go(scene, trip, LEAST << rung)
                if sales is not None and sales[1].amount_out > LEAST << rung:
                    found.append(self._proposal(scene, sales, LEAST << rung))
        return found

    def _go(self, scene: Scene, trip: Trip, amount: int) -> tuple[Sale, Sale] | None:
        other = scene.pools[trip.first].tokens[1 - trip.first_base]
        there = _sale(scene, trip.first, self._base, other, amount)
        back = there and _sale(scene, trip.second, other, self._base, there.amount_out)
        return (there, back) if there and back else None

    def _proposal(self, scene: Scene, sales: tuple[Sale, Sale], amount: int) -> Proposal:
        there, back = sales
        gas = there.gas + back.gas
        gain = (back.amount_out - amount) * scene.native_per_unit(self._base)
        return Proposal(
            token=self._base,
            legs=(*there.legs, *back.legs),
            amount_in=amount,
            amount_out=back.amount_out,
            gas=gas,
            net_wei=gain - gas * scene.gas_price_wei,
        )


def _sale(scene: Scene, pool: int, sold: Address, bought: Address, amount: int) -> Sale | None:
    """Return what selling in `pool` alone brings."""
    others = [number for number in range(len(scene.pools)) if number != pool]
    return scene.best_sale(sold, bought, amount, without=others)
