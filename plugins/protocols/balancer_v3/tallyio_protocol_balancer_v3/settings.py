"""Which pools to trade, from configuration.

```toml
[protocols.balancer_v3]
router = "0x…"              # the Vault's Router: each pool's quotes are compared with what it says
pools = ["0x…"]
max_age_seconds = 30        # optional: for how long rates and amp are believed
gas = 180000                # estimate for one swap, optional
```
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks.settings import parse_address, parse_addresses
from tallyio.model.errors import ConfigError
from tallyio.model.units import Address

WHERE: Final = "protocols.balancer_v3"
VAULT: Final = "0xbA1333333333a1BA1108E8412f11850A5C319bA9"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[protocols.balancer_v3]` table."""

    router: str
    """The Vault's Router, which says what a swap would pay: each pool's quotes are compared with it."""
    pools: tuple[str, ...]
    vault: str = VAULT
    """The same on every chain where Balancer deployed it."""
    max_age_seconds: int = 30
    """For how long rates and amp are believed, which move without an event. It must reach into the next
    block, or nothing is ever quoted."""
    gas: int = 180_000
    """Estimate for one swap, with both transfers."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The settings with their addresses read."""

    vault: Address
    router: Address
    pools: tuple[Address, ...]
    max_age: int
    gas: int


def resolve(settings: Settings) -> Facts:
    """Return what `settings` say. Raises: ConfigError: no pool, no address, or a number out of its range."""
    if not settings.pools:
        raise ConfigError(f"[{WHERE}] names no pool", way_out='add pools = ["0x…"]')
    if settings.max_age_seconds <= 0 or settings.gas < 0:
        raise ConfigError(f"[{WHERE}] wants max_age_seconds above 0, and gas not below it")
    return Facts(
        vault=parse_address(settings.vault, where=f"{WHERE}.vault"),
        router=parse_address(settings.router, where=f"{WHERE}.router"),
        pools=parse_addresses(settings.pools, where=f"{WHERE}.pools"),
        max_age=settings.max_age_seconds,
        gas=settings.gas,
    )
