"""EIP-1559 transactions as bytes: what is hashed, signed and sent.

Layer: model. Source: https://eips.ethereum.org/EIPS/eip-1559, /eip-2718 (typed envelope), /eip-2
(low s). Access lists stay empty, and contract creation has no place here: `to` is 20 bytes.
"""

from __future__ import annotations

import msgspec

from tallyio.model import rlp
from tallyio.model.execution import UnsignedTransaction
from tallyio.model.hashing import keccak256
from tallyio.model.units import ADDRESS_BYTES, Address, Hash, Wei

TRANSACTION_TYPE = b"\x02"
"""The envelope's first byte for EIP-1559."""

_CURVE_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
_EMPTY_ACCESS_LIST = rlp.encode_list(())
_FIELDS = 12


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A secp256k1 signature; `s` is in the lower half of the curve's order."""

    y_parity: int
    """0 or 1: the parity of the nonce point's y."""
    r: int
    s: int


def signing_hash(transaction: UnsignedTransaction) -> Hash:
    """Return the 32 bytes to sign.

    Raises: ValueError: a field does not fit (the message names it).
    """
    return Hash(keccak256(TRANSACTION_TYPE + rlp.encode_list(_fields(transaction))))


def encode_signed(transaction: UnsignedTransaction, y_parity: int, r: int, s: int) -> bytes:
    """Return the bytes that go on the wire.

    Raises: ValueError: a field does not fit, or the signature is not in canonical form.
    """
    _check_signature(y_parity, r, s)
    signature = [rlp.encode_int(y_parity), rlp.encode_int(r), rlp.encode_int(s)]
    return TRANSACTION_TYPE + rlp.encode_list(_fields(transaction) + signature)


def transaction_hash(raw: bytes) -> Hash:
    """Return the hash by which the chain knows the signed transaction `raw`."""
    return Hash(keccak256(raw))


def decode(raw: bytes) -> tuple[UnsignedTransaction, Signature]:
    """Return what the signed transaction `raw` says; the inverse of `encode_signed`.

    Raises: ValueError: another type, a non-canonical encoding, a non-empty access list, or a field
    out of its range.
    """
    if raw[:1] != TRANSACTION_TYPE:
        raise ValueError(f"transaction type is {raw[:1].hex() or 'missing'}, not 02")
    items = rlp.decode(raw[1:])
    if not isinstance(items, list) or len(items) != _FIELDS:
        raise ValueError(f"an EIP-1559 transaction is a list of {_FIELDS} fields")
    if items[8] != []:
        raise ValueError("the access list is not empty")
    signature = Signature(y_parity=_int(items, 9), r=_int(items, 10), s=_int(items, 11))
    _check_signature(signature.y_parity, signature.r, signature.s)
    transaction = UnsignedTransaction(
        chain_id=_int(items, 0),
        nonce=_int(items, 1),
        max_priority_fee_wei=Wei(_int(items, 2)),
        max_fee_wei=Wei(_int(items, 3)),
        gas_limit=_int(items, 4),
        to=Address(_bytes(items, 5)),
        value_wei=Wei(_int(items, 6)),
        data=_bytes(items, 7),
    )
    _fields(transaction)
    return transaction, signature


def _fields(transaction: UnsignedTransaction) -> list[bytes]:
    """Return the nine encoded fields before the signature."""
    if len(transaction.to) != ADDRESS_BYTES:
        raise ValueError(f"transaction.to is {len(transaction.to)} bytes, not {ADDRESS_BYTES}")
    return [
        _sized("chain_id", transaction.chain_id, 64),
        _sized("nonce", transaction.nonce, 64),
        _sized("max_priority_fee_wei", transaction.max_priority_fee_wei, 256),
        _sized("max_fee_wei", transaction.max_fee_wei, 256),
        _sized("gas_limit", transaction.gas_limit, 64),
        rlp.encode_bytes(transaction.to),
        _sized("value_wei", transaction.value_wei, 256),
        rlp.encode_bytes(transaction.data),
        _EMPTY_ACCESS_LIST,
    ]


def _sized(name: str, value: int, bits: int) -> bytes:
    if value < 0 or value.bit_length() > bits:
        raise ValueError(f"transaction.{name} is {value}, not an unsigned {bits}-bit integer")
    return rlp.encode_int(value)


def _check_signature(y_parity: int, r: int, s: int) -> None:
    if y_parity not in (0, 1):
        raise ValueError(f"y_parity is {y_parity}, not 0 or 1")
    if not 0 < r < _CURVE_ORDER:
        raise ValueError("signature r is outside the curve's order")
    if not 0 < s <= _CURVE_ORDER // 2:
        raise ValueError("signature s is not in the lower half of the curve's order (EIP-2)")


def _int(items: list[rlp.Item], index: int) -> int:
    return rlp.decode_int(items[index])


def _bytes(items: list[rlp.Item], index: int) -> bytes:
    item = items[index]
    if not isinstance(item, bytes):
        raise ValueError(f"field {index} is a list")  # noqa: TRY004 - bad data, not a wrong call
    return item
