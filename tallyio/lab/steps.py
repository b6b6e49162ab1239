"""Recipes: what happens on a chain, without saying which chain or how to reach it.

Layer: lab. A recipe is a generator that yields steps and receives their results, so one recipe
runs in process on an EVM and over JSON-RPC on a node, and does the same on both. Every
`Deploy` and every `Send` is one block.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

import msgspec

from tallyio.lab.artifact import Artifact, Contract
from tallyio.model.errors import EnvironmentFault
from tallyio.model.execution import Call
from tallyio.model.units import Address, Wei

BLOCK_GAS_LIMIT = 30_000_000
BLOCK_SECONDS = 12
GENESIS_TIMESTAMP = 1_750_000_000
"""Chain time starts here and moves by `BLOCK_SECONDS`, so it never depends on the machine's clock."""

CALL_GAS = 500_000
"""Gas limit of an ordinary transaction."""

DEPLOY_GAS = 10_000_000
"""Gas limit of a deployment."""


class Reverted(EnvironmentFault):
    """A transaction or a call of a recipe reverted."""

    code = "reverted"


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction of an account that the driver may use without its key."""

    sender: Address
    call: Call
    gas_limit: int = CALL_GAS
    priority_fee_wei: Wei = Wei(0)
    may_fail: bool = False
    """Whether it is fine if it reverts or does not fit into its block. Otherwise that is an error."""


class Deploy(msgspec.Struct, frozen=True):
    """Create a contract from the deployer's account in a block of its own. The result is its `Address`."""

    init_code: bytes


class Send(msgspec.Struct, frozen=True):
    """Put the transactions into one block, in this order where their fees say so. The result is None."""

    transactions: tuple[Transaction, ...]


class Read(msgspec.Struct, frozen=True):
    """Call without changing anything, on the state of the head. The result is a tuple of return data."""

    calls: tuple[Call, ...]


Step = Deploy | Send | Read

T = TypeVar("T")
Recipe = Generator[Step, Any, T]


def deploy(artifact: Artifact, *args: object) -> Recipe[Contract]:
    """Deploy `artifact` with constructor arguments `args`."""
    address: Address = yield Deploy(artifact.encode_constructor(*args))
    return Contract(artifact, address)


def send(sender: Address, *calls: Call, gas_limit: int = CALL_GAS) -> Recipe[None]:
    """Let `sender` make `calls` in one block, in this order."""
    yield Send(tuple(Transaction(sender=sender, call=call, gas_limit=gas_limit) for call in calls))


def read(contract: Contract, name: str, *args: object) -> Recipe[tuple[Any, ...]]:
    """Return what function `name` returns."""
    (data,) = yield Read((contract.call(name, *args),))
    return contract.artifact.decode(name, data)
