"""The functions of all enabled protocols as one, by the address of a `POOL` record.

Layer: market. This file holds their declarations only. `tallyio.market.fusion.fuse` writes the real
module, which dispatches over the enabled protocols, and puts it in this one's place; modules that
import from here are imported after that, through `Fused.load`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallyio.model.errors import ConfigError

if not TYPE_CHECKING:
    raise ConfigError(
        "tallyio.market.fused does not exist before the enabled plugins are fused",
        way_out="call tallyio.market.fusion.fuse first, and import the module with Fused.load",
    )


def quote(pool: int, i: int, j: int, amount_in: int) -> int:
    """Return the exact output of selling `amount_in` of token `i` for token `j`; 0 where the pool reverts."""
    raise NotImplementedError


def curve(pool: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope in float64, within the error that `tallyio.market.abi` allows."""
    raise NotImplementedError


def gas(pool: int, i: int, j: int, amount_in: int) -> int:
    """Return the estimated gas of the swap."""
    raise NotImplementedError


def apply_log(pool: int, event: int, topics: int, data: int, data_bytes: int) -> int:
    """Change the pool's row as the event says and return a `LOG_*` number."""
    raise NotImplementedError


def quote_exact_out(pool: int, i: int, j: int, amount_out: int) -> int:
    """Return the exact input that pays `amount_out` of token `j`; 0 where the pool cannot pay it."""
    raise NotImplementedError


def least_input(pool: int, i: int, j: int, amount_out: int) -> int:
    """Return the least input that `quote` says pays at least `amount_out`, by search; 0 if it finds none."""
    raise NotImplementedError


def advance(pool: int, timestamp: int) -> int:
    """Bring the pool's row to a block with this time and return a `LOG_*` number."""
    raise NotImplementedError
