"""From an opportunity to bytes on the wire: risk, simulate, plan, persist, sign, submit.

Layer: engine. The best of a block's choice goes ahead alone; the others go through together, so that
one disk sync covers them all. Every opportunity that stops here is recorded with the gate and the reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
import trio

from tallyio.engine.inflight import InFlight, Sent
from tallyio.engine.report import Report
from tallyio.engine.trace import Trace
from tallyio.hooks.interfaces import ChainClient, SignerClient
from tallyio.ledger.ledger import Ledger
from tallyio.ledger.records import NewIntent
from tallyio.model.chain import Fees, Head
from tallyio.model.errors import ChainError, SignerError, SignerRefused, UnsafeRefused
from tallyio.model.execution import Opportunity, Plan, Simulation, UnsignedTransaction
from tallyio.model.stages import Gate, Stage
from tallyio.model.transaction import signing_hash
from tallyio.model.units import Address, Wei
from tallyio.risk.desk import RiskDesk


class Candidate(msgspec.Struct, kw_only=True):
    """An opportunity on its way."""

    opportunity: Opportunity
    trace: Trace
    path: str
    plan: Plan | None = None
    simulation: Simulation | None = None
    unsigned: UnsignedTransaction | None = None
    intent: int = 0


type Dead = tuple[Candidate, Gate, str]
"""Who stopped, at which gate, and why in words."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How transactions are built."""

    chain_id: int
    account: Address
    max_fee_wei: Wei
    inclusion_blocks: int
    gas_margin_percent: int
    max_gas: Mapping[str, int] = {}
    """By strategy the highest gas limit of one transaction, for those that have one of their own."""


