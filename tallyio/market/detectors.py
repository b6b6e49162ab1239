"""The detectors of all enabled strategies as one, by number.

Layer: market. This file holds the declaration only; see `tallyio.market.fused`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallyio.model.errors import ConfigError

if not TYPE_CHECKING:
    raise ConfigError(
        "tallyio.market.detectors does not exist before the enabled plugins are fused",
        way_out="call tallyio.market.fusion.fuse first, and import the module with Fused.load",
    )


def detect(strategy: int, market: int, index: int, found: int, capacity: int) -> int:
    """Run `detect` of strategy number `strategy` and return how many records it wrote."""
    raise NotImplementedError
