"""The `[chains.<name>]` table of an EVM chain.

Times end in `_s` and are seconds, amounts end in `_wei`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from tallyio.hooks.interfaces import Settings
from tallyio.hooks.settings import parse_settings
from tallyio.model.errors import ConfigError
from tallyio_chain_evm.endpoint import Endpoint, parse_endpoint, redact

Positive = Annotated[int, msgspec.Meta(gt=0)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3_600)]

WHERE = "chains.evm"


class EvmSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One endpoint, what it must be, and how long we bear with it."""

    url: str
    """ws:// or wss://; it may hold a provider's key and is never printed whole."""
    chain_id: Positive
    """Checked at every connection; another chain is refused."""
    deadline_s: Seconds = 5.0
    """Limit of one whole call, sending and repeating included."""
    max_bytes: Annotated[int, msgspec.Meta(ge=65_536, le=2**31)] = 64 * 2**20
    """Largest message accepted; traces and log lists of a busy block run to megabytes."""
    patience_s: Seconds = 30.0
    """How long a lost endpoint is tried again."""
    max_silence_s: Seconds = 15.0
    """Without a new head for so long, the node is asked whether it has one."""
    window: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 128
    """Deepest reorg that is followed, in blocks; a deeper one stops the feed."""
    max_backfill: Positive = 4_096
    """Most blocks that are read again after an outage."""
    attempts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 6
    """How often a block that does not add up is asked for."""
    retry_pause_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.05
    """Pause before the second attempt; it doubles each time."""
    check_bloom: bool = True
    """Recompute each block's Bloom filter. Switch it off only for chains whose headers leave logs
    out of it (state-sync logs of Polygon) or have none to speak of."""
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    """Most requests in one message; nodes limit this."""
    log_range: Positive = 10_000
    """Most blocks that one log query spans; nodes limit this."""
    priority_fee_wei: NotNegative = 0
    """Tip per gas."""
    elasticity: Positive = 2
    """Block gas limit over gas target."""
    base_fee_denominator: Positive = 8
    """The base fee changes by at most 1/this per block."""
    min_base_fee_wei: NotNegative = 0
    """Floor of the base fee, on chains that have one."""
    allow_plain: bool = False
    """Allow ws:// to another machine: anyone on the way may read and alter it."""

    def __repr__(self) -> str:
        return f"EvmSettings(url={redact(self.url)!r}, chain_id={self.chain_id})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("url", redact(self.url)), ("chain_id", self.chain_id)]


def read_settings(settings: Settings) -> tuple[EvmSettings, Endpoint]:
    """Parse and check one table. Raises: ConfigError: naming key, rule and way out."""
    parsed = parse_settings(EvmSettings, settings, where=WHERE)
    try:
        endpoint = parse_endpoint(parsed.url)
    except ValueError as fault:
        raise ConfigError(f"[{WHERE}.url] {fault}", way_out="give the node's WebSocket address") from None
    if not (endpoint.tls or endpoint.loopback or parsed.allow_plain):
        raise ConfigError(
            f"[{WHERE}.url] {endpoint} is unencrypted and leaves this machine",
            way_out="use wss://, or set `allow_plain = true` if the network between is yours",
        )
    return parsed, endpoint
