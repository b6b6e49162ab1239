"""Recursive Length Prefix, as far as transactions need it: strict in both directions.

Layer: model. Source: Ethereum yellow paper, appendix B. Every value has exactly one encoding, and
the decoder accepts no other, so that two different byte strings never mean the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

Item = bytes | list["Item"]
"""A byte string, or a list of items."""

_STRING = 0x80
_LIST = 0xC0
_SHORT = 55
"""Longest payload whose length fits into the prefix byte."""
_MAX_DEPTH = 8
"""Nesting that any transaction stays below; deeper input is hostile."""


def encode_bytes(value: bytes) -> bytes:
    """Return the encoding of a byte string."""
    if len(value) == 1 and value[0] < _STRING:
        return value
    return _prefix(len(value), _STRING) + value


def encode_int(value: int) -> bytes:
    """Return the encoding of a non-negative integer: big-endian, without leading zeros, zero as empty."""
    return encode_bytes(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def encode_list(items: Sequence[bytes]) -> bytes:
    """Return the encoding of a list whose `items` are encoded already."""
    payload = b"".join(items)
    return _prefix(len(payload), _LIST) + payload


def decode(raw: bytes) -> Item:
    """Return the one item that `raw` encodes. Raises: ValueError: not exactly one canonical item."""
    item, end = _decode(raw, 0, 0)
    if end != len(raw):
        raise ValueError(f"RLP item ends at byte {end}, but {len(raw)} bytes were given")
    return item


def decode_int(item: Item) -> int:
    """Return the integer of a decoded `item`. Raises: ValueError: a list, or leading zeros."""
    if not isinstance(item, bytes):
        raise ValueError("RLP list where an integer belongs")  # noqa: TRY004 - bad data, not a wrong call
    if item[:1] == b"\0":
        raise ValueError("RLP integer with leading zeros")
    return int.from_bytes(item, "big")


def _prefix(length: int, base: int) -> bytes:
    if length <= _SHORT:
        return bytes((base + length,))
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((base + _SHORT + len(size),)) + size


def _decode(raw: bytes, at: int, depth: int) -> tuple[Item, int]:
    """Return the item that starts at `at`, and where it ends."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"RLP lists nested deeper than {_MAX_DEPTH}")
    if at >= len(raw):
        raise ValueError(f"RLP item missing at byte {at}")
    first = raw[at]
    if first < _STRING:
        return raw[at : at + 1], at + 1
    if first < _LIST:
        return _decode_string(raw, at)
    start, end = _payload(raw, at, _LIST)
    items: list[Item] = []
    while start < end:
        item, start = _decode(raw, start, depth + 1)
        items.append(item)
    if start != end:
        raise ValueError(f"RLP item crosses the end of its list at byte {end}")
    return items, end


def _decode_string(raw: bytes, at: int) -> tuple[bytes, int]:
    start, end = _payload(raw, at, _STRING)
    if end - start == 1 and raw[start] < _STRING:
        raise ValueError(f"RLP byte at {at} has a prefix it does not need")
    return raw[start:end], end


def _payload(raw: bytes, at: int, base: int) -> tuple[int, int]:
    """Return where the payload of the prefix at `at` starts and ends."""
    length = raw[at] - base
    start = at + 1
    if length > _SHORT:
        size = raw[start : start + length - _SHORT]
        start += length - _SHORT
        length = int.from_bytes(size, "big")
        if size[:1] == b"\0" or length <= _SHORT:
            raise ValueError(f"RLP length at byte {at} is not the shortest")
    if start + length > len(raw):
        raise ValueError(f"RLP item at byte {at} is longer than the input")
    return start, start + length
