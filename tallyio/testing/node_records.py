"""Heads and logs as a node writes them, and the Bloom filter that a header has.

Layer: testing. Source of the filter: the Yellow Paper, section 4.3.1 (M3:2048): of the Keccak-256 of an
address or topic, the low 11 bits of byte pairs 0-1, 2-3 and 4-5 name three bits of 2048.
"""

from __future__ import annotations

from collections.abc import Iterable

from tallyio.model.chain import Head, Log
from tallyio.model.hashing import keccak256
from tallyio.model.units import hex_text

_BLOOM_BYTES = 256
_LOW_BITS = 2_047


def logs_bloom(logs: Iterable[Log]) -> bytes:
    """Return the 256-byte filter of `logs`."""
    union = 0
    for item in {item for log in logs for item in (log.address, *log.topics)}:
        digest = keccak256(item)
        for at in (0, 2, 4):
            union |= 1 << (int.from_bytes(digest[at : at + 2]) & _LOW_BITS)
    return union.to_bytes(_BLOOM_BYTES)


def head_json(head: Head) -> dict[str, object]:
    """Return `head` as a node writes it."""
    return {
        "number": hex(head.number),
        "hash": hex_text(head.hash),
        "parentHash": hex_text(head.parent_hash),
        "timestamp": hex(head.timestamp),
        "baseFeePerGas": hex(head.base_fee_wei),
        "gasUsed": hex(head.gas_used),
        "gasLimit": hex(head.gas_limit),
        "logsBloom": hex_text(head.logs_bloom),
        "stateRoot": hex_text(head.hash),
        "receiptsRoot": hex_text(head.hash),
        "miner": hex_text(bytes(20)),
        "extraData": "0x",
    }


def log_json(log: Log) -> dict[str, object]:
    """Return `log` as a node writes it."""
    return {
        "address": hex_text(log.address),
        "topics": [hex_text(topic) for topic in log.topics],
        "data": hex_text(log.data),
        "blockHash": hex_text(log.block_hash),
        "blockNumber": hex(log.block_number),
        "logIndex": hex(log.log_index),
        "transactionHash": hex_text(log.transaction_hash),
        "transactionIndex": "0x0",
        "removed": False,
    }
