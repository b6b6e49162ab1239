"""Which Comets to watch, from configuration and the table of well-known ones.

```toml
[[protocols.compound_v3.venues]]
name = "usdc"               # yours to choose; shown in reports
preset = "usdc"             # or factory = "0x…": the Comet itself, where positions are opened
```
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks import venues
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.settings import parse_settings
from tallyio.hooks.venues import Deployments

WHERE: Final = "protocols.compound_v3"


class Preset(venues.Preset, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A well-known deployment."""


class VenueSettings(venues.VenueSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.compound_v3.venues]]` table."""

    from_block: int = 0
    """Where to start looking for borrowers; the Comet's own block saves time."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[protocols.compound_v3]` table."""

    venues: tuple[VenueSettings, ...]


DEPLOYMENTS: Final = Deployments("tallyio_protocol_compound_v3", Preset, where=WHERE)


def read_settings(settings: RawSettings) -> Settings:
    """Return the table. Raises: ConfigError: it cannot work on any chain."""
    parsed = parse_settings(Settings, settings, where=WHERE)
    DEPLOYMENTS.check(parsed.venues)
    return parsed
