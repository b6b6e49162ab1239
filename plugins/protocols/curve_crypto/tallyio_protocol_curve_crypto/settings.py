"""Which pools to trade, from configuration.

```toml
[[protocols.curve_crypto.pools]]
address = "0x…"
kind = "tricrypto_ng"       # the source template; see `templates`

[[protocols.curve_crypto.factories]]
address = "0x…"             # a factory: all of its pools
kind = "twocrypto_ng"       # what it deploys
```
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks.settings import parse_address, unknown_name
from tallyio.model.errors import ConfigError
from tallyio.model.units import Address
from tallyio_protocol_curve_crypto.templates import TEMPLATES

WHERE: Final = "protocols.curve_crypto"
DEFAULT_GAS: Final = 320_000


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.curve_crypto.pools]]` table."""

    address: str
    kind: str
    gas: int = DEFAULT_GAS
    """Estimate for one exchange with both approvals."""


class FactorySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.curve_crypto.factories]]` table."""

    address: str
    kind: str
    gas: int = DEFAULT_GAS


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[protocols.curve_crypto]` table."""

    pools: tuple[PoolSettings, ...] = ()
    factories: tuple[FactorySettings, ...] = ()


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A pool, or a factory of pools, that the configuration names, with its address read."""

    address: Address
    kind: str
    gas: int


def wanted_pools(settings: Settings) -> list[Wanted]:
    """Return the named pools. Raises: ConfigError: no pools at all, an unknown kind, a wrong address."""
    if not settings.pools and not settings.factories:
        raise ConfigError(
            f"[{WHERE}] names no pool",
            way_out=f"add [[{WHERE}.pools]] or [[{WHERE}.factories]]",
        )
    return [_wanted(pool, "pools") for pool in settings.pools]


def wanted_factories(settings: Settings) -> list[Wanted]:
    """Return the named factories. Raises: ConfigError: an unknown kind, a wrong address."""
    return [_wanted(factory, "factories") for factory in settings.factories]


def _wanted(named: PoolSettings | FactorySettings, table: str) -> Wanted:
    if named.kind not in TEMPLATES:
        raise unknown_name("kind", named.kind, TEMPLATES, where=f"{WHERE}.{table}")
    address = parse_address(named.address, where=f"{WHERE}.{table}.address")
    return Wanted(address=address, kind=named.kind, gas=named.gas)
