"""The conformance cards, on one pool of each variant."""

from __future__ import annotations

import struct

from tallyio_protocol_balancer.layout import (
    ADDRESS,
    BASE_SCALING,
    CASH,
    EXPIRES,
    HEAD_BYTES,
    LIVE_RATE,
    MANAGED,
    RATE,
    TOKEN_BYTES,
    WEIGHT,
    Amp,
    PoolState,
    Rate,
    TokenState,
)
from tallyio_protocol_balancer.reference import quote

from tallyio.market.fixed.reference import ONE
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.testing import ProtocolCards, RevmChain
from tests.balancer_pools import every_pool, token
from tests.balancer_rows import Chain, timeless
from tests.balancer_world import GIVEN_OUT, Pool, World

RESERVE = 1_000_000
"""Whole tokens that each pool has of each kind."""


class TestConformance(ProtocolCards):
    """Weighted and stable pools of a Vault."""

    plugin = "balancer"

    def chain(self) -> RevmChain:
        """Deploy the Vault, its factories and the pools."""
        world = World()
        every_pool(world)
        return Chain(world)

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Name the Vault."""
        assert isinstance(chain, Chain)
        vault = checksum(chain.balancer.vault.address)
        return {"venues": [{"name": "balancer", "vault": vault, "from_block": 0}]}

    def takes(self, chain: RevmChain, pool: PoolSpec, i: int, j: int, amount_out: int) -> int:
        """Ask the Vault: given out it rounds another way than given in."""
        assert isinstance(chain, Chain)
        asked = Pool(chain.balancer.vault, chain.backend, pool.address)
        return asked.query(GIVEN_OUT, i, j, amount_out)

    def reference(self, row: bytes, i: int, j: int, amount_in: int) -> int:
        """Ask the specification."""
        return quote(state_of(row), i, j, amount_in)

    def curve_slack(self, chain: RevmChain, pool: PoolSpec, j: int) -> float:
        """Allow what weighted pools allow their own powers: 1e-14 of the reserve."""
        (decimals,) = chain.backend.read(token(pool.tokens[j]), "decimals")
        return 1e-14 * RESERVE * float(10**decimals)

    def meaning(self, row: bytes) -> object:
        """Leave out when it was read, and what rates were then."""
        return timeless(row)


def state_of(row: bytes) -> PoolState:
    """Return what a row says."""
    kind, count, own_token, fee, gas, paused, time, _, _, _, *amp = struct.unpack_from("<14q", row)
    starts = range(HEAD_BYTES, HEAD_BYTES + count * TOKEN_BYTES, TOKEN_BYTES)
    return PoolState(
        kind=kind,
        tokens=tuple(_token(row[at : at + TOKEN_BYTES]) for at in starts),
        fee=fee,
        amp=Amp(start_value=amp[0], end_value=amp[1], start_time=amp[2], end_time=amp[3]),
        own_token=own_token,
        paused_until=paused,
        time=time,
        gas=gas,
    )


def _token(row: bytes) -> TokenState:
    (weight,), (expires, duration) = (
        struct.unpack_from("<q", row, WEIGHT),
        struct.unpack_from("<2q", row, EXPIRES),
    )
    cash, managed, cached, live = (_number(row, at, 16) for at in (CASH, MANAGED, RATE, LIVE_RATE))
    rate = Rate(cached=cached, live=live, expires=expires, duration=duration) if cached else None
    missing = _number(row, BASE_SCALING, 32) // ONE
    return TokenState(
        address=Address(_number(row, ADDRESS, 32).to_bytes(20)),
        cash=cash,
        managed=managed,
        decimals=18 - (len(str(missing)) - 1),
        weight=weight,
        rate=rate,
    )


def _number(row: bytes, start: int, size: int) -> int:
    return int.from_bytes(row[start : start + size], "little")
