"""Read pools from the chain, at one block: first the state, then the row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import checksum
from tallyio.model.words import require_words, unsigned, word
from tallyio.native.memory import Region
from tallyio_protocol_curve_crypto import abi
from tallyio_protocol_curve_crypto.discovery import template_of
from tallyio_protocol_curve_crypto.layout import Ramp, State, pack_row
from tallyio_protocol_curve_crypto.reference import Pool, exchange, interpolated, is_moving
from tallyio_protocol_curve_crypto.reference_words import Revert
from tallyio_protocol_curve_crypto.settings import WHERE

_PARTS: Final = (7, 31, 1_000, 9_973)
"""What parts of a balance are sold, to compare with the pool's own `get_dy`."""

_FIELDS: Final = {
    "d": abi.D,
    "mid_fee": abi.MID_FEE,
    "out_fee": abi.OUT_FEE,
    "fee_gamma": abi.FEE_GAMMA,
    "initial": abi.INITIAL_A_GAMMA,
    "future": abi.FUTURE_A_GAMMA,
    "started": abi.INITIAL_A_GAMMA_TIME,
    "ends": abi.FUTURE_A_GAMMA_TIME,
}
_GAMMA_BITS: Final = 128
_PAIR: Final = 2


async def read_states(chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[State]:
    """Return the state of each pool at `block`. Raises: ChainError: a pool does not answer as its kind."""
    questions = [_questions(pool) for pool in pools]
    calls = [
        Call(to=pool.address, data=data)
        for pool, asked in zip(pools, questions, strict=True)
        for data in asked.values()
    ]
    answers = iter(await chain.call(calls, block=block.hash))
    return [
        _state(pool, {key: _number(pool, next(answers)) for key in asked}, block)
        for pool, asked in zip(pools, questions, strict=True)
    ]


def make_row(pool: PoolSpec, state: State) -> bytes:
    """Return the complete row of a pool. Raises: ChainError: a number that no proof allows for."""
    from tallyio_protocol_curve_crypto.hot_state import advance  # noqa: PLC0415 - numba loads for rows only

    try:
        row = pack_row(state)
    except ValueError as error:
        raise ChainError(f"pool {checksum(pool.address)} has an impossible state: {error}") from None
    with Region(len(row)) as memory:
        memory.view("u1", len(row))[:] = bytearray(row)
        advance(memory.address, state.time)
        return memory.view("u1", len(row)).tobytes()


def pool_of(state: State) -> Pool:
    """Return `state` as the reference takes it: at its own time."""
    ramp = state.ramp
    ann, gamma = (
        interpolated(first, last, ramp.started, ramp.ends, state.time)
        for first, last in ((ramp.initial_a, ramp.future_a), (ramp.initial_gamma, ramp.future_gamma))
    )
    return Pool(
        template=state.template,
        balances=state.balances,
        price_scale=state.price_scale,
        precisions=state.precisions,
        ann=ann,
        gamma=gamma,
        d=None if is_moving(state.template, ramp.ends, state.time) else state.d,
        mid_fee=state.mid_fee,
        out_fee=state.out_fee,
        fee_gamma=state.fee_gamma,
    )


async def check_kinds(
    chain: ChainReader, pools: Sequence[PoolSpec], states: Sequence[State], *, block: Head
) -> None:
    """Compare each pool's `get_dy` with what its kind computes. Raises: ChainError: it is another kind."""
    probes = [
        (pool, pool_of(state), i, j, max(1, state.balances[i] // part))
        for pool, state in zip(pools, states, strict=True)
        for i, j in permutations(range(len(pool.tokens)), 2)
        for part in _PARTS
    ]
    calls = [
        Call(to=pool.address, data=abi.GET_DY + word(i) + word(j) + word(amount))
        for pool, _, i, j, amount in probes
    ]
    answers = await chain.call(calls, block=block.hash)
    for (pool, state, i, j, amount), answer in zip(probes, answers, strict=True):
        said, computed = None if answer is None else _number(pool, answer), _dy(state, i, j, amount)
        if said != computed:
            raise ChainError(
                f"pool {checksum(pool.address)} does not compute as a {state.template.kind!r} pool:"
                f" get_dy({i}, {j}, {amount}) is {said}, not {computed}",
                way_out=f"name its kind in [{WHERE}.pools], or leave it out",
            )


def _dy(pool: Pool, i: int, j: int, amount: int) -> int | None:
    try:
        return exchange(pool, i, j, amount)
    except Revert:
        return None


def _questions(pool: PoolSpec) -> dict[str, bytes]:
    count = len(pool.tokens)
    prices = {"price1": abi.PRICE_SCALE}
    if count > _PAIR:
        prices = {f"price{k}": abi.PRICE_SCALES + word(k - 1) for k in range(1, count)}
    return {**{f"balance{k}": abi.BALANCES + word(k) for k in range(count)}, **prices, **_FIELDS}


def _number(pool: PoolSpec, answer: bytes | None) -> int:
    kind = f"a {template_of(pool).kind!r} pool"
    way_out = f"check address and kind in [{WHERE}]"
    return unsigned(require_words(answer, 1, contract=pool.address, kind=kind, way_out=way_out), 0)


def _state(pool: PoolSpec, said: dict[str, int], block: Head) -> State:
    facts, count = dict(pool.parameters), len(pool.tokens)
    mask = (1 << _GAMMA_BITS) - 1
    return State(
        template=template_of(pool),
        balances=tuple(said[f"balance{k}"] for k in range(count)),
        price_scale=tuple(said[f"price{k}"] for k in range(1, count)),
        precisions=tuple(10 ** (18 - facts[f"decimals{k}"]) for k in range(count)),
        ramp=Ramp(
            said["initial"] >> _GAMMA_BITS,
            said["initial"] & mask,
            said["future"] >> _GAMMA_BITS,
            said["future"] & mask,
            said["started"],
            said["ends"],
        ),
        d=said["d"],
        mid_fee=said["mid_fee"],
        out_fee=said["out_fee"],
        fee_gamma=said["fee_gamma"],
        time=block.timestamp,
        gas=facts["gas"],
    )
