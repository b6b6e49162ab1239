"""Time of a block from JSON text to checked records, beside plain Python that checks nothing.

A block is its head and 50 logs (about a dozen swaps), decoded and checked against its Bloom
filter. The reference parses the same text with `json.loads` and makes the same logs of it, with
`bytes.fromhex` and `int`: it runs in the interpreter as we do, so a slow machine slows both.
Run: python -m tallyio_chain_evm.bench.decode
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import msgspec
import pyperf

from tallyio.model.chain import Head, Log
from tallyio.model.units import Address, Hash, Wei
from tallyio_chain_evm.bloom import check_logs, logs_bloom
from tallyio_chain_evm.decode import read_head, read_logs
from tallyio_chain_evm.encode import head_json, log_json

LOGS = 50
POOLS = 12
BLOCKS = 128
"""Enough that no block is met again while its own words are still remembered."""
NUMBER = 21_000_000


def make_block(seed: int, number: int = 0) -> tuple[msgspec.Raw, msgspec.Raw]:
    """Return the JSON of a head and of its logs."""
    shared, source = random.Random(seed), random.Random(f"{seed} {number}")
    pools = [Address(shared.randbytes(20)) for _ in range(POOLS)]
    topics = [shared.randbytes(32) for _ in range(3)]
    block = Hash(source.randbytes(32))
    logs = [
        Log(
            address=source.choice(pools),
            topics=(source.choice(topics), source.randbytes(32), source.randbytes(32)),
            data=source.randbytes(160),
            block_hash=block,
            block_number=NUMBER,
            log_index=index,
            transaction_hash=Hash(source.randbytes(32)),
        )
        for index in range(LOGS)
    ]
    head = Head(
        number=NUMBER,
        hash=block,
        parent_hash=Hash(source.randbytes(32)),
        timestamp=1_750_000_000,
        base_fee_wei=Wei(10**9),
        gas_used=15_000_000,
        gas_limit=30_000_000,
        logs_bloom=logs_bloom(logs),
    )
    return _raw(head_json(head)), _raw([log_json(log) for log in logs])


def make_blocks(seed: int) -> list[tuple[msgspec.Raw, msgspec.Raw]]:
    """Return different blocks of the same pools and events."""
    return [make_block(seed, number) for number in range(BLOCKS)]


def decode_block(head_text: msgspec.Raw, logs_text: msgspec.Raw) -> None:
    """Do what the feed does between bytes and a published block."""
    check_logs(read_head(head_text), read_logs(logs_text))


def decode_plainly(head_text: bytes, logs_text: bytes) -> None:
    """Make the same logs of the same text, believing every word of it."""
    json.loads(head_text)
    for log in json.loads(logs_text):
        Log(
            address=Address(bytes.fromhex(log["address"][2:])),
            topics=tuple([bytes.fromhex(topic[2:]) for topic in log["topics"]]),
            data=bytes.fromhex(log["data"][2:]),
            block_hash=Hash(bytes.fromhex(log["blockHash"][2:])),
            block_number=int(log["blockNumber"], 16),
            log_index=int(log["logIndex"], 16),
            transaction_hash=Hash(bytes.fromhex(log["transactionHash"][2:])),
        )


def _all[T](work: Callable[[T, T], None], blocks: list[tuple[T, T]]) -> None:
    for head, logs in blocks:
        work(head, logs)


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def main() -> None:
    """Run both benchmarks."""
    runner = pyperf.Runner()
    blocks = make_blocks(seed=7)
    plain = [(bytes(head), bytes(logs)) for head, logs in blocks]
    runner.bench_func("evm.decode.block_50_logs", _all, decode_block, blocks, inner_loops=BLOCKS)
    runner.bench_func("evm.decode.reference", _all, decode_plainly, plain, inner_loops=BLOCKS)


if __name__ == "__main__":
    main()
