"""The lab's world inside this process, on a real EVM: for tests, and wherever a node would be slow.

Layer: lab. Synchronous and deterministic; building a fresh world takes some tens of milliseconds.
State, outputs and logs are exact. Gas is not: to pyrevm all calls of one EVM are one transaction, so
what was touched before stays warm and costs less than it would on a chain.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import ensure_fetched
from tallyio.lab.recipe import build_world
from tallyio.lab.steps import (
    BLOCK_GAS_LIMIT,
    BLOCK_SECONDS,
    GENESIS_TIMESTAMP,
    Deploy,
    Read,
    Recipe,
    Reverted,
    Send,
    Step,
    T,
    Transaction,
    read,
)
from tallyio.lab.traders import Swap
from tallyio.lab.trading import choose, transactions
from tallyio.lab.world import ACCOUNTS, CHAIN_ID, DEPLOYER, OPERATOR, RICH_WEI, World
from tallyio.model.errors import MissingExtraError
from tallyio.model.execution import Call
from tallyio.model.units import Address, hex_text


class RevmBackend:
    """Runs recipes on a pyrevm EVM. `evm` is open to tests; `number` is the head's block number."""

    def __init__(self) -> None:
        self._pyrevm = _pyrevm()
        environment = self._pyrevm.Env(cfg=self._pyrevm.CfgEnv(chain_id=CHAIN_ID))
        self.evm: Any = self._pyrevm.EVM(env=environment)
        self.number = 0
        self.logs: list[Any] = []
        """Logs of the head, as pyrevm gives them, in order."""
        for account in ACCOUNTS:
            self.fund(account, RICH_WEI)

    def run(self, recipe: Recipe[T]) -> T:
        """Run `recipe` to its end and return its result. Raises: Reverted: a transaction failed."""
        try:
            step = next(recipe)
            while True:
                step = recipe.send(self._do(step))
        except StopIteration as end:
            result: T = end.value
            return result

    def fund(self, account: Address, wei: int) -> None:
        """Set the native balance of `account`."""
        self.evm.set_balance(hex_text(account), wei)

    def call(self, call: Call, *, sender: Address = OPERATOR) -> bytes:
        """Return what `call` returns, leaving no trace. Raises: Reverted."""
        checkpoint = self.evm.snapshot()
        try:
            return self._message(sender, call)
        finally:
            self.evm.revert(checkpoint)

    def read(self, contract: Contract, name: str, *args: object) -> tuple[Any, ...]:
        """Return the values that function `name` of `contract` returns. Raises: Reverted."""
        return self.run(read(contract, name, *args))

    def transact(self, call: Call, *, sender: Address = OPERATOR) -> bytes:
        """Run `call` as the only transaction of a new block; return what it returns. Raises: Reverted."""
        self._next_block()
        return self._commit(sender, call)

    def deploy(self, init_code: bytes) -> Address:
        """Create a contract from `init_code` in a new block."""
        self._next_block()
        try:
            address = self.evm.deploy(hex_text(DEPLOYER), init_code)
        except RuntimeError as error:
            raise Reverted(f"deployment reverted: {error}") from None
        return Address(bytes.fromhex(address[2:]))

    def block(self, transactions: tuple[Transaction, ...]) -> None:
        """Run the transactions in one new block. Raises: Reverted: one of them failed that may not."""
        self._next_block()
        for transaction in transactions:
            try:
                self._commit(transaction.sender, transaction.call)
            except Reverted:
                if not transaction.may_fail:
                    raise

    def _do(self, step: Step) -> object:
        match step:
            case Deploy(init_code):
                return self.deploy(init_code)
            case Send(transactions):
                self.block(transactions)
                return None
            case Read(calls):
                return tuple(self.call(call) for call in calls)

    def _commit(self, sender: Address, call: Call) -> bytes:
        output = self._message(sender, call)
        self.logs += self.evm.result.logs
        return output

    def _message(self, sender: Address, call: Call) -> bytes:
        try:
            output = self.evm.message_call(
                hex_text(sender), hex_text(call.to), calldata=call.data, value=call.value_wei
            )
        except RuntimeError as error:
            raise Reverted(f"call of {hex_text(call.to)} reverted: {error}") from None
        return bytes(output)

    def _next_block(self) -> None:
        self.number += 1
        self.logs.clear()
        self.evm.set_block_env(
            self._pyrevm.BlockEnv(
                number=self.number,
                timestamp=GENESIS_TIMESTAMP + BLOCK_SECONDS * self.number,
                gas_limit=BLOCK_GAS_LIMIT,
                basefee=0,
            )
        )


class RevmWorld:
    """A world and the EVM it stands on."""

    def __init__(self) -> None:
        ensure_fetched()
        self.backend = RevmBackend()
        self.world: World = self.backend.run(build_world())
        self.backend.block(())  # as on a node, where this block settles the base fee

    @property
    def evm(self) -> Any:
        """The pyrevm EVM. Bracket whatever must leave no trace with `snapshot()` and `revert()`."""
        return self.backend.evm

    def step(self, *, seed: int) -> tuple[Swap, ...]:
        """Let the traders of `seed` make the swaps of the next block; return them."""
        number = self.backend.number + 1
        swaps = self.backend.run(choose(self.world, seed=seed, number=number))
        self.backend.block(transactions(self.world, swaps))
        return swaps


def build_revm_world() -> RevmWorld:
    """Build a fresh world in this process. Raises: MissingExtraError: pyrevm is not installed."""
    return RevmWorld()


def _pyrevm() -> ModuleType:
    try:
        import pyrevm  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise MissingExtraError("evm", "the lab inside this process") from None
    return pyrevm
