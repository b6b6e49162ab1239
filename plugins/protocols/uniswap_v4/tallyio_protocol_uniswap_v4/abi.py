"""The calls and events of the V4 manager, as bytes.

Source: `IPoolManager`, `IProtocolFees`, `IExtsload` (v4-core 1.0.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from tallyio.model.chain import Log
from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic, keccak256, selector
from tallyio.model.units import Address, Wei
from tallyio.model.words import (
    WORD,
    address_at,
    address_word,
    bytes_words,
    require_words,
    signed,
    unsigned,
    word,
)

INITIALIZE: Final = event_topic("Initialize(bytes32,address,address,uint24,int24,address,uint160,int24)")
SWAP_EVENT: Final = event_topic("Swap(bytes32,address,int128,int128,uint160,uint128,int24,uint24)")
MODIFY_LIQUIDITY: Final = event_topic("ModifyLiquidity(bytes32,address,int24,int24,int256,bytes32)")
PROTOCOL_FEE_UPDATED: Final = event_topic("ProtocolFeeUpdated(bytes32,uint24)")

_EXTSLOAD: Final = selector("extsload(bytes32[])")
_UNLOCK: Final = selector("unlock(bytes)")
_SWAP: Final = selector("swap((address,address,uint24,int24,address),(bool,int256,uint160),bytes)")
_TAKE: Final = selector("take(address,address,uint256)")
_SYNC: Final = selector("sync(address)")
_SETTLE: Final = selector("settle()")


class PoolKey(NamedTuple):
    """What identifies a pool; nothing in the manager's storage tells it again."""

    currency0: Address
    currency1: Address
    fee: int
    tick_spacing: int
    hooks: Address

    @property
    def words(self) -> bytes:
        """The five words of the key, as calls carry them."""
        return b"".join(
            (
                address_word(self.currency0),
                address_word(self.currency1),
                word(self.fee),
                word(self.tick_spacing),
                address_word(self.hooks),
            )
        )

    @property
    def id(self) -> bytes:
        """The pool's id: `PoolIdLibrary.toId`."""
        return keccak256(self.words)


def opened_key(log: Log) -> PoolKey:
    """Return the key of the pool that an Initialize event opened."""
    return PoolKey(
        currency0=address_at(log.topics[2], 0),
        currency1=address_at(log.topics[3], 0),
        fee=unsigned(log.data, 0),
        tick_spacing=signed(log.data, 1),
        hooks=address_at(log.data, 2),
    )


def read_slots(manager: Address, slots: Sequence[int]) -> Call:
    """Return the call that reads storage slots."""
    words = b"".join(slot.to_bytes(WORD) for slot in slots)
    return Call(to=manager, data=_EXTSLOAD + word(WORD) + word(len(slots)) + words)


def slot_values(answer: bytes | None, count: int, manager: Address) -> list[int]:
    """Return what `read_slots` read. Raises: ChainError: that is no manager."""
    sound = require_words(
        answer,
        2 + count,
        contract=manager,
        kind="a Uniswap V4 manager",
        way_out="check the factory in [protocols.uniswap_v4]",
    )
    return [unsigned(sound, 2 + k) for k in range(count)]


def unlock_data(data: bytes) -> bytes:
    """Return the call data that lets its sender act on the manager: in a callback with `data`."""
    return _UNLOCK + word(WORD) + bytes_words(data)


def swap(manager: Address, key: PoolKey, *, zero_for_one: bool, amount_in: int, limit_x96: int) -> Call:
    """Return the call of `swap` with exact input."""
    terms = word(int(zero_for_one)) + word(-amount_in) + word(limit_x96)
    hook_data_at = len(key.words) + len(terms) + WORD
    return Call(to=manager, data=_SWAP + key.words + terms + word(hook_data_at) + bytes_words(b""))


def take(manager: Address, currency: Address, to: Address, amount: int) -> Call:
    """Return the call that pays out what the manager owes to its sender."""
    return Call(to=manager, data=_TAKE + address_word(currency) + address_word(to) + word(amount))


def sync(manager: Address, currency: Address) -> Call:
    """Return the call before a payment: the manager notes what it holds of `currency`."""
    return Call(to=manager, data=_SYNC + address_word(currency))


def settle(manager: Address, value_wei: int = 0) -> Call:
    """Return the call after a payment: what came since `sync`, or with the call itself, is booked."""
    return Call(to=manager, data=_SETTLE, value_wei=Wei(value_wei))
