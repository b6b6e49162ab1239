"""`Router`: best paths and splits over the pools of a market, from Python.

Layer: market. Like the market itself it is not thread-safe, and must not run while a lane works on it.

    router = Router(market)
    path = router.best_path(weth, usdc, 10**18)
    split = router.best_split(weth, usdc, 10**21, gas_price_wei=2e9)
    cycles = router.cycles(market.dirty)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tallyio.market.abi import POOL
from tallyio.market.route_layout import EDGE, FINALIST, FINALISTS, MAX_HOPS, NODE, PATH, ROUTER
from tallyio.market.shape import Shape
from tallyio.market.splitting import Curve, amount_at, divide
from tallyio.model.errors import ConfigError
from tallyio.model.units import Address, checksum
from tallyio.native.memory import Region

if TYPE_CHECKING:
    from tallyio.market.market import Market

_NEVER: Final = -1
_BITS: Final = 256
_LEAST_LEGS: Final = 2
_SMALL: Final = 1e-4
"""Of the amount that halves a pool's slope: small enough to change no price, large enough to be no dust."""
_MOST: Final = 1e60


class Hop(NamedTuple):
    """One sale on a path."""

    pool: int
    i: int
    j: int
    amount_in: int
    amount_out: int


class Path(NamedTuple):
    """A path with exact amounts, in smallest units."""

    hops: tuple[Hop, ...]
    gas: int
    """Estimated gas of its swaps inside a larger transaction."""

    @property
    def amount_in(self) -> int:
        """What enters the first hop."""
        return self.hops[0].amount_in

    @property
    def amount_out(self) -> int:
        """What leaves the last hop."""
        return self.hops[-1].amount_out

    @property
    def pools(self) -> tuple[int, ...]:
        """Pool ids in order."""
        return tuple(hop.pool for hop in self.hops)


class Split(NamedTuple):
    """An amount divided over paths that share no pool."""

    paths: tuple[Path, ...]

    @property
    def amount_in(self) -> int:
        """What enters all paths."""
        return sum(path.amount_in for path in self.paths)

    @property
    def amount_out(self) -> int:
        """What leaves all paths."""
        return sum(path.amount_out for path in self.paths)

    @property
    def gas(self) -> int:
        """Estimated gas of all swaps."""
        return sum(path.gas for path in self.paths)


