"""A chain client on the in-process world: a node that is a second EVM, fed block by block."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pyrevm

from tallyio.hooks.interfaces import NOTHING, ChainClient, Pretended
from tallyio.lab.world import CHAIN_ID, OPERATOR
from tallyio.model.chain import AccountState, Block, Moment, StateSlice
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.units import ZERO_ADDRESS, Address, Hash, hex_text
from tests.engine.journal import touched
from tests.engine.practice import Practice


class InProcessChain:
    """What simulation asks of a `ChainClient`, over a `Practice` world whose later transactions it records.

    The node's EVM keeps its state below an empty journal, so the journal of one call is what that
    call touched: exactly what a prestate or a state diff is made of.
    """

    def __init__(self, practice: Practice) -> None:
        self.practice = practice
        self.asked: list[str] = []
        """Names of the methods that were called, in order."""
        self.fault = ""
        """The method of this name raises `ChainError`."""
        self._evm: Any = pyrevm.EVM(env=pyrevm.Env(cfg=pyrevm.CfgEnv(chain_id=CHAIN_ID)))
        self._insert(touched(practice.backend.evm).now)
        self._changes: dict[Hash, StateSlice] = {}
        self._apply = practice.transact
        practice.transact = self._transact  # type: ignore[method-assign]

    @property
    def client(self) -> ChainClient:
        """Itself, as the part of the interface that it serves."""
        return cast("ChainClient", self)

    @property
    def chain_id(self) -> int:
        """The lab's."""
        return CHAIN_ID

    async def call(
        self,
        calls: Sequence[Call],
        *,
        block: Hash | None = None,
        sender: Address | None = None,
        pretend: Pretended = NOTHING,
    ) -> list[bytes | None]:
        """See `ChainReader.call`."""
        self._ask("call")
        assert not pretend
        assert block == self.practice.head.hash
        outputs: list[bytes | None] = []
        for call in calls:
            with self._after(call, sender or OPERATOR) as output:
                outputs.append(output)
        return outputs

    async def prestate(
        self,
        call: Call,
        *,
        sender: Address,
        block: Hash,
        pretend: Pretended = NOTHING,
        moment: Moment | None = None,
    ) -> StateSlice:
        """See `ChainClient.prestate`; what runs here looks at no clock."""
        del moment
        self._ask("prestate")
        assert block == self.practice.head.hash
        with self._pretending(pretend), self._after(call, sender):
            accounts = touched(self._evm).before
        with self._undone():  # balances and nonces as they were
            for address in accounts:
                self._evm.basic(hex_text(address))
            infos = touched(self._evm).now
        return {
            address: AccountState(
                balance_wei=infos[address].balance_wei,
                nonce=infos[address].nonce,
                code=infos[address].code,
                storage=accounts[address].storage,
            )
            for address in accounts
        }

    def watch(self, known: Mapping[Address, Collection[int]]) -> None:
        """See `ChainClient.watch`; `state_after` is as quick without."""

    async def state_after(self, block: Block, known: Mapping[Address, Collection[int]]) -> StateSlice:
        """See `ChainClient.state_after`."""
        self._ask("state_after")
        return {
            address: AccountState(
                storage={slot: value for slot, value in told.storage.items() if slot in known[address]}
            )
            for address, told in self._changes[block.head.hash].items()
            if address in known
        }

    def _ask(self, method: str) -> None:
        self.asked.append(method)
        if method == self.fault:
            raise ChainError(f"{method} failed on purpose")

    def _transact(self, call: Call, sender: Address = OPERATOR) -> bytes:
        with self._after(call, sender):
            state = touched(self._evm)
        changes = {
            address: AccountState(
                balance_wei=account.balance_wei,
                storage={
                    slot: value
                    for slot, value in account.storage.items()
                    if value != state.before[address].storage[slot]
                },
            )
            for address, account in state.now.items()
            if address != ZERO_ADDRESS
        }
        output = self._apply(call, sender)
        self._insert({a: self._whole(a, told) for a, told in changes.items()})
        self._changes[self.practice.head.hash] = changes
        return output

    def _whole(self, address: Address, told: AccountState) -> AccountState:
        with self._undone():
            info = self._evm.basic(hex_text(address))
            code = self._evm.get_code(hex_text(address))
        return AccountState(balance_wei=told.balance_wei, nonce=info.nonce, code=code, storage=told.storage)

    def _insert(self, state: StateSlice) -> None:
        for address, account in state.items():
            info = pyrevm.AccountInfo(  # type: ignore[call-arg]  # its stub forgets the balance
                balance=account.balance_wei, nonce=account.nonce or 0, code=account.code or None
            )
            self._evm.insert_account_info(hex_text(address), info)
            for slot, value in account.storage.items():
                self._put(hex_text(address), slot, value)

    @contextmanager
    def _after(self, call: Call, sender: Address) -> Iterator[bytes | None]:
        """Run `call` in the block after the head, and undo it at the end of the context."""
        head = self.practice.head
        self._evm.set_block_env(pyrevm.BlockEnv(number=head.number + 1, timestamp=head.timestamp + 12))
        with self._undone():
            try:
                output: bytes | None = bytes(
                    self._evm.message_call(
                        hex_text(sender), hex_text(call.to), calldata=call.data, value=call.value_wei
                    )
                )
            except RuntimeError:
                output = None
            yield output

    @contextmanager
    def _pretending(self, pretend: Pretended) -> Iterator[None]:
        """Let slots have other values until the context ends."""
        before: dict[tuple[str, int], int] = {}
        for address, told in pretend.items():
            assert isinstance(told, AccountState)
            for slot, value in told.storage.items():
                with self._undone():
                    before[hex_text(address), slot] = int(self._evm.storage(hex_text(address), slot))
                self._put(hex_text(address), slot, value)
        try:
            yield
        finally:
            for (account, slot), value in before.items():
                self._put(account, slot, value)

    def _put(self, account: str, slot: int, value: int) -> None:
        with self._undone():
            self._evm.insert_account_storage(account, slot, value)

    @contextmanager
    def _undone(self) -> Iterator[None]:
        checkpoint = self._evm.snapshot()
        try:
            yield
        finally:
            self._evm.revert(checkpoint)
