"""The lab's world inside this process, on a real EVM: for tests, and wherever a node would be slow.

Layer: lab. Synchronous and deterministic; building a fresh world takes some tens of milliseconds.
State, outputs and logs are exact. Gas is not: to pyrevm all calls of one EVM are one transaction, so
what was touched before stays warm and costs less than it would on a chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, ClassVar

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact, ensure_fetched
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
    deploy,
    read,
)
from tallyio.lab.traders import Swap
from tallyio.lab.trading import choose, transactions
from tallyio.lab.world import (
    ACCOUNTS,
    CHAIN_ID,
    DEPLOYER,
    OPERATOR,
    RICH_WEI,
    TRADER_ACCOUNTS,
    V3Venue,
    World,
)
from tallyio.model.errors import MissingExtraError
from tallyio.model.execution import Call
from tallyio.model.market import Token
from tallyio.model.units import ZERO_ADDRESS, Address, hex_text


class RevmBackend:
    """Runs recipes on a pyrevm EVM, and remembers what each block logged. `evm` is open to tests."""

    def __init__(self, *, largest_code: int | None = None) -> None:
        """Start an empty chain. `largest_code` is in bytes; without it chains' own limit holds (EIP-170)."""
        self._pyrevm = _pyrevm()
        config = self._pyrevm.CfgEnv(chain_id=CHAIN_ID, limit_contract_code_size=largest_code)
        environment = self._pyrevm.Env(cfg=config)
        self.evm: Any = self._pyrevm.EVM(env=environment)
        self._logs: list[list[Any]] = [[]]
        for account in ACCOUNTS:
            self.fund(account, RICH_WEI)

    @property
    def number(self) -> int:
        """The head's block number."""
        return len(self._logs) - 1

    @property
    def logs(self) -> Sequence[Any]:
        """Logs of the head, as pyrevm gives them, in order."""
        return self._logs[-1]

    def logs_of(self, number: int) -> Sequence[Any]:
        """Return the logs of block `number`, as pyrevm gives them, in order.

        Raises: LookupError: there is no such block.
        """
        if not 0 <= number <= self.number:
            raise LookupError(f"there is no block {number}; the head is {self.number}")
        return self._logs[number]

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
        with self.undone():
            return self._message(sender, call)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Undo at the end of the context what happens inside: state, blocks and logs."""
        height, checkpoint = self.number, self.evm.snapshot()
        try:
            yield
        finally:
            self.evm.revert(checkpoint)
            if self.number > height:
                del self._logs[height + 1 :]
                self._set_environment()

    @contextmanager
    def pretending(self, code: Mapping[Address, bytes]) -> Iterator[None]:
        """Give accounts other code until the context ends; their balance, nonce and storage stay."""
        before = {account: self.evm.get_code(hex_text(account)) for account in code}
        try:
            for account, pretended in code.items():
                self._set_code(account, pretended)
            yield
        finally:
            for account, own in before.items():
                self._set_code(account, own)

    def read(self, contract: Contract, name: str, *args: object) -> tuple[Any, ...]:
        """Return the values that function `name` of `contract` returns. Raises: Reverted."""
        return self.run(read(contract, name, *args))

    def transact(self, call: Call, *, sender: Address = OPERATOR) -> bytes:
        """Run `call` as the only transaction of a new block; return what it returns. Raises: Reverted."""
        self._next_block()
        return self._commit(sender, call)

    def append(self, call: Call, *, sender: Address = OPERATOR) -> bytes:
        """Run `call` as one more transaction of the head; return what it returns. Raises: Reverted."""
        return self._commit(sender, call)

    def deploy(self, init_code: bytes) -> Address:
        """Create a contract from `init_code` in a new block."""
        self._next_block()
        try:
            address = self.evm.deploy(hex_text(DEPLOYER), init_code)
        except RuntimeError as error:
            raise Reverted(f"deployment reverted: {error}") from None
        self._logs[-1] += self.evm.result.logs
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
        self._logs[-1] += self.evm.result.logs
        return output

    def _message(self, sender: Address, call: Call) -> bytes:
        try:
            output = self.evm.message_call(
                hex_text(sender), hex_text(call.to), calldata=call.data, value=call.value_wei
            )
        except RuntimeError as error:
            raise Reverted(f"call of {hex_text(call.to)} reverted: {error}") from None
        return bytes(output)

    def _set_code(self, account: Address, code: bytes | None) -> None:
        info = self.evm.basic(hex_text(account))
        known = self._pyrevm.AccountInfo(balance=info.balance, nonce=info.nonce, code=code or None)
        self.evm.insert_account_info(hex_text(account), known)

    def _next_block(self) -> None:
        self._logs.append([])
        self._set_environment()

    def _set_environment(self) -> None:
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

    def __init__(self, *, largest_code: int | None = None) -> None:
        """Build the world; `largest_code` as for `RevmBackend`."""
        ensure_fetched()
        self.backend = RevmBackend(largest_code=largest_code)
        self.world: World = self.backend.run(build_world())
        self.backend.block(())  # as on a node, where this block settles the base fee

    @property
    def evm(self) -> Any:
        """The pyrevm EVM. `RevmBackend.undone` brackets what must leave no trace."""
        return self.backend.evm

    def step(self, *, seed: int) -> tuple[Swap, ...]:
        """Let the traders of `seed` make the swaps of the next block; return them."""
        number = self.backend.number + 1
        swaps = self.backend.run(choose(self.world, seed=seed, number=number))
        self.backend.block(transactions(self.world, swaps))
        return swaps


class BareWorld(RevmWorld):
    """An EVM with rich accounts and a few tokens, for contracts of one's own: nothing is fetched."""

    TOKENS: ClassVar[Mapping[str, int]] = {"ONE": 18, "TWO": 18, "SIX": 6}
    """Decimals by symbol; `mint(address,uint256)` gives to anybody."""

    def __init__(self, *, largest_code: int | None = None) -> None:
        """Build it; `largest_code` as for `RevmBackend`."""
        self.backend = RevmBackend(largest_code=largest_code)
        nowhere = V3Venue(
            factory=ZERO_ADDRESS,
            router=ZERO_ADDRESS,
            quoter=ZERO_ADDRESS,
            positions=ZERO_ADDRESS,
            tick_lens=ZERO_ADDRESS,
        )
        self.world = World(
            chain_id=CHAIN_ID,
            weth=ZERO_ADDRESS,
            tokens={symbol: self._token(symbol, decimals) for symbol, decimals in self.TOKENS.items()},
            v2={},
            v3=nowhere,
            pools=(),
            traders=TRADER_ACCOUNTS,
            gas_burner=ZERO_ADDRESS,
        )

    def _token(self, symbol: str, decimals: int) -> Token:
        made = self.backend.run(deploy(artifact("Token"), symbol, symbol, decimals))
        return Token(address=made.address, symbol=symbol, decimals=decimals)


def build_revm_world() -> RevmWorld:
    """Build a fresh world in this process. Raises: MissingExtraError: pyrevm is not installed."""
    return RevmWorld()


def _pyrevm() -> ModuleType:
    try:
        import pyrevm  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise MissingExtraError("evm", "the lab inside this process") from None
    return pyrevm
