"""`Positions`: rows of positions in native memory, by dense id.

Layer: lending. A row is a POSITION and its BALANCEs (`tallyio.lending.abi`), in a slot that has room for more
of them, and before it for as many WEIGHTs (`tallyio.lending.layout`). Slots come from chunks and are used
again; a row moves only when it outgrows its slot.
"""

from __future__ import annotations

import ctypes
import struct
from array import array
from typing import Final

import numpy as np

from tallyio.lending.abi import LINE, POSITION
from tallyio.lending.layout import WEIGHT
from tallyio.model.lending import Balance, Position, PositionKey
from tallyio.model.units import Address
from tallyio.native.memory import Region

MAX_BALANCES: Final = 64
"""Most balances of one position."""

_CHUNK_BYTES: Final = 1 << 20
_ACCOUNT_BYTES: Final = 20
_AMOUNT_BYTES: Final = 16
_MOST: Final = 1 << (8 * _AMOUNT_BYTES)
# POSITION and BALANCE of `tallyio.lending.abi`, field by field.
_HEAD: Final = struct.Struct(f"<{_ACCOUNT_BYTES}siqqq16x")
_BALANCE: Final = struct.Struct(f"<{_AMOUNT_BYTES}s{_AMOUNT_BYTES}s{_AMOUNT_BYTES}siiii")
_KEY: Final = struct.Struct(f"<{_ACCOUNT_BYTES}si")
_NOWHERE: Final = -1
_FREE: Final = 0
_EXACT_ROOM: Final = 4
"""Up to here room is a power of two, and a multiple of it above."""


