"""The events of all templates, as `apply_log` numbers them.

Arrays are of as many words as the pool has coins, so the signature, and with it topic 0, depends on
that number; NG logs arrays with lengths instead.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from tallyio.model.hashing import event_topic
from tallyio_protocol_curve_stable.layout import MAX_COINS, MIN_COINS


class Event(IntEnum):
    """What an event means for a row."""

    EXCHANGE = 0
    ADD = 1
    REMOVE = 2
    REMOVE_IMBALANCE = 3
    RAMP = 4
    STOP_RAMP = 5
    NEW_PARAMETERS = 6
    """A, fee and the admin's part."""
    NEW_FEE = 7
    """Fee and the admin's part."""
    APPLY_FEE = 8
    """Fee and the off-peg multiplier."""
    APPLY_PLAIN_FEE = 9
    APPLY_ADMIN_FEE = 10
    BEYOND = 11
    """What an event does not tell enough of: a withdrawal in one coin, an exchange through the base pool."""


def _arrays(name: str, tail: str) -> list[str]:
    sizes = [f"uint256[{count}]" for count in range(MIN_COINS, MAX_COINS + 1)] + ["uint256[]"]
    return [f"{name}(address,{size},{size},{tail})" for size in sizes]


SIGNATURES: Final = (
    (Event.EXCHANGE, ["TokenExchange(address,int128,uint256,int128,uint256)"]),
    (Event.ADD, _arrays("AddLiquidity", "uint256,uint256")),
    (Event.REMOVE, _arrays("RemoveLiquidity", "uint256")),
    (Event.REMOVE_IMBALANCE, _arrays("RemoveLiquidityImbalance", "uint256,uint256")),
    (Event.RAMP, ["RampA(uint256,uint256,uint256,uint256)"]),
    (Event.STOP_RAMP, ["StopRampA(uint256,uint256)"]),
    (Event.NEW_FEE, ["NewFee(uint256,uint256)"]),
    (Event.NEW_PARAMETERS, ["NewParameters(uint256,uint256,uint256)"]),
    (Event.APPLY_FEE, ["ApplyNewFee(uint256,uint256)"]),
    (Event.APPLY_PLAIN_FEE, ["ApplyNewFee(uint256)"]),
    (Event.APPLY_ADMIN_FEE, ["ApplyNewAdminFee(uint256)"]),
    (
        Event.BEYOND,
        [
            "TokenExchangeUnderlying(address,int128,uint256,int128,uint256)",
            "RemoveLiquidityOne(address,uint256,uint256)",
            "RemoveLiquidityOne(address,uint256,uint256,uint256)",
            "RemoveLiquidityOne(address,int128,uint256,uint256,uint256)",
        ],
    ),
)

TOPICS: Final = tuple(event_topic(signature) for _, group in SIGNATURES for signature in group)
"""Topic 0 of every event; the index is the `event` of `apply_log`."""

MEANINGS: Final = tuple(int(event) for event, group in SIGNATURES for _ in group)
"""The `Event` of each of `TOPICS`."""

WORDS: Final = {
    Event.RAMP: 4,
    Event.STOP_RAMP: 2,
    Event.NEW_FEE: 2,
    Event.NEW_PARAMETERS: 3,
    Event.APPLY_FEE: 2,
    Event.APPLY_PLAIN_FEE: 1,
    Event.APPLY_ADMIN_FEE: 1,
}
"""How many words of data the events of settings have."""
