"""RFC 6455 frames without I/O: a server's taken apart, ours put together.

A block crosses in a handful of messages, most of one frame, so this is kept to what they need: no
extension, and a mask is one operation on a wide integer. A frame is refused as soon as its head says
that the message would be too large. Whether a text is UTF-8 is for its reader to say.
"""

from __future__ import annotations

import os
from enum import IntEnum
from typing import Final, NamedTuple

_FINAL: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_CONTROL: Final = 0x8
_LARGEST_CONTROL: Final = 125
_SHORT, _LONG = 126, 127
"""What the length says where it stands in the two or eight bytes that follow."""


class Opcode(IntEnum):
    """What a frame is."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_OPCODES: Final = {int(each): each for each in Opcode}


class FrameError(Exception):
    """The peer broke the protocol; the text says how."""


class TooLargeError(Exception):
    """A message would hold more bytes than allowed."""


class Received(NamedTuple):
    """A whole message, or a control frame, and when the first of its bytes was read."""

    opcode: Opcode
    payload: bytes
    arrived_ns: int


class FrameReader:
    """The frames of a server. Feed it what was read; take what is whole. Broken after an error."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._read_ns = 0
        self._frame_ns = 0
        self._parts: list[bytes] = []
        self._size = 0
        self._message: Opcode | None = None
        self._message_ns = 0

    def feed(self, data: bytes | bytearray, arrived_ns: int) -> None:
        """Add bytes that were read at `arrived_ns`."""
        if not self._buffer:
            self._frame_ns = arrived_ns
        self._buffer += data
        self._read_ns = arrived_ns

    def take(self) -> Received | None:
        """Return the next message or control frame, or None until more was read.

        Raises: FrameError, TooLargeError.
        """
        while (frame := self._frame()) is not None:
            opcode, final, payload = frame
            arrived_ns, self._frame_ns = self._frame_ns, self._read_ns
            if opcode >= _CONTROL:
                return Received(opcode, payload, arrived_ns)
            if self._message is None:
                self._message, self._message_ns = opcode, arrived_ns
            self._parts.append(payload)
            self._size += len(payload)
            if final:
                return self._whole()
        return None

    def _whole(self) -> Received:
        payload = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        kind = self._message or Opcode.BINARY
        self._parts, self._size, self._message = [], 0, None
        return Received(kind, payload, self._message_ns)

    def _frame(self) -> tuple[Opcode, bool, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:  # noqa: PLR2004 - the least head of a frame
            return None
        start, length = 2, buffer[1]
        if length & _MASKED:
            raise FrameError("a server's frame is masked")
        if length >= _SHORT:
            start = 4 if length == _SHORT else 10
            if len(buffer) < start:
                return None
            length = int.from_bytes(buffer[2:start])
        head = buffer[0]
        opcode = self._opcode(head, length)
        if opcode < _CONTROL and self._size + length > self._max_bytes:
            raise TooLargeError
        if len(buffer) < start + length:
            return None
        payload = bytes(buffer[start : start + length])
        del buffer[: start + length]
        return opcode, bool(head & _FINAL), payload

    def _opcode(self, head: int, length: int) -> Opcode:
        opcode = _OPCODES.get(head & 0xF)
        if opcode is None or head & _RESERVED:
            raise FrameError("a frame is of no known kind")
        if opcode >= _CONTROL:
            if length > _LARGEST_CONTROL or not head & _FINAL:
                raise FrameError("a control frame is too long or in pieces")
        elif (opcode is Opcode.CONTINUATION) != (self._message is not None):
            raise FrameError("the pieces of a message do not follow each other")
        return opcode


def pack(opcode: Opcode, payload: bytes) -> bytes:
    """Return a frame of a client: whole, and masked with bytes that nobody can foresee."""
    size, mask = len(payload), os.urandom(4)
    if size < _SHORT:
        head = bytes((_FINAL | opcode, _MASKED | size))
    elif size < 1 << 16:
        head = bytes((_FINAL | opcode, _MASKED | _SHORT)) + size.to_bytes(2)
    else:
        head = bytes((_FINAL | opcode, _MASKED | _LONG)) + size.to_bytes(8)
    key = (mask * (size // 4 + 1))[:size]
    return head + mask + (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)
