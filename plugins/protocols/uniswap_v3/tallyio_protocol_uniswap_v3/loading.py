"""Read pools from the chain into rows.

Rounds of calls at one block hash, for all pools together: fees where they are not fixed, prices and
bitmaps, then the ticks that the bitmaps name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import msgspec

from tallyio.hooks.interfaces import ChainReader
from tallyio.market.concentrated.layout import pack_row
from tallyio.market.concentrated.reference_math import MAX_TICK
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.model.words import signed, unsigned, word
from tallyio.native.memory import Region
from tallyio_protocol_uniswap_v3 import abi
from tallyio_protocol_uniswap_v3.dialects import dialect_of
from tallyio_protocol_uniswap_v3.discovery import pool_fees

_WORD_TICKS: Final = 256
_SPARE_SHARE: Final = 4


class PoolState(msgspec.Struct, frozen=True, kw_only=True):
    """A pool as read from the chain."""

    sqrt_price_x96: int
    tick: int
    liquidity: int
    fee_pips: int
    ticks: dict[int, tuple[int, int]]
    """Gross and net liquidity by initialised tick."""


async def load_rows(
    chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head, spare_ticks: int
) -> list[bytes]:
    """Return the row of each pool at `block`.

    Each has room for `spare_ticks` further ticks, or for a quarter more if that is more.

    Raises: ChainError: a pool does not answer as one, or contradicts itself.
    """
    states = await read_states(chain, pools, block=block)
    return [make_row(pool, state, spare_ticks) for pool, state in zip(pools, states, strict=True)]


async def read_states(chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[PoolState]:
    """Return the state of each pool at `block`. Raises: ChainError."""
    spacings = [dict(pool.parameters)["tick_spacing"] for pool in pools]
    fees = await pool_fees(
        chain,
        [pool.address for pool in pools],
        [dialect_of(pool.parameters) for pool in pools],
        [pool.fee_pips for pool in pools],
        block,
    )
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
    return [_state(*facts) for facts in zip(head_answers, fees, initialised, tick_answers, strict=True)]


def make_row(pool: PoolSpec, state: PoolState, spare_ticks: int) -> bytes:
    """Return the complete row of a pool. Raises: ChainError as `load_rows` does."""
    from tallyio.market.concentrated.changes import rebuild  # noqa: PLC0415 - numba loads for rows only

    name = f"pool {checksum(pool.address)} of {pool.venue!r}"
    facts = dict(pool.parameters)
    row = pack_row(
        sqrt_price_x96=state.sqrt_price_x96,
        liquidity=state.liquidity,
        tick=state.tick,
        fees_pips=(state.fee_pips, state.fee_pips),
        tick_spacing=facts["tick_spacing"],
        ticks=state.ticks,
        room=max(spare_ticks, len(state.ticks) // _SPARE_SHARE),
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
    speaks = dialect_of(pool.parameters)
    words = [speaks.bitmap + word(position) for position in bitmap_words(spacing)]
    return [Call(to=pool.address, data=data) for data in (speaks.state, abi.LIQUIDITY, *words)]


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


def _state(
    heads: Sequence[bytes], fee_pips: int, ticks: Sequence[int], details: Sequence[bytes]
) -> PoolState:
    price_and_tick, liquidity = heads[0], heads[1]
    return PoolState(
        sqrt_price_x96=unsigned(price_and_tick, 0),
        tick=signed(price_and_tick, 1),
        liquidity=unsigned(liquidity, 0),
        fee_pips=fee_pips,
        ticks={
            tick: (unsigned(detail, 0), signed(detail, 1))
            for tick, detail in zip(ticks, details, strict=True)
        },
    )
