"""What every lender's offers must hold on its real contract, for the tests of plugins."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from tallyio.engine.executor import CallPacker, deployment, encode_run
from tallyio.hooks.lending import FlashLender
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.revm import RevmBackend
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.model.execution import Call
from tallyio.model.lending import LoanOffer
from tallyio.model.units import Address, Wei

FOREVER = 2**64


class Borrower:
    """An executor of the operator that has what fees cost, and measures a token which nobody else has."""

    def __init__(self, backend: RevmBackend) -> None:
        self.backend = backend
        self.executor = backend.deploy(deployment(OPERATOR))
        self._measured = backend.deploy(artifact("Token").encode_constructor("measured", "M", 18))

    def give(self, token: Address, amount: int) -> None:
        """Mint a token of the lab to the executor."""
        self.backend.transact(Contract(artifact("Token"), token).call("mint", self.executor, amount))

    def check(self, lender: FlashLender, offer: LoanOffer, amounts: Iterable[int]) -> None:
        """Borrow each amount, and the most that is offered, at the offer's fee; one unit less is refused.

        So is a loan of one unit more than is offered. All of it is undone.
        """
        for amount in {*amounts, offer.available}:
            fee = offer.fee(amount)
            assert self.borrow(lender, offer, amount) == fee
            if fee:
                cheap = msgspec.structs.replace(offer, fee_numerator=fee - 1, fee_denominator=amount)
                self.refuses(lender, cheap, amount)
        self.refuses(lender, offer, offer.available + 1)

    def borrow(self, lender: FlashLender, offer: LoanOffer, amount: int) -> int:
        """Return what a loan cost. Raises: Reverted."""
        with self.backend.undone():
            before = self._balance(offer.token)
            self.backend.transact(self.run(lender, offer, amount))
            return before - self._balance(offer.token)

    def refuses(self, lender: FlashLender, offer: LoanOffer, amount: int) -> None:
        """Expect that a loan reverts."""
        with pytest.raises(Reverted):
            self.borrow(lender, offer, amount)

    def run(self, lender: FlashLender, offer: LoanOffer, amount: int) -> Call:
        """Return the transaction that borrows and pays back."""
        packer = CallPacker()
        calls = lender.borrow(offer, amount=amount, recipient=self.executor, inner=(), encode=packer.pack)
        data = encode_run(
            packer.pack(calls),
            token=self._measured,
            min_profit=0,
            tip_wei=Wei(0),
            deadline_block=FOREVER,
            sweep=(),
        )
        return Call(to=self.executor, data=data)

    def _balance(self, token: Address) -> int:
        return int.from_bytes(
            self.backend.call(Contract(artifact("Token"), token).call("balanceOf", self.executor))
        )