def room_for(count: int) -> int:
    """Return the room of a slot for so many balances."""
    if count <= _EXACT_ROOM:
        return 1 << max(count - 1, 0).bit_length()
    return -(-count // _EXACT_ROOM) * _EXACT_ROOM


def head_at(room: int) -> int:
    """Return where in a slot the POSITION is: before it are the WEIGHTs, in whole lines."""
    return -(-room * WEIGHT.itemsize // LINE) * LINE


def slot_bytes(room: int) -> int:
    """Return the size of a slot: whole lines."""
    return head_at(room) + LINE * (1 + room)


class Positions:
    """Rows by id, until `close`. Ids are dense and used again; 0 is the first."""

    def __init__(self) -> None:
        self._ids: dict[bytes, int] = {}
        self._slots = array("q")  # addresses of rows by id
        self._free_ids: list[int] = []
        self._free_slots: dict[int, list[int]] = {}
        self._chunks: list[Region] = []
        self._next, self._end = 0, 0

    def __len__(self) -> int:
        """Return how many positions there are."""
        return len(self._ids)

    @property
    def memory_bytes(self) -> int:
        """Native memory in use."""
        return sum(chunk.size for chunk in self._chunks)

    @property
    def keys(self) -> list[PositionKey]:
        """The keys of all positions, in no order."""
        return [_key(packed) for packed in self._ids]

    @property
    def numbers(self) -> list[int]:
        """The ids of all positions."""
        return list(self._ids.values())

    def id(self, key: PositionKey) -> int | None:
        """Return the id of a position, or None."""
        return self._ids.get(_KEY.pack(*key))

    def address(self, number: int) -> int:
        """Return where the row of id `number` is. Raises: LookupError: the id is free."""
        if (address := self._slots[number]) == _FREE:
            raise LookupError(f"there is no position {number}")
        return address

    def key(self, number: int) -> PositionKey:
        """Return whose position id `number` is. Raises: LookupError: the id is free."""
        return _key(ctypes.string_at(self.address(number), _KEY.size))

    def read(self, number: int) -> Position:
        """Return the position with id `number`. Raises: LookupError: the id is free."""
        raw = ctypes.string_at(self.address(number), LINE)
        account, part, flags, count, _ = _HEAD.unpack(raw)
        rows = ctypes.string_at(self.address(number) + LINE, LINE * count)
        balances = tuple(_balance(*fields) for fields in _BALANCE.iter_unpack(rows))
        return Position(key=PositionKey(Address(account), part), balances=balances, flags=flags)

    def write(self, position: Position) -> int:
        """Write a position, over the one with its key if there is one; return its id.

        Raises: ValueError: too many balances, or one that does not fit.
        """
        count = len(position.balances)
        if count > MAX_BALANCES:
            raise ValueError(f"a position of {count} balances is more than {MAX_BALANCES}")
        packed = _KEY.pack(*position.key)
        number = self._ids.get(packed)
        rows = b"".join([_pack(balance) for balance in position.balances])
        if number is None:
            number = self._free_ids.pop() if self._free_ids else len(self._slots)
            if number == len(self._slots):
                self._slots.append(_FREE)
            self._ids[packed] = number
        room, address = self._room(number), self._slots[number]
        if room < count or address == _FREE:
            self._release(number)
            room = room_for(count)
            address = self._slots[number] = self._take(room)
        head = _HEAD.pack(position.key.account, position.key.part, position.flags, count, room)
        ctypes.memmove(address, head + rows, len(head) + len(rows))
        return number

    def adopt(self, rows: Region, count: int, room: int) -> range:
        """Own `count` rows in slots of the same `room`, one behind the other in `rows`; return their ids.

        Raises: ValueError: two have the same key, or one has that of a position there is. Nothing is taken.
        """
        slots = rows.view("u1", count * slot_bytes(room)).reshape(count, slot_bytes(room))
        heads = slots[:, head_at(room) : head_at(room) + POSITION.itemsize]
        heads.view(POSITION)["room"] = room
        packed = heads[:, : _KEY.size].tobytes()
        keys = [packed[start : start + _KEY.size] for start in range(0, len(packed), _KEY.size)]
        if len(set(keys)) < count or not self._ids.keys().isdisjoint(keys):
            raise ValueError("positions that are taken over must have keys of their own")
        first = len(self._slots)
        numbers = range(first, first + count)
        self._ids.update(zip(keys, numbers, strict=True))
        starts = slot_bytes(room) * np.arange(count, dtype="i8")
        self._slots.frombytes((rows.address + head_at(room) + starts).tobytes())
        self._chunks.append(rows)
        return numbers

    def remove(self, number: int) -> None:
        """Forget the position with id `number`."""
        del self._ids[_KEY.pack(*self.read(number).key)]
        self._release(number)
        self._slots[number] = _FREE
        self._free_ids.append(number)

    def close(self) -> None:
        """Give the memory back."""
        for chunk in self._chunks:
            chunk.close()

    def _room(self, number: int) -> int:
        address = self._slots[number]
        return 0 if address == _FREE else int(_HEAD.unpack(ctypes.string_at(address, LINE))[-1])

    def _release(self, number: int) -> None:
        if self._slots[number] != _FREE:
            self._free_slots.setdefault(self._room(number), []).append(self._slots[number])

    def _take(self, room: int) -> int:
        free = self._free_slots.get(room)
        if free:
            return free.pop()
        size = slot_bytes(room)
        if self._end - self._next < size:
            chunk = Region(_CHUNK_BYTES)
            self._chunks.append(chunk)
            self._next, self._end = chunk.address, chunk.address + chunk.size
        address, self._next = self._next + head_at(room), self._next + size
        return address


def _key(packed: bytes) -> PositionKey:
    account, part = _KEY.unpack(packed)
    return PositionKey(Address(account), part)


def _pack(balance: Balance) -> bytes:
    amounts = (balance.collateral, balance.debt, balance.extra)
    if not all(0 <= amount < _MOST for amount in amounts):
        raise ValueError(f"the amounts of a balance must be below 2**128, unlike those of {balance}")
    raw = [amount.to_bytes(_AMOUNT_BYTES, "little") for amount in amounts]
    return _BALANCE.pack(*raw, balance.reserve, balance.flags, _NOWHERE, _NOWHERE)


def _balance(collateral: bytes, debt: bytes, extra: bytes, reserve: int, flags: int, *_: int) -> Balance:
    return Balance(
        reserve=reserve,
        collateral=int.from_bytes(collateral, "little"),
        debt=int.from_bytes(debt, "little"),
        extra=int.from_bytes(extra, "little"),
        flags=flags,
    )
