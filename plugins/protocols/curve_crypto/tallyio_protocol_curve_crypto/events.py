"""The events that change what a pool quotes, of all kinds.

None says enough to follow it. An exchange, a deposit and a withdrawal in one coin may move the price
scale, by averages and profits that no event tells; a claim of the admin's fees takes in what anybody
gave to the pool. So each asks for a reload. What moves without events, a ramp of A and gamma, is
followed with time.
"""

from __future__ import annotations

from typing import Final

from tallyio.model.hashing import event_topic
from tallyio_protocol_curve_crypto.templates import TEMPLATES


def _of(count: int) -> list[str]:
    amounts = f"uint256[{count}]"
    return [
        f"AddLiquidity(address,{amounts},uint256,uint256)",
        f"AddLiquidity(address,{amounts},uint256,uint256,uint256)",
        f"RemoveLiquidity(address,{amounts},uint256)",
        f"ClaimAdminFee(address,{amounts})",
    ]


SIGNATURES: Final = (
    "TokenExchange(address,uint256,uint256,uint256,uint256)",
    "TokenExchange(address,uint256,uint256,uint256,uint256,uint256,uint256)",
    "RemoveLiquidityOne(address,uint256,uint256,uint256)",
    "RemoveLiquidityOne(address,uint256,uint256,uint256,uint256,uint256)",
    "ClaimAdminFee(address,uint256)",
    "NewParameters(uint256,uint256,uint256,uint256,uint256,uint256)",
    "NewParameters(uint256,uint256,uint256,uint256,uint256,uint256,uint256)",
    "RampAgamma(uint256,uint256,uint256,uint256,uint256,uint256)",
    "StopRampA(uint256,uint256,uint256)",
    *(
        signature
        for count in sorted({template.coins for template in TEMPLATES.values()})
        for signature in _of(count)
    ),
)

TOPICS: Final = tuple(event_topic(signature) for signature in SIGNATURES)
"""Topic 0 of every event; the index is the `event` of `apply_log`."""
