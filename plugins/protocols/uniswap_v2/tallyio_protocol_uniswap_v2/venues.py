"""Which deployments to trade, from configuration and from the table of well-known ones.

```toml
[[protocols.uniswap_v2.venues]]
name = "uniswap"            # yours to choose; shown in reports
preset = "uniswap"          # fees, flash callback and factory from `presets.toml`

[[protocols.uniswap_v2.venues]]
name = "my fork"
factory = "0x…"             # overrides the preset's
fee_numerator = 997
fee_denominator = 1000
gas = 80000                 # estimate for one swap, optional
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
from tallyio_protocol_uniswap_v2.layout import MAX_FEE_DENOMINATOR

WHERE: Final = "protocols.uniswap_v2"
DEFAULT_CALLBACK: Final = "uniswapV2Call"
ANSWERED_CALLBACKS: Final = frozenset({DEFAULT_CALLBACK, "pancakeCall", "joeCall"})
"""The flash callbacks that the executor contract answers; pairs that call another cannot flash."""
DEFAULT_GAS: Final = 80_000


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.uniswap_v2.venues]]` table."""

    name: str
    preset: str | None = None
    factory: str | None = None
    fee_numerator: int | None = None
    fee_denominator: int | None = None
    callback: str | None = None
    """Name of the function that a pair calls on a flash swap."""
    gas: int = DEFAULT_GAS


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[protocols.uniswap_v2]` table."""

    venues: tuple[VenueSettings, ...]
    tokens: tuple[str, ...] = ()
    """Trade only pairs between these; empty means every pair of each factory."""


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of `presets.toml`."""

    fee_numerator: int
    fee_denominator: int
    callback: str
    factories: dict[int, str]


class Venue(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment with every fact settled except the chain."""

    name: str
    factory: Address | None
    preset: Preset | None
    fee_numerator: int
    fee_denominator: int
    can_flash: bool
    gas: int

    @property
    def fee_pips(self) -> int:
        """The fee in millionths, rounded down."""
        return 1_000_000 * (self.fee_denominator - self.fee_numerator) // self.fee_denominator

    def factory_on(self, chain_id: int) -> Address:
        """Return the factory on that chain. Raises: ConfigError: nobody named one."""
        if self.factory is not None:
            return self.factory
        known = self.preset.factories if self.preset else {}
        if chain_id not in known:
            raise ConfigError(
                f"[{WHERE}.venues] {self.name!r} has no known factory on chain {chain_id}",
                way_out='add factory = "0x…"',
            )
        return parse_address(known[chain_id], where=f"presets.toml: {self.name}")


@functools.cache
def presets() -> dict[str, Preset]:
    """Return the well-known deployments by name."""
    text = files("tallyio_protocol_uniswap_v2").joinpath("presets.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=dict[str, Preset], strict=False)


def resolve(settings: VenueSettings) -> Venue:
    """Return the venue that `settings` describe, completed from its preset.

    Raises: ConfigError: an unknown preset, a missing or impossible fee, a factory that is no address.
    """
    preset = _preset(settings)
    numerator, denominator = _fees(settings, preset)
    callback = settings.callback or (preset.callback if preset else DEFAULT_CALLBACK)
    if settings.factory is None and preset is None:
        raise ConfigError(f"[{WHERE}.venues] {settings.name!r} has neither factory nor preset")
    return Venue(
        name=settings.name,
        factory=parse_address(settings.factory, where=f"{WHERE}.venues.factory")
        if settings.factory
        else None,
        preset=preset,
        fee_numerator=numerator,
        fee_denominator=denominator,
        can_flash=callback in ANSWERED_CALLBACKS,
        gas=settings.gas,
    )


def _preset(settings: VenueSettings) -> Preset | None:
    if settings.preset is None:
        return None
    if settings.preset not in presets():
        raise unknown_name("preset", settings.preset, presets(), where=f"{WHERE}.venues")
    return presets()[settings.preset]


def _fees(settings: VenueSettings, preset: Preset | None) -> tuple[int, int]:
    # A numerator without its denominator is a mistake that would cost money: take both or none.
    given = (settings.fee_numerator, settings.fee_denominator)
    numerator, denominator = (
        (preset.fee_numerator, preset.fee_denominator) if preset and given == (None, None) else given
    )
    if numerator is None or denominator is None:
        raise ConfigError(
            f"[{WHERE}.venues] {settings.name!r} needs fee_numerator and fee_denominator",
            way_out=f"set both, or a preset: {', '.join(sorted(presets()))}",
        )
    if not 0 < numerator <= denominator <= MAX_FEE_DENOMINATOR:
        raise ConfigError(
            f"[{WHERE}.venues] {settings.name!r} has fee {numerator}/{denominator};"
            f" the rule is 0 < fee_numerator <= fee_denominator <= {MAX_FEE_DENOMINATOR}"
        )
    return numerator, denominator
