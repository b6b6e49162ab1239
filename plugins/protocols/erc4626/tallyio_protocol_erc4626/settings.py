"""Which vaults to trade, from configuration.

```toml
[[protocols.erc4626.vaults]]
address = "0x…"
kind = "virtual"            # OpenZeppelin since 4.9; "plain": older ones, solmate, and what is like them
idle = true                 # optional: the vault keeps its assets itself, so its events tell its totals
holder = "0x…"              # optional: a large owner of shares, whose limits tell what can be redeemed
max_age_seconds = 30        # optional: for how long totals are believed
```
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks.settings import parse_address, unknown_name
from tallyio.model.errors import ConfigError
from tallyio.model.units import ZERO_ADDRESS, Address

WHERE: Final = "protocols.erc4626"
VIRTUAL: Final = "virtual"
PLAIN: Final = "plain"
KINDS: Final = (VIRTUAL, PLAIN)


class VaultSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[protocols.erc4626.vaults]]` table."""

    address: str
    kind: str = VIRTUAL
    """`virtual`: with virtual shares (OpenZeppelin since 4.9); `plain`: without (older ones, solmate)."""
    decimals_offset: int | None = None
    """Virtual shares are 10 to this power; by default the shares' decimals less the asset's."""
    idle: bool = False
    """The vault keeps all its assets itself; then its events tell its totals, else they ask to read anew."""
    holder: str | None = None
    """An owner of many shares: what the vault lets it redeem at once, it is taken to let anyone redeem."""
    max_age_seconds: int = 30
    """For how long totals are believed, which change without an event when a vault earns or gets a gift. It
    must reach into the next block, or nothing is ever quoted."""
    gas_deposit: int = 110_000
    """Estimate for a deposit with its two allowances; vaults that invest what they get need more."""
    gas_redeem: int = 80_000
    """Estimate for a redemption."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[protocols.erc4626]` table."""

    vaults: tuple[VaultSettings, ...]


class VaultChoice(msgspec.Struct, frozen=True, kw_only=True):
    """One vault with its addresses read."""

    address: Address
    holder: Address
    """The zero address: none."""
    settings: VaultSettings


def resolve(settings: Settings) -> list[VaultChoice]:
    """Return the vaults that `settings` name.

    Raises: ConfigError: there is none or one twice, an unknown kind, something that is no address, or a
    number out of its range.
    """
    if not settings.vaults:
        raise ConfigError(f"[{WHERE}] names no vault", way_out=f"add [[{WHERE}.vaults]]")
    chosen = [_resolve(vault) for vault in settings.vaults]
    if len({vault.address for vault in chosen}) < len(chosen):
        raise ConfigError(f"[{WHERE}.vaults] names a vault twice")
    return chosen


def _resolve(settings: VaultSettings) -> VaultChoice:
    where = f"{WHERE}.vaults"
    if settings.kind not in KINDS:
        raise unknown_name("kind", settings.kind, KINDS, where=where)
    if settings.max_age_seconds <= 0 or min(settings.gas_deposit, settings.gas_redeem) < 0:
        raise ConfigError(f"[{where}] {settings.address} wants max_age_seconds above 0, and gas not below it")
    holder = settings.holder
    return VaultChoice(
        address=parse_address(settings.address, where=f"{where}.address"),
        holder=parse_address(holder, where=f"{where}.holder") if holder else ZERO_ADDRESS,
        settings=settings,
    )
