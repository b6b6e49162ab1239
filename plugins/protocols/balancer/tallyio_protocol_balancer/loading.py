"""Read pools from the chain into rows: one round of calls at one block hash, for all pools together.

A ramp of amp is not to be asked for; where there is one, its event tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head, LogFilter
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import ADDRESS_BYTES, Address, checksum
from tallyio.model.words import WORD, address_word, unsigned
from tallyio_protocol_balancer import abi
from tallyio_protocol_balancer.layout import NEVER, NO_AMP, Amp, PoolState, Rate, TokenState, pack_row

_POOL_ASKED: Final = (abi.GET_FEE, abi.GET_PAUSED, abi.GET_AMP)
_AMP_AT: Final = 2
_PER_TOKEN: Final = 4
_NO_PROVIDER: Final = 0
_COMPOSABLE_WORDS: Final = 4
"""Of a rate cache: rate, old rate, duration, expiry. Those before have no old rate."""


async def load_rows(chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
    """Return the row of each pool at `block`. Raises: ChainError: one does not answer, or makes no sense."""
    groups = [_calls(pool) for pool in pools]
    answers = iter(await chain.call([call for group in groups for call in group], block=block.hash))
    rows = []
    for pool, group in zip(pools, groups, strict=True):
        own = list(islice(answers, len(group)))
        amp = await _amp(chain, pool, own[_AMP_AT], block) if pool.ages else NO_AMP
        rows.append(_row(pool, _state(pool, own, amp, block)))
    return rows


def _calls(pool: PoolSpec) -> list[Call]:
    facts = dict(pool.parameters)
    vault = _address(facts["vault"])
    calls = [Call(to=pool.address, data=data) for data in _POOL_ASKED]
    for k, token in enumerate(pool.tokens):
        provider = _address(facts.get(f"provider{k}", _NO_PROVIDER))
        calls += [
            Call(to=vault, data=abi.GET_POOL_TOKEN_INFO + pool.id + address_word(token)),
            Call(to=pool.address, data=abi.GET_TOKEN_RATE_CACHE + address_word(token)),
            Call(to=pool.address, data=abi.GET_PRICE_RATE_CACHE + address_word(token)),
            Call(to=provider, data=abi.GET_RATE),
        ]
    return calls


def _state(pool: PoolSpec, answers: Sequence[bytes | None], amp: Amp, block: Head) -> PoolState:
    facts = dict(pool.parameters)
    fee, paused = answers[:_AMP_AT]
    times = abi.checked(paused, 3, pool.address)
    rest = answers[len(_POOL_ASKED) :]
    return PoolState(
        kind=facts["kind"],
        tokens=tuple(_token(pool, k, rest[k * _PER_TOKEN :]) for k in range(len(pool.tokens))),
        fee=unsigned(abi.checked(fee, 1, pool.address), 0),
        amp=amp,
        own_token=facts["own_token"],
        paused_until=unsigned(times, 2) if unsigned(times, 0) else 0,
        time=block.timestamp,
        gas=facts["gas"],
    )


def _token(pool: PoolSpec, k: int, answers: Sequence[bytes | None]) -> TokenState:
    facts = dict(pool.parameters)
    info = abi.checked(answers[0], 4, _address(facts["vault"]))
    rate = None
    if facts.get(f"provider{k}", _NO_PROVIDER) != _NO_PROVIDER:
        rate = _rate(pool, *answers[1:4])
    return TokenState(
        address=pool.tokens[k],
        cash=unsigned(info, 0),
        managed=unsigned(info, 1),
        decimals=facts[f"decimals{k}"],
        weight=facts.get(f"weight{k}", 0),
        rate=rate,
    )


def _rate(pool: PoolSpec, by_token: bytes | None, of_meta: bytes | None, live: bytes | None) -> Rate:
    # A provider that does not answer makes the next swap revert once the cache has expired: 0 does so too.
    words = abi.checked(by_token or of_meta, 3, pool.address)
    cached, last = unsigned(words, 0), len(words) // WORD - 1
    if by_token and last < _COMPOSABLE_WORDS - 1:
        # StablePhantomPool reads its scaling factors before it looks whether a rate has expired, so a swap
        # pays by the cached rate, and the next one by the one that it caches.
        return Rate(cached=cached, live=cached, expires=NEVER, duration=NEVER)
    return Rate(
        cached=cached,
        live=unsigned(live, 0) if live else 0,
        duration=unsigned(words, last - 1),
        expires=unsigned(words, last),
    )


async def _amp(chain: ChainReader, pool: PoolSpec, answer: bytes | None, block: Head) -> Amp:
    words = abi.checked(answer, 3, pool.address)
    value, is_updating = unsigned(words, 0), unsigned(words, 1)
    return await _ramp(chain, pool, block) if is_updating else Amp(start_value=value, end_value=value)


async def _ramp(chain: ChainReader, pool: PoolSpec, block: Head) -> Amp:
    query = LogFilter(
        from_block=dict(pool.parameters)["from_block"],
        to_block=block.number,
        addresses=(pool.address,),
        topics=((abi.AMP_UPDATE_STARTED,),),
    )
    logs = await chain.logs(query)
    if not logs:
        raise ChainError(f"pool {checksum(pool.address)} changes its amp, but its event is not to be found")
    data = abi.checked(logs[-1].data, 4, pool.address)
    start_value, end_value, start_time, end_time = (unsigned(data, k) for k in range(4))
    return Amp(start_value=start_value, end_value=end_value, start_time=start_time, end_time=end_time)


def _row(pool: PoolSpec, state: PoolState) -> bytes:
    try:
        return pack_row(state)
    except ValueError as error:
        raise ChainError(f"pool {checksum(pool.address)} has an impossible state: {error}") from None


def _address(number: int) -> Address:
    return Address(number.to_bytes(ADDRESS_BYTES))
