"""Pools of the Balancer V3 Vault, and the table that names them, for the tests of its plugin."""

from __future__ import annotations

from tallyio_protocol_balancer_v3.adapter import BalancerV3

from tallyio.lab.world import OPERATOR
from tallyio.model.erc20 import balance_of
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.model.words import unsigned
from tests.balancer_v3_world import Coin, V3World

HALVES = (5 * 10**17, 5 * 10**17)


class Desk:
    """A world with a weighted and a stable pool of the same coins, one of which has a rate."""

    def __init__(self) -> None:
        world = self.world = V3World()
        self.coins: list[Coin] = world.coins((18, 6), rates=(True, False))
        self.weighted = world.weighted(self.coins, HALVES, fee=10**15)
        self.stable = world.stable(self.coins, 200, fee=10**14)
        for coin in self.coins:
            if coin.decimals == 18:
                world.set_rate(coin.provider, 1_050_000_000_000_000_007)

    def settings(self, *pools: Address, **more: object) -> dict[str, object]:
        """Return the table of these pools, or of both."""
        chosen = pools or (self.weighted, self.stable)
        return {
            "vault": checksum(self.world.vault),
            "router": checksum(self.world.router.address),
            "pools": [checksum(pool) for pool in chosen],
            **more,
        }

    async def open(self, *pools: Address) -> tuple[BalancerV3, list[PoolSpec], list[bytes]]:
        """Return the adapter, the pools and their rows."""
        adapter = BalancerV3(self.settings(*pools))
        found = await adapter.discover(self.world, block=self.world.latest)
        return adapter, found, await adapter.load(self.world, found, block=self.world.latest)

    def has(self, token: Address, account: Address = OPERATOR) -> int:
        """Return what an account has."""
        return unsigned(self.world.backend.call(balance_of(token, account)), 0)
