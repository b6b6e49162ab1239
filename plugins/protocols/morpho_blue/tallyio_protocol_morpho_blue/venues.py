"""Which deployments and markets to watch, from configuration and the table of well-known ones.

```toml
[[protocols.morpho_blue.venues]]
name = "morpho"             # yours to choose; shown in reports
preset = "morpho"           # or factory = "0x…": the Morpho contract, where markets are created
markets = ["0x…"]           # ids; without it, every market with an oracle and a collateral
```
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks import venues
from tallyio.hooks.settings import parse_settings
from tallyio.hooks.venues import Deployments
from tallyio.model.errors import ConfigError
from tallyio.model.units import block_hash

WHERE: Final = "protocols.morpho_blue"


class Preset(venues.Preset, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A well-known deployment."""


class VenueSettings(venues.VenueSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.morpho_blue.venues]]` table."""

    markets: tuple[str, ...] = ()
    """Ids of markets; empty: all that were created."""
    from_block: int = 0
    """Where to start looking for markets and borrowers; the contract's own block saves time."""
    flash_gas: int = 60_000
    """Estimate of what borrowing and paying back adds to a transaction."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[protocols.morpho_blue]` table."""

    venues: tuple[VenueSettings, ...]


DEPLOYMENTS: Final = Deployments("tallyio_protocol_morpho_blue", Preset, where=WHERE)


def read_settings(settings: object) -> Settings:
    """Return the table. Raises: ConfigError: it cannot work on any chain."""
    if not isinstance(settings, dict):
        raise ConfigError(f"[{WHERE}] is no table")
    parsed = parse_settings(Settings, settings, where=WHERE)
    DEPLOYMENTS.check(parsed.venues)
    for venue in parsed.venues:
        market_ids(venue)
    return parsed


def market_ids(venue: VenueSettings) -> list[bytes]:
    """Return the ids that a venue names, each once. Raises: ConfigError: one is no id."""
    try:
        return list(dict.fromkeys(bytes(block_hash(text)) for text in venue.markets))
    except ValueError as error:
        raise ConfigError(f"[{WHERE}.venues] markets: {error}") from None
