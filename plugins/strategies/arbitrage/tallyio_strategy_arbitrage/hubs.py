"""The hub index, laid out: which tokens are hubs, and every edge where a search will look for it.

In a large market most pools trade one of a few tokens. Those are the hubs; every other token is a
tail. Places number the tokens with the hubs first, so a place below the number of hubs is a hub.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tallyio_strategy_arbitrage.cycles import Edges, Ints
from tallyio_strategy_arbitrage.layout import LINK

LANES: Final = 16
ROW_LANES: Final = 64
_END: Final = -1


class Links(NamedTuple):
    """Edges and links in the same order, and where each token's begin."""

    edges: Edges
    links: npt.NDArray[np.void]
    """`LINK` records, and one more that ends the last run."""
    place_of: Ints
    hub_count: int
    links_at: Ints
    tails_at: Ints
    tail_links: Ints


def link_edges(edges: Edges, tokens: int, hubs: int) -> Links:
    """Return `edges` sorted for the search, with at most `hubs` hubs."""
    hub_count = min(hubs, tokens)
    place_of = _hubs_first(edges, tokens)
    order = np.lexsort((edges.pool, place_of[edges.bought], place_of[edges.sold]))
    edges = Edges(
        pool=edges.pool[order],
        i=edges.i[order],
        j=edges.j[order],
        sold=edges.sold[order],
        bought=edges.bought[order],
        flash=edges.flash[order],
    )
    sold, bought = place_of[edges.sold], place_of[edges.bought]
    links = np.zeros(len(order) + 1, dtype=LINK)
    links["bought"][:-1], links["run"][-1] = bought, _END
    links["twin"][:-1] = _twins(edges)
    links["run"][:-1] = _runs(sold, bought)
    links_at = np.searchsorted(sold, np.arange(tokens + 1))
    in_tails = np.bincount(sold[bought >= hub_count], minlength=tokens)
    tail_links = np.flatnonzero((sold >= hub_count) & (bought >= hub_count))
    return Links(edges, links, place_of, hub_count, links_at, links_at[1:] - in_tails, tail_links)


def round_up(count: int, lanes: int) -> int:
    """Return the least multiple of `lanes` that is at least `count`, and at least one."""
    return max(1, -(-count // lanes)) * lanes


def _hubs_first(edges: Edges, tokens: int) -> Ints:
    """Return the place of every token: those that trade with most others come first."""
    partners = np.unique(np.stack((edges.sold, edges.bought)), axis=1)[0]
    degree = np.bincount(partners, minlength=tokens)
    place_of = np.empty(tokens, dtype=np.int64)
    place_of[np.argsort(-degree, kind="stable")] = np.arange(tokens)
    return place_of


def _twins(edges: Edges) -> Ints:
    # Sorted by pool and pair, the two directions of a pair are neighbours in both orders alike.
    here = np.lexsort((edges.j, edges.i, edges.pool))
    there = np.lexsort((edges.i, edges.j, edges.pool))
    twins = np.empty(len(here), dtype=np.int64)
    twins[here] = there
    return twins


def _runs(sold: Ints, bought: Ints) -> Ints:
    starts = np.ones(len(sold), dtype=np.bool_)
    starts[1:] = (sold[1:] != sold[:-1]) | (bought[1:] != bought[:-1])
    return np.maximum.accumulate(np.where(starts, np.arange(len(sold)), 0))
