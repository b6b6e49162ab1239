"""What a chain tells us: heads, logs, blocks, receipts, state.

Layer: model. All records are frozen; times ending in `_ns` are `time.perf_counter_ns()`.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from tallyio.model.units import Address, Hash, Wei


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The header of one block, as far as we use it."""

    number: int
    hash: Hash
    parent_hash: Hash
    timestamp: int
    """Chain time in seconds."""
    base_fee_wei: Wei
    gas_used: int
    gas_limit: int
    logs_bloom: bytes
    """256 bytes; empty where the chain has none."""


class Moment(NamedTuple):
    """The block that a call is to find itself in."""

    number: int
    timestamp: int


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """One event log of a block."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    block_hash: Hash
    block_number: int
    log_index: int
    transaction_hash: Hash


class Block(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A complete block: its parent was published before it, and its logs are all here."""

    head: Head
    logs: tuple[Log, ...]
    bytes_in_ns: int
    """When the first bytes that announced the block were read from the socket."""
    decoded_ns: int
    """When head and logs were decoded and checked."""


class Rollback(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Blocks that are no longer part of the chain, newest first; undo them in this order."""

    dropped: tuple[Hash, ...]
    ancestor: Hash
    """The common ancestor, which stays."""


BlockEvent = Block | Rollback


class PendingTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that waits for a block, as a node shows it."""

    hash: Hash
    sender: Address
    nonce: int
    to: Address | None
    """None: it makes a contract."""
    data: bytes
    value_wei: Wei
    gas_limit: int
    max_fee_wei: Wei
    """The most that it pays per gas; the gas price of one that has no more to say."""
    max_priority_fee_wei: Wei
    """The most of that which goes to whoever builds the block; the same gas price."""
    arrived_ns: int
    """When the first bytes that told of it were read from the socket."""


class LogFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which logs to ask for; block bounds are inclusive."""

    from_block: int
    to_block: int
    addresses: tuple[Address, ...] = ()
    """Empty means any."""
    topics: tuple[tuple[bytes, ...], ...] = ()
    """Per position the accepted topics; an empty tuple accepts any."""


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """An account's state as far as it is known; None means "not told", not "empty"."""

    balance_wei: Wei | None = None
    nonce: int | None = None
    code: bytes | None = None
    storage: dict[int, int] = {}
    """Slot to value; a slot cleared by the block is present with value 0."""


StateSlice = dict[Address, AccountState]
"""Part of the state: what a call reads (prestate), or what a block changed (diff)."""


class Fees(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction for the next block has to pay (EIP-1559)."""

    base_fee_wei: Wei
    """Exact base fee of the block after `head`, from the head alone."""
    priority_fee_wei: Wei
    """Tip per gas that the chain's settings suggest."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a transaction that a block includes."""

    transaction_hash: Hash
    block_hash: Hash
    block_number: int
    transaction_index: int
    status: bool
    gas_used: int
    effective_gas_price_wei: Wei
    logs: tuple[Log, ...]
