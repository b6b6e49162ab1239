"""Which comptrollers to follow, from configuration and from the table of well-known ones.

```toml
[[protocols.venus.venues]]
name = "venus"              # yours to choose; shown in reports
preset = "core"             # or comptroller = "0x…"
from_block = 2471512        # optional: borrowers are looked for in the events from here on
```
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from tallyio.hooks.settings import parse_address, unknown_name
from tallyio.model.errors import ConfigError
from tallyio.model.units import Address

WHERE: Final = "protocols.venus"


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.venus.venues]]` table."""

    name: str
    preset: str | None = None
    comptroller: str | None = None
    """Goes before the preset's."""
    from_block: int = 0
    """Borrowers are looked for in the events from this block on."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[protocols.venus]` table."""

    venues: tuple[VenueSettings, ...]


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of `presets.toml`."""

    comptrollers: dict[int, str]
    """By chain id."""


@cache
def presets() -> Mapping[str, Preset]:
    """Return the presets by name."""
    text = files("tallyio_protocol_venus").joinpath("presets.toml").read_text(encoding="utf-8")
    # Not strict: the keys of a TOML table are texts, chain ids too.
    return msgspec.toml.decode(text, type=dict[str, Preset], strict=False)


def check(settings: Settings) -> None:
    """Refuse venues that mean no deployment on any chain. Raises: ConfigError."""
    if not settings.venues:
        raise ConfigError(f"[{WHERE}] names no venue", way_out=f"add [[{WHERE}.venues]]")
    for venue in settings.venues:
        if venue.preset is None and venue.comptroller is None:
            raise ConfigError(f"[{WHERE}.venues] {venue.name!r} has neither comptroller nor preset")
        if venue.preset is not None and venue.preset not in presets():
            raise unknown_name("preset", venue.preset, presets(), where=f"{WHERE}.venues")
        if venue.comptroller is not None:
            parse_address(venue.comptroller, where=f"{WHERE}.venues.comptroller")
        if venue.from_block < 0:
            raise ConfigError(f"[{WHERE}.venues] {venue.name!r} wants from_block not below 0")


def comptroller_on(venue: VenueSettings, chain_id: int) -> Address:
    """Return the comptroller of a venue on that chain. Raises: ConfigError: nobody named one."""
    if venue.comptroller is not None:
        return parse_address(venue.comptroller, where=f"{WHERE}.venues.comptroller")
    known = presets()[venue.preset or ""].comptrollers
    if chain_id not in known:
        raise ConfigError(
            f"[{WHERE}.venues] {venue.name!r} has no known comptroller on chain {chain_id}",
            way_out='add comptroller = "0x…"',
        )
    return parse_address(known[chain_id], where=f"presets.toml: {venue.preset}")
