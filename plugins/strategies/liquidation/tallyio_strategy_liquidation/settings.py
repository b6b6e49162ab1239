"""The `[strategies.liquidation]` table."""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.settings import parse_settings
from tallyio.model.errors import ConfigError

WHERE: Final = "strategies.liquidation"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the configuration says."""

    min_profit_wei: int = 0
    """Least profit after gas, in wei of the native currency."""
    liquidation_gas: int = 400_000
    """Gas of one liquidation beside its swaps and its loan; the simulation says what it really is."""
    plan_gas: int = 80_000
    """Gas of a plan beside its parts: the transaction's own 21,000, its calldata, the executor's checks."""
    max_pairs: int = 16
    """Most pairs of collateral and debt that are looked at for one position, the most valuable first."""
    max_batch: int = 4
    """Most positions that are liquidated in one transaction."""
    auctioned_share: float = 0.1
    """Of a liquidation's net so much counts where updates of one of its prices are sold at auction: who only
    watches is second there, so others go first. 0 leaves such positions alone."""
    top_k: int = 16
    """Most opportunities reported per block."""


def read_settings(raw: RawSettings) -> Settings:
    """Return the settings. Raises: ConfigError: names the key and the rule."""
    parsed = parse_settings(Settings, raw, where=WHERE)
    for key, least in (
        ("min_profit_wei", 0),
        ("liquidation_gas", 0),
        ("plan_gas", 0),
        ("max_pairs", 1),
        ("max_batch", 1),
        ("top_k", 1),
    ):
        if getattr(parsed, key) < least:
            raise ConfigError(f"[{WHERE}] {key} must be at least {least}, was {getattr(parsed, key)}")
    if not 0 <= parsed.auctioned_share <= 1:
        raise ConfigError(f"[{WHERE}] auctioned_share must be 0 to 1, was {parsed.auctioned_share}")
    return parsed
