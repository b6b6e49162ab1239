"""Which deployments to trade, from configuration and from the table of well-known ones.

```toml
[protocols.uniswap_v3]
tokens = ["0x…", "0x…"]     # only pools between these; without it, every pool of each factory

[[protocols.uniswap_v3.venues]]
name = "uniswap"            # yours to choose; shown in reports
preset = "uniswap"          # or factory = "0x…", and dialect if it is not Uniswap's own
```
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks import venues
from tallyio.hooks.settings import unknown_name
from tallyio.hooks.venues import Deployments
from tallyio.model.errors import ConfigError
from tallyio_protocol_uniswap_v3.dialects import DIALECTS, Dialect

WHERE: Final = "protocols.uniswap_v3"
_OWN: Final = "uniswap"


class Preset(venues.Preset, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A well-known deployment."""

    dialect: str = _OWN
    """Which family of contracts it is."""


class VenueSettings(venues.VenueSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.uniswap_v3.venues]]` table."""

    dialect: str | None = None
    """Which family of contracts a factory of your own is: "uniswap" (also Sushi's and Pancake's),
    "slipstream" (Velodrome's, Aerodrome's) or "algebra_v1" (QuickSwap's)."""
    from_block: int = 0
    """Where to start looking for pools; the factory's own block saves time."""
    gas: int = 95_000
    """Estimate for a swap that crosses nothing."""
    gas_per_tick: int = 30_000
    """Estimate for crossing an initialised tick: near 20,000, and 47,000 where it is the first time."""
    gas_per_word: int = 7_000
    """Estimate for entering a further word of the tick bitmap."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[protocols.uniswap_v3]` table."""

    venues: tuple[VenueSettings, ...]
    tokens: tuple[str, ...] = ()
    fee_tiers: tuple[int, ...] = (100, 500, 2500, 3000, 10000)
    """Fees in pips to look for between `tokens`, at factories that tell pools by their fee."""
    tick_spacings: tuple[int, ...] = (1, 50, 100, 200, 2000)
    """Tick spacings to look for between `tokens`, at factories that tell pools by them."""
    spare_ticks: int = 16
    """At least so many further initialised ticks have room in a row, and a quarter of those that are
    there; a pool that needs more gets a larger row from the chain."""


DEPLOYMENTS: Final = Deployments("tallyio_protocol_uniswap_v3", Preset, where=WHERE)


def dialect_name(venue: VenueSettings) -> str:
    """Return the name of the dialect that a venue speaks. Raises: ConfigError: there is no such."""
    preset = DEPLOYMENTS.preset(venue)
    name = venue.dialect or (preset.dialect if preset else _OWN)
    if name not in DIALECTS:
        raise unknown_name("dialect", name, DIALECTS, where=f"{WHERE}.venues")
    return name


def dialect(venue: VenueSettings) -> Dialect:
    """Return the dialect that a venue speaks. Raises: ConfigError: there is no such."""
    return DIALECTS[dialect_name(venue)]


def check(settings: Settings) -> None:
    """Refuse what cannot work on any chain. Raises: ConfigError."""
    DEPLOYMENTS.check(settings.venues)
    for venue in settings.venues:
        dialect_name(venue)
    if settings.spare_ticks < 0:
        raise ConfigError(f"[{WHERE}] spare_ticks is {settings.spare_ticks}; it must not be negative")
