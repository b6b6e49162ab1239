"""A desk to trade at without a node: a chain and a signer that do as they are told, and a real ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import trio

from tallyio.engine.dispatch import Candidate, Dispatch, Terms
from tallyio.engine.inflight import InFlight
from tallyio.engine.outcomes import Outcomes
from tallyio.engine.pipeline import Pipeline
from tallyio.engine.report import Report
from tallyio.engine.settlement import TRANSFER
from tallyio.engine.trace import Trace
from tallyio.hooks.interfaces import ChainClient, Notice, Signatures, SignerClient
from tallyio.ledger.journal import Journal
from tallyio.ledger.ledger import Ledger, open_ledger
from tallyio.ledger.records import Mode
from tallyio.model.chain import Fees, Head, Log, Receipt
from tallyio.model.errors import ChainError, SignerError, SignerRefused, UnsafeRefused
from tallyio.model.execution import (
    Call,
    Leg,
    Opportunity,
    Plan,
    SignedTransaction,
    Simulation,
    UnsignedTransaction,
)
from tallyio.model.hashing import keccak256
from tallyio.model.market import Token
from tallyio.model.stages import Gate
from tallyio.model.transaction import signing_hash, transaction_hash
from tallyio.model.units import Address, Hash, Wei
from tallyio.risk.desk import RiskDesk, RiskLimits

CHAIN_ID = 31337
ACCOUNT = Address(bytes([0xAA]) * 20)
EXECUTOR = Address(bytes([0xEE]) * 20)
POOL = Address(bytes([0x66]) * 20)
TOKEN = Address(bytes([0x77]) * 20)
GAS_USED = 100_000
LIMITS = RiskLimits(
    max_pending=4,
    max_gas=10**6,
    max_fee_wei=Wei(10**12),
    max_gas_spend_wei=Wei(10**18),
    max_reverts=3,
    min_net_wei=0,
)


class FakeChain:
    """A chain whose blocks include what a test puts into them."""

    def __init__(self) -> None:
        self.submitted: list[SignedTransaction] = []
        self.receipts: dict[Hash, Receipt] = {}
        self.balances: dict[Hash, int] = {}
        """Of `TOKEN` at `ACCOUNT`, by block; 0 where nothing is said."""
        self.early: list[int] = []
        """Balances that the next questions are answered with instead, whatever block they name."""
        self.fault: ChainError | None = None
        """What every question is answered with."""
        self.late = 0
        """How many times yet it knows of no receipt."""
        self.mined = 0

    @property
    def client(self) -> ChainClient:
        """Itself, as the part of the interface that it serves."""
        return cast("ChainClient", self)

    @property
    def chain_id(self) -> int:
        """The lab's."""
        return CHAIN_ID

    def fees(self, head: Head) -> Fees:
        """Return cheap gas."""
        return Fees(base_fee_wei=Wei(10), priority_fee_wei=Wei(1))

    async def submit(self, transaction: SignedTransaction) -> Hash:
        """Take it."""
        self._ask()
        self.submitted.append(transaction)
        return transaction.hash

    async def receipt(self, transaction: Hash) -> Receipt | None:
        """Return what `include` said."""
        self._ask()
        if self.late:
            self.late -= 1
            return None
        return self.receipts.get(transaction)

    async def nonce(self, account: Address) -> int:
        """Return how many were mined."""
        return self.mined

    async def call(self, calls: Sequence[Call], *, block: Hash) -> list[bytes | None]:
        """Return balances."""
        self._ask()
        held = self.early.pop(0) if self.early else self.balances.get(block, 0)
        return [held.to_bytes(32) for _ in calls]

    def include(self, transaction: Hash, head: Head, *, gain: int, success: bool = True) -> None:
        """Put a transaction that earns `gain` into block `head`, with the balances to prove it."""
        moved = Log(
            address=TOKEN,
            topics=(TRANSFER, POOL.rjust(32, b"\0"), ACCOUNT.rjust(32, b"\0")),
            data=gain.to_bytes(32),
            block_hash=head.hash,
            block_number=head.number,
            log_index=0,
            transaction_hash=transaction,
        )
        self.receipts[transaction] = Receipt(
            transaction_hash=transaction,
            block_hash=head.hash,
            block_number=head.number,
            transaction_index=sum(known.block_hash == head.hash for known in self.receipts.values()),
            status=success,
            gas_used=GAS_USED,
            effective_gas_price_wei=Wei(11),
            logs=(moved,) if success else (),
        )
        before = self.balances.get(head.parent_hash, 0)
        self.balances.setdefault(head.hash, before)
        self.balances[head.hash] += gain if success else 0

    def _ask(self) -> None:
        if self.fault is not None:
            raise self.fault


