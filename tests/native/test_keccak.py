"""Keccak-256 in compiled code equals the library that everything else here hashes with."""

from __future__ import annotations

import ctypes
import random

from hypothesis import given
from hypothesis import strategies as st

from tallyio.model.hashing import keccak256 as expected
from tallyio.native.jit import entry
from tallyio.native.keccak import RATE, keccak256
from tallyio.native.memory import PAGE, Region

ROOM = 20_000
DIGEST = 32


def digest(message: bytes, *, offset: int = 0) -> bytes:
    """Hash a message that lies `offset` bytes behind a page's start, and ends where the memory does not."""
    with Region(ROOM) as memory:
        memory.view("u1", ROOM)[:] = 0xA5  # what lies around the message must not count
        memory.view("u1", len(message), offset)[:] = bytearray(message)
        entry(keccak256)(memory.address + offset, len(message), memory.address + ROOM - DIGEST)
        return memory.view("u1", DIGEST, ROOM - DIGEST).tobytes()


def test_every_length_up_to_eight_blocks_is_right() -> None:
    draw = random.Random(1)
    for length in range(1_101):
        message = draw.randbytes(length)
        assert digest(message, offset=length % 9) == expected(message), length


def test_lengths_around_the_borders_of_blocks_are_right() -> None:
    draw = random.Random(2)
    for blocks in (1, 2, 9, 64, 100):
        for length in range(blocks * RATE - 9, blocks * RATE + 10):
            message = draw.randbytes(length)
            assert digest(message) == expected(message), length


def test_messages_of_one_repeated_byte_are_right() -> None:
    for byte in (0x00, 0x01, 0x80, 0xFF):
        for length in (0, 1, 7, 8, 134, 135, 136, 137, 272):
            message = bytes([byte]) * length
            assert digest(message) == expected(message), (byte, length)


@given(st.binary(max_size=600), st.integers(0, 16))
def test_any_message_at_any_alignment_is_right(message: bytes, offset: int) -> None:
    assert digest(message, offset=offset) == expected(message)


def test_the_digest_may_replace_the_message() -> None:
    message = bytes(range(200))
    with Region(len(message)) as memory:
        memory.view("u1", len(message))[:] = bytearray(message)
        keccak256(memory.address, len(message), memory.address)
        assert memory.view("u1", DIGEST).tobytes() == expected(message)
        assert memory.view("u1", len(message) - DIGEST, DIGEST).tobytes() == message[DIGEST:]


def test_nothing_beside_the_message_is_read() -> None:
    """The last byte of a message is the last of its page; a page that may not be read follows it."""
    with Region(2 * PAGE) as memory:
        last = memory.address + PAGE
        assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(last), PAGE, 0) == 0
        for length in (0, 1, 7, 8, 100, 135, 136, 137, 500):
            keccak256(last - length, length, memory.address)
            assert memory.view("u1", DIGEST).tobytes() == expected(bytes(length))
            memory.view("u1", DIGEST)[:] = 0
