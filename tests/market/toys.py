"""A toy protocol, as a stranger would write one, and markets made of it.

A row holds two reserves (u128), the share in thousandths that the fee leaves, and the gas.
Events: 0 sets the reserves, 1 means nothing, anything else asks for a reload.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from tallyio.market.fusion import Fused, fuse
from tallyio.market.market import Head, Market
from tallyio.market.shape import Holding
from tallyio.model.chain import Block, Log
from tallyio.model.chain import Head as ChainHead
from tallyio.model.hashing import keccak256
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash, Wei

ROW_BYTES = 64
TOPICS = tuple(keccak256(b"toy event %d" % number) for number in range(3))

SOURCE = """
from tallyio.market.abi import (
    APPLY_LOG_SIGNATURE, CURVE_SIGNATURE, GAS_SIGNATURE, QUOTE_SIGNATURE, LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
)
from tallyio.native.atomics import load, load_be256
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load128, store128, to_f64, u128, u256

ZERO = const(0)
THOUSAND = const(1000)
BONUS = const({bonus})

@hot(QUOTE_SIGNATURE)
def quote(row, i, j, amount_in):
    a, b = u256(load128(row + 16 * i)), u256(load128(row + 16 * j))
    if a == ZERO or amount_in == ZERO:
        return ZERO
    kept = amount_in * u256(load(row, 4))
    return divmod256(kept * b, a * THOUSAND + kept)[0] + BONUS

@hot(CURVE_SIGNATURE)
def curve(row, i, j, amount_in):
    a, b = to_f64(u256(load128(row + 16 * i))), to_f64(u256(load128(row + 16 * j)))
    if a == 0.0:
        return 0.0, 0.0
    keep = float(load(row, 4)) / 1000.0
    depth = a + keep * amount_in
    return keep * amount_in * (b / depth), keep * (b / depth) * (a / depth)

@hot(GAS_SIGNATURE)
def gas(row, i, j, amount_in):
    return load(row, 5)

@hot(APPLY_LOG_SIGNATURE)
def apply_log(row, event, topics, data, data_bytes):
    if event == 1:
        return LOG_IGNORED
    if event != 0 or data_bytes != 64:
        return LOG_RELOAD
    store128(row, u128(load_be256(data)))
    store128(row + 16, u128(load_be256(data + 32)))
    return LOG_APPLIED
"""


class Compiled(msgspec.Struct, frozen=True):
    """Where a toy's functions are."""

    module: str
    event_bytes: tuple[int, ...] = ()


def write_module(folder: Path, text: str, name: str | None = None) -> str:
    """Write a module that is named by its text, make it importable, and return its name.

    So what another test or an earlier run compiled of the same text is found again.
    """
    name = name or f"toy_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    (folder / f"{name}.py").write_text(text)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return name


def toy(folder: Path, *, bonus: int = 0) -> Compiled:
    return Compiled(write_module(folder, SOURCE.replace("{bonus}", str(bonus))))


def row(reserve0: int, reserve1: int, *, keep: int = 997, gas: int = 100) -> bytes:
    reserves = reserve0.to_bytes(16, "little") + reserve1.to_bytes(16, "little")
    return (reserves + struct.pack("<qq", keep, gas)).ljust(ROW_BYTES, b"\0")


def address(number: int) -> Address:
    return Address(number.to_bytes(20))


def pool(number: int, *tokens: int, can_flash: bool = True) -> PoolSpec:
    return PoolSpec(
        address=address(1000 + number),
        tokens=tuple(address(token) for token in tokens),
        venue="toy",
        fee_pips=3000,
        can_flash=can_flash,
    )


def holding(
    compiled: Compiled, pools: Sequence[PoolSpec], rows: Sequence[bytes], protocol: str = "toy"
) -> Holding:
    return Holding(protocol=protocol, compiled=compiled, topics=TOPICS, pools=tuple(pools), rows=tuple(rows))


def block_hash(label: object) -> Hash:
    return Hash(keccak256(repr(label).encode()))


GENESIS = Head(block_hash("genesis"), 0)


def event_log(where: PoolSpec, event: int, *words: int) -> Log:
    data = b"".join(value.to_bytes(32) for value in words)
    none = Hash(bytes(32))
    return Log(
        address=where.address,
        topics=(TOPICS[event],),
        data=data,
        block_hash=none,
        block_number=0,
        log_index=0,
        transaction_hash=none,
    )


def block(parent: Head, logs: Iterable[Log], label: object = "") -> Block:
    """Return a block on `parent`; blocks with different labels differ."""
    number = parent.number + 1
    head = ChainHead(
        number=number,
        hash=block_hash((parent.hash, number, label)),
        parent_hash=parent.hash,
        timestamp=number,
        base_fee_wei=Wei(0),
        gas_used=0,
        gas_limit=30_000_000,
        logs_bloom=b"",
    )
    return Block(head=head, logs=tuple(logs), bytes_in_ns=0, decoded_ns=0)


def fused_toy(folder: Path) -> tuple[Fused, Compiled]:
    compiled = toy(folder)
    return fuse([("toy", compiled)]), compiled


def market(fused: Fused, compiled: Compiled, pools: Sequence[PoolSpec], rows: Sequence[bytes]) -> Market:
    return Market(fused, [holding(compiled, pools, rows)], GENESIS)
