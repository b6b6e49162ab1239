"""How V3's forks differ from it: what their factories and pools are asked.

What a swap pays is the same in all of them, and so are the calls that swap. Sources: `UniswapV3Factory`
(v3-core 1.0.1); `PancakeV3Factory`, `PancakeV3Pool` (@pancakeswap/v3-core 1.0.2); `CLFactory`, `CLPool`
(velodrome-finance/slipstream); `AlgebraFactory`, `AlgebraPool` (@cryptoalgebra/v1-core 1.0.0).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from tallyio.model.hashing import event_topic, selector


class Key(StrEnum):
    """What identifies a pool at its factory, beside its two tokens."""

    FEE = "fee"
    TICK_SPACING = "tick_spacing"
    NOTHING = "nothing"


class FeeFrom(StrEnum):
    """What says how much a swap costs."""

    KEY = "key"
    """The pool's key, forever."""
    POOL = "pool"
    """Its function `fee()`, which asks the factory's fee module."""
    STATE = "state"
    """The third word of its state; the event Fee tells when it changes."""


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One family of contracts."""

    key: Key
    created: bytes
    """Topic 0 of the factory's event; its topics are token0, token1 and the key, its last word the pool."""
    find: bytes
    """Selector of the factory's function from two tokens and the key to the pool."""
    state: bytes
    """Selector of the pool's function that returns price and tick first."""
    bitmap: bytes
    """Selector of the pool's function that returns a word of initialised ticks."""
    fee_from: FeeFrom


DIALECTS: Final = {
    "uniswap": Dialect(
        key=Key.FEE,
        created=event_topic("PoolCreated(address,address,uint24,int24,address)"),
        find=selector("getPool(address,address,uint24)"),
        state=selector("slot0()"),
        bitmap=selector("tickBitmap(int16)"),
        fee_from=FeeFrom.KEY,
    ),
    "slipstream": Dialect(
        key=Key.TICK_SPACING,
        created=event_topic("PoolCreated(address,address,int24,address)"),
        find=selector("getPool(address,address,int24)"),
        state=selector("slot0()"),
        bitmap=selector("tickBitmap(int16)"),
        fee_from=FeeFrom.POOL,
    ),
    "algebra_v1": Dialect(
        key=Key.NOTHING,
        created=event_topic("Pool(address,address,address)"),
        find=selector("poolByPair(address,address)"),
        state=selector("globalState()"),
        bitmap=selector("tickTable(int16)"),
        fee_from=FeeFrom.STATE,
    ),
}
"""By name. PancakeSwap V3 speaks "uniswap": its own event and callback are told apart without it."""

NAMES: Final = tuple(DIALECTS)


def dialect_of(parameters: tuple[tuple[str, int], ...]) -> Dialect:
    """Return the dialect that a pool's parameters name by its number."""
    return DIALECTS[NAMES[dict(parameters)["dialect"]]]
