"""A world with a V4 manager, for the tests of its plugin."""

from __future__ import annotations

from tallyio_protocol_uniswap_v4.adapter import UniswapV4

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.world import OPERATOR
from tallyio.market.concentrated.reference_math import (
    HIGHEST_LIMIT,
    LOWEST_LIMIT,
    get_sqrt_ratio_at_tick,
)
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.testing import RevmChain
from tests.v4_desk import Desk, Key, deploy_manager

RICH = 2**120
DONATION_HOOK = Address((7 << 100 | 0b11 << 4).to_bytes(20))
"""Called for donations only; an account without code, so that calling it fails."""


class V4World(RevmChain):
    """The lab's world with a manager, a desk at it, and tokens of which the desk has plenty."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(self.backend, deploy_manager(self.backend))
        self.manager = self.desk.manager.address
        self.backend.fund(self.desk.contract.address, RICH)
        self.backend.fund(OPERATOR, RICH)

    def new_tokens(self, count: int) -> list[Address]:
        """Deploy tokens that the desk has, in the order of their addresses."""
        token = artifact("Token")
        made = [self.backend.deploy(token.encode_constructor("T", "T", 18)) for _ in range(count)]
        for address in made:
            for owner in (self.desk.contract.address, OPERATOR):
                self.block_of(Contract(token, address).call("mint", owner, RICH))
        return sorted(made)

    def new_pair(self) -> tuple[Address, Address]:
        """Deploy two tokens and return them in a pool's order."""
        low, high = self.new_tokens(2)
        return low, high

    def open(self, key: Key, tick: int = 0) -> None:
        """Open a pool at a tick."""
        self.desk.initialize(key, get_sqrt_ratio_at_tick(tick))

    def paid(self, key: Key, i: int, amount: int) -> int:
        """Return what selling exactly `amount` (negative: buying it) pays (takes); 0 where it fails."""
        limit = HIGHEST_LIMIT if i else LOWEST_LIMIT
        (delta,) = self.desk.trials(key, [(i == 0, -amount, limit)])
        if delta is None:
            return 0
        taken, got = (-delta[i], delta[1 - i])
        if amount > 0:
            return got if taken == amount else 0
        return taken if got == -amount else 0


def adapter_of(world: V4World, **more: object) -> UniswapV4:
    return UniswapV4({"venues": [{"name": "lab", "factory": checksum(world.manager)}], **more})


async def spec_of(world: V4World, key: Key) -> PoolSpec:
    pools = await adapter_of(world, dynamic_fee_seconds=1).discover(world, block=world.latest)
    (found,) = [pool for pool in pools if pool.id == key.id]
    return found
