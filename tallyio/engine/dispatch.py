"""From what was judged to bytes on the wire: build, persist, sign, submit.

Layer: engine. Candidates that go together have one sync of the disk and one message to the signer. The node
is waited for in the background.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import trio

from tallyio.engine.inflight import InFlight, Sent
from tallyio.engine.report import Report
from tallyio.engine.trace import Trace
from tallyio.hooks.interfaces import BatchSignerClient, ChainClient, Signatures, SignerClient
from tallyio.ledger.ledger import Ledger
from tallyio.ledger.records import NewIntent
from tallyio.model.chain import Fees
from tallyio.model.errors import ChainError, SignerError, SignerRefused
from tallyio.model.execution import (
    Opportunity,
    Plan,
    SignedTransaction,
    Simulation,
    UnsignedTransaction,
)
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

    def gas_limit(self, simulation: Simulation) -> int:
        """Return the gas that a transaction may use which used so much in a simulation."""
        # Refunds come after execution and are at most a fifth of the gas (EIP-3529), so before them it was
        # at most five quarters. A call leaves a 64th of the gas with its caller (EIP-150): the margin covers
        # what calls within calls need for that.
        return simulation.gas_used * 5 // 4 * (100 + self.gas_margin_percent) // 100


class Dispatch:
    """Takes waves of candidates through ledger, signer and node. One block at a time."""

    def __init__(  # noqa: PLR0913 - the stations of the way, each given once
        self,
        *,
        terms: Terms,
        desk: RiskDesk,
        chain: ChainClient,
        signer: SignerClient,
        ledger: Ledger,
        inflight: InFlight,
        report: Report,
        first_nonce: int,
    ) -> None:
        self._terms = terms
        self._desk = desk
        self._chain = chain
        self._signer = signer
        self._ledger = ledger
        self._inflight = inflight
        self._report = report
        self._nonce = first_nonce
        self._taken: list[int] = []
        """Intents whose transactions a node took, and that the ledger was not told of."""
        self.fault: SignerError | SignerRefused | None = None
        """Why nothing can be signed any more; trading is halted then."""

    async def send(self, candidates: Sequence[Candidate], fees: Fees, submitting: trio.Nursery) -> list[Dead]:
        """Persist and sign `candidates`; `submitting` does the rest. Return those that the signer stops.

        Raises: UnsafeRefused, EnvironmentFault: the ledger refuses.
        """
        if self.fault is not None:
            return [(each, Gate.SIGNER, str(self.fault)) for each in candidates]
        if not candidates:
            return []
        intents = [self._build(each, fees, nonce) for nonce, each in enumerate(candidates, self._nonce)]
        numbers = await self._ledger.reserve(self._terms.account, intents)
        self._nonce += len(intents)
        for candidate, number in zip(candidates, numbers, strict=True):
            candidate.intent = number
            candidate.trace.reach(Stage.PERSISTED)
        return await self._sign(candidates, submitting)

    async def note_taken(self) -> None:
        """Tell the ledger what the node took since the last time; nobody's signature waits for that."""
        if self._taken:
            taken, self._taken = self._taken, []
            await self._ledger.submitted(taken)

    def _build(self, candidate: Candidate, fees: Fees, nonce: int) -> NewIntent:
        plan, simulation = candidate.plan, candidate.simulation
        assert plan is not None  # noqa: S101 - whoever judged set both
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
            gas_limit=self._terms.gas_limit(simulation),
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

    async def _sign(self, candidates: Sequence[Candidate], submitting: trio.Nursery) -> list[Dead]:
        made = await _signatures(self._signer, [_unsigned(each) for each in candidates])
        # In flight from here on: bytes that exist may land, whatever becomes of the others.
        sent = [
            (each, self._sent(each, signed)) for each, signed in zip(candidates, made.signed, strict=False)
        ]
        for candidate, each in sent:
            candidate.trace.reach(Stage.SIGNED)
            self._inflight.add(each)
        self._report.signed += len(sent)
        if sent:
            submitting.start_soon(self._submit_all, sent)
        if made.fault is None:
            return []
        self.fault = made.fault
        self._desk.halt(str(made.fault))
        return await self._give_back(candidates[len(sent) :], made.fault, doubtful=made.doubtful)

    def _sent(self, candidate: Candidate, signed: SignedTransaction) -> Sent:
        opportunity, simulation = candidate.opportunity, candidate.simulation
        assert simulation is not None  # noqa: S101 - whoever judged set it
        return Sent(
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
            simulated=simulation.profit,
            path=candidate.path,
            found_in=opportunity.block_number,
            deadline_block=opportunity.block_number + self._terms.inclusion_blocks,
            trace=candidate.trace,
        )

    async def _give_back(
        self, candidates: Sequence[Candidate], fault: SignerError | SignerRefused, *, doubtful: int
    ) -> list[Dead]:
        """Release the nonces of all but the first `doubtful`, which may have been signed.

        Those stay reserved, and the next start has the same content signed again, which gives the same bytes.
        """
        free = candidates[doubtful:]
        await self._ledger.release(candidate.intent for candidate in free)
        self._nonce -= len(free)
        return [(candidate, Gate.SIGNER, str(fault)) for candidate in candidates]

    async def _submit_all(self, sent: Iterable[tuple[Candidate, Sent]]) -> None:
        # The next signature need not wait for this: bytes are kept before they leave, not before others.
        await self._ledger.signed({each.intent: each.transaction for _, each in sent})
        async with trio.open_nursery() as nursery:
            for pair in sent:
                nursery.start_soon(self._submit, *pair)
                # Each has written its question before the next begins: the node hears of them by nonce.
                await trio.lowlevel.checkpoint()

    async def _submit(self, candidate: Candidate, sent: Sent) -> None:
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
        self._taken.append(sent.intent)


def _unsigned(candidate: Candidate) -> UnsignedTransaction:
    assert candidate.unsigned is not None  # noqa: S101 - `_build` set it
    return candidate.unsigned


async def _signatures(signer: SignerClient, transactions: Sequence[UnsignedTransaction]) -> Signatures:
    """Let `signer` sign, in one message where it can do that."""
    if isinstance(signer, BatchSignerClient):
        return await signer.sign_all(transactions)
    signed: list[SignedTransaction] = []
    for transaction in transactions:
        try:
            signed.append(await signer.sign(transaction))
        except SignerRefused as refused:
            return Signatures(signed=tuple(signed), fault=refused)
        except SignerError as error:
            return Signatures(signed=tuple(signed), fault=error, doubtful=1)
    return Signatures(signed=tuple(signed))
