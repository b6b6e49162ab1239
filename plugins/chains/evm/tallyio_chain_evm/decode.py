"""From hex text to the records of `tallyio.model`, strictly.

`bytes.fromhex` forgives spaces and `int(…, 16)` forgives signs, spaces and underscores; a node
that sends those is broken, so every reader here checks. Words that repeat from log to log
(addresses, topics, hashes, indexes) are read once and remembered.

Every reader takes raw JSON and raises ValueError, RecursionError or msgspec.DecodeError; whoever
asked knows endpoint and method and turns that into `MalformedReply`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from tallyio.model.chain import Head, Log, PendingTransaction, Receipt
from tallyio.model.units import ADDRESS_BYTES, HASH_BYTES, Address, Hash, Wei
from tallyio_chain_evm.wire import WireHead, WireLog, WireReceipt, WireTransaction

BLOOM_BYTES = 256
REMEMBERED = 16_384
"""Words kept per kind: some thousand pools with all that they touch, about 4 MB."""
_SHOWN = 80
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")

_heads = msgspec.json.Decoder(WireHead)
_maybe_heads = msgspec.json.Decoder(WireHead | None)
_log_lists = msgspec.json.Decoder(list[WireLog])
_maybe_receipts = msgspec.json.Decoder(WireReceipt | None)
_texts = msgspec.json.Decoder(str)
_pendings = msgspec.json.Decoder(WireTransaction | str | None)
_storage_values = msgspec.json.Decoder(dict[str, list[str]])


def data(text: str) -> bytes:
    """Return the bytes that `text` spells ("0x", then two hex digits a byte)."""
    try:
        raw = bytes.fromhex(text[2:])
    except ValueError:
        raise _bad("bytes in hex", text) from None
    # The length refuses the spaces that fromhex skips.
    if len(text) != 2 + 2 * len(raw) or text[:2] != "0x":
        raise _bad("bytes in hex", text)
    return raw


@lru_cache(maxsize=REMEMBERED)
def word(text: str) -> bytes:
    """Return a 32-byte word."""
    return _sized(text, HASH_BYTES)


@lru_cache(maxsize=REMEMBERED)
def account(text: str) -> Address:
    """Return an address."""
    return Address(_sized(text, ADDRESS_BYTES))


@lru_cache(maxsize=REMEMBERED)
def quantity(text: str) -> int:
    """Return an unsigned integer of at most 256 bits."""
    if _QUANTITY.fullmatch(text) is None:
        raise _bad("a quantity in hex", text)
    return int(text, 16)


def head(wire: WireHead) -> Head:
    """Return the record of a header."""
    return Head(
        number=quantity(wire.number),
        hash=Hash(word(wire.hash)),
        parent_hash=Hash(word(wire.parent_hash)),
        timestamp=quantity(wire.timestamp),
        base_fee_wei=Wei(quantity(wire.base_fee_per_gas or "0x0")),
        gas_used=quantity(wire.gas_used),
        gas_limit=quantity(wire.gas_limit),
        logs_bloom=_bloom(wire.logs_bloom),
    )


def log(wire: WireLog) -> Log:
    """Return the record of a log."""
    return Log(
        address=account(wire.address),
        topics=tuple([word(topic) for topic in wire.topics]),
        data=data(wire.data),
        block_hash=Hash(word(wire.block_hash)),
        block_number=quantity(wire.block_number),
        log_index=quantity(wire.log_index),
        transaction_hash=Hash(word(wire.transaction_hash)),
    )


def receipt(wire: WireReceipt) -> Receipt:
    """Return the record of a receipt."""
    return Receipt(
        transaction_hash=Hash(word(wire.transaction_hash)),
        block_hash=Hash(word(wire.block_hash)),
        block_number=quantity(wire.block_number),
        transaction_index=quantity(wire.transaction_index),
        status=quantity(wire.status) == 1,
        gas_used=quantity(wire.gas_used),
        effective_gas_price_wei=Wei(quantity(wire.effective_gas_price)),
        logs=tuple([log(entry) for entry in wire.logs]),
    )


def pending(wire: WireTransaction, arrived_ns: int) -> PendingTransaction:
    """Return the record of a transaction that waits."""
    # Nobody sees these words again, so they are not remembered.
    return PendingTransaction(
        hash=Hash(_sized(wire.hash, HASH_BYTES)),
        sender=account(wire.sender),
        nonce=quantity(wire.nonce),
        to=None if wire.to is None else account(wire.to),
        data=data(wire.input),
        value_wei=Wei(quantity(wire.value)),
        gas_limit=quantity(wire.gas),
        max_fee_wei=Wei(quantity(wire.max_fee_per_gas or wire.gas_price)),
        max_priority_fee_wei=Wei(quantity(wire.max_priority_fee_per_gas or wire.gas_price)),
        arrived_ns=arrived_ns,
    )


def read_pending(raw: msgspec.Raw, arrived_ns: int) -> PendingTransaction | Hash | None:
    """Read what tells of a transaction that waits: all of it, or its hash; None is one that waits no more."""
    wire = _pendings.decode(raw)
    if isinstance(wire, str):
        return Hash(_sized(wire, HASH_BYTES))
    return None if wire is None or wire.block_hash is not None else pending(wire, arrived_ns)


def read_head(raw: msgspec.Raw) -> Head:
    """Read a header that must be there."""
    return head(_heads.decode(raw))


def read_maybe_head(raw: msgspec.Raw) -> Head | None:
    """Read a header; null is None."""
    wire = _maybe_heads.decode(raw)
    return None if wire is None else head(wire)


def read_logs(raw: msgspec.Raw) -> tuple[Log, ...]:
    """Read a list of logs; one that a reorg removed is an error."""
    wires = _log_lists.decode(raw)
    if any([wire.removed for wire in wires]):  # noqa: C419 - a list is faster than a generator here
        raise ValueError("the list holds a log that is marked as removed")
    return tuple([log(wire) for wire in wires])


def read_maybe_receipt(raw: msgspec.Raw) -> Receipt | None:
    """Read a receipt; null is None."""
    wire = _maybe_receipts.decode(raw)
    return None if wire is None else receipt(wire)


def read_quantity(raw: msgspec.Raw) -> int:
    """Read one integer."""
    return quantity(_texts.decode(raw))


def read_storage_values(raw: msgspec.Raw, counts: Mapping[str, int]) -> list[list[int]]:
    """Read the slots of each account in `counts`, in its order; `counts` says how many there must be."""
    told = {account.lower(): values for account, values in _storage_values.decode(raw).items()}
    found = [told.get(account, []) for account in counts]
    if [len(values) for values in found] != list(counts.values()):
        raise ValueError("the node told fewer or more slots than were asked")
    return [[quantity(value) for value in values] for values in found]


def read_data(raw: msgspec.Raw) -> bytes:
    """Read bytes of any length."""
    return data(_texts.decode(raw))


def read_hash(raw: msgspec.Raw) -> Hash:
    """Read one hash."""
    return Hash(word(_texts.decode(raw)))


def read_presence(raw: msgspec.Raw) -> bool:
    """Return whether the result is anything but null."""
    return bytes(raw) != b"null"


def _bloom(text: str) -> bytes:
    raw = data(text)
    if len(raw) not in (0, BLOOM_BYTES):
        raise _bad(f"a Bloom filter of {BLOOM_BYTES} bytes", text)
    return raw


def _sized(text: str, size: int) -> bytes:
    try:
        raw = bytes.fromhex(text[2:])
    except ValueError:
        raise _bad(f"{size} bytes in hex", text) from None
    if len(raw) != size or len(text) != 2 + 2 * size or text[:2] != "0x":
        raise _bad(f"{size} bytes in hex", text)
    return raw


def _bad(what: str, text: str) -> ValueError:
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return ValueError(f"{shown!r} is not {what}")
