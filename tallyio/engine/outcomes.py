"""What became of our transactions: receipts, books, reorgs, bytes sent again.

Layer: engine.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from tallyio.engine.inflight import InFlight, Sent
from tallyio.engine.recovery import take_over
from tallyio.engine.report import Report, Trade
from tallyio.engine.settlement import contradiction, realised
from tallyio.hooks.interfaces import ChainClient, Notice
from tallyio.ledger.ledger import Ledger
from tallyio.ledger.records import Settlement
from tallyio.model.chain import Head, Receipt, Rollback
from tallyio.model.errors import ChainError
from tallyio.model.stages import Gate, Stage
from tallyio.model.units import Address, Hash, Wei, hex_text
from tallyio.risk.desk import RiskDesk

HEADS_KEPT: Final = 256
"""How many blocks are remembered at least, while the node answers."""

Landed = tuple[Sent, Receipt]


def _nobody(_: Sent) -> None:
    """Know of no rival."""


class Outcomes:
    """Settles transactions block by block; halts trading when the books do not balance.

    `first` is the block that the run begins at.
    """

    def __init__(  # noqa: PLR0913 - each collaborator is given once
        self,
        *,
        first: Head,
        account: Address,
        chain: ChainClient,
        ledger: Ledger,
        inflight: InFlight,
        desk: RiskDesk,
        report: Report,
        notify: Callable[[Notice], None],
        settle_blocks: int,
        rival: Callable[[Sent], Hash | None] = _nobody,
    ) -> None:
        """`rival` returns whose transaction of the newest block touched what ours wants, if any."""
        self._first = first
        self._account = account
        self._chain = chain
        self._ledger = ledger
        self._inflight = inflight
        self._desk = desk
        self._report = report
        self._notify = notify
        self._settle_blocks = settle_blocks
        self._rival = rival
        self._heads: OrderedDict[Hash, Head] = OrderedDict({first.hash: first})
        # A contradiction waits `settle_blocks`, a nonce that is mined without a receipt up to twice that.
        self._heads_kept = max(HEADS_KEPT, 3 * settle_blocks)
        self._halt_told = False

    async def settle(self, head: Head) -> None:
        """Settle what the chain up to `head` holds, and send again what it left out.

        Raises: ChainError: the node did not answer. What it left unsettled, the next call settles.
        """
        self._heads[head.hash] = head
        self._see_rivals(head)
        try:
            included = await self._included(head)
            told = {sent.intent for landed in included.values() for sent, _ in landed}
            untold = [sent for sent in self._inflight if sent.intent not in told]
            for block, landed in included.items():
                await self._settle(self._heads.get(block), landed, untold, now=head)
        finally:
            self._tell_halt()
        # Only once the node has told of all that is under way: what it has not may be in any of them.
        while len(self._heads) > self._heads_kept:
            self._heads.popitem(last=False)

    async def roll_back(self, event: Rollback) -> None:
        """Follow again the transactions that the dropped blocks held, and send them again."""
        for block in event.dropped:
            self._heads.pop(block, None)
            opened = await self._ledger.unsettle(block)
            for sent in (*self._inflight.reopen(block), *await self._take_over(opened)):
                self._desk.take_back(sent.transaction.hash)
                self._report.take_back(sent.transaction.hash)
                self._report.gas_cost_wei -= sent.gas_cost_wei
                self._report.say(f"#{sent.opportunity} is open again: the block that held it left the chain")
                sent.trace = None  # its first inclusion was counted
                sent.reorged = True
                await self._submit(sent)
        for sent in self._inflight:
            # Whose blocks they are in may have left the chain; the new branch tells.
            sent.rival, sent.overtaken = None, False

    async def _take_over(self, opened: list[int]) -> list[Sent]:
        """Follow those of the intents `opened` that nobody follows: an earlier run had settled them."""
        unknown = set(opened) - {sent.intent for sent in self._inflight}
        if not unknown:
            return []
        intents = await self._ledger.open_intents(self._chain.chain_id, self._account)
        again = [take_over(each, each.signed) for each in intents if each.id in unknown and each.signed]
        for sent in again:
            self._inflight.add(sent)
        return again

    def _see_rivals(self, head: Head) -> None:
        """Note who touched what ours was priced on, in any block since."""
        for sent in self._inflight:
            if sent.rival is None and head.number > sent.found_in:
                sent.rival = self._rival(sent)

    async def _included(self, head: Head) -> dict[Hash, list[Landed]]:
        """Return what is included, by block."""
        found: dict[Hash, list[Landed]] = {}
        for sent in self._inflight:
            receipt = await self._chain.receipt(sent.transaction.hash)
            if receipt is None:
                await self._send_again(sent, head)
            elif receipt.block_hash in self._heads or receipt.block_number < self._first.number:
                found.setdefault(receipt.block_hash, []).append((sent, receipt))
            # else: its block is not ours yet; the next event brings it, or a rollback
        return found

    async def _settle(
        self, head: Head | None, landed: list[Landed], untold: list[Sent], *, now: Head
    ) -> None:
        """Settle what one block holds; all that the node has to say is asked first.

        `head` is None for a block before this run, of which only the receipts are known. While one of the
        `untold` could be in the block as well, a contradiction may be its missing receipt: then the next call
        settles.
        """
        for sent, receipt in landed:
            sent.gain = self._gain(sent, receipt)
        fault = head and await self._contradiction(head, landed, now)
        if head and fault and self._is_early(head, now) and any(_may_pay_in(sent, head) for sent in untold):
            return
        firsts = [await self._who_was_first(sent, receipt) for sent, receipt in landed]
        for (sent, receipt), first in zip(landed, firsts, strict=True):
            await self._landed(sent, receipt, first)
        if fault is not None:
            self._desk.halt(f"the books do not balance: {fault}")

    async def _contradiction(self, head: Head, landed: list[Landed], now: Head) -> str | None:
        gains = [
            *await self._settled_gains(head.hash, landed),
            *((sent.token, sent.gain) for sent, _ in landed),
        ]
        try:
            return await contradiction(self._chain, head, gains, account=self._account)
        except ChainError as error:
            # A node that was away answers later; one that has dropped the state never will.
            if self._is_early(head, now):
                raise
            return f"the node does not tell the balances at block {head.number}: {error}"

    async def _settled_gains(self, block: Hash, landed: list[Landed]) -> list[tuple[Address, int]]:
        """Return what others of ours earned in `block` than `landed`: their receipts came before."""
        if all(self._is_ours(sent) for sent, _ in landed):
            return [(sent.token, sent.gain) for sent in self._inflight.held(block)]
        # An earlier run may have settled some of them.
        return await self._ledger.gains(self._account, block)

    def _is_early(self, head: Head, now: Head) -> bool:
        """Return whether what the node does not tell of block `head` may still come."""
        return now.number - head.number < self._settle_blocks

    def _gain(self, sent: Sent, receipt: Receipt) -> int:
        return realised(receipt, token=sent.token, account=self._account) if receipt.status else 0

    async def _who_was_first(self, sent: Sent, receipt: Receipt) -> Hash | None:
        """Return whose transaction was first where ours reverted; None: nobody's, as far as is known."""
        if receipt.status or sent.rival is None:
            return None
        other = await self._chain.receipt(sent.rival)
        return other.transaction_hash if other and _place(other) < _place(receipt) else None

    async def _landed(self, sent: Sent, receipt: Receipt, first: Hash | None) -> None:
        sent.gas_cost_wei = receipt.gas_used * receipt.effective_gas_price_wei
        outcome = Settlement(
            block_number=receipt.block_number,
            block_hash=receipt.block_hash,
            success=receipt.status,
            gas_used=receipt.gas_used,
            gas_price_wei=receipt.effective_gas_price_wei,
            realised=sent.gain,
        )
        await self._ledger.settle(sent.intent, outcome)
        self._inflight.settle(sent, receipt.block_hash)
        if self._is_ours(sent):
            # What an earlier run left open is late, so it is expected to revert.
            self._desk.landed(
                receipt.transaction_hash, success=receipt.status, gas_cost_wei=sent.gas_cost_wei
            )
        self._report.gas_cost_wei += sent.gas_cost_wei
        if not receipt.status:
            where = f"transaction {hex_text(receipt.transaction_hash)} in block {receipt.block_number}"
            gate = Gate.LOST if first else Gate.REVERTED
            why = f": transaction {hex_text(first)} was there first" if first else ""
            await self._die(sent, gate, f"{where} reverted{why}; its gas is lost, nothing else")
        elif sent.gain < sent.predicted:
            self._desk.halt(
                f"opportunity {sent.opportunity} realised {sent.gain}, predicted {sent.predicted}"
            )
        if receipt.status and self._is_ours(sent):
            self._paid(sent, receipt)

    def _paid(self, sent: Sent, receipt: Receipt) -> None:
        if sent.trace is not None:
            sent.trace.reach(Stage.INCLUDED)
        if sent.gate is not None:
            self._report.revive(sent.opportunity, sent.gate)
            sent.gate = None
        trade = Trade(
            opportunity=sent.opportunity,
            block_number=receipt.block_number,
            path=sent.path,
            token=sent.token,
            predicted=sent.predicted,
            simulated=sent.simulated,
            realised=sent.gain,
            gas_cost_wei=Wei(sent.gas_cost_wei),
            transaction=sent.transaction.hash,
        )
        self._report.trade(trade, sent.trace)
        self._tell("info", f"opportunity {sent.opportunity} landed", self._report.recent[-1])

    async def _send_again(self, sent: Sent, head: Head) -> None:
        """Send the same bytes once more when a block came without them: the node may have lost them.

        After its deadline a transaction can only revert, but its nonce has to be used: then it is
        sent again now and then, unless another transaction has that nonce.
        """
        # A receipt may lag a block behind, so the verdict comes one block after the deadline.
        late = head.number - sent.deadline_block - 1
        if head.number <= sent.found_in or (late > 0 and late % self._settle_blocks):
            return
        if late == 0 and sent.reorged:
            await self._die(sent, Gate.REORGED, "the block that held it left the chain, and no other took it")
        elif late == 0:
            await self._die(sent, Gate.NOT_INCLUDED, f"no block up to {sent.deadline_block} took it")
        if late < 0 or not await self._is_overtaken(sent):
            await self._submit(sent)

    async def _is_overtaken(self, sent: Sent) -> bool:
        """Return whether the nonce of `sent` is mined without a receipt; twice running, it is believed.

        A receipt may lag, and nodes behind one endpoint may disagree: between two looks are `settle_blocks`
        blocks, and at each of them the receipt was asked for.
        """
        nonce = sent.transaction.unsigned.nonce
        before, sent.overtaken = sent.overtaken, await self._chain.nonce(self._account) > nonce
        if before and sent.overtaken:
            reason = f"another transaction than ours has nonce {nonce} of {hex_text(self._account)}"
            await self._die(sent, Gate.NOT_INCLUDED, reason)
            await self._ledger.replaced(sent.intent)
            self._inflight.drop(sent)
            self._desk.halt(f"{reason}: another instance or wallet uses the account")
        return sent.overtaken

    async def _submit(self, sent: Sent) -> None:
        try:
            await self._chain.submit(sent.transaction)
        except ChainError as error:
            self._report.say(f"#{sent.opportunity} is still not taken by the node: {error}")

    async def _die(self, sent: Sent, gate: Gate, reason: str) -> None:
        if self._is_ours(sent):
            self._report.death(sent.opportunity, gate, reason, instead=sent.gate)
        sent.gate = gate
        await self._ledger.kill(sent.opportunity, gate, reason, run=sent.run)

    def _is_ours(self, sent: Sent) -> bool:
        """Return whether this run sent it; the report leaves out what earlier runs did."""
        return sent.run == self._ledger.run

    def _tell_halt(self) -> None:
        """Tell once why trading stopped, whoever stopped it."""
        if self._desk.halted is not None and not self._halt_told:
            self._halt_told = True
            self._tell("error", "trading halted", self._desk.halted)

    def _tell(self, level: str, title: str, body: str) -> None:
        self._notify(Notice(level=level, title=title, body=body, key=f"{title}:{body}"))


def _may_pay_in(sent: Sent, head: Head) -> bool:
    """Return whether `sent` could have landed in block `head` with success."""
    return sent.found_in < head.number <= sent.deadline_block


def _place(receipt: Receipt) -> tuple[int, int]:
    """Return where on the chain a transaction is."""
    return receipt.block_number, receipt.transaction_index
