"""Read pools from the chain, at one block: first the state, then the row."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.model.words import require_words, unsigned, word
from tallyio.native.memory import Region
from tallyio_protocol_curve_stable import abi
from tallyio_protocol_curve_stable.discovery import template_of
from tallyio_protocol_curve_stable.layout import Ramp, State, pack_row
from tallyio_protocol_curve_stable.reference import Pool, Revert, amplification, get_dy
from tallyio_protocol_curve_stable.settings import WHERE
from tallyio_protocol_curve_stable.templates import CACHE_SECONDS, DRule, Flag, Template

_PROBES = tuple((i, 1 - i, part) for i in (0, 1) for part in (7, 31, 1_000, 9_973))
"""Directions, and what part of the balance is sold, to compare with the pool's own `get_dy`."""


async def read_states(
    chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head, max_age: int
) -> list[State]:
    """Return the state of each pool at `block`. Raises: ChainError: a pool does not answer as its kind."""
    questions = [_questions(pool) for pool in pools]
    calls = [call for asked in questions for call in asked.values()]
    answers = iter(await chain.call(calls, block=block.hash))
    return [
        _state(pool, _Answers(pool, {key: next(answers) for key in asked}), block, max_age)
        for pool, asked in zip(pools, questions, strict=True)
    ]


def make_row(pool: PoolSpec, state: State) -> bytes:
    """Return the complete row of a pool. Raises: ChainError: a number that no proof allows for."""
    from tallyio_protocol_curve_stable.hot_state import rebuild  # noqa: PLC0415 - numba loads for rows only

    try:
        row = pack_row(state)
    except ValueError as error:
        raise ChainError(f"pool {checksum(pool.address)} has an impossible state: {error}") from None
    with Region(len(row)) as memory:
        memory.view("u1", len(row))[:] = bytearray(row)
        rebuild(memory.address)
        return memory.view("u1", len(row)).tobytes()


def pool_of(state: State) -> Pool:
    """Return `state` as the reference takes it: at its own time."""
    rates = list(state.rates)
    if state.cache_time and state.time > state.cache_time + CACHE_SECONDS:
        rates[-1] = state.base_rate_now
    ramp = state.ramp
    return Pool(
        template=state.template,
        balances=state.balances,
        rates=tuple(rates),
        amp=amplification(ramp.initial, ramp.future, ramp.started, ramp.ends, state.time),
        fee=state.fee,
        admin_fee=state.admin_fee,
        offpeg_fee_multiplier=state.offpeg_fee_multiplier,
    )


