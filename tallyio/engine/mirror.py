"""Part of a chain's state, as of one block, inside an EVM of this process.

Layer: engine. The mirror knows the accounts and slots that it was told, and nothing else: the EVM
reads every other slot as zero and every other account as empty, and cannot say that it did. Whoever
judges by it decides when to tell it more (`tallyio.engine.simulator`).

What the EVM (pyrevm 0.3.7, Cancun) wants, each point held by a test:

- It is one endless transaction. Whatever runs in it stands between `snapshot()` and `revert()`;
  nothing is ever committed. Then its journal is empty between runs, the first run pays for cold
  accounts and slots as a transaction does, and what is inserted lands in the database below.
- A slot is inserted between `snapshot()` and `revert()` too: the insertion stays, while the loaded
  account, which would shadow later insertions, is forgotten.
- The block's coinbase is loaded beside the journal and stays, so it is an address that has no
  storage to shadow.
- `basefee` reads as 0 whatever is set. A contract that looks at it can tell.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, NamedTuple

import msgspec

from tallyio.engine.revert import explain
from tallyio.model.chain import AccountState, Head, StateSlice
from tallyio.model.errors import MissingExtraError
from tallyio.model.execution import Call
from tallyio.model.hashing import keccak256
from tallyio.model.units import ADDRESS_BYTES, ZERO_ADDRESS, Address, Hash, hex_text

_OUTPUT: Final = re.compile(r"output: 0x([0-9a-f]*)")
_BEYOND: Final = frozenset({"OpcodeNotFound", "NotActivated"})
"""Halts that say more of this EVM's age than of the contract."""

_SOMEBODY: Final = Address(keccak256(b"a builder of blocks")[-ADDRESS_BYTES:])
"""A coinbase that no contract takes for a simulator's."""


class Emitted(NamedTuple):
    """One event of a run."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did before it was undone."""

    success: bool
    output: bytes
    """What it returned; empty unless it succeeded."""
    gas_used: int
    """Of a transaction of its own: intrinsic gas and refunds are counted."""
    reason: str = ""
    """Why it failed, in words; empty on success, and where the EVM gives no reason."""
    emitters: tuple[str, ...] = ()
    """The contract that logged, for each event in order, as lower-case text."""
    logs: tuple[Emitted, ...] = ()
    """The events themselves, where they were asked for (`Mirror.effect`)."""


