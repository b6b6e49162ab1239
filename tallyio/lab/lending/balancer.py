"""Balancer's Vault with one weighted pool, as a recipe: a lender of what its pools hold.

Layer: lab. The contracts are those of @balancer-labs/v2-deployments. Sources of the order of steps: that
package's tasks, `Vault.joinPool`, `WeightedPool._onInitializePool`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tallyio.lab.abi import encode
from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import Recipe, Send, Transaction, deploy, read, send
from tallyio.lab.world import OPERATOR
from tallyio.model.erc20 import approve
from tallyio.model.units import Address

DAY: Final = 86_400
FEE: Final = 10**15
"""Of a swap, in 1e-18."""
WHOLE: Final = 10**18
POOL_GAS: Final = 9_000_000

_INITIALISE: Final = 0
_FACTORY: Final = "20210418-weighted-pool/WeightedPoolFactory"
_POOL_ID: Final = (
    {
        "type": "function",
        "name": "getPoolId",
        "inputs": [],
        "outputs": [{"type": "bytes32"}],
    },
)


def deploy_vault(weth: Address, holdings: Mapping[Address, int]) -> Recipe[Contract]:
    """Deploy the Vault, with a pool of equal weights of what the operator has and `holdings` says."""
    authorizer = yield from deploy(artifact("Authorizer"), OPERATOR)
    vault = yield from deploy(artifact("Vault"), authorizer.address, weth, 90 * DAY, 30 * DAY)
    factory = yield from deploy(artifact(_FACTORY), vault.address)
    tokens = sorted(holdings)
    weights = [WHOLE // len(tokens)] * len(tokens)
    arguments = ("Lab pool", "LAB", tokens, weights, FEE, OPERATOR)
    # The factory's address of the pool depends on nothing that changes before the next block.
    create = factory.call("create", *arguments)
    pool = yield from _created(factory, arguments)
    yield Send((Transaction(sender=OPERATOR, call=create, gas_limit=POOL_GAS),))
    (pool_id,) = yield from read(Contract(Artifact("pool", _POOL_ID, b""), pool), "getPoolId")
    amounts = [holdings[token] for token in tokens]
    join = vault.call(
        "joinPool",
        pool_id,
        OPERATOR,
        OPERATOR,
        (tokens, amounts, encode(["uint256", "uint256[]"], [_INITIALISE, amounts]), False),
    )
    allowed = [approve(token, vault.address, holdings[token]) for token in tokens]
    yield from send(OPERATOR, *allowed, join)
    return vault


def _created(factory: Contract, arguments: tuple[object, ...]) -> Recipe[Address]:
    """Return the address that `create` would give now."""
    pool: Address = (yield from read(factory, "create", *arguments))[0]
    return pool
