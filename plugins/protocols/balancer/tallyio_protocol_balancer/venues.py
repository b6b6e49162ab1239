"""Which pools to trade, from configuration.

```toml
[[protocols.balancer.venues]]
name = "balancer"           # yours to choose; shown in reports
pools = ["0x…"]             # pool ids (32 bytes), or
from_block = 12272146       # every pool that the Vault registered since this block
vault = "0x…"               # optional: the Vault's address is the same on every chain
gas = 150000                # estimate for one swap, optional

[protocols.balancer]
tokens = ["0x…", "0x…"]     # optional: only pools with at least two of these
```
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks.settings import parse_address
from tallyio.model.errors import ConfigError
from tallyio.model.units import Address
from tallyio_protocol_balancer.abi import POOL_ID_BYTES

WHERE: Final = "protocols.balancer"
VAULT: Final = "0xBA12222222228d8Ba445958a75a0704d566BF2C8"
DEFAULT_GAS: Final = 150_000


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.balancer.venues]]` table."""

    name: str
    vault: str = VAULT
    pools: tuple[str, ...] = ()
    """Pool ids."""
    from_block: int | None = None
    """Look for registered pools from here on."""
    gas: int = DEFAULT_GAS


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[protocols.balancer]` table."""

    venues: tuple[VenueSettings, ...]
    tokens: tuple[str, ...] = ()
    """Trade only pools with at least two of these; empty means every pool."""


class Venue(msgspec.Struct, frozen=True, kw_only=True):
    """A venue with its facts read."""

    name: str
    vault: Address
    pools: tuple[bytes, ...]
    from_block: int | None
    gas: int


def resolve(settings: Settings) -> list[Venue]:
    """Return the venues that `settings` describe.

    Raises: ConfigError: there is none, one names no pools, or something is no address or no pool id.
    """
    if not settings.venues:
        raise ConfigError(f"[{WHERE}] names no venue", way_out=f"add [[{WHERE}.venues]]")
    return [_resolve(venue) for venue in settings.venues]


def _resolve(settings: VenueSettings) -> Venue:
    if not settings.pools and settings.from_block is None:
        raise ConfigError(
            f"[{WHERE}.venues] {settings.name!r} has neither pools nor from_block",
            way_out='add pools = ["0x…"], or from_block = 12272146 for all',
        )
    return Venue(
        name=settings.name,
        vault=parse_address(settings.vault, where=f"{WHERE}.venues.vault"),
        pools=tuple(dict.fromkeys(_pool_id(text) for text in settings.pools)),
        from_block=settings.from_block,
        gas=settings.gas,
    )


def _pool_id(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if not text.startswith("0x") or len(raw) != POOL_ID_BYTES:
        raise ConfigError(
            f"[{WHERE}.venues.pools] {text!r} is no pool id: 0x and {2 * POOL_ID_BYTES} hex digits"
        )
    return raw
