"""Which pools to trade, from configuration.

```toml
[protocols.curve_stable]
max_rate_age_seconds = 12   # how long rates that move by themselves are believed

[[protocols.curve_stable.pools]]
address = "0x…"
kind = "three_pool"         # the source template; see `templates`
lp_token = "0x…"            # only where the pool does not say it: pools before 2021
base_pool = "0x…"           # only where the pool does not say it: `factory_meta`
moves = true                # only for pools whose rates or balances move without their own events

[[protocols.curve_stable.factories]]
address = "0x…"             # a StableSwap-NG factory: all of its pools
```
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks.settings import parse_address, unknown_name
from tallyio.model.errors import ConfigError
from tallyio.model.units import Address
from tallyio_protocol_curve_stable.templates import TEMPLATES

WHERE: Final = "protocols.curve_stable"
DEFAULT_GAS: Final = 180_000


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.curve_stable.pools]]` table."""

    address: str
    kind: str
    lp_token: str | None = None
    base_pool: str | None = None
    moves: bool = False
    gas: int = DEFAULT_GAS
    """Estimate for one exchange with both approvals."""


class FactorySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.curve_stable.factories]]` table."""

    address: str
    gas: int = DEFAULT_GAS


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[protocols.curve_stable]` table."""

    pools: tuple[PoolSettings, ...] = ()
    factories: tuple[FactorySettings, ...] = ()
    max_rate_age_seconds: int = 12
    """At least the chain's block time: rates are read as of a block and used for the next one."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A pool that the configuration names, with every address read."""

    address: Address
    kind: str
    lp_token: Address | None = None
    base_pool: Address | None = None
    moves: bool = False
    gas: int = DEFAULT_GAS


def wanted_pools(settings: Settings) -> list[Wanted]:
    """Return the named pools. Raises: ConfigError: no pools at all, an unknown kind, a wrong address."""
    if not settings.pools and not settings.factories:
        raise ConfigError(
            f"[{WHERE}] names no pool",
            way_out=f"add [[{WHERE}.pools]] or [[{WHERE}.factories]]",
        )
    if settings.max_rate_age_seconds < 1:
        raise ConfigError(
            f"[{WHERE}] max_rate_age_seconds is {settings.max_rate_age_seconds}; it must be >= 1"
        )
    return [_wanted(pool) for pool in settings.pools]


def _wanted(pool: PoolSettings) -> Wanted:
    if pool.kind not in TEMPLATES:
        raise unknown_name("kind", pool.kind, TEMPLATES, where=f"{WHERE}.pools")
    return Wanted(
        address=parse_address(pool.address, where=f"{WHERE}.pools.address"),
        kind=pool.kind,
        lp_token=_optional(pool.lp_token, "lp_token"),
        base_pool=_optional(pool.base_pool, "base_pool"),
        moves=pool.moves,
        gas=pool.gas,
    )


def _optional(text: str | None, key: str) -> Address | None:
    return None if text is None else parse_address(text, where=f"{WHERE}.pools.{key}")
