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

import functools
from importlib.resources import files
from typing import Final

import msgspec

from tallyio.hooks.settings import parse_address, unknown_name
from tallyio.model.errors import ConfigError
from tallyio.model.units import Address

WHERE: Final = "protocols.uniswap_v3"


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.uniswap_v3.venues]]` table."""

    name: str
    preset: str | None = None
    factory: str | None = None
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


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of `presets.toml`."""

    factories: dict[int, str]


@functools.cache
def presets() -> dict[str, Preset]:
    """Return the well-known deployments by name."""
    text = files("tallyio_protocol_uniswap_v3").joinpath("presets.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=dict[str, Preset], strict=False)


def check(settings: Settings) -> None:
    """Refuse what cannot work on any chain. Raises: ConfigError."""
    if not settings.venues:
        raise ConfigError(f"[{WHERE}] names no venue", way_out=f"add [[{WHERE}.venues]]")
    if settings.tick_capacity < 1:
        raise ConfigError(f"[{WHERE}] tick_capacity is {settings.tick_capacity}; it must be >= 1")
    for venue in settings.venues:
        if venue.preset is not None and venue.preset not in presets():
            raise unknown_name("preset", venue.preset, presets(), where=f"{WHERE}.venues")
        if venue.preset is None and venue.factory is None:
            raise ConfigError(f"[{WHERE}.venues] {venue.name!r} has neither factory nor preset")
        if venue.factory is not None:
            parse_address(venue.factory, where=f"{WHERE}.venues.factory")


def factory_on(venue: VenueSettings, chain_id: int) -> Address:
    """Return the venue's factory on that chain. Raises: ConfigError: nobody named one."""
    if venue.factory is not None:
        return parse_address(venue.factory, where=f"{WHERE}.venues.factory")
    known = presets()[venue.preset].factories if venue.preset else {}
    if chain_id not in known:
        raise ConfigError(
            f"[{WHERE}.venues] {venue.name!r} has no known factory on chain {chain_id}",
            way_out='add factory = "0x…"',
        )
    return parse_address(known[chain_id], where=f"presets.toml: {venue.preset}")
