"""The questions that this plugin asks, each with the reader of its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from tallyio.hooks.interfaces import NOTHING, Pretended
from tallyio.model.chain import AccountState, Head, Log, LogFilter, Receipt
from tallyio.model.execution import Call
from tallyio.model.units import Address, Hash, hex_text
from tallyio_chain_evm import decode
from tallyio_chain_evm.rpc import Request

type BlockTag = str | dict[str, str]
"""How a request names a block: a tag, or by hash as EIP-1898 says."""

LATEST: BlockTag = "latest"


def at(block: Hash | None) -> BlockTag:
    """Return the tag of `block`; None is the latest."""
    return LATEST if block is None else {"blockHash": hex_text(block)}


def transaction_object(call: Call, sender: Address | None) -> dict[str, str]:
    """Return `call` as the API's transaction object."""
    fields = {"to": hex_text(call.to), "data": hex_text(call.data)}
    if call.value_wei:
        fields["value"] = hex(call.value_wei)
    if sender is not None:
        fields["from"] = hex_text(sender)
    return fields


def chain_id() -> Request[int]:
    """Ask which chain this is."""
    return Request("eth_chainId", [], decode.read_quantity)


def block_number() -> Request[int]:
    """Ask for the height."""
    return Request("eth_blockNumber", [], decode.read_quantity)


def latest_head() -> Request[Head]:
    """Ask for the header of the newest block."""
    return Request("eth_getBlockByNumber", ["latest", False], decode.read_head)


def head_by_number(number: int) -> Request[Head | None]:
    """Ask for a header by height."""
    return Request("eth_getBlockByNumber", [hex(number), False], decode.read_maybe_head)


def head_by_hash(block: Hash) -> Request[Head | None]:
    """Ask for a header by hash."""
    return Request("eth_getBlockByHash", [hex_text(block), False], decode.read_maybe_head)


def logs_of_block(block: Hash) -> Request[tuple[Log, ...]]:
    """Ask for every log of one block."""
    return Request("eth_getLogs", [{"blockHash": hex_text(block)}], decode.read_logs)


def logs_of_range(query: LogFilter, first: int, last: int) -> Request[tuple[Log, ...]]:
    """Ask for the logs of blocks `first` to `last` that `query` selects."""
    selection: dict[str, object] = {"fromBlock": hex(first), "toBlock": hex(last)}
    if query.addresses:
        selection["address"] = [hex_text(address) for address in query.addresses]
    if query.topics:
        selection["topics"] = [[hex_text(t) for t in accepted] or None for accepted in query.topics]
    return Request("eth_getLogs", [selection], decode.read_logs)


def call(
    inner: Call, *, sender: Address | None, block: Hash | None, pretend: Pretended = NOTHING
) -> Request[bytes]:
    """Ask what a call returns."""
    params = [transaction_object(inner, sender), at(block), *overrides(pretend)]
    return Request("eth_call", params, decode.read_data)


def overrides(pretend: Pretended) -> list[dict[str, dict[str, object]]]:
    """Return the state override object for `pretend` as a list of one, or none where nothing is pretended."""
    texts = {hex_text(account): _override(told) for account, told in pretend.items()}
    return [texts] if texts else []


def _override(told: bytes | AccountState) -> dict[str, object]:
    code, storage = (told, {}) if isinstance(told, bytes) else (told.code, told.storage)
    found: dict[str, object] = {} if code is None else {"code": hex_text(code)}
    if storage:
        found["stateDiff"] = {_key(slot): _key(value) for slot, value in storage.items()}
    return found


def nonce(account: Address, block: Hash | None = None) -> Request[int]:
    """Ask how many transactions of `account` are mined."""
    return Request("eth_getTransactionCount", [hex_text(account), at(block)], decode.read_quantity)


def balance(account: Address, block: Hash | None = None) -> Request[int]:
    """Ask for the native balance of `account`."""
    return Request("eth_getBalance", [hex_text(account), at(block)], decode.read_quantity)


def code(account: Address, block: Hash) -> Request[bytes]:
    """Ask for the code of `account`."""
    return Request("eth_getCode", [hex_text(account), at(block)], decode.read_data)


def slot(account: Address, key: int, block: Hash) -> Request[int]:
    """Ask for one storage slot."""
    return Request("eth_getStorageAt", [hex_text(account), _key(key), at(block)], decode.read_quantity)


def storage_values(slots: Mapping[Address, Sequence[int]], block: Hash) -> Request[list[list[int]]]:
    """Ask for many slots at once; the answer has the order of `slots`."""
    texts = {hex_text(account): [_key(key) for key in keys] for account, keys in slots.items()}

    def read(raw: msgspec.Raw) -> list[list[int]]:
        return decode.read_storage_values(raw, {text: len(keys) for text, keys in texts.items()})

    return Request("eth_getStorageValues", [texts, at(block)], read)


def _unread(raw: msgspec.Raw) -> msgspec.Raw:
    return raw


@lru_cache(maxsize=decode.REMEMBERED)
def _key(slot: int) -> str:
    # The same slots are asked for block after block.
    return f"0x{slot:064x}"


def send(raw: bytes) -> Request[Hash]:
    """Send a signed transaction."""
    return Request("eth_sendRawTransaction", [hex_text(raw)], decode.read_hash)


def known(transaction: Hash) -> Request[bool]:
    """Ask whether the node has a transaction, mined or waiting."""
    return Request("eth_getTransactionByHash", [hex_text(transaction)], decode.read_presence)


def transaction(transaction: Hash) -> Request[msgspec.Raw]:
    """Ask for a transaction, mined or waiting; `decode.read_pending` reads it."""
    return Request("eth_getTransactionByHash", [hex_text(transaction)], _unread)


def receipt(transaction: Hash) -> Request[Receipt | None]:
    """Ask for a receipt."""
    return Request("eth_getTransactionReceipt", [hex_text(transaction)], decode.read_maybe_receipt)
