"""Which pools may price which token, and the memory in which prices are kept.

Layer: market. `tallyio.market.prices` computes, here is what it computes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tallyio.market.layout import EDGE, PRICES
from tallyio.market.shape import Shape
from tallyio.model.errors import ConfigError
from tallyio.model.units import Address, checksum

Allocate = Callable[[npt.DTypeLike, int], npt.NDArray[Any]]

UNPRICED: Final = -1


class PriceMemory:
    """The edges of `shape` towards `native`, and one price per token.

    A token that shares a pool with the native token is priced there, every other one through one
    token that does. Raises: ConfigError: no pool holds the native token.
    """

    def __init__(self, shape: Shape, native: Address | None, allocate: Allocate) -> None:
        if native is not None and native not in shape.token_ids:
            raise ConfigError(
                f"no pool holds the wrapped native token {checksum(native)}, so nothing can be priced",
                way_out="configure pools with it, or correct its address",
            )
        self.native: Final = UNPRICED if native is None else shape.token_ids[native]
        listed = _edges(shape, self.native)
        edges = np.array([(*edge, 0.0, 0.0, 0) for edge in listed], dtype=EDGE)
        tokens, pools = len(shape.tokens), len(shape.pools)
        self._table = allocate("f8", tokens)
        record = allocate(PRICES, 1)
        followers = np.unique(edges[["via", "token"]][edges["via"] != self.native])
        columns = {
            "edges": edges,
            "begin": _first_places(edges["token"], tokens),
            "end": len(edges) - _first_places(edges["token"][::-1], tokens),
            "pool_edges_at": _offsets(edges["pool"], pools),
            "pool_edges": np.argsort(edges["pool"], kind="stable"),
            "followers_at": _offsets(followers["via"], tokens),
            "followers": followers["token"],
            "followed": np.zeros(tokens),
        }
        self._columns = {}
        for name, values in columns.items():
            self._columns[name] = column = allocate(values.dtype, len(values))
            column[:] = values
            record[0][name] = column.ctypes.data
        record[0]["edge_count"], record[0]["native"] = len(edges), self.native
        self.address: Final = int(record.ctypes.data)
        self.table_address: Final = int(self._table.ctypes.data)

    @property
    def native_per_unit(self) -> tuple[float, ...]:
        """Per token id, wei of the native currency for one smallest unit; 0.0 = unknown."""
        return tuple(self._table.tolist())

    def set(self, token: int, wei: float) -> None:
        """Set the price of `token` by hand, until a pool prices it."""
        self._table[token] = wei


Edge = tuple[int, int, int, int, int]


def _edges(shape: Shape, native: int) -> list[Edge]:
    everything = [
        (pool, i, j, token, via)
        for pool, tokens in enumerate(shape.pool_tokens)
        for i, token in enumerate(tokens)
        for j, via in enumerate(tokens)
        if i != j and token != native
    ]
    direct = [edge for edge in everything if edge[4] == native]
    priced = {edge[3] for edge in direct}
    hops = [edge for edge in everything if edge[3] not in priced and edge[4] in priced]
    return [*sorted(direct, key=_token_of), *sorted(hops, key=_token_of)]


def _token_of(edge: Edge) -> int:
    return edge[3]


def _first_places(values: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    """Return per number below `count` where `values` has it first; their length for those it has not."""
    places = np.full(count, len(values), dtype=np.int64)
    places[values[::-1]] = np.arange(len(values))[::-1]
    return places


def _offsets(values: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    """Return where the group of each number below `count` starts in sorted `values`, and the end."""
    offsets = np.zeros(count + 1, dtype=np.int64)
    offsets[1:] = np.cumsum(np.bincount(values, minlength=count))
    return offsets