class FakeSigner:
    """Signs anything, until nonce `fails_at`, where it raises `fault`."""

    def __init__(self) -> None:
        self.account = ACCOUNT
        self.signed: list[UnsignedTransaction] = []
        self.fails_at: int | None = None
        self.fault: SignerError | SignerRefused = SignerError("the signer is gone")
        self.answers_when: Callable[[], bool] = lambda: True
        """Whether it answers yet."""

    @property
    def client(self) -> SignerClient:
        """Itself, as the interface."""
        return cast("SignerClient", self)

    async def sign(self, transaction: UnsignedTransaction) -> SignedTransaction:
        """Sign: the same content gives the same bytes."""
        await trio.lowlevel.checkpoint()
        await until(self.answers_when)
        if transaction.nonce == self.fails_at:
            raise self.fault
        self.signed.append(transaction)
        raw = b"signed " + signing_hash(transaction)
        return SignedTransaction(unsigned=transaction, sender=ACCOUNT, raw=raw, hash=transaction_hash(raw))


class FakeBatchSigner(FakeSigner):
    """Signs whole messages, and does not answer one that holds nonce `fails_at`."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[int] = []
        """How many transactions each held."""

    async def sign_all(self, transactions: Sequence[UnsignedTransaction]) -> Signatures:
        """Sign all, or nothing that anybody hears of."""
        self.messages.append(len(transactions))
        if any(each.nonce == self.fails_at for each in transactions):
            return Signatures(signed=(), fault=self.fault, doubtful=len(transactions))
        return Signatures(signed=tuple([await self.sign(each) for each in transactions]))


class Trading:
    """Everything between an opportunity and its outcome; tests reach for the parts they look at."""

    def __init__(
        self, ledger: Ledger, journal: Path, *, first: Head, paper: bool, signer: FakeSigner | None
    ) -> None:
        self.ledger = ledger
        self._journal = journal
        self.chain = FakeChain()
        self.signer = signer or FakeSigner()
        self.desk = RiskDesk(LIMITS)
        self.inflight = InFlight()
        self.report = Report()
        self.report.tokens = {TOKEN: Token(address=TOKEN, symbol="TKN", decimals=2)}
        self.notices: list[Notice] = []
        self.simulation: Simulation | ChainError | None = None
        """What the EVM says instead of agreeing."""
        self.simulated_when: Callable[[int], bool] = lambda _number: True
        """Whether the simulation of a number answers yet."""
        self.blame = ""
        """What is known of why a simulation fails."""
        self.rival: Hash | None = None
        """Who was first at what a transaction wanted."""
        self.unplannable: set[int] = set()
        """Numbers of opportunities whose legs make no plan."""
        self.stale = False
        self.native = 1e9
        self.outcomes = Outcomes(
            first=first,
            account=ACCOUNT,
            chain=self.chain.client,
            ledger=ledger,
            inflight=self.inflight,
            desk=self.desk,
            report=self.report,
            notify=self.notices.append,
            settle_blocks=3,
            rival=lambda _: self.rival,
        )
        terms = Terms(
            chain_id=CHAIN_ID,
            account=ACCOUNT,
            max_fee_wei=LIMITS.max_fee_wei,
            inclusion_blocks=2,
            gas_margin_percent=25,
        )
        dispatch = Dispatch(
            terms=terms,
            desk=self.desk,
            chain=self.chain.client,
            signer=self.signer.client,
            ledger=ledger,
            inflight=self.inflight,
            report=self.report,
            first_nonce=0,
        )
        self.pipeline = Pipeline(
            terms=terms,
            desk=self.desk,
            plan=self._plan,
            simulate=self._simulate,
            explain=self._explain,
            native_value=lambda _token, units: units * self.native,
            chain=self.chain.client,
            dispatch=None if paper else dispatch,
            report=self.report,
        )

    async def take(self, *numbers: int, head: Head, profit: int = 500) -> list[tuple[int, Gate, str]]:
        """Take opportunities of these numbers, found in block `head`; return those that died."""
        candidates = [candidate(number, head, profit) for number in numbers]
        dead = await self.pipeline.take(
            candidates, head, pending=len(self.inflight), is_stale=lambda: self.stale
        )
        return [(each.opportunity.id, gate, reason) for each, gate, reason in dead]

    def sent(self, number: int) -> Hash:
        """Return the hash of the transaction that takes opportunity `number`."""
        return next(sent.transaction.hash for sent in self.inflight if sent.opportunity == number)

    def rows(self, columns: str) -> list[tuple[object, ...]]:
        """Return columns of the intents, by id."""
        with Journal(self._journal) as journal:
            return journal._db.execute(f"SELECT {columns} FROM intents ORDER BY id").fetchall()  # noqa: S608 - our own words

    def opportunities(self, columns: str) -> list[tuple[object, ...]]:
        """Return columns of what was found, by id."""
        with Journal(self._journal) as journal:
            return journal._db.execute(f"SELECT {columns} FROM opportunities ORDER BY id").fetchall()  # noqa: S608 - our own words

    def _plan(self, opportunity: Opportunity, deadline_block: int) -> Plan:
        if opportunity.id in self.unplannable:
            raise UnsafeRefused("has amounts that do not join", way_out="nothing was signed")
        return Plan(
            call=Call(to=EXECUTOR, data=b"run " + opportunity.id.to_bytes(4)),
            token=opportunity.token,
            min_profit=opportunity.profit,
            deadline_block=deadline_block,
            sender=ACCOUNT,
            behind=opportunity.trigger.transaction if opportunity.trigger else None,
        )

    async def _explain(self, opportunity: Opportunity, head: Head) -> str:
        await trio.lowlevel.checkpoint()
        return self.blame

    async def _simulate(self, plan: Plan, head: Head) -> Simulation:
        number = int.from_bytes(plan.call.data[-4:])
        await until(lambda: self.simulated_when(number))
        if isinstance(self.simulation, ChainError):
            raise self.simulation
        return self.simulation or simulation(head, plan.min_profit)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds that nobody tells."""
    while not holds():  # noqa: ASYNC110 - what it looks at is in a file, or in the hands of a disk
        await trio.sleep(0.001)


