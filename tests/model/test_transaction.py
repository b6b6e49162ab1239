"""EIP-1559 encoding, against eth-account and against hostile bytes."""

from __future__ import annotations

import pytest
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_keys.datatypes import PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st

from tallyio.model import rlp
from tallyio.model.execution import UnsignedTransaction
from tallyio.model.transaction import Signature, decode, encode_signed, signing_hash, transaction_hash
from tallyio.model.units import Address, Wei

KEY = bytes(range(1, 33))
u64 = st.integers(0, 2**64 - 1)
u256 = st.integers(0, 2**256 - 1)
wei = u256.map(Wei)

transactions = st.builds(
    UnsignedTransaction,
    chain_id=st.integers(1, 2**63),
    nonce=u64,
    max_priority_fee_wei=wei,
    max_fee_wei=wei,
    gas_limit=u64,
    to=st.binary(min_size=20, max_size=20).map(Address),
    value_wei=wei,
    data=st.binary(max_size=300),
)


def build(**changes: object) -> UnsignedTransaction:
    fields: dict[str, object] = {
        "chain_id": 1,
        "nonce": 0,
        "max_priority_fee_wei": Wei(0),
        "max_fee_wei": Wei(0),
        "gas_limit": 0,
        "to": Address(bytes(20)),
        "value_wei": Wei(0),
        "data": b"",
    }
    return UnsignedTransaction(**(fields | changes))  # type: ignore[arg-type]


def oracle_fields(transaction: UnsignedTransaction) -> dict[str, object]:
    return {
        "type": 2,
        "chainId": transaction.chain_id,
        "nonce": transaction.nonce,
        "maxPriorityFeePerGas": transaction.max_priority_fee_wei,
        "maxFeePerGas": transaction.max_fee_wei,
        "gas": transaction.gas_limit,
        "to": transaction.to,
        "value": transaction.value_wei,
        "data": transaction.data,
    }


@given(transactions)
@example(build())
@example(build(data=b"\x00"))
@example(build(data=b"\x7f"))
@example(build(data=b"\x80"))
@example(build(data=bytes(55)))
@example(build(data=bytes(56)))
@example(build(data=bytes(100_000)))
def test_the_signed_bytes_equal_eth_account(transaction: UnsignedTransaction) -> None:
    """Same key, same deterministic nonce: the wire bytes and hashes must be identical."""
    theirs = Account.from_key(KEY).sign_transaction(oracle_fields(transaction))
    digest = signing_hash(transaction)
    ours = encode_signed(transaction, theirs.v, theirs.r, theirs.s)
    assert digest == TypedTransaction.from_dict(oracle_fields(transaction)).hash()
    assert ours == bytes(theirs.raw_transaction)
    assert transaction_hash(ours) == bytes(theirs.hash)


@given(transactions, st.integers(0, 1), st.integers(1, 2**255), st.integers(1, 2**254))
def test_decode_undoes_encode(transaction: UnsignedTransaction, y_parity: int, r: int, s: int) -> None:
    raw = encode_signed(transaction, y_parity, r, s)
    assert decode(raw) == (transaction, Signature(y_parity=y_parity, r=r, s=s))


@given(transactions, st.data())
def test_a_damaged_transaction_never_decodes_to_the_same_meaning(
    transaction: UnsignedTransaction, data: st.DataObject
) -> None:
    """Every byte matters: a changed, cut or extended encoding is refused or says something else."""
    raw = bytearray(encode_signed(transaction, 0, 1, 1))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    damaged = bytes(raw[: data.draw(st.integers(at + 1, len(raw)))]) + data.draw(st.binary(max_size=2))
    try:
        meaning = decode(damaged)
    except ValueError:
        return
    assert meaning[0] != transaction or meaning[1] != Signature(y_parity=0, r=1, s=1)
    assert encode_signed(meaning[0], meaning[1].y_parity, meaning[1].r, meaning[1].s) == damaged


@given(st.binary(max_size=200))
def test_the_decoder_accepts_only_what_the_encoder_writes(raw: bytes) -> None:
    def encode(item: rlp.Item) -> bytes:
        if isinstance(item, bytes):
            return rlp.encode_bytes(item)
        return rlp.encode_list([encode(inner) for inner in item])

    try:
        item = rlp.decode(raw)
    except ValueError:
        return
    assert encode(item) == raw


@pytest.mark.parametrize(
    ("hexed", "rule"),
    [
        ("", "missing"),
        ("8101", "does not need"),
        ("b800", "not the shortest"),
        ("b90038" + "00" * 56, "not the shortest"),
        ("83aabb", "longer than the input"),
        ("c20102ff", "ends at byte 3"),
        ("c1820001", "crosses the end"),
        ("c2" * 20, "deeper"),
        ("".join(f"{0xC0 + depth:02x}" for depth in range(12, -1, -1)), "deeper"),
    ],
)
def test_a_non_canonical_item_is_refused(hexed: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        rlp.decode(bytes.fromhex(hexed))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"nonce": -1}, "nonce"),
        ({"gas_limit": 2**64}, "gas_limit"),
        ({"value_wei": Wei(2**256)}, "value_wei"),
        ({"to": Address(b"")}, "to"),
        ({"to": Address(bytes(21))}, "to"),
    ],
)
def test_a_field_that_does_not_fit_is_named(changes: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=f"transaction.{field}"):
        signing_hash(build(**changes))


@pytest.mark.parametrize(
    ("signature", "rule"),
    [
        ((2, 1, 1), "y_parity"),
        ((27, 1, 1), "y_parity"),
        ((0, 0, 1), "r is outside"),
        ((0, 1, 0), "lower half"),
        ((0, 1, 2**256 - 2**128), "lower half"),
    ],
)
def test_a_signature_outside_the_canonical_form_is_refused(
    signature: tuple[int, int, int], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        encode_signed(build(), *signature)


def test_other_transaction_types_and_access_lists_are_refused() -> None:
    raw = encode_signed(build(), 0, 1, 1)
    with pytest.raises(ValueError, match="type is 01"):
        decode(b"\x01" + raw[1:])
    with pytest.raises(ValueError, match="type is missing"):
        decode(b"")
    items = rlp.decode(raw[1:])
    assert isinstance(items, list)
    encoded = [rlp.encode_bytes(item) for item in items if isinstance(item, bytes)]
    listed = [*encoded[:8], rlp.encode_list([rlp.encode_bytes(bytes(20))]), *encoded[8:]]
    with pytest.raises(ValueError, match="access list"):
        decode(b"\x02" + rlp.encode_list(listed))
    with pytest.raises(ValueError, match="12 fields"):
        decode(b"\x02" + rlp.encode_list(encoded))


def test_the_signature_recovers_the_signer() -> None:
    """The hash that we sign is the hash that the chain recovers the sender from."""
    key = PrivateKey(KEY)
    signature = key.sign_msg_hash(signing_hash(build(nonce=7)))
    raw = encode_signed(build(nonce=7), signature.v, signature.r, signature.s)
    assert Account.recover_transaction(raw) == key.public_key.to_checksum_address()
