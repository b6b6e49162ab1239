"""The functions of all enabled lending protocols as one, by the address of a `BOOK` record.

Layer: lending. This file holds their declarations only. `tallyio.lending.fusion.fuse_lending` writes the
real module, which dispatches over the enabled protocols, and puts it in this one's place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallyio.model.errors import ConfigError

if not TYPE_CHECKING:
    raise ConfigError(
        "tallyio.lending.fused does not exist before the enabled plugins are fused",
        way_out="call tallyio.lending.fusion.fuse_lending first",
    )


def values(book: int, reserve: int, time: int, number: int, out: int) -> int:
    """Write what one scaled unit of a reserve's two sides is worth; return `KNOWN` or `UNKNOWN`."""
    raise NotImplementedError


def weight(book: int, position: int, k: int) -> float:
    """Return the share of balance k's collateral value that counts against debt."""
    raise NotImplementedError


def health(book: int, position: int, time: int, number: int, out: int) -> int:
    """Write a `HEALTH` record and return whether the position can be liquidated."""
    raise NotImplementedError


def liquidate(  # noqa: PLR0913, PLR0917 - one liquidation has this many facts
    book: int, position: int, collateral: int, debt: int, repay: int, time: int, number: int, out: int
) -> int:
    """Write a `LIQUIDATION` record and return the verdict."""
    raise NotImplementedError
