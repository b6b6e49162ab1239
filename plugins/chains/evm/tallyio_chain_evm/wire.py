"""The JSON of the Ethereum JSON-RPC API, as typed structs; hex text is still text here.

Source: the execution API specification (https://ethereum.github.io/execution-apis) and, for
traces, the prestate tracer of the geth documentation. Fields that we do not use are not named,
so msgspec skips them; a missing or null field that we do use is an error.
"""

from __future__ import annotations

import msgspec

ABSENT = "0x"
"""Default of a hex field that a chain may lack."""


class WireHead(msgspec.Struct, rename="camel"):
    """A header, as `newHeads` and `eth_getBlockBy…` give it."""

    number: str
    hash: str
    parent_hash: str
    timestamp: str
    gas_used: str
    gas_limit: str
    base_fee_per_gas: str | None = None
    logs_bloom: str = ABSENT


class WireLog(msgspec.Struct, rename="camel"):
    """One log of `eth_getLogs` or of a receipt."""

    address: str
    topics: list[str]
    data: str
    block_hash: str
    block_number: str
    log_index: str
    transaction_hash: str
    removed: bool = False


class WireTransaction(msgspec.Struct, rename="camel"):
    """A transaction that waits; one from before EIP-1559 has a gas price and no more."""

    hash: str
    nonce: str
    input: str
    value: str
    gas: str
    sender: str = msgspec.field(name="from")
    to: str | None = None
    gas_price: str = "0x0"
    max_fee_per_gas: str | None = None
    max_priority_fee_per_gas: str | None = None
    block_hash: str | None = None


class WireReceipt(msgspec.Struct, rename="camel"):
    """A transaction receipt (Byzantium and later: it has a status)."""

    transaction_hash: str
    block_hash: str
    block_number: str
    transaction_index: str
    status: str
    gas_used: str
    effective_gas_price: str
    logs: list[WireLog]


class WireAccount(msgspec.Struct):
    """An account in a prestate trace; a field is absent where the tracer has nothing to say."""

    balance: str | None = None
    nonce: int | str | None = None
    code: str | None = None
    storage: dict[str, str] = {}


class WireDiff(msgspec.Struct):
    """What one transaction changed: only what differs is in it."""

    pre: dict[str, WireAccount]
    post: dict[str, WireAccount]


class WireTrace(msgspec.Struct):
    """One transaction of a block trace."""

    result: WireDiff


class WireAccessEntry(msgspec.Struct, rename="camel"):
    """One account of an access list."""

    address: str
    storage_keys: list[str]


class WireAccessList(msgspec.Struct, rename="camel"):
    """The answer of `eth_createAccessList`; a reverting call still has its list."""

    access_list: list[WireAccessEntry]
