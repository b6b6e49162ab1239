"""Read pools from the chain into rows.

Two rounds of calls at one block hash, for all pools together: prices and bitmaps, then the ticks
that the bitmaps name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.model.words import signed, unsigned, word
from tallyio.native.memory import Region
from tallyio_protocol_uniswap_v3 import abi
from tallyio_protocol_uniswap_v3.layout import pack_row
from tallyio_protocol_uniswap_v3.reference_math import MAX_TICK

_WORD_TICKS = 256


class PoolState(msgspec.Struct, frozen=True, kw_only=True):
    """A pool as read from the chain."""

    sqrt_price_x96: int
    tick: int
    liquidity: int
    ticks: dict[int, tuple[int, int]]
    """Gross and net liquidity by initialised tick."""


async def load_rows(
    chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head, tick_capacity: int
) -> list[bytes]:
    """Return the row of each pool at `block`.

    Raises: ChainError: a pool does not answer as one, or contradicts itself. ConfigError: a pool has
    more initialised ticks than `tick_capacity`.
    """
    states = await read_states(chain, pools, block=block)
    return [make_row(pool, state, tick_capacity) for pool, state in zip(pools, states, strict=True)]


async def read_states(chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[PoolState]:
    """Return the state of each pool at `block`. Raises: ChainError."""
    spacings = [dict(pool.parameters)["tick_spacing"] for pool in pools]
    heads = [_head_calls(pool, spacing) for pool, spacing in zip(pools, spacings, strict=True)]
    head_answers = await _call_groups(chain, heads, block)
    initialised = [
        _initialised(answers[2:], spacing) for answers, spacing in zip(head_answers, spacings, strict=True)
    ]
    details = [
        [Call(to=pool.address, data=abi.TICKS + word(tick)) for tick in ticks]
        for pool, ticks in zip(pools, initialised, strict=True)
    ]
    tick_answers = await _call_groups(chain, details, block)
    return [_state(*facts) for facts in zip(head_answers, initialised, tick_answers, strict=True)]


def make_row(pool: PoolSpec, state: PoolState, tick_capacity: int) -> bytes:
    """Return the complete row of a pool. Raises: ChainError, ConfigError as `load_rows` does."""
    from tallyio_protocol_uniswap_v3.hot_state import rebuild  # noqa: PLC0415 - numba loads for rows only

    name = f"pool {checksum(pool.address)} of {pool.venue!r}"
    if len(state.ticks) > tick_capacity:
        raise ConfigError(
            f"{name} has {len(state.ticks)} initialised ticks, more than tick_capacity {tick_capacity}",
            way_out="raise tick_capacity in [protocols.uniswap_v3], or leave the pool out",
        )
    facts = dict(pool.parameters)
    row = pack_row(
        sqrt_price_x96=state.sqrt_price_x96,
        liquidity=state.liquidity,
        tick=state.tick,
        fee_pips=facts["fee_pips"],
        tick_spacing=facts["tick_spacing"],
        ticks=state.ticks,
        tick_capacity=tick_capacity,
        gas=(facts["gas"], facts["gas_per_tick"], facts["gas_per_word"]),
    )
    with Region(len(row)) as memory:
        view = memory.view("u1", len(row))
        view[:] = bytearray(row)
        if not rebuild(memory.address):
            raise ChainError(f"{name} contradicts itself: price, ticks and liquidity do not fit together")
        return view.tobytes()


def bitmap_words(tick_spacing: int) -> range:
    """Return the positions of the bitmap words that may hold an initialised tick."""
    furthest = MAX_TICK // tick_spacing
    return range(-furthest // _WORD_TICKS, furthest // _WORD_TICKS + 1)


def _head_calls(pool: PoolSpec, spacing: int) -> list[Call]:
    words = [abi.TICK_BITMAP + word(position) for position in bitmap_words(spacing)]
    return [Call(to=pool.address, data=data) for data in (abi.SLOT0, abi.LIQUIDITY, *words)]


async def _call_groups(
    chain: ChainReader, groups: Sequence[Sequence[Call]], block: Head
) -> list[list[bytes]]:
    calls = [call for group in groups for call in group]
    answers = await chain.call(calls, block=block.hash) if calls else []
    sound = iter([_one_word(answer, call.to) for answer, call in zip(answers, calls, strict=True)])
    return [list(islice(sound, len(group))) for group in groups]


def _one_word(answer: bytes | None, contract: Address) -> bytes:
    return abi.checked(answer, 1, contract)


def _initialised(words: Sequence[bytes], spacing: int) -> list[int]:
    return [tick * spacing for tick in _set_bits(words, bitmap_words(spacing))]


def _set_bits(words: Sequence[bytes], positions: range) -> Iterator[int]:
    for position, bitmap in zip(positions, words, strict=True):
        bits = unsigned(bitmap, 0)
        while bits:
            lowest = bits & -bits
            yield position * _WORD_TICKS + lowest.bit_length() - 1
            bits ^= lowest


def _state(heads: Sequence[bytes], ticks: Sequence[int], details: Sequence[bytes]) -> PoolState:
    slot0, liquidity = heads[0], heads[1]
    return PoolState(
        sqrt_price_x96=unsigned(slot0, 0),
        tick=signed(slot0, 1),
        liquidity=unsigned(liquidity, 0),
        ticks={
            tick: (unsigned(detail, 0), signed(detail, 1))
            for tick, detail in zip(ticks, details, strict=True)
        },
    )
