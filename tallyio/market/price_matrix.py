"""`PriceMatrix`: what tokens cost on every chain, and where that differs.

Layer: market. Python's side of `tallyio.market.hot_matrix`. Lanes write their chain's column by address;
from Python, `update` does the same.

    with PriceMatrix(["WETH/USDC", "WBTC/USDC"], ["ethereum", "base"], max_age_ns=3 * 10**9) as matrix:
        matrix.update("WETH/USDC", "base", bid=2500.0, ask=2502.0, stamp_ns=now, confidence=0.9)
        for spread in matrix.scan(now_ns=now, least_ratio=1.001): ...
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

import numpy as np

from tallyio.market.hot_matrix import NOBODY, compare, read, row_of, scan, update
from tallyio.market.matrix_layout import COLUMNS, MATRIX, ROW, SPREAD
from tallyio.native.memory import Region


class Price(NamedTuple):
    """A pair on one chain."""

    bid: float
    """Quote tokens for the first base token sold, fees included; 0.0 = nobody buys."""
    ask: float
    """Quote tokens for the first base token bought, fees included; 0.0 = nobody sells."""
    stamp_ns: int
    confidence: float


class Spread(NamedTuple):
    """A pair that sells for more than it costs: buy on one chain, sell on the other."""

    pair: str
    buy: str
    sell: str
    ratio: float
    amount_in: float
    """Quote tokens to spend for the most profit; infinite where neither price bends."""
    profit: float
    """Quote tokens gained by that, before gas and before whatever moves tokens between the chains."""


class PriceMatrix:
    """Prices of `pairs` on `chains`, as a context or until `close`.

    A price older than `max_age_ns` or with less than `min_confidence` takes no part in a comparison.
    Raises: ValueError: more chains than there are columns, a name twice, or a confidence that is not
    above 0 and at most 1.
    """

    def __init__(
        self, pairs: Sequence[str], chains: Sequence[str], *, max_age_ns: int, min_confidence: float = 0.5
    ) -> None:
        if len(chains) > COLUMNS:
            raise ValueError(f"a matrix has {COLUMNS} columns, which are too few for {len(chains)} chains")
        if len(set(pairs)) < len(pairs) or len(set(chains)) < len(chains):
            raise ValueError("a pair or a chain is named twice")
        if not 0.0 < min_confidence <= 1.0:
            raise ValueError(f"min_confidence must be above 0 and at most 1, was {min_confidence}")
        self.pairs: Final = tuple(pairs)
        self.chains: Final = tuple(chains)
        self._pair_ids = {pair: number for number, pair in enumerate(pairs)}
        self._chain_ids = {chain: number for number, chain in enumerate(chains)}
        rows, found = ROW.itemsize * len(pairs), SPREAD.itemsize * len(pairs)
        self._memory = Region(MATRIX.itemsize + rows + 8 * len(pairs) + found)
        self.address: Final = self._memory.address
        """Address of the `MATRIX` record, for compiled code."""
        self._all_pairs = self._memory.view("i8", len(pairs), MATRIX.itemsize + rows)
        self._all_pairs[:] = np.arange(len(pairs))
        self._found = self._memory.view(SPREAD, len(pairs), MATRIX.itemsize + rows + 8 * len(pairs))
        self._memory.view(ROW, len(pairs), MATRIX.itemsize)["stamp_ns"] = np.iinfo(np.int64).min
        record = self._memory.view(MATRIX, 1)[0]
        record["rows"], record["pairs"] = self.address + MATRIX.itemsize, len(pairs)
        record["max_age_ns"], record["min_confidence"] = max_age_ns, min_confidence

    def update(  # noqa: PLR0913 - the facts of one price
        self,
        pair: str,
        chain: str,
        *,
        bid: float,
        ask: float,
        stamp_ns: int,
        confidence: float = 1.0,
        bid_bend: float = 0.0,
        ask_bend: float = 0.0,
    ) -> None:
        """Set the price of `pair` on `chain`. Raises: KeyError; ValueError: a number is negative."""
        if not all(number >= 0.0 for number in (bid, ask, confidence, bid_bend, ask_bend)):  # nor NaN
            raise ValueError("prices, bends and confidence must be numbers that are not negative")
        row, column = row_of(self.address, self._pair_ids[pair]), self._chain_ids[chain]
        update(row, column, bid, ask, stamp_ns, confidence, bid_bend, ask_bend)

    def price(self, pair: str, chain: str) -> Price:
        """Return the price of `pair` on `chain`, however old; its lane may be writing. Raises: KeyError."""
        return Price(*read(row_of(self.address, self._pair_ids[pair]), self._chain_ids[chain]))

    def compare(self, pair: str, *, now_ns: int) -> tuple[str, str, float] | None:
        """Return where `pair` costs least, where it brings most, and sell over buy price; None if nowhere."""
        buy, sell, ratio = compare(self.address, self._pair_ids[pair], now_ns)
        return None if buy == NOBODY else (self.chains[buy], self.chains[sell], ratio)

    def scan(self, *, now_ns: int, least_ratio: float = 1.0) -> list[Spread]:
        """Return every pair that sells for more than `least_ratio` times what it costs, best ratio first."""
        places = self._all_pairs.ctypes.data, len(self.pairs)
        count = scan(self.address, *places, now_ns, least_ratio, self._found.ctypes.data, len(self.pairs))
        spreads = [
            Spread(self.pairs[pair], self.chains[buy], self.chains[sell], ratio, amount_in, profit)
            for pair, buy, sell, ratio, amount_in, profit in self._found[:count].tolist()
        ]
        return sorted(spreads, key=lambda spread: spread.ratio, reverse=True)

    def close(self) -> None:
        """Give the memory back. No lane may write it any more."""
        del self._all_pairs, self._found
        self._memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
