"""One Balancer pool of each variant, with liquidity from real joins, for the tests of the plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eth_abi.abi import encode
from tallyio_protocol_balancer.adapter import Balancer

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.world import OPERATOR
from tallyio.model.units import ZERO_ADDRESS, Address, checksum, hex_text
from tests.balancer_world import DAY, Pool, World

EVEN = [5 * 10**17, 5 * 10**17]


RATE = 12 * 10**17


def adapter_of(world: World, **more: object) -> Balancer:
    venue = {"name": "balancer", "vault": checksum(world.vault.address), "from_block": 0, **more}
    return Balancer({"venues": [venue]})


def token(address: Address) -> Contract:
    return Contract(artifact("Token"), address)


def fill(world: World, pool: Pool, amounts: Sequence[int]) -> None:
    """Mint the tokens and put them into the pool by a real join: the first one."""
    for address in pool.tokens:
        world.backend.transact(token(address).call("mint", OPERATOR, 10**36))
        world.backend.transact(token(address).call("approve", world.vault.address, 2**256 - 1))
    by_token = dict(zip(pool.tokens, amounts, strict=True))
    put = [by_token.get(each, 0) for each in pool.registered]
    join(world, pool, encode(["uint256", "uint256[]"], [0, put]))


def join(world: World, pool: Pool, data: bytes) -> None:
    assets = [hex_text(each) for each in pool.registered]
    request = (assets, [2**256 - 1] * len(assets), data, False)
    account = hex_text(OPERATOR)
    world.backend.transact(world.vault.call("joinPool", pool.id, account, account, request))


def every_pool(world: World) -> dict[str, Pool]:
    """Make one pool of each variant, with liquidity from real joins."""
    a, b, c = sorted(world.token(decimals) for decimals in (18, 6, 18))
    units = {
        each: 10 ** int.from_bytes(world.backend.call(token(each).call("decimals"))) for each in (a, b, c)
    }
    facts: dict[str, Any] = {"fee": 10**15, "amp": 200, "weights": EVEN}
    rated = {**facts, "providers": [ZERO_ADDRESS, world.rate_provider(RATE)], "durations": [0, DAY]}
    odd = {**facts, "weights": [2 * 10**17, 3 * 10**17, 5 * 10**17]}
    pools = {
        "weighted_v1": world.pool("weighted_v1", [a, b, c], **odd),
        "weighted_2tokens": world.pool("weighted_2tokens", [a, b], **facts),
        "weighted_v2": world.pool("weighted_v2", [a, c], **facts),
        "weighted_v3": world.pool("weighted_v3", [b, c], **facts),
        "stable_v1": world.pool("stable_v1", [a, b, c], **facts),
        "stable_v2": world.pool("stable_v2", [a, b], **facts),
        "meta_stable": world.pool("meta_stable", [a, c], **rated),
        "stable_phantom": world.pool("stable_phantom", [a, b], **rated),
        "composable_v1": world.pool("composable_v1", [a, c], **rated),
        "composable_v2": world.pool("composable_v2", [b, c], **rated),
        "composable_v3": world.pool("composable_v3", [a, b], **rated),
    }
    for pool in pools.values():
        fill(world, pool, [1_000_000 * units[each] for each in pool.tokens])
    return pools
