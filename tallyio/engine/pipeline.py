"""From an opportunity to what may be signed: risk, plan, simulate.

Layer: engine. The best of a block's choice goes ahead alone; the others are judged while it waits for disk
and signer, and go through together, so that one disk sync and one message to the signer cover them all.
Every opportunity that stops here is recorded with the gate and the reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from tallyio.engine.dispatch import Candidate, Dead, Dispatch, Terms
from tallyio.engine.report import Report
from tallyio.hooks.interfaces import ChainClient
from tallyio.model.chain import Fees, Head
from tallyio.model.errors import ChainError, SignerError, SignerRefused, UnsafeRefused
from tallyio.model.execution import Opportunity, Plan, Simulation
from tallyio.model.stages import Gate, Stage
from tallyio.model.units import Address
from tallyio.risk.desk import RiskDesk


class Wave:
    """Candidates that go together: those that nothing speaks against so far, and the others."""

    def __init__(self, candidates: Sequence[Candidate], pending: int) -> None:
        """`pending` transactions of ours wait for a block, or go ahead."""
        self.candidates = candidates
        self.pending = pending
        self.alive: list[Candidate] = []
        self.dead: list[Dead] = []

    def stop_all(self, gate: Gate, reason: str) -> None:
        """Let all that are alive die."""
        self.dead += [(each, gate, reason) for each in self.alive]
        self.alive = []


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
        dispatch: Dispatch | None,
        report: Report,
    ) -> None:
        """Without `dispatch` this is paper mode."""
        self._terms = terms
        self._desk = desk
        self._plan = plan
        self._simulate = simulate
        self._explain = explain
        self._native_value = native_value
        self._chain = chain
        self._dispatch = dispatch
        self._report = report

    @property
    def fault(self) -> SignerError | SignerRefused | None:
        """Why nothing can be signed any more; trading is halted then."""
        return self._dispatch.fault if self._dispatch else None

    async def take(
        self, candidates: Sequence[Candidate], head: Head, *, pending: int, is_stale: Callable[[], bool]
    ) -> list[Dead]:
        """Take `candidates` as far as they go; return those that died, with gate and reason.

        `pending` transactions of ours wait for a block.
        """
        fees = self._chain.fees(head)

        async def send(wave: Wave) -> None:
            if is_stale():
                wave.stop_all(Gate.STALE, "a newer block arrived before it was signed")
            elif self._dispatch is None:
                wave.stop_all(Gate.PAPER, "paper mode: not signed, not sent")
            else:
                wave.dead += await self._dispatch.send(wave.alive, fees, submitting)

        async with trio.open_nursery() as submitting:
            # The best goes ahead alone: it waits neither for the others' simulation nor for their signatures.
            best = Wave(candidates[:1], pending)
            await self._judge_all(best, head, fees)
            others = Wave(candidates[1:], pending + len(best.alive))
            async with trio.open_nursery() as meanwhile:
                # Begins where the best has to wait for the signer.
                meanwhile.start_soon(self._judge_all, others, head, fees)
                await send(best)
            await send(others)
        if self._dispatch is not None:
            await self._dispatch.note_taken()
        return best.dead + others.dead

    async def _judge_all(self, wave: Wave, head: Head, fees: Fees) -> None:
        for candidate in wave.candidates:
            if candidate is not wave.candidates[0]:
                await trio.lowlevel.checkpoint()  # a simulation keeps the loop: a signature goes first
            verdict = await self._judge(candidate, head, fees, pending=wave.pending + len(wave.alive))
            if verdict is None:
                wave.alive.append(candidate)
            else:
                wave.dead.append((candidate, *verdict))

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
        refused = self._refuse_gas(opportunity.strategy, self._terms.gas_limit(simulation))
        return None if refused is None else (Gate.LIMIT, refused)

    def _refuse_gas(self, strategy: str, gas: int) -> str | None:
        most = self._terms.max_gas.get(strategy, gas)
        if gas > most:
            return f"gas limit {gas} is above max_gas {most} of {strategy}"
        return self._desk.refuse_gas(gas)
