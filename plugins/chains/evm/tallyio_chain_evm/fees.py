"""What the next block costs, from its parent alone.

Source: EIP-1559 (https://eips.ethereum.org/EIPS/eip-1559), `validate_block`.
"""

from __future__ import annotations

from tallyio.model.chain import Fees, Head
from tallyio.model.units import Wei
from tallyio_chain_evm.settings import EvmSettings


def next_base_fee(head: Head, *, elasticity: int, denominator: int, minimum_wei: int = 0) -> Wei:
    """Return the base fee of the block after `head`, exactly.

    The gas target is the gas limit over `elasticity`. Above the target the fee grows by at least
    1 wei and at most 1/`denominator`; below, it falls by the same share, rounded towards the old fee.
    """
    target = head.gas_limit // elasticity
    fee = head.base_fee_wei
    if target and head.gas_used > target:
        change = max(fee * (head.gas_used - target) // target // denominator, 1)
    elif target:
        change = -(fee * (target - head.gas_used) // target // denominator)
    else:
        change = 0
    return Wei(max(fee + change, minimum_wei))


def fees_after(head: Head, settings: EvmSettings) -> Fees:
    """Return the fees of the block after `head` under these settings."""
    base_fee_wei = next_base_fee(
        head,
        elasticity=settings.elasticity,
        denominator=settings.base_fee_denominator,
        minimum_wei=settings.min_base_fee_wei,
    )
    return Fees(base_fee_wei=base_fee_wei, priority_fee_wei=Wei(settings.priority_fee_wei))
