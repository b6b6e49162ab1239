"""The Bloom filter of a block's logs, recomputed: a log list that was cut short does not add up.

Source: the Yellow Paper, section 4.3.1 (M3:2048): of the Keccak-256 of an address or topic, the
low 11 bits of byte pairs 0-1, 2-3 and 4-5 name three bits of 2048.

What it cannot see: a missing log at the end of the block whose address and topics all occur in
other logs of that block (or, by chance, whose bits do) leaves the filter as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from tallyio.model.chain import Head, Log
from tallyio.model.hashing import keccak256
from tallyio_chain_evm.errors import IncompleteBlock

BLOOM_BYTES = 256
BIT_MASK = 2_047
REMEMBERED = 16_384
"""Addresses and topics whose bits are kept: about 8 MB when full."""


@lru_cache(maxsize=REMEMBERED)
def bits(item: bytes) -> int:
    """Return the three bits of one address or topic, as an integer of 2048 bits."""
    digest = keccak256(item)
    pairs = (digest[0] << 8 | digest[1], digest[2] << 8 | digest[3], digest[4] << 8 | digest[5])
    return 1 << (pairs[0] & BIT_MASK) | 1 << (pairs[1] & BIT_MASK) | 1 << (pairs[2] & BIT_MASK)


def logs_bloom(logs: Iterable[Log]) -> bytes:
    """Return the 256-byte filter of `logs`."""
    items: set[bytes] = set()
    for log in logs:
        items.add(log.address)
        items.update(log.topics)
    union = 0
    for item in items:
        union |= bits(item)
    return union.to_bytes(BLOOM_BYTES, "big")


def possible[Item: bytes](bloom: bytes, items: Iterable[Item]) -> list[Item]:
    """Return those of `items` that may be addresses or topics of a block whose filter is `bloom`.

    None that is one is left out. A chain without filters rules out all: there nobody can say.
    """
    union = int.from_bytes(bloom)
    return [item for item in items if not bits(item) & ~union]


def check_logs(head: Head, logs: tuple[Log, ...], *, bloom: bool = True) -> None:
    """Check that `logs` are all logs of `head`, in order.

    Raises: IncompleteBlock: an index is missing or out of order, a log is of another block, or the
    Bloom filter differs. Without `bloom`, or where the header has no filter, only the indexes tell.
    """
    for index, log in enumerate(logs):
        if log.log_index != index:
            raise _incomplete(head, f"log {index} in the list has index {log.log_index}")
        if log.block_hash != head.hash or log.block_number != head.number:
            raise _incomplete(head, f"log {index} is of block {log.block_number} 0x{log.block_hash.hex()}")
    if bloom and head.logs_bloom and logs_bloom(logs) != head.logs_bloom:
        raise _incomplete(head, f"the Bloom filter of its {len(logs)} logs is not the header's")


def _incomplete(head: Head, fault: str) -> IncompleteBlock:
    return IncompleteBlock(f"the logs of block {head.number} (0x{head.hash.hex()}) do not add up: {fault}")