class Mirror:
    """The known state at the head that it stands at. Synchronous; one user at a time."""

    def __init__(self, *, chain_id: int, block_seconds: int) -> None:
        self._pyrevm = _pyrevm()
        self._chain_id = chain_id
        self._block_seconds = block_seconds
        self._evm: Any = None
        self._most_gas = 0
        self._known: dict[Address, AccountState] = {}
        self._slots: dict[Address, dict[int, int]] = {}
        self._disguised: bool | None = None
        """Which block the EVM was told to be in; None is that of an earlier head."""
        self.head: Head | None = None

    @property
    def block(self) -> Hash | None:
        """The block whose state is known; None before `start` and after `forget`."""
        return self.head.hash if self.head else None

    @property
    def known(self) -> Mapping[Address, Collection[int]]:
        """The slots that the mirror was told of, by account: a view that lives as long as the mirror."""
        return self._slots

    def forget(self) -> None:
        """Know nothing, of no block."""
        self.head = None
        self._known.clear()
        self._slots.clear()

    def start(self, head: Head) -> None:
        """Stand at `head`, knowing nothing of it."""
        environment = self._pyrevm.Env(cfg=self._pyrevm.CfgEnv(chain_id=self._chain_id))
        self._evm = self._pyrevm.EVM(env=environment, gas_limit=head.gas_limit)
        self._most_gas = head.gas_limit
        self._known.clear()
        self._slots.clear()
        self._stand_at(head)

    def fill(self, state: StateSlice) -> None:
        """Learn `state` as of the head, whole accounts: what is not told of a new one is empty."""
        for address, told in state.items():
            self._learn(address, told, self._known.get(address, AccountState()))

    def holds(self, state: StateSlice) -> bool:
        """Return whether the slots of `state`, which the mirror was told before, still hold what it says."""
        return all(
            self._slots.get(address, {}).get(slot) == value
            for address, told in state.items()
            for slot, value in told.storage.items()
        )

    def advance(self, head: Head, changes: StateSlice) -> None:
        """Move to `head`, whose parent is the present head, after which `changes` hold.

        Changes of unknown accounts are dropped: half of an account would pass for the whole.
        """
        for address, told in changes.items():
            known = self._known.get(address)
            if known is not None:
                self._learn(address, told, known)
        self._stand_at(head)

    def run(
        self, call: Call, *, sender: Address, gas: int, then: Call | None = None, disguised: bool = False
    ) -> tuple[Outcome, Outcome]:
        """Run `call` as the next block's only transaction, then `then` on its result; undo both.

        Each may use `gas`, or what a block has. Without `then`, the second outcome is the first.
        What `then` says of gas is too low, for it finds warm slots. `disguised` makes block and gas
        price look unlike those of a simulation, as far as this EVM can.
        """
        assert self.head is not None, "start() first"  # noqa: S101 - a wrong call, not bad data
        self._set_block(self.head, disguised=disguised)
        price = 1 if disguised and self._can_pay(sender, gas + call.value_wei) else 0
        gas = min(gas, self._most_gas)
        checkpoint = self._evm.snapshot()
        try:
            first = self._message(call, sender, gas, price)
            second = self._message(then, sender, gas, 0) if then else first
        finally:
            self._evm.revert(checkpoint)
        return first, second

    def effect(
        self, call: Call, *, sender: Address, gas: int, of: Collection[Address]
    ) -> tuple[Outcome, StateSlice]:
        """Run `call` as the next block's first transaction and undo it; return also what it changed.

        That is the slots, of those that are known, of the accounts `of`.
        """
        assert self.head is not None, "start() first"  # noqa: S101 - a wrong call, not bad data
        self._set_block(self.head, disguised=False)
        checkpoint = self._evm.snapshot()
        try:
            outcome = self._message(call, sender, min(gas, self._most_gas), 0)
            logs = self._logs() if outcome.success else ()
            changes = {address: self._changed(address) for address in of}
        finally:
            self._evm.revert(checkpoint)
        told = {address: state for address, state in changes.items() if state.storage}
        return msgspec.structs.replace(outcome, logs=logs), told

    @contextmanager
    def supposing(self, changes: StateSlice) -> Iterator[None]:
        """Take `changes` of known slots for part of the state until the context ends."""
        before = {
            address: AccountState(storage={slot: self._slots[address][slot] for slot in told.storage})
            for address, told in changes.items()
        }
        self._take(changes)
        try:
            yield
        finally:
            self._take(before)

    def _take(self, changes: StateSlice) -> None:
        for address, told in changes.items():
            self._learn(address, told, self._known[address])

    def _changed(self, address: Address) -> AccountState:
        text = hex_text(address)
        now = {slot: int(self._evm.storage(text, slot)) for slot in self._slots.get(address, {})}
        before = self._slots.get(address, {})
        return AccountState(storage={slot: value for slot, value in now.items() if value != before[slot]})

    def _logs(self) -> tuple[Emitted, ...]:
        return tuple(
            Emitted(
                bytes.fromhex(log.address[2:]),
                tuple(bytes(topic) for topic in log.data[0]),
                bytes(log.data[1]),
            )
            for log in self._evm.result.logs
        )

    def _set_block(self, head: Head, *, disguised: bool) -> None:
        if disguised == self._disguised:
            return
        self._disguised = disguised
        self._evm.set_block_env(
            self._pyrevm.BlockEnv(
                number=head.number + 1,
                timestamp=head.timestamp + self._block_seconds,
                coinbase=hex_text(_SOMEBODY if disguised else ZERO_ADDRESS),
                gas_limit=head.gas_limit,
                prevrandao=keccak256(head.hash) if disguised else head.hash,
            )
        )

    def _can_pay(self, sender: Address, wei: int) -> bool:
        return (self._known.get(sender, AccountState()).balance_wei or 0) >= wei

    def _stand_at(self, head: Head) -> None:
        self.head = head
        self._disguised = None

    def _learn(self, address: Address, told: AccountState, known: AccountState) -> None:
        now = AccountState(
            balance_wei=known.balance_wei if told.balance_wei is None else told.balance_wei,
            nonce=known.nonce if told.nonce is None else told.nonce,
            code=known.code if told.code is None else told.code,
        )
        text = hex_text(address)
        if address not in self._known or now != known:
            self._known[address] = now
            info = self._pyrevm.AccountInfo(
                balance=now.balance_wei, nonce=now.nonce or 0, code=now.code or None
            )
            self._evm.insert_account_info(text, info)
        slots = self._slots.setdefault(address, {})
        for slot, value in told.storage.items():
            if slots.get(slot) != value:  # most of what a block is asked for did not change
                slots[slot] = value
                checkpoint = self._evm.snapshot()
                self._evm.insert_account_storage(text, slot, value)
                self._evm.revert(checkpoint)

    def _message(self, call: Call, sender: Address, gas: int, price: int) -> Outcome:
        try:
            output = self._evm.message_call(
                hex_text(sender),
                hex_text(call.to),
                calldata=call.data,
                value=call.value_wei,
                gas=gas,
                gas_price=price,
            )
        except RuntimeError as error:
            return self._failure(str(error))
        result = self._evm.result
        emitters = tuple(log.address.lower() for log in result.logs)
        return Outcome(success=True, output=bytes(output), gas_used=result.gas_used, emitters=emitters)

    def _failure(self, error: str) -> Outcome:
        result = self._evm.result
        if result is None:  # refused before it ran, e.g. the sender cannot pay the value
            return Outcome(success=False, output=b"", gas_used=0, reason=f"not a valid transaction: {error}")
        output = _OUTPUT.search(error)
        reason = explain(bytes.fromhex(output[1])) if output else _halt(result.reason)
        return Outcome(success=False, output=b"", gas_used=result.gas_used, reason=reason)


def code_after(init_code: bytes, deployer: Address) -> bytes:
    """Return the code that `init_code` leaves behind when `deployer` runs it on an empty chain."""
    evm = _pyrevm().EVM()
    made: str = evm.deploy(hex_text(deployer), init_code)
    code: bytes = bytes(evm.get_code(made))
    return code


def _halt(reason: str) -> str:
    return "" if reason in _BEYOND else f"the EVM halted: {reason}"


def _pyrevm() -> ModuleType:
    try:
        import pyrevm  # noqa: PLC0415 - an optional dependency
    except ImportError:
        raise MissingExtraError("evm", "simulating before signing") from None
    return pyrevm
