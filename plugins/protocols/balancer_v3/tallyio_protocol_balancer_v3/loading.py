"""Read pools into rows, and hold what the rows say against what the Vault's Router says.

Two rounds of calls at one block hash, for all pools together: the state, and swaps of several sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address, checksum
from tallyio.model.words import WORD, unsigned
from tallyio_protocol_balancer_v3 import abi, reference
from tallyio_protocol_balancer_v3.layout import pack_row
from tallyio_protocol_balancer_v3.settings import WHERE, Facts
from tallyio_protocol_balancer_v3.state import PoolState, TokenState

_QUESTIONS: Final = 6
_FEE: Final = 4
_PAUSED: Final = 11
_CONFIG_WORDS: Final = 13
_RAW, _LIVE, _RATES, _SCALING = 3, 4, 5, 6
_DATA_WORDS: Final = 8
_PARTS: Final = (1_000_000, 1_000, 7)
"""The swaps compared sell these parts of a balance, in each direction."""


async def load_rows(
    chain: ChainReader, pools: Sequence[PoolSpec], facts: Facts, *, block: Head
) -> list[bytes]:
    """Return the row of each pool at `block`.

    Raises: ChainError: something does not answer as Balancer V3 does, a pool is paused, or pays otherwise
    than its kind does.
    """
    states = await _read(chain, pools, facts, block)
    await _compare(chain, pools, states, facts.router, block)
    return [_row(pool, state, facts, block) for pool, state in zip(pools, states, strict=True)]


async def _read(chain: ChainReader, pools: Sequence[PoolSpec], facts: Facts, block: Head) -> list[PoolState]:
    calls = [call for pool in pools for call in _questions(facts.vault, pool.address)]
    answers = await chain.call(calls, block=block.hash)
    return [
        _state(pool.address, facts.vault, answers[_QUESTIONS * k : _QUESTIONS * (k + 1)])
        for k, pool in enumerate(pools)
    ]


def _questions(vault: Address, pool: Address) -> tuple[Call, ...]:
    return (
        abi.about(vault, abi.POOL_DATA, pool),
        abi.about(vault, abi.POOL_CONFIG, pool),
        Call(to=vault, data=abi.LEAST_TRADE),
        Call(to=pool, data=abi.WEIGHTS),
        Call(to=pool, data=abi.LEAST_BALANCES),
        Call(to=pool, data=abi.AMP),
    )


def _state(pool: Address, vault: Address, answers: Sequence[bytes | None]) -> PoolState:
    data, config, least_trade, weights, least_balances, amp = answers
    config = abi.words(config, _CONFIG_WORDS, vault)
    if unsigned(config, _PAUSED):
        raise ChainError(f"pool {checksum(pool)} is paused", way_out=f"leave it out of [{WHERE}] pools")
    data = abi.words(data, _DATA_WORDS, vault)
    # The answer is one struct with arrays in it: the first word points to it.
    raw, live, rates, scaling = (abi.array(data, WORD, k, vault) for k in (_RAW, _LIVE, _RATES, _SCALING))
    count = len(raw)
    weighed = abi.array(weights, 0, 0, pool) if weights else [0] * count
    least = abi.array(least_balances, 0, 0, pool) if weights and least_balances else [0] * count
    return PoolState(
        tokens=tuple(
            TokenState(
                live=each[0], raw=each[1], rate=each[2], scaling=each[3], weight=each[4], least_live=each[5]
            )
            for each in zip(live, raw, rates, scaling, weighed, least, strict=True)
        ),
        fee=unsigned(config, _FEE),
        amp=0 if weights else unsigned(abi.words(amp, 1, pool), 0),
        least=unsigned(abi.words(least_trade, 1, vault), 0),
        # The version that wants least balances is the one that counts a unit more.
        more=1 if weights and least_balances else 0,
    )


async def _compare(
    chain: ChainReader,
    pools: Sequence[PoolSpec],
    states: Sequence[PoolState],
    router: Address,
    block: Head,
) -> None:
    trials = [
        (pool, i, j, amount, reference.quote(state, i, j, amount))
        for pool, state in zip(pools, states, strict=True)
        for i, j, amount in _amounts(state)
    ]
    calls = [
        abi.query(router, pool.address, (pool.tokens[i], pool.tokens[j]), amount)
        for pool, i, j, amount, _ in trials
    ]
    answers = await chain.call(calls, block=block.hash, sender=ZERO_ADDRESS) if calls else []
    if answers and not any(answers):
        raise ChainError(
            f"router {checksum(router)} answers no query of a swap", way_out=f"correct router in [{WHERE}]"
        )
    for answer, (pool, i, j, amount, told) in zip(answers, trials, strict=True):
        said = unsigned(answer, 0) if answer else 0
        if said != told:
            raise ChainError(
                f"pool {checksum(pool.address)} pays {said} of token {j} for {amount} of token {i}, and its"
                f" kind {told}: it is another version, or of another type",
                way_out=f"leave it out of [{WHERE}] pools",
            )


def _amounts(state: PoolState) -> list[tuple[int, int, int]]:
    count = len(state.tokens)
    return [
        (i, (i + step) % count, state.tokens[i].raw // part)
        for i in range(count)
        for step in range(1, count)
        for part in _PARTS
    ]


def _row(pool: PoolSpec, state: PoolState, facts: Facts, block: Head) -> bytes:
    try:
        return pack_row(state, gas=facts.gas, read_at=block.timestamp, max_age=facts.max_age)
    except ValueError as error:
        raise ChainError(f"pool {checksum(pool.address)} has an impossible state: {error}") from None
