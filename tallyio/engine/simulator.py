"""Ask an EVM whether a plan does what it promises, before anything is signed.

Layer: engine. The EVM runs in this process on a mirror of the chain's state, so an answer takes a
fraction of a millisecond. With each block it reads again the slots that it knows of contracts that
had events; it may lack or miss others without knowing it. Therefore an answer counts only if it
equals the prediction, which was made without the EVM, and every contract involved was read before.
In every other case the node is asked what exactly this plan reads at exactly this block, and the
plan runs again on that, once more under another coinbase and gas price: whoever behaves otherwise
for a simulator gives itself away. What is judged is what the sender's balance does, never what a
contract says of itself.

What is to run right behind a transaction that waits is judged on what that one leaves: it runs first, on
what the node says it reads, and the slots that it changed are taken for the state's own.

Known limits: the base fee reads as 0 during a run, and the gas price too where nothing is asked.
A plan that needs an EVM newer than ours is left to the node, which reports what the executor gained.
Gas may be overstated by a few slots that only the first swap of a new block reads; amounts are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

import msgspec
import trio

from tallyio.engine.mirror import Mirror, Outcome
from tallyio.hooks.interfaces import NOTHING, ChainClient, Pretended
from tallyio.model.chain import (
    Block,
    BlockEvent,
    Head,
    Log,
    Moment,
    PendingTransaction,
    Rollback,
    StateSlice,
)
from tallyio.model.erc20 import balance_of
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call, Plan, Simulation
from tallyio.model.units import Address, Hash, checksum, hex_text
from tallyio.model.words import WORD, unsigned

BLOCK_SECONDS = 12
OVERTAKEN: Final = "a newer block has arrived"
REMEMBERED = 256
"""Plans of which it is kept what they read."""
MAX_GAS = 5_000_000
"""More than any plan needs. A contract that wants more is stopped: the event loop waits meanwhile."""


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction that waits does as the first of the next block."""

    reason: str = ""
    """Why it fails there, in words; empty: it does not."""
    logs: tuple[Log, ...] = ()
    changes: StateSlice = {}
    """The slots that it changes; its sender's payment for gas is left out."""