class Pipeline:
    """Takes a block's chosen opportunities as far as they go."""

    def __init__(  # noqa: PLR0913 - the stations of the way, each given once
        self,
        *,
        terms: Terms,
        desk: RiskDesk,
        plan: Callable[[Opportunity, int], Plan],
        simulate: Callable[[Plan, Head], Awaitable[Simulation]],
        explain: Callable[[Opportunity, Head], Awaitable[str]],
        native_value: Callable[[Address, int], float],
        chain: ChainClient,
        signer: SignerClient | None,
        ledger: Ledger,
        inflight: InFlight,
        report: Report,
        first_nonce: int,
    ) -> None:
        self._terms = terms
        self._desk = desk
        self._plan = plan
        self._simulate = simulate
        self._explain = explain
        self._native_value = native_value
        self._chain = chain
        self._signer = signer
        self._ledger = ledger
        self._inflight = inflight
        self._report = report
        self._nonce = first_nonce
        self.fault: SignerError | SignerRefused | None = None
        """Why nothing can be signed any more; trading is halted then."""

    async def take(
        self, candidates: Sequence[Candidate], head: Head, *, pending: int, is_stale: Callable[[], bool]
    ) -> list[Dead]:
        """Take `candidates` as far as they go; return those that died, with gate and reason.

        `pending` transactions of ours wait for a block.
        """
        dead: list[Dead] = []
        fees = self._chain.fees(head)
        async with trio.open_nursery() as submitting:
            # The best goes ahead alone: it waits neither for the others' simulation nor for their signatures.
            for wave in (candidates[:1], candidates[1:]):
                alive = await self._alive(wave, head, fees, pending=pending, dead=dead)
                pending += len(alive)
                if is_stale():
                    reason = "a newer block arrived before it was signed"
                    dead += [(each, Gate.STALE, reason) for each in alive]
                elif self._signer is None:
                    dead += [(each, Gate.PAPER, "paper mode: not signed, not sent") for each in alive]
                else:
                    dead += await self._send(alive, fees, self._signer, submitting)
        return dead

    async def _alive(
        self, wave: Sequence[Candidate], head: Head, fees: Fees, *, pending: int, dead: list[Dead]
    ) -> list[Candidate]:
        """Return those that nothing speaks against; the others join the `dead`."""
        alive: list[Candidate] = []
        for candidate in wave:
            verdict = await self._judge(candidate, head, fees, pending=pending + len(alive))
            if verdict is None:
                alive.append(candidate)
            else:
                dead.append((candidate, *verdict))
        return alive

    async def _judge(
        self, candidate: Candidate, head: Head, fees: Fees, *, pending: int
    ) -> tuple[Gate, str] | None:
        opportunity, trace = candidate.opportunity, candidate.trace
        refused = self._desk.refuse(
            net_wei=opportunity.net_wei, base_fee_wei=fees.base_fee_wei, pending=pending
        )
        if refused is not None:
            return Gate.LIMIT, refused
        trace.reach(Stage.RISK)
        try:
            candidate.plan = self._plan(opportunity, head.number + self._terms.inclusion_blocks)
        except UnsafeRefused as error:  # one strategy's fault ends nobody else's run
            return Gate.REFUSED, error.message
        try:
            simulation = await self._simulate(candidate.plan, head)
        except ChainError as error:
            return Gate.SIMULATION, f"the node did not say what it needs: {error}"
        candidate.simulation = simulation
        self._report.simulated += 1
        trace.reach(Stage.SIMULATED)
        if not simulation.success:
            because = await self._explain(opportunity, head)
            return Gate.SIMULATION, because or f"the EVM reverts: {simulation.reason}"
        return self._disagrees(opportunity, simulation, fees)

    def _disagrees(
        self, opportunity: Opportunity, simulation: Simulation, fees: Fees
    ) -> tuple[Gate, str] | None:
        if simulation.profit < opportunity.profit:
            return (
                Gate.SIMULATION,
                f"the EVM says profit {simulation.profit}, detection said {opportunity.profit}",
            )
        gas_cost = simulation.gas_used * (fees.base_fee_wei + fees.priority_fee_wei)
        worth = self._native_value(opportunity.token, opportunity.profit)
        if worth <= gas_cost:
            return Gate.GAS, f"gas of {gas_cost} wei is above the profit of {worth:.0f} wei"
        refused = self._refuse_gas(opportunity.strategy, self._gas_limit(simulation))
        return None if refused is None else (Gate.LIMIT, refused)

    def _refuse_gas(self, strategy: str, gas: int) -> str | None:
        most = self._terms.max_gas.get(strategy, gas)
        if gas > most:
            return f"gas limit {gas} is above max_gas {most} of {strategy}"
        return self._desk.refuse_gas(gas)

    def _gas_limit(self, simulation: Simulation) -> int:
        # Refunds come after execution and are at most a fifth of the gas (EIP-3529), so before them it was
        # at most five quarters. A call leaves a 64th of the gas with its caller (EIP-150): the margin covers
        # what calls within calls need for that.
        return simulation.gas_used * 5 // 4 * (100 + self._terms.gas_margin_percent) // 100

    async def _send(
        self,
        candidates: Sequence[Candidate],
        fees: Fees,
        signer: SignerClient,
        submitting: trio.Nursery,
    ) -> list[Dead]:
        intents = [self._build(each, fees, nonce) for nonce, each in enumerate(candidates, self._nonce)]
        if not intents:
            return []
        numbers = await self._ledger.reserve(self._terms.account, intents)
        self._nonce += len(intents)
        for candidate, number in zip(candidates, numbers, strict=True):
            candidate.intent = number
            candidate.trace.reach(Stage.PERSISTED)
        for position, candidate in enumerate(candidates):
            try:
                sent = await self._sign(candidate, signer)
            except (SignerError, SignerRefused) as error:
                return await self._give_back(candidates[position:], error)
            submitting.start_soon(self._submit, candidate, sent)
        return []

    def _build(self, candidate: Candidate, fees: Fees, nonce: int) -> NewIntent:
        plan, simulation = candidate.plan, candidate.simulation
        assert plan is not None  # noqa: S101 - `_judge` set both
        assert simulation is not None  # noqa: S101
        # The base fee grows by at most an eighth per block: this covers every block up to the deadline.
        highest = fees.base_fee_wei * 9**self._terms.inclusion_blocks // 8**self._terms.inclusion_blocks
        max_fee = min(highest + fees.priority_fee_wei, self._terms.max_fee_wei)
        tip = fees.priority_fee_wei
        if plan.behind is not None:
            # Who pays no more by either number comes later in a block that is ordered by fees, and into none
            # that could not take the update.
            max_fee = min(max_fee, plan.behind.max_fee_wei)
            tip = min(tip, plan.behind.max_priority_fee_wei)
        unsigned = UnsignedTransaction(
            chain_id=self._terms.chain_id,
            nonce=nonce,
            max_priority_fee_wei=min(tip, Wei(max_fee)),
            max_fee_wei=Wei(max_fee),
            gas_limit=self._gas_limit(simulation),
            to=plan.call.to,
            value_wei=plan.call.value_wei,
            data=plan.call.data,
        )
        candidate.unsigned = unsigned
        candidate.trace.reach(Stage.PLANNED)
        return NewIntent(
            opportunity=candidate.opportunity.id,
            unsigned=unsigned,
            signing_hash=signing_hash(unsigned),
            token=candidate.opportunity.token,
            predicted=candidate.opportunity.profit,
            deadline_block=plan.deadline_block,
        )

    async def _sign(self, candidate: Candidate, signer: SignerClient) -> Sent:
        assert candidate.unsigned is not None  # noqa: S101 - `_build` set it
        assert candidate.simulation is not None  # noqa: S101
        signed = await signer.sign(candidate.unsigned)
        candidate.trace.reach(Stage.SIGNED)
        self._report.signed += 1
        opportunity = candidate.opportunity
        sent = Sent(
            intent=candidate.intent,
            opportunity=opportunity.id,
            run=self._ledger.run,
            transaction=signed,
            token=opportunity.token,
            strategy=opportunity.strategy,
            uses=opportunity.uses,
            deposits=opportunity.deposits,
            disturbs=opportunity.disturbs,
            predicted=opportunity.profit,
            simulated=candidate.simulation.profit,
            path=candidate.path,
            found_in=opportunity.block_number,
            deadline_block=opportunity.block_number + self._terms.inclusion_blocks,
            trace=candidate.trace,
        )
        self._inflight.add(sent)
        return sent

    async def _give_back(
        self, candidates: Sequence[Candidate], error: SignerError | SignerRefused
    ) -> list[Dead]:
        """Release the nonces that were not signed, and stop trading.

        When the signer vanished it may have signed the first of them: that one stays reserved, and
        the next start has the same content signed again, which gives the same bytes.
        """
        unsigned = candidates if isinstance(error, SignerRefused) else candidates[1:]
        for candidate in unsigned:
            await self._ledger.release(candidate.intent)
        self._nonce -= len(unsigned)
        self.fault = error
        self._desk.halt(str(error))
        return [(candidate, Gate.SIGNER, str(error)) for candidate in candidates]

    async def _submit(self, candidate: Candidate, sent: Sent) -> None:
        # The next signature need not wait for this: bytes are kept before they leave, not before others.
        await self._ledger.signed(sent.intent, sent.transaction)
        try:
            await self._chain.submit(sent.transaction)
        except ChainError as error:
            # The bytes exist, so the nonce is spent: settlement sends the same bytes again. The node
            # may have them all the same; when it took them, nobody can say.
            self._report.say(f"#{sent.opportunity} was not taken by the node: {error}")
            self._report.times.add(candidate.trace)
            sent.trace = None
            return
        candidate.trace.reach(Stage.SUBMITTED)
        await self._ledger.submitted(sent.intent)
