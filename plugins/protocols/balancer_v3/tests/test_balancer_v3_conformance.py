"""The conformance cards, on a weighted and a stable pool."""

from __future__ import annotations

import struct

from tallyio_protocol_balancer_v3.layout import (
    HEAD_BYTES,
    LEAST_LIVE,
    LIVE,
    RATE,
    RAW,
    READ_AT,
    SCALING,
    TOKEN_BYTES,
    WEIGHT,
)
from tallyio_protocol_balancer_v3.reference import quote
from tallyio_protocol_balancer_v3.state import PoolState, TokenState

from tallyio.model.market import PoolSpec
from tallyio.testing import ProtocolCards, RevmChain
from tests.balancer_v3_desk import Desk


class TestConformance(ProtocolCards):
    """Two coins, one of which has a rate."""

    plugin = "balancer_v3"

    @property
    def made(self) -> Desk:
        """The Vault and both pools."""
        return self.once("made", Desk)

    def chain(self) -> RevmChain:
        """Stand where they are."""
        return self.made.world

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Name them."""
        return self.made.settings()

    def takes(self, chain: RevmChain, pool: PoolSpec, i: int, j: int, amount_out: int) -> int:
        """Ask the Vault: its exact outputs round another way than its exact inputs."""
        coins = {coin.address: coin for coin in self.made.coins}
        pair = coins[pool.tokens[i]], coins[pool.tokens[j]]
        return self.made.world.ask(pool.address, pair, amount_out, exact_in=False)

    def reference(self, row: bytes, i: int, j: int, amount_in: int) -> int:
        """Ask the specification."""
        return quote(state_of(row), i, j, amount_in)

    def meaning(self, row: bytes) -> object:
        """Leave out when it was read."""
        return row[:READ_AT] + row[READ_AT + 8 :]


def state_of(row: bytes) -> PoolState:
    """Return what a row says."""
    _, count, fee, _, more, amp, _, _, least = struct.unpack_from("<9q", row)
    starts = range(HEAD_BYTES, HEAD_BYTES + count * TOKEN_BYTES, TOKEN_BYTES)
    return PoolState(tokens=tuple(_token(row, at) for at in starts), fee=fee, amp=amp, least=least, more=more)


def _token(row: bytes, start: int) -> TokenState:
    live, raw, rate, scaling, least_live = (
        int.from_bytes(row[start + at : start + at + 16], "little")
        for at in (LIVE, RAW, RATE, SCALING, LEAST_LIVE)
    )
    (weight,) = struct.unpack_from("<q", row, start + WEIGHT)
    return TokenState(live=live, raw=raw, rate=rate, scaling=scaling, weight=weight, least_live=least_live)
