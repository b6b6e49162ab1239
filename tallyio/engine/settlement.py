"""From a receipt to realised profit, and from a block's balances to the proof of it.

Layer: engine. A token's own event may lie, so the sum over a block is compared with the balance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head, Log, Receipt
from tallyio.model.erc20 import balance_of
from tallyio.model.hashing import event_topic
from tallyio.model.units import ADDRESS_BYTES, Address

TRANSFER: Final = event_topic("Transfer(address,address,uint256)")
_TRANSFER_TOPICS: Final = 3


def realised(receipt: Receipt, *, token: Address, account: Address) -> int:
    """Return what `receipt` moved of `token` into `account`, less what it moved out, in smallest units."""
    return sum(_flow(log, account) for log in receipt.logs if log.address == token)


async def contradiction(
    chain: ChainReader, head: Head, gains: Iterable[tuple[Address, int]], *, account: Address
) -> str | None:
    """Return how the balances of `account` over block `head` contradict the gains of our transactions.

    None means that the chain's own balances confirm their sum, token by token.
    """
    expected: Counter[Address] = Counter()
    for token, gain in gains:
        expected[token] += gain
    calls = [balance_of(token, account) for token in expected]
    before = await chain.call(calls, block=head.parent_hash)
    after = await chain.call(calls, block=head.hash)
    for token, old, new in zip(expected, before, after, strict=True):
        moved = int.from_bytes(new or b"") - int.from_bytes(old or b"")
        if moved != expected[token]:
            return (
                f"in block {head.number} the balance of token 0x{token.hex()} changed by {moved},"
                f" our receipts say {expected[token]}"
            )
    return None


def _flow(log: Log, account: Address) -> int:
    if len(log.topics) != _TRANSFER_TOPICS or log.topics[0] != TRANSFER:
        return 0
    amount = int.from_bytes(log.data)
    source, target = (topic[-ADDRESS_BYTES:] for topic in log.topics[1:])
    return amount * ((target == account) - (source == account))
