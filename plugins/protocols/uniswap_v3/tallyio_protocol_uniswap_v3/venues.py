"""Which deployments to trade, from configuration and from the table of well-known ones.

```toml
[protocols.uniswap_v3]
tokens = ["0x…", "0x…"]     # only pools between these; without it, every pool of each factory
tick_capacity = 256         # initialised ticks that a pool may have

[[protocols.uniswap_v3.venues]]
name = "uniswap"            # yours to choose; shown in reports
preset = "uniswap"          # or factory = "0x…"
```
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks import venues
from tallyio.hooks.venues import Deployments, Preset
from tallyio.model.errors import ConfigError

WHERE: Final = "protocols.uniswap_v3"


class VenueSettings(venues.VenueSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.uniswap_v3.venues]]` table."""

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
    fee_tiers: tuple[int, ...] = (100, 500, 3000, 10000)
    """Fees in pips to look for between `tokens`."""
    tick_capacity: int = 256
    """Initialised ticks that a row has room for: 208 bytes each, for every pool."""


DEPLOYMENTS: Final = Deployments("tallyio_protocol_uniswap_v3", Preset, where=WHERE)


def check(settings: Settings) -> None:
    """Refuse what cannot work on any chain. Raises: ConfigError."""
    DEPLOYMENTS.check(settings.venues)
    if settings.tick_capacity < 1:
        raise ConfigError(f"[{WHERE}] tick_capacity is {settings.tick_capacity}; it must be >= 1")
