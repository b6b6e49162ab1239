"""Find out which pools there are and what kind each is.

A pool tells its kind by what it answers: weighted pools have weights, stable ones an amplification,
and both have a recovery mode since the version that changed the mathematics. Pools whose weights
move (liquidity bootstrapping, managed, investment) can switch swaps off, which tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head, LogFilter
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.market import LogSource, PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address, hex_text
from tallyio.model.words import unsigned
from tallyio_protocol_balancer import abi
from tallyio_protocol_balancer.layout import (
    MAX_STABLE_TOKENS,
    MAX_TOKENS,
    NO_OWN_TOKEN,
    STABLE_KINDS,
    STABLE_ROUNDED,
    STABLE_TRUNCATED,
    WEIGHTED,
    WEIGHTED_POWERS,
)
from tallyio_protocol_balancer.venues import Venue

_PROBES: Final = (
    abi.GET_WEIGHTS,
    abi.GET_AMP,
    abi.GET_SWAP_ENABLED,
    abi.IN_RECOVERY_MODE,
    abi.GET_FEE,
    abi.GET_RATE_PROVIDERS,
)
_MAX_DECIMALS: Final = 18


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A pool that this plugin can trade."""

    id: bytes
    kind: int
    registered: tuple[Address, ...]
    """In the Vault's order, the pool's own token among them if it is."""
    fee: int
    weights: tuple[int, ...] = ()
    providers: tuple[Address, ...] = ()

    @property
    def address(self) -> Address:
        """The pool's contract: a pool id starts with it."""
        return Address(self.id[: len(ZERO_ADDRESS)])

    @property
    def tokens(self) -> tuple[Address, ...]:
        """What can be traded."""
        return tuple(token for token in self.registered if token != self.address)


async def find_pools(chain: ChainReader, venue: Venue, block: Head) -> list[PoolSpec]:
    """Return the pools of a venue. Raises: ChainError: one that is named is not a pool of a known kind."""
    named = dict.fromkeys(venue.pools)
    listed = await _registered(chain, venue, block)
    ids = list(named | listed)
    kept = []
    for pool, found in zip(ids, await _look(chain, venue, ids, block), strict=True):
        if found is not None:
            kept.append(found)
        elif pool in named:
            raise ChainError(
                f"pool {hex_text(pool)} of {venue.name!r} is neither weighted nor stable,"
                f" or has more than {MAX_TOKENS} tokens",
                way_out="take it out of [protocols.balancer.venues] pools",
            )
    return await _specs(chain, venue, kept, block)


async def _registered(chain: ChainReader, venue: Venue, block: Head) -> dict[bytes, None]:
    if venue.from_block is None:
        return {}
    query = LogFilter(
        from_block=venue.from_block,
        to_block=block.number,
        addresses=(venue.vault,),
        topics=((abi.POOL_REGISTERED,),),
    )
    return {log.topics[1]: None for log in await chain.logs(query)}


async def _look(chain: ChainReader, venue: Venue, ids: Sequence[bytes], block: Head) -> list[Found | None]:
    calls = []
    for pool in ids:
        calls.append(Call(to=venue.vault, data=abi.GET_POOL_TOKENS + pool))
        calls += [Call(to=Address(pool[: len(ZERO_ADDRESS)]), data=data) for data in _PROBES]
    answers = await chain.call(calls, block=block.hash) if calls else []
    size = 1 + len(_PROBES)
    return [_found(venue, pool, answers[k * size : (k + 1) * size]) for k, pool in enumerate(ids)]


def _found(venue: Venue, pool: bytes, answers: Sequence[bytes | None]) -> Found | None:
    tokens, weights, amp, is_switched, is_recent, fee, providers = answers
    registered = abi.addresses(abi.checked(tokens, 3, venue.vault), 0, venue.vault)
    if is_switched or not fee or (weights is None) == (amp is None):
        return None
    contract = Address(pool[: len(ZERO_ADDRESS)])
    known = Found(id=pool, kind=WEIGHTED, registered=registered, fee=unsigned(fee, 0))
    if weights:
        shares = tuple(unsigned(item, 0) for item in abi.array(weights, 0, contract))
        kind = WEIGHTED_POWERS if is_recent else WEIGHTED
        found = msgspec.structs.replace(known, kind=kind, weights=shares)
        return found if len(shares) == len(found.tokens) <= MAX_TOKENS else None
    kind = STABLE_TRUNCATED if is_recent else STABLE_ROUNDED
    by_token = abi.addresses(providers, 0, contract) if providers else (ZERO_ADDRESS,) * len(registered)
    found = msgspec.structs.replace(known, kind=kind, providers=by_token)
    return found if len(by_token) == len(registered) and len(found.tokens) <= MAX_STABLE_TOKENS else None


async def _specs(chain: ChainReader, venue: Venue, pools: Sequence[Found], block: Head) -> list[PoolSpec]:
    tokens = list(dict.fromkeys(token for pool in pools for token in pool.tokens))
    calls = [Call(to=token, data=abi.DECIMALS) for token in tokens]
    answers = await chain.call(calls, block=block.hash) if calls else []
    decimals = {
        token: unsigned(abi.checked(answer, 1, token), 0)
        for token, answer in zip(tokens, answers, strict=True)
    }
    return [_spec(venue, pool, decimals) for pool in pools]


def _spec(venue: Venue, pool: Found, decimals: dict[Address, int]) -> PoolSpec:
    own = pool.registered.index(pool.address) if pool.address in pool.registered else NO_OWN_TOKEN
    providers = [
        provider
        for token, provider in zip(pool.registered, pool.providers or (), strict=bool(pool.providers))
        if token != pool.address
    ]
    facts = {
        "gas": venue.gas,
        "kind": pool.kind,
        "own_token": own,
        "vault": int.from_bytes(venue.vault),
        **{f"decimals{k}": decimals[token] for k, token in enumerate(pool.tokens)},
        **{f"weight{k}": weight for k, weight in enumerate(pool.weights)},
        **{f"provider{k}": int.from_bytes(provider) for k, provider in enumerate(providers)},
        "from_block": venue.from_block or 0,
    }
    return PoolSpec(
        address=pool.address,
        id=pool.id,
        tokens=pool.tokens,
        venue=venue.name,
        fee_pips=pool.fee // 10**12,
        can_flash=False,
        ages=pool.kind in STABLE_KINDS,
        log_sources=(LogSource(venue.vault, pool.id), LogSource(pool.address)),
        parameters=tuple(sorted(facts.items())),
    )
