"""What stands in a lending world beside pools: markets, oracles, borrowers.

Layer: lab. All records are frozen.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tallyio.model.units import Address, checksum, hex_text

Place = Literal["aave", "morpho", "venus"]


class Borrower(msgspec.Struct, frozen=True, kw_only=True):
    """Who owes `debt` against `collateral`, both symbols, and where."""

    account: Address
    place: Place
    collateral: str
    debt: str


class MorphoPair(msgspec.Struct, frozen=True, kw_only=True):
    """A market of Morpho Blue."""

    id: bytes
    collateral: str
    debt: str


class LendingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the recipe made."""

    feeds: dict[str, Address]
    """The aggregator to which answers are posted, by symbol."""
    aave_provider: Address
    aave_pool: Address
    morpho: Address
    vault: Address
    """Balancer's, which lends what its pools hold."""
    pairs: tuple[MorphoPair, ...]
    venus_comptroller: Address
    venus_oracle: Address
    vtokens: dict[str, Address]
    """By symbol."""
    borrowers: tuple[Borrower, ...]
    competitor: Address
    """An account that liquidates with tokens of its own."""

    @property
    def variables(self) -> dict[str, str]:
        """Facts as flat texts, to fill configuration templates."""
        names = ("aave_provider", "aave_pool", "morpho", "vault", "venus_comptroller")
        return {name: checksum(getattr(self, name)) for name in names} | {
            "morpho_markets": ", ".join(f'"{hex_text(pair.id)}"' for pair in self.pairs)
        }
