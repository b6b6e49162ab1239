"""The source templates that StableSwap pools were deployed from, and in what each computes otherwise.

They differ by a unit in places, and a unit decides: a pool must be read as what it was compiled from.

| kind | source |
|---|---|
| `susd` | `pools/susd/StableSwapSUSD.vy` (curve-contract), without lending |
| `three_pool` | `pools/3pool/StableSwap3Pool.vy`, also hBTC |
| `base` | `pool-templates/base/SwapTemplateBase.vy` |
| `base` | `Plain3Basic.vy`, `Plain4Basic.vy`, and `Plain2Basic.vy` as it was first (curve-factory) |
| `plain` | `Plain2Optimized.vy` and the later `Plain2Basic.vy` (curve-factory), which compute D with powers |
| `ema` | `Plain2BasicEMA.vy`, and crvUSD's `Stableswap.vy` |
| `meta` | `pool-templates/meta/SwapTemplateMeta.vy`, which keeps its base's virtual price for 10 minutes |
| `factory_meta` | `MetaUSD.vy`, `MetaBTC.vy` |
| `ng` | `CurveStableSwapNG.vy` (stableswap-ng) |
| `ng_meta` | `CurveStableSwapMetaNG.vy` |
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final

import msgspec


class DRule(IntEnum):
    """How a step of `get_D` takes a coin into D_P; the places of the divisions differ."""

    PLAIN = 0
    """`D_P = D_P * D / (x * N)` per coin."""
    PLUS_ONE = 1
    """`D_P = D_P * D / (x * N + 1)` per coin."""
    POWERS = 2
    """`D_P = D_P * D / x` per coin, and once `D_P / N**N` after all."""


class Flag(IntFlag):
    """What else a template does."""

    NONE = 0
    FALLS_THROUGH = 1
    """A Newton loop that did not converge in 255 steps returns its last value; others revert."""
    NO_MARGIN = 2
    """The output is x_j - y; others keep one unit back."""
    BALANCES_FROM_XP = 4
    """An exchange converts its scaled balances back; others add and subtract amounts."""
    DYNAMIC_FEE = 8
    """The fee rises off the peg, with averages of the balances before and after; no zero input."""
    SAVES_CAPPED_PRICES = 16
    """An exchange computes all prices and D for its oracles and reverts where they do not fit."""
    SAVES_PRICE = 32
    """An exchange computes the price of two coins for its oracle and reverts where it does not fit."""
    DYNAMIC_ARRAYS = 64
    """Events hold arrays with lengths."""
    BASE_RATE = 128
    """The last coin's rate is the virtual price of a base pool."""
    CACHES_BASE_RATE = 256
    """The pool keeps that virtual price for `CACHE_SECONDS`."""
    DRIFTS = 512
    """Balances may differ from what events say (rebasing coins, donations): every event asks for a reload."""
    FEE_AFTER_RATE = 1024
    """The view `get_dy` takes the fee after the conversion; the exchange, as everywhere, before it."""


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table above."""

    kind: str
    a_precision: int = 100
    d_rule: DRule = DRule.PLAIN
    flags: Flag = Flag.NONE


_OLD: Final = Flag.FALLS_THROUGH | Flag.FEE_AFTER_RATE
_NG: Final = Flag.DYNAMIC_FEE | Flag.SAVES_CAPPED_PRICES | Flag.DYNAMIC_ARRAYS

TEMPLATES: Final = {
    template.kind: template
    for template in (
        Template(
            kind="susd",
            a_precision=1,
            d_rule=DRule.PLUS_ONE,
            flags=_OLD | Flag.NO_MARGIN | Flag.BALANCES_FROM_XP,
        ),
        Template(kind="three_pool", a_precision=1, flags=_OLD),
        Template(kind="base"),
        Template(kind="plain", d_rule=DRule.POWERS),
        Template(kind="ema", d_rule=DRule.POWERS, flags=Flag.SAVES_PRICE),
        Template(kind="meta", flags=Flag.BASE_RATE | Flag.CACHES_BASE_RATE),
        Template(kind="factory_meta", flags=Flag.BASE_RATE),
        Template(kind="ng", d_rule=DRule.POWERS, flags=_NG),
        Template(kind="ng_meta", d_rule=DRule.POWERS, flags=_NG | Flag.BASE_RATE | Flag.DRIFTS),
    )
}

CACHE_SECONDS: Final = 600
"""`BASE_CACHE_EXPIRES`."""