def simulation(head: Head, profit: int, *, success: bool = True, reason: str = "") -> Simulation:
    """Return an answer of the EVM."""
    return Simulation(block_hash=head.hash, success=success, profit=profit, gas_used=GAS_USED, reason=reason)


def candidate(number: int, head: Head, profit: int) -> Candidate:
    """Return an opportunity through pool `number` on its way."""
    leg = Leg(pool=number, token_in=0, token_out=1, amount_in=1_000, amount_out=1_000 + profit)
    opportunity = Opportunity(
        id=number,
        strategy="test",
        block_hash=head.hash,
        block_number=head.number,
        token=TOKEN,
        legs=(leg,),
        amount_in=leg.amount_in,
        amount_out=leg.amount_out,
        gas=GAS_USED,
        net_wei=float(profit),
    )
    trace = Trace(bytes_in_ns=0, decoded_ns=1, detected_ns=2)
    return Candidate(opportunity=opportunity, trace=trace, path="a > b")


def chain_of(start: int, count: int, *, fork: str = "", parent: Hash | None = None) -> list[Head]:
    """Return `count` headers from number `start` on, each on the one before."""
    heads: list[Head] = []
    for number in range(start, start + count):
        before = heads[-1].hash if heads else parent or _hash(number - 1, "")
        heads.append(
            Head(
                number=number,
                hash=_hash(number, fork),
                parent_hash=before,
                timestamp=12 * number,
                base_fee_wei=Wei(10),
                gas_used=0,
                gas_limit=10**7,
                logs_bloom=b"",
            )
        )
    return heads


def _hash(number: int, fork: str) -> Hash:
    return Hash(keccak256(f"block {number}{fork}".encode()))


@asynccontextmanager
async def trading(
    folder: Path, *, first: Head, paper: bool = False, signer: FakeSigner | None = None
) -> AsyncIterator[Trading]:
    """Open a desk whose ledger is in `folder`; opened again, that is the next run."""
    mode: Mode = "paper" if paper else "live"
    async with open_ledger(folder, mode=mode, chain_id=CHAIN_ID, account=ACCOUNT, record={}) as ledger:
        yield Trading(ledger, folder / "ledger.sqlite", first=first, paper=paper, signer=signer)
