"""From a receipt to realised profit, and from a block's balances to the proof of it.

Layer: engine. A token's own event may lie, so the sum over a block is compared with the balance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head, Log, Receipt
from tallyio.model.erc20 import balance_of
from tallyio.model.hashing import event_topic
from tallyio.model.units import ADDRESS_BYTES, Address

TRANSFER: Final = event_topic("Transfer(address,address,uint256)")
_TRANSFER_TOPICS: Final = 3
_READINGS: Final = 2


def realised(receipt: Receipt, *, token: Address, account: Address) -> int:
    """Return what `receipt` moved of `token` into `account`, less what it moved out, in smallest units."""
    return sum(_flow(log, account) for log in receipt.logs if log.address == token)


async def contradiction(
    chain: ChainReader, head: Head, gains: Iterable[tuple[Address, int]], *, account: Address
) -> str | None:
    """Return how the balances of `account` over block `head` contradict the gains of our transactions.

    None means that the chain's own balances confirm their sum, token by token. A node that is asked for
    the newest block while the next one comes may answer with the state of the next: what contradicts is
    read once more.
    """
    expected: Counter[Address] = Counter()
    for token, gain in gains:
        expected[token] += gain
    fault = None
    for _ in range(_READINGS):
        moved = await _moved(chain, head, list(expected), account)
        fault = _difference(head, expected, moved)
        if fault is None:
            break
    return fault


async def _moved(chain: ChainReader, head: Head, tokens: Sequence[Address], account: Address) -> list[int]:
    """Return by how much block `head` changed each balance."""
    calls = [balance_of(token, account) for token in tokens]
    before = await chain.call(calls, block=head.parent_hash)
    after = await chain.call(calls, block=head.hash)
    return [
        int.from_bytes(new or b"") - int.from_bytes(old or b"")
        for old, new in zip(before, after, strict=True)
    ]


def _difference(head: Head, expected: Mapping[Address, int], moved: Sequence[int]) -> str | None:
    for (token, gain), change in zip(expected.items(), moved, strict=True):
        if change != gain:
            return (
                f"in block {head.number} the balance of token 0x{token.hex()} changed by {change},"
                f" our receipts say {gain}"
            )
    return None


def _flow(log: Log, account: Address) -> int:
    if len(log.topics) != _TRANSFER_TOPICS or log.topics[0] != TRANSFER:
        return 0
    amount = int.from_bytes(log.data)
    source, target = (topic[-ADDRESS_BYTES:] for topic in log.topics[1:])
    return amount * ((target == account) - (source == account))
