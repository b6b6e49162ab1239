"""Which markets to follow, from configuration and from the table of well-known ones.

```toml
[[protocols.aave_v3.venues]]
name = "aave"            # yours to choose; shown in reports
preset = "aave"          # or factory = "0x…": the market's PoolAddressesProvider
from_block = 16291127    # where its first loan may be; later starts find fewer borrowers
```
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks import venues
from tallyio.hooks.venues import Deployments, Preset

WHERE: Final = "protocols.aave_v3"


class VenueSettings(venues.VenueSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.aave_v3.venues]]` table; its factory is the market's addresses provider."""

    from_block: int = 0
    flash_gas: int = 180_000
    """Estimate for what borrowing and paying back adds to a transaction."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[protocols.aave_v3]` table."""

    venues: tuple[VenueSettings, ...]


DEPLOYMENTS: Final = Deployments("tallyio_protocol_aave_v3", Preset, where=WHERE)
