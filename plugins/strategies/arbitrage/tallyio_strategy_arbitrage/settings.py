"""The `[strategies.arbitrage]` table."""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.settings import parse_addresses, parse_settings
from tallyio.market.abi import MAX_LEGS
from tallyio.model.errors import ConfigError
from tallyio.model.units import Address
from tallyio_strategy_arbitrage.cycles import MIN_LEGS

WHERE: Final = "strategies.arbitrage"
MAX_TOP_K: Final = 64
MAX_HUBS: Final = 64


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the configuration says."""

    base_tokens: tuple[str, ...]
    """Addresses of the tokens that profit may be in, best first."""
    min_profit_wei: int = 0
    """Least profit after gas, in wei of the native currency."""
    max_legs: int = 3
    """Most pools of a cycle, 2 to 4."""
    top_k: int = 8
    """Most opportunities reported per block."""
    plan_gas: int = 80_000
    """Gas of a plan beside its swaps: the transaction's own 21,000, its calldata, the executor's checks."""
    within_gas: int = 1
    """Sizing may leave a profit that so much gas costs: what a further unit of a coarse token is worth."""
    hubs: int = 16
    """In a large market, how many of the most traded tokens the index keeps rates to for every token."""


def read_settings(raw: RawSettings) -> tuple[Settings, tuple[Address, ...]]:
    """Return the settings and the base tokens. Raises: ConfigError: names the key and the rule."""
    parsed = parse_settings(Settings, raw, where=WHERE)
    if not parsed.base_tokens:
        raise ConfigError(f"[{WHERE}] base_tokens is empty", way_out="name a token to take profit in")
    _check_range("max_legs", parsed.max_legs, MIN_LEGS, MAX_LEGS)
    _check_range("top_k", parsed.top_k, 1, MAX_TOP_K)
    _check_range("min_profit_wei", parsed.min_profit_wei, 0, None)
    _check_range("plan_gas", parsed.plan_gas, 0, None)
    _check_range("within_gas", parsed.within_gas, 0, None)
    _check_range("hubs", parsed.hubs, 1, MAX_HUBS)
    return parsed, parse_addresses(parsed.base_tokens, where=f"{WHERE}.base_tokens")


def _check_range(key: str, value: int, low: int, high: int | None) -> None:
    if value < low or (high is not None and value > high):
        rule = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ConfigError(f"[{WHERE}] {key} must be {rule}, was {value}")
