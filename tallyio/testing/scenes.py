"""A scene for slow strategies: a few constant-product pairs, in Python's integers, and nothing lent.

Layer: testing. The pools and tokens are those of `tallyio.testing.market_worlds`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tallyio.hooks.search import BookView, Native, Sale
from tallyio.model.execution import Leg
from tallyio.model.lending import LoanOffer
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address
from tallyio.testing.market_worlds import GAS_PRICE_WEI, PAIRS, TOKENS, WORTH, Reserves, pool_of_pair
from tallyio.testing.revm_chain import head_at

_KEEP: Final = (997, 1_000)
_SWAP_GAS: Final = 100_000
_SECONDS: Final = 12
_MOST_GAS: Final = 10_000_000


class PairScene:
    """What there is to see after one block of pairs. See `tallyio.hooks.search.Scene`."""

    def __init__(self, reserves: Sequence[Reserves], *, gas_price_wei: int = int(GAS_PRICE_WEI)) -> None:
        """`reserves` are by pool of `PAIRS`."""
        self._reserves = reserves
        self.gas_price_wei: Final = gas_price_wei
        self.head: Final = head_at(1)
        self.time: Final = self.head.timestamp + _SECONDS
        self.number: Final = self.head.number + 1
        self.books: Sequence[BookView] = ()
        self.calls_back: Sequence[bool] = ()
        self.is_independent: Sequence[bool] = ()
        self.loans: Sequence[LoanOffer] = ()
        self.max_gas: Final = _MOST_GAS
        self.pools: Sequence[PoolSpec] = [pool_of_pair(number) for number in range(len(PAIRS))]

    @property
    def native(self) -> Native:
        """Raises: LookupError: what is in Python's integers has no address."""
        raise LookupError("these pairs are not in native memory; override `quiet` and `planted` of the cards")

    def pays(self, leg: Leg) -> int:
        """Return what a pool pays for the input of a leg, exactly."""
        reserves, kept = self._reserves[leg.pool], leg.amount_in * _KEEP[0]
        return kept * reserves[leg.token_out] // (reserves[leg.token_in] * _KEEP[1] + kept)

    def best_sale(
        self, sold: Address, bought: Address, amount: int, *, without: Sequence[int] = ()
    ) -> Sale | None:
        """Return the one or two swaps that bring most, or None."""
        sales = [sale for sale in self._sales(sold, bought, amount, without) if sale.amount_out > 0]
        return max(sales, key=lambda sale: sale.amount_out, default=None)

    def native_per_unit(self, token: Address) -> float:
        """Return what the pools agree about, but for a gap."""
        return 1 / WORTH[TOKENS.index(token)]

    def _sales(self, sold: Address, bought: Address, amount: int, without: Sequence[int]) -> Iterator[Sale]:
        for first in self._legs(sold, amount, without):
            if self._bought(first) == bought:
                yield Sale(legs=(first,), amount_out=first.amount_out, gas=_SWAP_GAS)
                continue
            for second in self._legs(self._bought(first), first.amount_out, (*without, first.pool)):
                if self._bought(second) == bought != sold:
                    yield Sale(legs=(first, second), amount_out=second.amount_out, gas=2 * _SWAP_GAS)

    def _legs(self, sold: Address, amount: int, without: Sequence[int]) -> Iterator[Leg]:
        for number, pool in enumerate(self.pools):
            if sold in pool.tokens and number not in without:
                i = pool.tokens.index(sold)
                leg = Leg(pool=number, token_in=i, token_out=1 - i, amount_in=amount, amount_out=0)
                paid = self.pays(leg)
                yield Leg(pool=number, token_in=i, token_out=1 - i, amount_in=amount, amount_out=paid)

    def _bought(self, leg: Leg) -> Address:
        return self.pools[leg.pool].tokens[leg.token_out]
