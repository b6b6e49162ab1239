"""What the signer signs, decided in its own process on the transaction itself.

The engine may be wrong or taken over; what it can get signed is bounded here: calls of one executor,
of known functions, with bounded value and gas price, and one content per nonce.
"""

from __future__ import annotations

from typing import Final

from tallyio.hooks.interfaces import Limits
from tallyio.model.execution import UnsignedTransaction
from tallyio.model.units import hex_text

SELECTOR_BYTES: Final = 4


def refusal(limits: Limits, transaction: UnsignedTransaction) -> str | None:
    """Return why `transaction` is outside the policy, in words, or None."""
    chosen = transaction.data[:SELECTOR_BYTES]
    rules = (
        (
            transaction.chain_id == limits.chain_id,
            f"chain id {transaction.chain_id} is not {limits.chain_id}",
        ),
        (transaction.to == limits.executor, f"target {hex_text(transaction.to)} is not the executor"),
        (chosen in limits.selectors, f"function {hex_text(chosen)} is not on the list"),
        (
            0 <= transaction.value_wei <= limits.max_value_wei,
            f"value {transaction.value_wei} wei is above {limits.max_value_wei}",
        ),
        (
            0 <= transaction.max_fee_wei <= limits.max_fee_wei,
            f"max fee {transaction.max_fee_wei} wei per gas is above {limits.max_fee_wei}",
        ),
        (
            0 <= transaction.max_priority_fee_wei <= transaction.max_fee_wei,
            "the priority fee is above the max fee",
        ),
        (
            0 < transaction.gas_limit <= limits.max_gas,
            f"gas {transaction.gas_limit} is above {limits.max_gas}",
        ),
        (transaction.nonce >= 0, f"nonce {transaction.nonce} is negative"),
    )
    return next((reason for holds, reason in rules if not holds), None)
