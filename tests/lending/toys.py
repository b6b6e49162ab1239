"""Books of the toy protocol, and the same in Python integers."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from tallyio.hooks.lending import BookRows, CompiledLending
from tallyio.lending.book import Book
from tallyio.lending.fusion import FusedLending
from tallyio.model.chain import Head
from tallyio.model.lending import Balance, BookSpec, Position, PositionKey, ReserveSpec
from tallyio.model.units import Address, Hash, Wei
from tests.lending import toy_hot
from tests.lending.toy_hot import SCALE

# A stranger's module has a top-level name of its own.
sys.modules["toy_lending"] = toy_hot
COMPILED = CompiledLending(module="toy_lending", relative_slack=1e-12, unit_slack=2.0)
TIME = 1_000_000
"""When all indexes were written."""


def block(number: int) -> Hash:
    """Return the hash of block `number`; 0 is where books start."""
    return Hash(number.to_bytes(32, "big"))


def head(number: int, parent: Hash | None = None) -> Head:
    """Return the head of that block, on top of the block before unless said otherwise."""
    return Head(
        number=number,
        hash=block(number),
        parent_hash=block(number - 1) if parent is None else parent,
        timestamp=TIME + 12 * number,
        base_fee_wei=Wei(1),
        gas_used=0,
        gas_limit=1,
        logs_bloom=b"",
    )


def row(
    *, price: int, index: int = 10**9, growth: int = 0, threshold: int = 80, paused: bool = False
) -> bytes:
    """Return a reserve's row."""
    return struct.pack("<6q16x", price, index, growth, TIME, threshold, paused)


def key(number: int) -> PositionKey:
    """Return the key of position `number`."""
    return PositionKey(Address(number.to_bytes(20, "big")))


def position(number: int, *balances: tuple[int, int, int]) -> Position:
    """Return a position of (reserve, collateral, debt)."""
    return Position(
        key=key(number),
        balances=tuple(Balance(reserve=r, collateral=c, debt=d) for r, c, d in balances if c or d),
    )


def random_position(rng: Random, number: int, reserves: int) -> Position:
    """Return a position near its threshold, more often than not."""
    held = sorted(rng.sample(range(reserves), rng.randint(1, min(4, reserves))))
    scale = 10 ** rng.randint(0, 12)
    return position(
        number,
        *((r, rng.choice((0, rng.randrange(scale))), rng.choice((0, rng.randrange(scale)))) for r in held),
    )


def liquidatable(position: Position, rows: Sequence[bytes], time: int) -> bool:
    """Return whether the position is below its threshold, in Python integers."""
    collateral = debt = 0
    for balance in position.balances:
        price, index, growth, since, threshold, _ = struct.unpack("<6q16x", rows[balance.reserve])
        unit = price * (index + growth * (time - since))
        collateral += balance.collateral * unit // SCALE * threshold // 100
        debt += -(-balance.debt * unit // SCALE)
    return collateral < debt


@contextmanager
def open_book(
    fused: FusedLending, rows: Sequence[bytes], positions: Sequence[Position] = ()
) -> Iterator[Book]:
    """Make a book at block 0 and close it afterwards."""
    token = Address(b"\1" * 20)
    spec = BookSpec(
        address=Address(b"\2" * 20),
        venue="toy",
        reserves=tuple(
            ReserveSpec(symbol=f"R{number}", collateral=token, debt=token) for number in range(len(rows))
        ),
        log_sources=(),
    )
    book = Book(fused, 0, spec, BookRows(own=bytes(64), reserves=tuple(rows)), COMPILED, block(0))
    try:
        book.fill(positions)
        yield book
    finally:
        book.close()
