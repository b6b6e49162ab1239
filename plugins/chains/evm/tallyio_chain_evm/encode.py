"""Records as a node writes them: the other side of `decode`, for tests and benchmarks."""

from __future__ import annotations

from tallyio.model.chain import Head, Log
from tallyio.model.units import hex_text


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
