"""Which deployments to trade, from configuration and from the table of well-known ones.

```toml
[[protocols.solidly.venues]]
name = "aerodrome"          # yours to choose; shown in reports
preset = "aerodrome"        # solver, names, fee and factory from `presets.toml`

[[protocols.solidly.venues]]
name = "my fork"
factory = "0x…"             # overrides the preset's
solver = "solidly"          # these three mean what `presets.toml` says
names = "pair"
fee = "fixed"
fee_numerator = 20          # for "fixed"
fee_denominator = 10000     # optional
gas_volatile = 120000       # estimates for one swap, optional
gas_stable = 125000
```
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from tallyio.hooks import venues
from tallyio.hooks.venues import Deployments
from tallyio.model.errors import ConfigError
from tallyio.model.units import Address
from tallyio_protocol_solidly.layout import (
    MAX_FEE_DENOMINATOR,
    SOLVER_SOLIDLY,
    SOLVER_SUPERCHAIN,
    SOLVER_VELODROME_V2,
)

WHERE: Final = "protocols.solidly"
DEFAULT_FEE_DENOMINATOR: Final = 10_000
DEFAULT_GAS_VOLATILE: Final = 120_000
DEFAULT_GAS_STABLE: Final = 125_000

Solver = Literal["solidly", "velodrome_v2", "superchain"]
Names = Literal["pool", "pair"]
Fee = Literal["by_pool", "by_kind", "fixed"]

SOLVERS: Final[dict[Solver, int]] = {
    "solidly": SOLVER_SOLIDLY,
    "velodrome_v2": SOLVER_VELODROME_V2,
    "superchain": SOLVER_SUPERCHAIN,
}
FEES: Final[tuple[Fee, ...]] = ("by_pool", "by_kind", "fixed")


class VenueSettings(venues.VenueSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.solidly.venues]]` table."""

    solver: Solver | None = None
    names: Names | None = None
    fee: Fee | None = None
    fee_numerator: int | None = None
    fee_denominator: int | None = None
    gas_volatile: int = DEFAULT_GAS_VOLATILE
    gas_stable: int = DEFAULT_GAS_STABLE


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[protocols.solidly]` table."""

    venues: tuple[VenueSettings, ...]
    tokens: tuple[str, ...] = ()
    """Trade only pools between these; empty means every pool of each factory."""


class Preset(venues.Preset, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of `presets.toml`."""

    solver: Solver
    names: Names
    fee: Fee
    fee_numerator: int | None = None
    fee_denominator: int | None = None


DEPLOYMENTS: Final = Deployments("tallyio_protocol_solidly", Preset, where=WHERE)


class Venue(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment with every fact settled except the chain."""

    settings: VenueSettings
    solver: Solver
    names: Names
    fee: Fee
    fee_numerator: int
    """Of a fixed fee; 0 where the factory is asked."""
    fee_denominator: int

    def factory_on(self, chain_id: int) -> Address:
        """Return the factory on that chain. Raises: ConfigError: nobody named one."""
        return DEPLOYMENTS.factory_on(self.settings, chain_id)


def resolve(settings: Settings) -> list[Venue]:
    """Return the venues that `settings` describe, completed from their presets.

    Raises: ConfigError: an unknown preset, a missing fact, an impossible fee, a factory that is no address.
    """
    DEPLOYMENTS.check(settings.venues)
    return [_resolve(venue) for venue in settings.venues]


def _resolve(settings: VenueSettings) -> Venue:
    preset = DEPLOYMENTS.preset(settings)
    solver = settings.solver or (preset.solver if preset else None)
    names = settings.names or (preset.names if preset else None)
    fee = settings.fee or (preset.fee if preset else None)
    if solver is None or names is None or fee is None:
        raise ConfigError(
            f"[{WHERE}.venues] {settings.name!r} needs solver, names and fee",
            way_out=f"set all three, or a preset: {', '.join(sorted(DEPLOYMENTS.presets))}",
        )
    numerator, denominator = _fee(settings, preset, fee)
    return Venue(
        settings=settings,
        solver=solver,
        names=names,
        fee=fee,
        fee_numerator=numerator,
        fee_denominator=denominator,
    )


def _fee(settings: VenueSettings, preset: Preset | None, fee: Fee) -> tuple[int, int]:
    # A fee of the configuration's own does not mix with the preset's: take numerator and denominator of one.
    own = settings.fee_numerator is not None or settings.fee_denominator is not None
    source = settings if own or preset is None else preset
    numerator, denominator = source.fee_numerator, source.fee_denominator or DEFAULT_FEE_DENOMINATOR
    if (numerator is None) is (fee == "fixed"):
        raise ConfigError(
            f"[{WHERE}.venues] {settings.name!r} has fee {fee!r} and"
            f" {'no fee_numerator' if numerator is None else 'a fee_numerator'};"
            ' the rule is: fee_numerator with "fixed", and only then'
        )
    if not 0 <= (numerator or 0) <= denominator <= MAX_FEE_DENOMINATOR:
        raise ConfigError(
            f"[{WHERE}.venues] {settings.name!r} has fee {numerator or 0}/{denominator};"
            f" the rule is 0 <= fee_numerator <= fee_denominator <= {MAX_FEE_DENOMINATOR}"
        )
    return numerator or 0, denominator