class Router:
    """Paths over all pools of `market`, which must stay open: its questions raise ValueError once it is not.

    Every answer first measures again the pools whose rows changed since the last one.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self._shape: Shape = market.shape
        self._routing: Any = market.fused.load("tallyio.market.routing")
        self._venues: Any = market.fused.load("tallyio.market.venues")
        self._edges: Any = market.fused.load("tallyio.market.edges")
        self._memory = _Memory(self._shape, market.pool_address(0) if market.shape.pools else 0)
        self.address: Final = self._memory.address
        """Address of the `ROUTER` record, for compiled code."""

    def refresh(self) -> int:
        """Measure the pools whose rows changed; return how many did."""
        changed: int = self._edges.measure_changed(self.address, self._market.state)
        return changed

    def best_path(
        self,
        sold: Address,
        bought: Address,
        amount_in: int,
        *,
        max_hops: int = MAX_HOPS,
        without: Sequence[int] = (),
    ) -> Path | None:
        """Return the path that brings most of `bought` for `amount_in` of `sold`, or None if none does.

        `without` names pools that it must not use. Raises: ConfigError: a token that no pool holds, or a
        number in `without` that no pool has. ValueError: `max_hops` is not 1 to 4, or both tokens are the
        same. OverflowError: `amount_in` is negative or needs more than 256 bits.
        """
        if not 1 <= max_hops <= MAX_HOPS or sold == bought:
            raise ValueError(f"a path has 1 to {MAX_HOPS} hops between two tokens")
        ends = self._token(sold), self._token(bought)
        # A ban holds until the next search, so nothing may fail between the two.
        numbers, amount, hops = [*map(index, without)], index(amount_in), index(max_hops)
        for pool in numbers:
            self._shape.check_number(pool)
        if not 0 <= amount < 1 << _BITS:
            raise OverflowError(f"an amount is 0 to 2**{_BITS} - 1, was {amount}")
        self.refresh()
        for pool in numbers:
            self._routing.ban(self.address, pool)
        facts = amount, float(amount), hops, self._memory.path_address
        brings: int = self._routing.best_path(self.address, *ends, *facts)
        return self._memory.path() if brings else None

    def best_venue(self, sold: Address, bought: Address, amount_in: int) -> Path | None:
        """Return the one pool that pays most of `bought` for `amount_in` of `sold`, or None if none does.

        Raises: ConfigError: a token that no pool holds. OverflowError: as `best_path`.
        """
        ends = self._token(sold), self._token(bought)
        self.refresh()
        edge: int = self._venues.best_venue(self.address, *ends, amount_in, self._memory.answer_address)
        return self.walk(Path((self._memory.hop(edge),), 0), amount_in) if edge else None

    def best_split(
        self,
        sold: Address,
        bought: Address,
        amount_in: int,
        *,
        max_paths: int = 4,
        max_hops: int = MAX_HOPS,
        gas_price_wei: float = 0.0,
    ) -> Split | None:
        """Return `amount_in` divided over up to `max_paths` paths, if that pays more than one after gas.

        The paths are the best, then the best without the pools of those before it. Gas is weighed in
        units of `bought` with the market's price of it, brought up to date; without a price gas counts
        nothing. Raises: as `best_path`.
        """
        candidates: list[Path] = []
        used: list[int] = []
        while len(candidates) < max_paths:
            path = self.best_path(sold, bought, amount_in, max_hops=max_hops, without=used)
            if path is None:
                break
            candidates.append(path)
            used += path.pools
        if not candidates:
            return None
        worth = self._worth()[self._token(bought)] if gas_price_wei else 0.0
        gas_cost = gas_price_wei / worth if worth > 0.0 else 0.0
        return max(self._splits(candidates, amount_in), key=lambda one: one.amount_out - one.gas * gas_cost)

    def cycles(self, dirty: Iterable[int], *, max_legs: int = MAX_HOPS) -> list[Path]:
        """Return the best gaining cycle through each direction of the pools `dirty`, most gained first.

        A cycle is a path that ends with the token it starts with. It starts with the dirty pool; the way
        back is the best for a small amount, then the amount is the one that gains most along it, to
        the accuracy of floats. Gains in different tokens are compared in the market's prices of them,
        brought up to date; those in tokens without a price come last.

        Raises: ValueError: `max_legs` is not 2 to 4. ConfigError: a number in `dirty` that no pool has.
        """
        if not _LEAST_LEGS <= max_legs <= MAX_HOPS:
            raise ValueError(f"a cycle has {_LEAST_LEGS} to {MAX_HOPS} legs")
        pools = list(dirty)
        for pool in pools:
            self._shape.check_number(pool)
        found = [
            cycle
            for pool in pools
            for i, sold in enumerate(self._shape.pool_tokens[pool])
            for j, bought in enumerate(self._shape.pool_tokens[pool])
            if i != j and (cycle := self._cycle(Hop(pool, i, j, 0, 0), sold, bought, max_legs))
        ]
        worth = self._worth()

        def gain(cycle: Path) -> float:
            first = cycle.hops[0]
            return (cycle.amount_out - cycle.amount_in) * worth[self._shape.pool_tokens[first.pool][first.i]]

        return sorted(found, key=gain, reverse=True)

    def _cycle(self, first: Hop, sold: int, bought: int, max_legs: int) -> Path | None:
        leg = self._curve_of([first])
        small = _SMALL * amount_at(leg, 0.5 * leg(0.0)[1], _MOST)
        brings = leg(small)[0]
        if not brings >= 1.0:
            return None
        tokens = self._shape.tokens
        back = self.best_path(
            tokens[bought], tokens[sold], int(brings), max_hops=max_legs - 1, without=[first.pool]
        )
        if back is None:
            return None
        hops = (first, *back.hops)
        cycle = self.walk(Path(hops, 0), int(amount_at(self._curve_of(hops), 1.0, _MOST)))
        return cycle if cycle.amount_out > cycle.amount_in else None

    def _worth(self) -> Sequence[float]:
        """Return what one smallest unit of each token is worth now, by its number."""
        self._market.refresh_prices()
        return self._market.prices.native_per_unit

    def walk(self, path: Path, amount_in: int) -> Path:
        """Return `path` with another amount."""
        hops, amount, gas = [], amount_in, 0
        for hop in path.hops:
            out = self._market.quote(hop.pool, hop.i, hop.j, amount)
            gas += self._market.gas(hop.pool, hop.i, hop.j, amount)
            hops.append(Hop(hop.pool, hop.i, hop.j, amount, out))
            amount = out
        return Path(tuple(hops), gas)

    def _splits(self, candidates: Sequence[Path], amount_in: int) -> list[Split]:
        """Return the best division over the first one, the first two, and so on."""
        found = [Split((candidates[0],))]
        for count in range(2, len(candidates) + 1):
            shares = divide([self._curve_of(path.hops) for path in candidates[:count]], amount_in)
            paths = [self.walk(path, share) for path, share in zip(candidates, shares, strict=False) if share]
            if all(path.amount_out for path in paths):
                found.append(Split(tuple(paths)))
        return found

    def _curve_of(self, hops: Sequence[Hop]) -> Curve:
        market = self._market

        def curve(amount: float) -> tuple[float, float]:
            slope = 1.0
            for hop in hops:
                amount, own = market.curve(hop.pool, hop.i, hop.j, amount)
                slope *= own
            return amount, slope

        return curve

    def _token(self, token: Address) -> int:
        found = self._shape.token_ids.get(token)
        if found is None:
            raise ConfigError(
                f"no pool of this market holds the token {checksum(token)}",
                way_out="configure a pool with it",
            )
        return found


class _Memory:
    """The ROUTER record and what it points to."""

    def __init__(self, shape: Shape, first_pool: int) -> None:
        self._regions: list[Region] = []
        edges = self._filled(EDGE, _edges(shape, first_pool))
        sold = np.array([token for token, _ in _directions(shape)], np.int64)[_by_sold(shape)]
        tokens, pools = len(shape.tokens), len(shape.pools)
        places = edges.ctypes.data + np.arange(len(edges)) * EDGE.itemsize
        incoming, by_pool = np.argsort(edges["to"], kind="stable"), np.argsort(edges["pool"], kind="stable")
        record = self._filled(ROUTER, np.zeros(1, ROUTER))
        self._path = self._filled(PATH, np.zeros(1, PATH))
        arrays: dict[str, npt.NDArray[Any]] = {
            "edges": edges,
            "out_at": self._filled("i8", np.searchsorted(sold, np.arange(tokens + 1))),
            "in_at": self._filled("i8", np.searchsorted(edges["to"][incoming], np.arange(tokens + 1))),
            "in_edges": self._filled("i8", places[incoming]),
            "in_from": self._filled("i8", sold[incoming]),
            "pool_at": self._filled("i8", np.searchsorted(edges["pool"][by_pool], np.arange(pools + 1))),
            "pool_edges": self._filled("i8", places[by_pool]),
            "seen": self._filled("i8", np.full(pools, _NEVER)),
            "nodes": self._filled(NODE, np.zeros(tokens, NODE)),
            "reached": self._filled("i8", np.zeros(tokens, "i8")),
            "finalists": self._filled(FINALIST, np.zeros(FINALISTS, FINALIST)),
            "banned": self._filled("i8", np.zeros(pools, "i8")),
        }
        for field, array in arrays.items():
            record[0][field] = array.ctypes.data
        record[0]["pool_count"], record[0]["round"] = pools, 1
        self.address: Final = int(record.ctypes.data)
        self.path_address: Final = int(self._path.ctypes.data)
        self.answer_address: Final = int(self._filled("u8", np.zeros(4, "u8")).ctypes.data)
        self._edge_records = edges

    def hop(self, edge: int) -> Hop:
        """Return a hop along the edge at this address, without amounts."""
        record = self._edge_records[(edge - int(self._edge_records.ctypes.data)) // EDGE.itemsize]
        return Hop(int(record["pool"]), int(record["i"]), int(record["j"]), 0, 0)

    def path(self) -> Path:
        """Return the path that compiled code wrote."""
        record = self._path[0]
        amounts = [
            int.from_bytes(record["amounts"][k].tobytes(), "little") for k in range(int(record["hops"]) + 1)
        ]
        hops = [
            Hop(
                int(record["pools"][k]),
                int(record["i"][k]),
                int(record["j"][k]),
                amounts[k],
                amounts[k + 1],
            )
            for k in range(int(record["hops"]))
        ]
        return Path(tuple(hops), int(record["gas"]))

    def _filled(self, dtype: npt.DTypeLike, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        region = Region(max(1, np.dtype(dtype).itemsize * len(values)))
        self._regions.append(region)
        view = region.view(dtype, len(values))
        view[:] = values
        return view


def _directions(shape: Shape) -> list[tuple[int, tuple[int, int, int, int]]]:
    """Return (token sold, (token bought, pool, i, j)) for every direction of every pool."""
    return [
        (sold, (bought, pool, i, j))
        for pool, tokens in enumerate(shape.pool_tokens)
        for i, sold in enumerate(tokens)
        for j, bought in enumerate(tokens)
        if i != j
    ]


def _by_sold(shape: Shape) -> npt.NDArray[np.int64]:
    return np.argsort([sold for sold, _ in _directions(shape)], kind="stable").astype(np.int64)


def _edges(shape: Shape, first_pool: int) -> npt.NDArray[Any]:
    rows = [
        (0.0, 0.0, 0.0, bought, pool, first_pool + pool * POOL.itemsize, i, j)
        for _, (bought, pool, i, j) in _directions(shape)
    ]
    return np.array(rows, EDGE)[_by_sold(shape)] if rows else np.zeros(0, EDGE)
