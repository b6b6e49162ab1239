"""What stands in the lab after its recipe has run: tokens, pools, venues, accounts.

Layer: lab. All records are frozen.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tallyio.lab.lending.facts import LendingFacts
from tallyio.model.hashing import keccak256
from tallyio.model.market import Token
from tallyio.model.units import Address, checksum

CHAIN_ID = 31337
"""The id that local development chains use by custom."""

TRADERS = 8


def account(name: str) -> Address:
    """Return the lab's account `name`: an address nobody has the key of, so only a driver can use it."""
    return Address(keccak256(f"tallyio lab account {name}".encode())[-20:])


DEPLOYER = account("founder")
"""Deploys and does nothing else, so an address depends only on how many contracts came before."""

OPERATOR = account("operator")
"""Provides all liquidity."""

TRADER_ACCOUNTS = tuple(account(f"trader {i}") for i in range(TRADERS))
RICH_WEI = 10**24
"""Native balance of each account at the start."""

ACCOUNTS = (DEPLOYER, OPERATOR, *TRADER_ACCOUNTS)


class V2Venue(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment of constant-product pools."""

    factory: Address
    router: Address


class V3Venue(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment of concentrated-liquidity pools, with its read-only helpers."""

    factory: Address
    router: Address
    quoter: Address
    positions: Address
    """The NonfungiblePositionManager."""
    tick_lens: Address


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """A pool. Its price and depth are on the chain, not here."""

    kind: Literal["v2", "v3"]
    venue: str
    address: Address
    tokens: tuple[str, str]
    """Symbols of token0 and token1."""
    fee_pips: int

    @property
    def name(self) -> str:
        """Venue, tokens and fee, for people."""
        return f"{self.venue}:{'/'.join(self.tokens)}:{self.fee_pips}"


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the recipe made."""

    chain_id: int
    weth: Address
    tokens: dict[str, Token]
    """By symbol, WETH included."""
    v2: dict[str, V2Venue]
    """By venue name."""
    v3: V3Venue
    pools: tuple[Pool, ...]
    traders: tuple[Address, ...]
    gas_burner: Address
    """A contract that burns all the gas it is given: the rest of the world's demand for block space."""
    lending: LendingFacts | None = None
    """What lends here, if anything does."""
    url: str = ""
    """WebSocket address of the node; empty in process."""

    @property
    def variables(self) -> dict[str, str]:
        """Facts as flat texts, to fill configuration templates; addresses carry checksums."""
        facts = {
            "url": self.url,
            "chain_id": str(self.chain_id),
            **{f"{name}_{part}": value for name, part, value in self._venue_parts()},
            **{symbol.lower(): checksum(token.address) for symbol, token in self.tokens.items()},
            **(self.lending.variables if self.lending else {}),
        }
        return dict(sorted(facts.items()))

    def _venue_parts(self) -> list[tuple[str, str, str]]:
        return [
            (name, part, checksum(value))
            for name, venue in (*self.v2.items(), ("v3", self.v3))
            for part, value in msgspec.structs.asdict(venue).items()
        ]
