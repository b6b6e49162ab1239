"""Which deployments to trade, from configuration and from the table of well-known ones.

```toml
[protocols.uniswap_v4]
tokens = ["0x…", "0x…"]     # only pools between these; without it, every pool of each manager

[[protocols.uniswap_v4.venues]]
name = "uniswap"            # yours to choose; shown in reports
preset = "uniswap"          # or factory = "0x…": the pool manager
```

The native currency is the zero address.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks import venues
from tallyio.hooks.venues import Deployments, Preset
from tallyio.model.errors import ConfigError

WHERE: Final = "protocols.uniswap_v4"


class VenueSettings(venues.VenueSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.uniswap_v4.venues]]` table; its factory is the pool manager."""

    from_block: int = 0
    """Where to start looking for pools; the manager's own block saves time."""
    gas: int = 110_000
    """Estimate for a swap that crosses nothing, with both transfers; legs of one manager need fewer."""
    gas_per_tick: int = 20_000
    """Estimate for crossing an initialised tick: near 14,000, and up to 48,000 where it is the first time."""
    gas_per_word: int = 5_500
    """Estimate for entering a further word of the tick bitmap."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[protocols.uniswap_v4]` table."""

    venues: tuple[VenueSettings, ...]
    tokens: tuple[str, ...] = ()
    dynamic_fee_seconds: int = 30
    """For how long a fee that a hook may set is believed before it is read again: nothing tells of it."""


DEPLOYMENTS: Final = Deployments("tallyio_protocol_uniswap_v4", Preset, where=WHERE)


def check(settings: Settings) -> None:
    """Refuse what cannot work on any chain. Raises: ConfigError."""
    DEPLOYMENTS.check(settings.venues)
    if settings.dynamic_fee_seconds < 1:
        raise ConfigError(f"[{WHERE}] dynamic_fee_seconds is {settings.dynamic_fee_seconds}; it must be >= 1")
