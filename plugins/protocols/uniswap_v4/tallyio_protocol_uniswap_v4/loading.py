"""Read pools from the manager's storage into rows.

Two rounds of calls at one block hash, for all pools together: prices and bitmaps, then the ticks
that the bitmaps name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import batched

import msgspec

from tallyio.hooks.interfaces import ChainReader
from tallyio.market.concentrated.layout import pack_row
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.native.memory import Region
from tallyio_protocol_uniswap_v4 import abi, storage
from tallyio_protocol_uniswap_v4.own import Own
from tallyio_protocol_uniswap_v4.reference import swap_fees

_SLOTS_PER_CALL = 1_024
"""At 2,100 gas a slot, far below what nodes allow a call."""


class PoolState(msgspec.Struct, frozen=True, kw_only=True):
    """A pool as read from the chain."""

    slot0: storage.Slot0
    liquidity: int
    ticks: dict[int, tuple[int, int]]
    """Gross and net liquidity by initialised tick."""


async def load_rows(chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
    """Return the row of each pool at `block`.

    Raises: ChainError: a manager does not answer as one, or a pool contradicts itself.
    """
    states = await read_states(chain, pools, block=block)
    return [make_row(pool, state, block) for pool, state in zip(pools, states, strict=True)]


async def read_states(chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[PoolState]:
    """Return the state of each pool at `block`. Raises: ChainError."""
    spacings = [dict(pool.parameters)["tick_spacing"] for pool in pools]
    bases = [storage.base_slot(pool.id) for pool in pools]
    heads = await read_groups(
        chain,
        [
            (pool.address, storage.head_slots(base, spacing))
            for pool, base, spacing in zip(pools, bases, spacings, strict=True)
        ],
        block=block,
    )
    initialised = [
        storage.initialised_ticks(head[2:], spacing) for head, spacing in zip(heads, spacings, strict=True)
    ]
    details = await read_groups(
        chain,
        [
            (pool.address, storage.tick_slots(base, ticks))
            for pool, base, ticks in zip(pools, bases, initialised, strict=True)
        ],
        block=block,
    )
    return [_state(*facts) for facts in zip(heads, initialised, details, strict=True)]


async def read_groups(
    chain: ChainReader, groups: Sequence[tuple[Address, Sequence[int]]], *, block: Head
) -> list[list[int]]:
    """Return the words in groups of slots, each of one manager, with one round of calls.

    Raises: ChainError: a manager does not answer as one.
    """
    parts = [(manager, part) for manager, slots in groups for part in batched(slots, _SLOTS_PER_CALL)]
    calls = [abi.read_slots(manager, part) for manager, part in parts]
    answers = await chain.call(calls, block=block.hash) if calls else []
    words = _words(answers, parts)
    return [[next(words) for _ in slots] for _, slots in groups]


def make_row(pool: PoolSpec, state: PoolState, block: Head) -> bytes:
    """Return the complete row of a pool. Raises: ChainError: it contradicts itself."""
    from tallyio.market.concentrated.changes import rebuild  # noqa: PLC0415 - numba loads for rows only

    facts, slot0 = dict(pool.parameters), state.slot0
    own = Own(
        lp_fee=slot0.lp_fee,
        protocol_fee=slot0.protocol_fee,
        fee_seconds=facts["fee_seconds"],
        fee_read_at=block.timestamp if facts["fee_seconds"] else 0,
    )
    row = pack_row(
        sqrt_price_x96=slot0.sqrt_price_x96,
        liquidity=state.liquidity,
        tick=slot0.tick,
        fees_pips=swap_fees(slot0.protocol_fee, slot0.lp_fee),
        tick_spacing=facts["tick_spacing"],
        ticks=state.ticks,
        gas=(facts["gas"], facts["gas_per_tick"], facts["gas_per_word"]),
        own=own.pack(),
    )
    with Region(len(row)) as memory:
        view = memory.view("u1", len(row))
        view[:] = bytearray(row)
        if not rebuild(memory.address):
            raise ChainError(
                f"pool {pool.id.hex()} of {checksum(pool.address)} contradicts itself: price, ticks and"
                " liquidity do not fit together"
            )
        return view.tobytes()


def _words(answers: Sequence[bytes | None], parts: Sequence[tuple[Address, Sequence[int]]]) -> Iterator[int]:
    for answer, (manager, part) in zip(answers, parts, strict=True):
        yield from abi.slot_values(answer, len(part), manager)


def _state(head: Sequence[int], ticks: Sequence[int], details: Sequence[int]) -> PoolState:
    return PoolState(
        slot0=storage.slot0_of(head[0]),
        liquidity=head[1],
        ticks={tick: storage.liquidity_of(detail) for tick, detail in zip(ticks, details, strict=True)},
    )
