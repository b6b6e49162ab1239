"""The compiled twin: `tallyio_strategy` of a plugin would build it. `fast_hot` is what runs."""

from __future__ import annotations

import numpy as np
from trips import trips_of

from tallyio.hooks.interfaces import CompiledStrategy, MarketShape
from tallyio.model.units import Address
from tallyio.native.memory import Region


class TripIndex:
    """The trips, as 64-bit words that compiled code reads: their number, then four words each."""

    def __init__(self, shape: MarketShape, base: int) -> None:
        """List the trips of a market."""
        trips = trips_of(shape.pool_tokens, base)
        words = np.array([len(trips), base, *(word for trip in trips for word in trip)], dtype=np.int64)
        self._memory = Region(words.nbytes)
        self._memory.view("i8", len(words))[:] = words

    @property
    def address(self) -> int:
        """Handed to `detect`."""
        return self._memory.address


class FastTrips:
    """See `tallyio.hooks.interfaces.Strategy`."""

    def __init__(self, base: Address) -> None:
        """Look for trips that start and end with token `base`."""
        self._base = base

    @property
    def compiled(self) -> CompiledStrategy:
        """Where `detect` is."""
        return CompiledStrategy(module="fast_hot")

    def index(self, shape: MarketShape) -> TripIndex:
        """List the trips of these pools."""
        return TripIndex(shape, shape.token_ids[self._base])
