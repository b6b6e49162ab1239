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

from typing import Final

import msgspec

from tallyio.hooks import venues
from tallyio.hooks.venues import Deployments
from tallyio.model.errors import ConfigError
from tallyio.model.units import Address
from tallyio_protocol_uniswap_v2.layout import MAX_FEE_DENOMINATOR

WHERE: Final = "protocols.uniswap_v2"
DEFAULT_CALLBACK: Final = "uniswapV2Call"
ANSWERED_CALLBACKS: Final = frozenset({DEFAULT_CALLBACK, "pancakeCall", "joeCall"})
"""The flash callbacks that the executor contract answers; pairs that call another cannot flash."""
DEFAULT_GAS: Final = 80_000


class VenueSettings(venues.VenueSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.uniswap_v2.venues]]` table."""

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


class Preset(venues.Preset, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of `presets.toml`."""

    fee_numerator: int
    fee_denominator: int
    callback: str


DEPLOYMENTS: Final = Deployments("tallyio_protocol_uniswap_v2", Preset, where=WHERE)


class Venue(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment with every fact settled except the chain."""

    settings: VenueSettings
    fee_numerator: int
    fee_denominator: int
    can_flash: bool

    @property
    def fee_pips(self) -> int:
        """The fee in millionths, rounded down."""
        return 1_000_000 * (self.fee_denominator - self.fee_numerator) // self.fee_denominator

    def factory_on(self, chain_id: int) -> Address:
        """Return the factory on that chain. Raises: ConfigError: nobody named one."""
        return DEPLOYMENTS.factory_on(self.settings, chain_id)


def resolve(settings: Settings) -> list[Venue]:
    """Return the venues that `settings` describe, completed from their presets.

    Raises: ConfigError: an unknown preset, a missing or impossible fee, a factory that is no address.
    """
    DEPLOYMENTS.check(settings.venues)
    return [_resolve(venue) for venue in settings.venues]


def _resolve(settings: VenueSettings) -> Venue:
    preset = DEPLOYMENTS.preset(settings)
    numerator, denominator = _fees(settings, preset)
    callback = settings.callback or (preset.callback if preset else DEFAULT_CALLBACK)
    return Venue(
        settings=settings,
        fee_numerator=numerator,
        fee_denominator=denominator,
        can_flash=callback in ANSWERED_CALLBACKS,
    )


def _fees(settings: VenueSettings, preset: Preset | None) -> tuple[int, int]:
    # A numerator without its denominator is a mistake that would cost money: take both or none.
    given = (settings.fee_numerator, settings.fee_denominator)
    numerator, denominator = (
        (preset.fee_numerator, preset.fee_denominator) if preset and given == (None, None) else given
    )
    if numerator is None or denominator is None:
        raise ConfigError(
            f"[{WHERE}.venues] {settings.name!r} needs fee_numerator and fee_denominator",
            way_out=f"set both, or a preset: {', '.join(sorted(DEPLOYMENTS.presets))}",
        )
    if not 0 < numerator <= denominator <= MAX_FEE_DENOMINATOR:
        raise ConfigError(
            f"[{WHERE}.venues] {settings.name!r} has fee {numerator}/{denominator};"
            f" the rule is 0 < fee_numerator <= fee_denominator <= {MAX_FEE_DENOMINATOR}"
        )
    return numerator, denominator