class Simulator:
    """Simulates plans on the state of the newest block. Several tasks may use it; they queue."""

    def __init__(
        self,
        chain: ChainClient,
        *,
        block_seconds: int = BLOCK_SECONDS,
        max_gas: int = MAX_GAS,
        pretend: Pretended = NOTHING,
    ) -> None:
        """`pretend` is code that the chain lacks, such as that of an executor not deployed yet.

        Raises: MissingExtraError: the EVM is not installed.
        """
        self._chain = chain
        self._pretend = pretend
        self._block_seconds = block_seconds
        self._mirror = Mirror(chain_id=chain.chain_id, block_seconds=block_seconds)
        chain.watch(self._mirror.known)
        self._max_gas = max_gas
        self._read: set[str] = set()
        """Contracts that took part in a plan whose whole state was read from the node."""
        self._before: dict[tuple[Address, Address], int] = {}
        """Balances at the mirror's head, by token and holder; many plans of a block have the same."""
        self._effects: dict[tuple[Hash, Hash], Effect] = {}
        """By transaction that waits, and the block whose state it was run on: the newest."""
        self._lock = trio.Lock()
        self._told: dict[Call, StateSlice] = {}
        """What the last plans read that the node was asked about."""
        self.starts = 0
        """How often it started afresh: what was read before is forgotten."""

    async def follow(self, event: BlockEvent) -> None:
        """Move to the block of `event`. After a rollback, a gap or a failing node, start afresh."""
        async with self._lock:
            self._before.clear()
            self._effects.clear()
            if isinstance(event, Rollback):
                self._forget()
            elif event.head.parent_hash == self._mirror.block:
                await self._advance(event)
            elif event.head.hash != self._mirror.block:
                self._start(event.head)

    async def warm(self, calls: Sequence[Call], *, sender: Address, head: Head) -> bool:
        """Read now what `calls` read, so that plans through the same contracts need not.

        Return whether `head` is still what plans are simulated on. Raises: ChainError: the node failed.
        """
        async with self._lock:
            if not self._stands_at(head):
                return False
            for call in calls:
                await self._read_state(call, sender, head, self._pretend)
                outcome, _ = self._mirror.run(call, sender=sender, gas=self._max_gas)
                self._read |= set(outcome.emitters)
            return True

    def stands(self, call: Call) -> bool:
        """Return whether all that `call` read, when the node was last asked about it, is as it was then.

        Nothing is, of a call that the node was not asked about, or before it started afresh. Of contracts
        without an event it is not known (see above).
        """
        told = self._told.get(call)
        return told is not None and self._mirror.holds(told)

    async def simulate(self, plan: Plan, head: Head) -> Simulation:
        """Return what `plan` does in the block after `head`.

        Raises: ChainError: the node was needed and failed.
        """
        async with self._lock:
            if not self._stands_at(head):
                return _failed(head.hash, OVERTAKEN)
            if plan.behind is None:
                return await self._simulate(plan, head, self._pretend)
            effect = await self._effect(plan.behind, head)
            if effect.reason:
                return _failed(head.hash, f"what it was to run behind fails: {effect.reason}")
            self._before.clear()
            with self._mirror.supposing(effect.changes):
                simulation = await self._simulate(plan, head, {**self._pretend, **effect.changes})
            self._before.clear()
            return simulation

    async def effect(self, waiting: PendingTransaction, head: Head) -> Effect:
        """Return what `waiting` does in the block after `head`; asked of the node once for each block.

        Raises: ChainError: the node failed.
        """
        async with self._lock:
            if not self._stands_at(head):
                return Effect(reason=OVERTAKEN)
            return await self._effect(waiting, head)

    async def _effect(self, waiting: PendingTransaction, head: Head) -> Effect:
        mark = waiting.hash, head.hash
        known = self._effects.get(mark)
        if known is None:
            known = self._effects[mark] = await self._run_first(waiting, head)
        return known

    async def _run_first(self, waiting: PendingTransaction, head: Head) -> Effect:
        if waiting.to is None:
            return Effect(reason="it makes a contract")
        call = Call(to=waiting.to, data=waiting.data, value_wei=waiting.value_wei)
        touched = await self._read_state(call, waiting.sender, head, self._pretend)
        gas = min(waiting.gas_limit, self._max_gas)
        outcome, changes = self._mirror.effect(call, sender=waiting.sender, gas=gas, of=touched)
        if not outcome.success:
            return Effect(reason=outcome.reason or "the EVM reverts")
        logs = tuple(
            Log(
                address=Address(address),
                topics=topics,
                data=data,
                block_hash=head.hash,
                block_number=head.number + 1,
                log_index=index,
                transaction_hash=waiting.hash,
            )
            for index, (address, topics, data) in enumerate(outcome.logs)
        )
        return Effect(logs=logs, changes=changes)

    async def _simulate(self, plan: Plan, head: Head, pretend: Pretended) -> Simulation:
        simulation, outcome = self._try(plan, head.hash)
        if _agrees(plan, simulation, outcome) and self._read.issuperset(outcome.emitters):
            return simulation
        return await self._second_opinion(plan, head, pretend)

    async def _second_opinion(self, plan: Plan, head: Head, pretend: Pretended) -> Simulation:
        block = head.hash
        self._remember(plan.call, await self._read_state(plan.call, plan.sender, head, pretend))
        simulation, outcome = self._try(plan, block)
        if not simulation.success:
            return simulation if simulation.reason else await self._ask_node(plan, block, pretend)
        disguised, _ = self._try(plan, block, disguised=True)
        if disguised.profit != simulation.profit:
            return _failed(block, "the outcome depends on who builds the block, or on the gas price")
        self._read |= set(outcome.emitters)
        return simulation

    def _try(self, plan: Plan, block: Hash, *, disguised: bool = False) -> tuple[Simulation, Outcome]:
        """Run `plan` on what is known."""
        balance = balance_of(plan.token, plan.sender)
        before = self._before.get((plan.token, plan.sender))
        if before is None:
            told, _ = self._mirror.run(balance, sender=plan.sender, gas=self._max_gas)
            before = self._before[plan.token, plan.sender] = _amount(told)
        outcome, after = self._mirror.run(
            plan.call, sender=plan.sender, gas=self._max_gas, then=balance, disguised=disguised
        )
        profit = _amount(after) - before if outcome.success else 0
        reason = outcome.reason
        if outcome.success and len(outcome.output) < WORD:
            reason = f"there is no executor at {checksum(plan.call.to)}"
        elif outcome.success and profit < plan.min_profit:
            reason = "the sender received less than the executor gained"
        simulation = Simulation(
            block_hash=block,
            success=outcome.success and not reason,
            profit=profit,
            gas_used=outcome.gas_used,
            reason=reason,
        )
        return simulation, outcome

    def _remember(self, call: Call, told: StateSlice) -> None:
        self._told.pop(call, None)
        self._told[call] = told
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]

    async def _ask_node(self, plan: Plan, block: Hash, pretend: Pretended) -> Simulation:
        """Return the node's answer, for plans that need an EVM newer than ours."""
        [output] = await self._chain.call([plan.call], block=block, sender=plan.sender, pretend=pretend)
        if output is None:
            return _failed(block, "the node says that it reverts, and no contract says why")
        # The executor returns its gain, which what it took from the sender is no part of. How much gas it
        # took was not said, but never more than this.
        profit = unsigned(output, 0) - plan.own_funds
        return Simulation(block_hash=block, success=True, profit=profit, gas_used=self._max_gas)

    async def _read_state(self, call: Call, sender: Address, head: Head, pretend: Pretended) -> StateSlice:
        """Learn all that `call` reads; return it."""
        state = await self._chain.prestate(
            call,
            sender=sender,
            block=head.hash,
            pretend=pretend,
            moment=Moment(head.number + 1, head.timestamp + self._block_seconds),
        )
        self._mirror.fill(state)
        self._before.clear()
        return state

    async def _advance(self, block: Block) -> None:
        known = self._mirror.known
        try:
            changes = await self._chain.state_after(block, known) if known else {}
        except ChainError:
            self._start(block.head)
        else:
            self._mirror.advance(block.head, changes)

    def _stands_at(self, head: Head) -> bool:
        """Return whether the mirror is at `head`, after moving it there unless it is further already."""
        if self._mirror.head is None or self._mirror.head.number < head.number:
            self._start(head)
        return self._mirror.block == head.hash

    def _start(self, head: Head) -> None:
        self._forget()
        self._mirror.start(head)

    def _forget(self) -> None:
        self.starts += 1
        self._told.clear()
        self._mirror.forget()
        self._read = set()
        self._before.clear()


def _agrees(plan: Plan, simulation: Simulation, outcome: Outcome) -> bool:
    """Return whether the plan did exactly what was predicted.

    A pool that paid too much leaves the profit as it is, because the next leg sells what was
    predicted; the surplus is swept. So after the executor's own event only the token itself may log.
    """
    if not simulation.success or simulation.profit != plan.min_profit:
        return False
    executor, token = hex_text(plan.call.to), hex_text(plan.token)
    swept = takewhile(lambda emitter: emitter != executor, reversed(outcome.emitters))
    return executor in outcome.emitters and all(emitter == token for emitter in swept)


def _amount(balance: Outcome) -> int:
    return unsigned(balance.output, 0)


def _failed(block: Hash, reason: str) -> Simulation:
    return Simulation(block_hash=block, success=False, profit=0, gas_used=0, reason=reason)
