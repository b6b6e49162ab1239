"""Venues: which deployment of a protocol a configuration means.

Layer: hooks. For protocols that are deployed many times, each time behind a factory. The plugin
ships the deployments that everybody knows as `presets.toml`, a file of its package:

```toml
[somewhere]
factories = { 1 = "0x…", 56 = "0x…" }   # by chain id
```

and a configuration names one of them, or a factory:

```toml
[[protocols.NAME.venues]]
name = "mine"               # yours to choose; shown in reports
preset = "somewhere"        # or factory = "0x…", which goes before the preset's
```

A protocol whose deployments differ in more than their factory adds keys of its own to both records:

```python
class Preset(venues.Preset, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fee_pips: int

DEPLOYMENTS = Deployments("tallyio_protocol_mine", Preset, where="protocols.mine")
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.resources import files

import msgspec

from tallyio.hooks.settings import parse_address, unknown_name
from tallyio.model.errors import ConfigError
from tallyio.model.units import Address


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys that each `[[protocols.NAME.venues]]` table has."""

    name: str
    preset: str | None = None
    factory: str | None = None


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What each table of `presets.toml` has."""

    factories: dict[int, str]
    """By chain id."""


class Deployments[P: Preset]:
    """The well-known deployments of one protocol, and what venues make of them."""

    def __init__(self, package: str, kind: type[P], *, where: str) -> None:
        """Serve `presets.toml` of `package`, whose tables are `kind`s; `where` names the settings' table."""
        self._package = package
        self._kind = kind
        self._where = where

    @cached_property
    def presets(self) -> Mapping[str, P]:
        """The presets by name."""
        text = files(self._package).joinpath("presets.toml").read_text(encoding="utf-8")
        # Not strict: the keys of a TOML table are texts, chain ids too.
        return msgspec.toml.decode(text, type=dict[str, self._kind], strict=False)  # type: ignore[name-defined]

    def check(self, venues: Sequence[VenueSettings]) -> None:
        """Refuse venues that mean no deployment on any chain.

        Raises: ConfigError: there is none; one names neither factory nor preset, a preset that is
        not known, or a factory that is no address.
        """
        if not venues:
            raise ConfigError(f"[{self._where}] names no venue", way_out=f"add [[{self._where}.venues]]")
        for venue in venues:
            if (self.preset(venue), self._own_factory(venue)) == (None, None):
                raise ConfigError(f"[{self._where}.venues] {venue.name!r} has neither factory nor preset")

    def preset(self, venue: VenueSettings) -> P | None:
        """Return the preset that `venue` names, or None where it names none. Raises: ConfigError."""
        if venue.preset is None:
            return None
        if venue.preset not in self.presets:
            raise unknown_name("preset", venue.preset, self.presets, where=f"{self._where}.venues")
        return self.presets[venue.preset]

    def factory_on(self, venue: VenueSettings, chain_id: int) -> Address:
        """Return the factory of `venue` on that chain. Raises: ConfigError: nobody named one."""
        own, preset = self._own_factory(venue), self.preset(venue)
        if own is not None:
            return own
        if preset is None or chain_id not in preset.factories:
            raise ConfigError(
                f"[{self._where}.venues] {venue.name!r} has no known factory on chain {chain_id}",
                way_out='add factory = "0x…"',
            )
        return parse_address(preset.factories[chain_id], where=f"presets.toml: {venue.preset}")

    def _own_factory(self, venue: VenueSettings) -> Address | None:
        if venue.factory is None:
            return None
        return parse_address(venue.factory, where=f"{self._where}.venues.factory")