async def check_kinds(
    chain: ChainReader, pools: Sequence[PoolSpec], states: Sequence[State], *, block: Head
) -> None:
    """Compare each pool's `get_dy` with what its kind computes. Raises: ChainError: it is another kind."""
    probes = [
        (pool, pool_of(state), i, j, state.balances[i] // part)
        for pool, state in zip(pools, states, strict=True)
        for i, j, part in _PROBES
    ]
    calls = [
        Call(to=pool.address, data=abi.GET_DY + word(i) + word(j) + word(amount))
        for pool, _, i, j, amount in probes
    ]
    for (pool, state, i, j, amount), answer in zip(
        probes, await chain.call(calls, block=block.hash), strict=True
    ):
        said = None if answer is None else unsigned(answer, 0)
        if said != _dy(state, i, j, amount):
            raise ChainError(
                f"pool {checksum(pool.address)} does not compute as a {state.template.kind!r} pool:"
                f" get_dy({i}, {j}, {amount}) is {said}, not {_dy(state, i, j, amount)}",
                way_out=f"name its kind in [{WHERE}.pools], or leave it out",
            )


def _dy(pool: Pool, i: int, j: int, amount: int) -> int | None:
    try:
        return get_dy(pool, i, j, amount)
    except Revert:
        return None


class _Answers:
    """What one pool said, by question."""

    def __init__(self, pool: PoolSpec, answers: dict[str, bytes | None]) -> None:
        self._pool = pool
        self._answers = answers

    def number(self, question: str, index: int = 0) -> int:
        """Return word `index` of an answer. Raises: ChainError: it is missing."""
        answer = require_words(
            self._answers[question],
            index + 1,
            contract=self._pool.address,
            kind=f"a {template_of(self._pool).kind!r} pool",
            way_out=f"check address and kind in [{WHERE}]",
        )
        return unsigned(answer, index)

    def array(self, question: str, count: int) -> tuple[int, ...]:
        """Return a dynamic array of `count` numbers."""
        return tuple(self.number(question, 2 + k) for k in range(count))


def _questions(pool: PoolSpec) -> dict[str, Call]:
    template, facts = template_of(pool), dict(pool.parameters)
    asked = {"fee": abi.FEE, "admin_fee": abi.ADMIN_FEE, **_a_questions(template)}
    if Flag.DYNAMIC_ARRAYS in template.flags:
        asked |= {"balances": abi.GET_BALANCES, "rates": abi.STORED_RATES, "multiplier": abi.MULTIPLIER}
    else:
        getter = abi.BALANCES_INT128 if template.d_rule is DRule.PLUS_ONE else abi.BALANCES
        asked |= {f"balance{k}": getter + word(k) for k in range(len(pool.tokens))}
    if Flag.CACHES_BASE_RATE in template.flags:
        asked |= {"kept": abi.BASE_VIRTUAL_PRICE, "kept_at": abi.BASE_CACHE_UPDATED}
    calls = {key: Call(to=pool.address, data=data) for key, data in asked.items()}
    if facts["lp_token"]:
        calls["supply"] = Call(to=_address(facts["lp_token"]), data=abi.TOTAL_SUPPLY)
    if Flag.BASE_RATE in template.flags:
        calls["base_rate"] = Call(to=_address(facts["base_pool"]), data=abi.VIRTUAL_PRICE)
    return calls


def _a_questions(template: Template) -> dict[str, bytes]:
    if template.d_rule is DRule.PLUS_ONE:
        return {"A": abi.A}  # before ramps
    return {
        "initial": abi.INITIAL_A,
        "future": abi.FUTURE_A,
        "started": abi.INITIAL_A_TIME,
        "ends": abi.FUTURE_A_TIME,
    }


def _state(pool: PoolSpec, said: _Answers, block: Head, max_age: int) -> State:
    template, facts, count = template_of(pool), dict(pool.parameters), len(pool.tokens)
    flags = template.flags
    rates = tuple(10 ** (36 - facts[f"decimals{k}"]) for k in range(count))
    base_rate = said.number("base_rate") if Flag.BASE_RATE in flags else 0
    if Flag.DYNAMIC_ARRAYS in flags:
        balances, rates = said.array("balances", count), said.array("rates", count)
    else:
        balances = tuple(said.number(f"balance{k}") for k in range(count))
    if Flag.BASE_RATE in flags:
        rates = (*rates[:-1], said.number("kept") if Flag.CACHES_BASE_RATE in flags else base_rate)
    if facts["drifts"]:
        template = msgspec.structs.replace(template, flags=flags | Flag.DRIFTS)
    return State(
        template=template,
        balances=balances,
        rates=rates,
        ramp=_ramp(template, said),
        fee=said.number("fee"),
        admin_fee=said.number("admin_fee"),
        offpeg_fee_multiplier=said.number("multiplier") if Flag.DYNAMIC_ARRAYS in flags else 0,
        supply=said.number("supply") if facts["lp_token"] else 0,
        time=block.timestamp,
        rates_until=block.timestamp + max_age if facts["moves"] else 0,
        cache_time=said.number("kept_at") if Flag.CACHES_BASE_RATE in flags else 0,
        base_rate_now=base_rate,
        gas=facts["gas"],
    )


def _ramp(template: Template, said: _Answers) -> Ramp:
    if template.d_rule is DRule.PLUS_ONE:
        return Ramp(said.number("A"), said.number("A"))
    return Ramp(said.number("initial"), said.number("future"), said.number("started"), said.number("ends"))


def _address(number: int) -> Address:
    return Address(number.to_bytes(20))
