"""Pools of any state, put into the storage of the real contracts, and what a swap on them does.

The code of a pool stays the published one; only its storage is set, as a history of mints and swaps
would have left it. The caller is a few instructions that in the pool's callback revert with its two
amounts, so a swap says exactly what it takes and pays, and leaves no trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from tallyio.lab.revm import RevmBackend
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.market.concentrated.reference import Pool
from tallyio.market.concentrated.reference_math import (
    HIGHEST_LIMIT,
    LOWEST_LIMIT,
    MIN_TICK,
    get_sqrt_ratio_at_tick,
)
from tallyio.model.execution import Call
from tallyio.model.hashing import keccak256, selector
from tallyio.model.units import Address, hex_text
from tallyio.model.words import WORD, address_word, bytes_words, signed, word

CALLER: Final = Address(b"\x11" * 20)
_FORWARD: Final = "6020360360205f375f5f602036035f5f5f355af1503d5f5f3e3d5ffd"
_TELL_AMOUNTS: Final = "604060045f3760405ffd"
CALLER_CODE: Final = bytes.fromhex(f"333214601057{_TELL_AMOUNTS}5b{_FORWARD}")
"""To the transaction's sender: call the address in the first word with what follows, and revert with
what it returns. To anybody else, which is the pool in its callback: revert with the two words that
follow the selector."""
SAY_YES: Final = bytes.fromhex("60015f5260205ff3")
"""Return 1 to whatever is asked: a token that pays everything and is never short."""

_SWAP: Final = selector("swap(address,bool,int256,uint160,bytes)")
_OUTPUT: Final = re.compile(r"0x([0-9a-f]+)")
_FIRST_OBSERVATION: Final = 1 << 200 | 1 << 216  # one observation has room
_RETURN_CREATED: Final = "365f5f37365f5ff05f5260205ff3"


def creator_code(facts: Sequence[bytes]) -> bytes:
    """Return code that creates a contract from the data of a transaction, and answers it with these words.

    So do the deployers of pools, whose constructors ask them who they are.
    """
    stores = "".join(f"7f{fact.hex()}60{32 * k:02x}52" for k, fact in enumerate(facts))
    answer = f"{stores}60{32 * len(facts):02x}5ff3"
    return bytes.fromhex(f"33321461{6 + 1 + len(answer) // 2:04x}57{answer}5b{_RETURN_CREATED}")


class Slots(NamedTuple):
    """Where a contract keeps what decides a swap."""

    state: int
    liquidity: int
    ticks: int
    bitmap: int
    flags: tuple[tuple[int, int], ...] = ()
    """Further slots, and values to add to them: what says that the pool is unlocked."""
    observations: int = _FIRST_OBSERVATION
    fee_bit: int | None = None
    """Where the state has the fee, if it has."""


UNISWAP: Final = Slots(state=0, liquidity=4, ticks=5, bitmap=6, flags=((0, 1 << 240),))
PANCAKE: Final = Slots(state=0, liquidity=5, ticks=6, bitmap=7, flags=((1, 1 << 32),))
ALGEBRA: Final = Slots(
    state=2, liquidity=3, ticks=5, bitmap=6, observations=0, flags=((2, 1 << 232),), fee_bit=184
)


class Taken(NamedTuple):
    """What a swap took and paid."""

    amount_in: int
    amount_out: int


def storage_of(pool: Pool, slots: Slots) -> dict[int, int]:
    """Return the storage that says what `pool` says."""
    state = pool.sqrt_price_x96 | (pool.tick % 2**24) << 160 | slots.observations
    if slots.fee_bit is not None:
        state |= pool.fees_pips[0] << slots.fee_bit
    storage = {slots.state: state, slots.liquidity: pool.liquidity}
    for slot, value in slots.flags:
        storage[slot] = storage.get(slot, 0) + value
    for at, tick in pool.ticks.items():
        storage[_slot(at, slots.ticks)] = tick.liquidity_gross | (tick.liquidity_net % 2**128) << 128
        place, bit = divmod(at // pool.tick_spacing, 256)
        row = _slot(place, slots.bitmap)
        storage[row] = storage.get(row, 0) | 1 << bit
    return storage


def _slot(key: int, mapping: int) -> int:
    return int.from_bytes(keccak256(word(key) + word(mapping)))


@contextmanager
def held(backend: RevmBackend, address: Address, storage: Mapping[int, int]) -> Iterator[None]:
    """Keep this storage in the contract until the context ends."""
    for slot, value in storage.items():
        backend.evm.insert_account_storage(hex_text(address), slot, value)
    try:
        yield
    finally:
        for slot in storage:
            backend.evm.insert_account_storage(hex_text(address), slot, 0)


def limit_of(pool: Pool, *, zero_for_one: bool) -> int:
    """Return a price limit behind the last initialised tick, where there is nothing more to trade.

    The furthest limit would have the contract look at thousands of words in vain.
    """
    if zero_for_one:
        lowest = min((*pool.ticks, pool.tick))
        behind = min(pool.sqrt_price_x96, get_sqrt_ratio_at_tick(max(lowest, MIN_TICK))) - 1
        return max(behind, LOWEST_LIMIT)
    highest = max((*pool.ticks, pool.tick))
    return min(max(pool.sqrt_price_x96, get_sqrt_ratio_at_tick(highest)) + 1, HIGHEST_LIMIT)


def swap(
    backend: RevmBackend, address: Address, amount: int, *, zero_for_one: bool, limit: int
) -> Taken | None:
    """Return what the contract does with an exact input or, negative, output; None where it reverts."""
    order = (address_word(OPERATOR), word(int(zero_for_one)), word(amount), word(limit), word(5 * WORD))
    data = _SWAP + b"".join(order) + bytes_words(b"")
    try:
        backend.call(Call(to=CALLER, data=address_word(address) + data))
    except Reverted as reason:
        said = _OUTPUT.findall(str(reason))[-1]
        if len(said) != 2 * 64:
            return None
        amounts = signed(bytes.fromhex(said), 0), signed(bytes.fromhex(said), 1)
        return Taken(*(amounts if zero_for_one else amounts[::-1]))
    raise AssertionError("the callback did not stop the swap")


def quoted(backend: RevmBackend, address: Address, pool: Pool, amount_in: int, i: int) -> int:
    """Return what the contract pays for all of `amount_in`, and 0 where it reverts or leaves some of it."""
    limit = limit_of(pool, zero_for_one=i == 0)
    done = swap(backend, address, amount_in, zero_for_one=i == 0, limit=limit)
    return -done.amount_out if done and done.amount_in == amount_in else 0


def quoted_exact_out(backend: RevmBackend, address: Address, pool: Pool, amount_out: int, i: int) -> int:
    """Return what the contract takes for `amount_out`, and 0 where it reverts or does not pay all of it."""
    limit = limit_of(pool, zero_for_one=i == 0)
    done = swap(backend, address, -amount_out, zero_for_one=i == 0, limit=limit)
    return done.amount_in if done and -done.amount_out == amount_out else 0
