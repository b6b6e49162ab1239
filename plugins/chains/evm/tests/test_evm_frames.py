"""Frames are those of RFC 6455, as wsproto understands it too."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import wsproto
from hypothesis import given
from hypothesis import strategies as st
from tallyio_chain_evm.frames import FrameError, FrameReader, Opcode, Received, TooLargeError, pack
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, TextMessage

MAX_BYTES = 1 << 20
SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 70_000)

pieces = st.lists(st.binary(max_size=300), min_size=1, max_size=4)
"""A message in the frames that it is sent in."""
cuts = st.lists(st.integers(1, 40), max_size=30)


def as_server_sends(messages: list[list[bytes]]) -> bytes:
    """Return the bytes of a server that sends these messages, with a ping before each."""
    server, sent = Connection(ConnectionType.SERVER), b""
    for parts in messages:
        sent += server.send(Ping(payload=b"still there?"))
        for number, part in enumerate(parts, 1):
            sent += server.send(BytesMessage(data=part, message_finished=number == len(parts)))
    return sent


def cut(data: bytes, lengths: list[int]) -> Iterator[bytes]:
    """Yield `data` in reads of these lengths, and the rest in one."""
    rest = iter(data)
    for length in lengths:
        yield bytes(itertools.islice(rest, length))
    yield bytes(rest)


def frame(first: int, payload: bytes = b"", *, said: int | None = None) -> bytes:
    """Return a short frame of a server with this first byte."""
    return bytes((first, len(payload) if said is None else said)) + payload


def read_all(reader: FrameReader) -> list[Received]:
    """Return all that is whole."""
    return list(iter(reader.take, None))


@given(messages=st.lists(pieces, max_size=4), lengths=cuts)
def test_messages_come_out_as_they_were_sent_however_they_are_cut(
    messages: list[list[bytes]], lengths: list[int]
) -> None:
    reader, found = FrameReader(max_bytes=MAX_BYTES), list[Received]()
    for number, part in enumerate(cut(as_server_sends(messages), lengths)):
        reader.feed(part, number)
        found += read_all(reader)
    assert [each.payload for each in found if each.opcode is Opcode.BINARY] == list(map(b"".join, messages))
    assert [each.payload for each in found if each.opcode is Opcode.PING] == [b"still there?"] * len(messages)


@pytest.mark.parametrize("size", SIZES)
def test_lengths_of_every_form_go_both_ways(size: int) -> None:
    payload = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    reader = FrameReader(max_bytes=MAX_BYTES)
    reader.feed(as_server_sends([[payload]]), 1)
    assert read_all(reader)[1:] == [Received(Opcode.BINARY, payload, 1)]
    assert as_server_reads(pack(Opcode.BINARY, payload)) == payload


def as_server_reads(data: bytes) -> bytes:
    """Return the one binary message that a server sees in `data`."""
    server = Connection(ConnectionType.SERVER)
    server.receive_data(data)
    events = list(server.events())
    assert all(isinstance(event, Message) for event in events)
    assert [event.message_finished for event in events if isinstance(event, Message)][-1]
    return b"".join(bytes(event.data) for event in events if isinstance(event, BytesMessage))


@given(st.text(max_size=400))
def test_a_text_is_read_by_a_server(text: str) -> None:
    server = wsproto.connection.Connection(ConnectionType.SERVER)
    server.receive_data(pack(Opcode.TEXT, text.encode()))
    assert "".join(event.data for event in server.events() if isinstance(event, TextMessage)) == text


def test_a_close_is_read_by_a_server() -> None:
    server = Connection(ConnectionType.SERVER)
    server.receive_data(pack(Opcode.CLOSE, (1000).to_bytes(2)))
    (event,) = server.events()
    assert isinstance(event, CloseConnection)
    assert event.code == 1000


def test_two_frames_have_two_masks() -> None:
    assert len({pack(Opcode.TEXT, b"the same") for _ in range(8)}) > 1


def test_a_message_knows_the_read_that_brought_its_first_byte() -> None:
    whole, reader = as_server_sends([[b"one"], [b"two", b"more"]]), FrameReader(max_bytes=MAX_BYTES)
    second = whole.index(b"two") - 2
    for at, part in enumerate((whole[:20], whole[20 : second + 1], whole[second + 1 :])):
        reader.feed(part, at)
        found = [each for each in read_all(reader) if each.opcode is Opcode.BINARY]
        assert all(each.payload == b"one" and each.arrived_ns == 0 for each in found) or at == 2
    assert found == [Received(Opcode.BINARY, b"twomore", 1)]


@pytest.mark.parametrize(
    ("data", "how"),
    [
        (frame(0x81, said=0x85), "masked"),
        (frame(0x83, b"x"), "no known kind"),
        (frame(0xC1, b"x"), "no known kind"),
        (frame(0x80, b"x"), "do not follow each other"),
        (frame(0x01, b"x") + frame(0x81, b"x"), "do not follow each other"),
        (frame(0x09, b"x"), "in pieces"),
        (bytes((0x89, 126, 0, 126)) + bytes(126), "too long"),
    ],
)
def test_a_frame_that_no_server_may_send_is_refused(data: bytes, how: str) -> None:
    reader = FrameReader(max_bytes=MAX_BYTES)
    reader.feed(data, 1)
    with pytest.raises(FrameError, match=how):
        read_all(reader)


def test_a_message_is_refused_by_what_its_frames_announce() -> None:
    reader = FrameReader(max_bytes=10)
    reader.feed(frame(0x01, bytes(6)) + frame(0x80, said=5), 1)
    with pytest.raises(TooLargeError):
        read_all(reader)
    longest = FrameReader(max_bytes=10)
    longest.feed(bytes((0x82, 127)) + b"\xff" * 8, 1)
    with pytest.raises(TooLargeError):
        read_all(longest)
