"""Hex becomes records strictly, and a block's logs are checked to the bit."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallyio_chain_evm import decode
from tallyio_chain_evm.bench.decode import decode_block, make_block
from tallyio_chain_evm.bloom import check_logs, logs_bloom
from tallyio_chain_evm.encode import head_json, log_json
from tallyio_chain_evm.errors import IncompleteBlock

from tallyio.model.chain import Head, Log
from tallyio.model.hashing import keccak256
from tallyio.model.units import Address, Hash, Wei, hex_text

words = st.binary(min_size=32, max_size=32)
u256 = st.integers(0, 2**256 - 1)
logs = st.builds(
    Log,
    address=st.binary(min_size=20, max_size=20).map(Address),
    topics=st.lists(words, max_size=4).map(tuple),
    data=st.binary(max_size=100),
    block_hash=words.map(Hash),
    block_number=u256,
    log_index=u256,
    transaction_hash=words.map(Hash),
)
heads = st.builds(
    Head,
    number=u256,
    hash=words.map(Hash),
    parent_hash=words.map(Hash),
    timestamp=u256,
    base_fee_wei=u256.map(Wei),
    gas_used=u256,
    gas_limit=u256,
    logs_bloom=st.one_of(st.just(b""), st.binary(min_size=256, max_size=256)),
)


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


@given(st.lists(logs, max_size=3))
def test_logs_survive_the_wire(found: list[Log]) -> None:
    assert decode.read_logs(raw([log_json(log) for log in found])) == tuple(found)


@given(heads)
def test_heads_survive_the_wire(head: Head) -> None:
    assert decode.read_head(raw(head_json(head))) == head


@given(st.text(alphabet="0123456789abcdefABCDEFxX _+-\n", max_size=80))
def test_hex_is_read_exactly_or_not_at_all(text: str) -> None:
    body = text[2:]
    proper = text.startswith("0x") and all(c in "0123456789abcdefABCDEF" for c in body)
    if proper and len(body) % 2 == 0:
        assert decode.data(text) == bytes.fromhex(body)
    else:
        with pytest.raises(ValueError, match="is not bytes in hex"):
            decode.data(text)
    if proper and 1 <= len(body) <= 64:
        assert decode.quantity(text) == int(body, 16)
    else:
        with pytest.raises(ValueError, match="is not a quantity in hex"):
            decode.quantity(text)


@pytest.mark.parametrize("size", [0, 19, 21, 32])
def test_an_address_has_20_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="is not 20 bytes in hex"):
        decode.account("0x" + "ab" * size)


def test_a_removed_log_is_an_error() -> None:
    with pytest.raises(ValueError, match="marked as removed"):
        decode.read_logs(raw([{**log_json(make_log(0)), "removed": True}]))


def make_log(index: int, *, block: bytes = b"\x01" * 32) -> Log:
    return Log(
        address=Address(bytes([index % 3]) * 20),
        topics=(keccak256(b"%d" % index),),
        data=b"",
        block_hash=Hash(block),
        block_number=9,
        log_index=index,
        transaction_hash=Hash(bytes(32)),
    )


def make_head(found: tuple[Log, ...]) -> Head:
    return Head(
        number=9,
        hash=Hash(b"\x01" * 32),
        parent_hash=Hash(bytes(32)),
        timestamp=0,
        base_fee_wei=Wei(0),
        gas_used=0,
        gas_limit=0,
        logs_bloom=logs_bloom(found),
    )


def reference_bloom(found: tuple[Log, ...]) -> bytes:
    """The Yellow Paper's M3:2048, bit by bit, on a big-endian array of 2048 bits."""
    bits = [0] * 2048
    for log in found:
        for item in (log.address, *log.topics):
            digest = keccak256(item)
            for pair in range(0, 6, 2):
                bits[2047 - int.from_bytes(digest[pair : pair + 2], "big") % 2048] = 1
    return bytes(int("".join(map(str, bits[at : at + 8])), 2) for at in range(0, 2048, 8))


@given(st.lists(logs, max_size=6).map(tuple))
def test_the_bloom_filter_equals_its_definition(found: tuple[Log, ...]) -> None:
    assert logs_bloom(found) == reference_bloom(found)


def test_the_whole_list_passes() -> None:
    whole = tuple(make_log(index) for index in range(5))
    check_logs(make_head(whole), whole)


@given(st.sets(st.integers(0, 9), min_size=1))
def test_any_log_left_out_is_noticed(missing: set[int]) -> None:
    whole = tuple(make_log(index) for index in range(10))
    rest = tuple(log for log in whole if log.log_index not in missing)
    with pytest.raises(IncompleteBlock, match=r"block 9 .* do not add up"):
        check_logs(make_head(whole), rest)


def test_a_log_too_many_or_of_another_block_is_noticed() -> None:
    whole = tuple(make_log(index) for index in range(3))
    with pytest.raises(IncompleteBlock, match="Bloom filter of its 3 logs"):
        check_logs(make_head(whole[:2]), whole)
    with pytest.raises(IncompleteBlock, match="log 0 is of block 9 0x02"):
        check_logs(make_head(whole), (make_log(0, block=b"\x02" * 32), *whole[1:]))
    with pytest.raises(IncompleteBlock, match="log 1 in the list has index 2"):
        check_logs(make_head(whole), (whole[0], whole[2], whole[1]))


def test_a_chain_without_filters_is_checked_by_indexes() -> None:
    whole = tuple(make_log(index) for index in range(3))
    head = msgspec.structs.replace(make_head(whole), logs_bloom=b"")
    check_logs(head, whole)
    with pytest.raises(IncompleteBlock):
        check_logs(head, whole[1:])


def test_the_benchmark_measures_a_block_that_adds_up() -> None:
    head, found = make_block(seed=7)
    decode_block(head, found)
    assert len(decode.read_logs(found)) == 50
    assert hex_text(decode.read_head(head).hash) in bytes(head).decode()


def test_a_filter_that_leaves_logs_out_can_be_left_unchecked() -> None:
    whole = tuple(make_log(index) for index in range(3))
    check_logs(make_head(whole[:2]), whole, bloom=False)
    with pytest.raises(IncompleteBlock):
        check_logs(make_head(whole), whole[1:], bloom=False)
