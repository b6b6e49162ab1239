"""Which loan pays for a trade at the least cost.

Layer: lending. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from tallyio.model.execution import Borrowing
from tallyio.model.lending import LoanOffer
from tallyio.model.units import Address

OWN_FUNDS: Final = "own funds"
"""The venue of what the executor's owner lends."""
OWN_FUNDS_GAS: Final = 25_000
"""Estimate for one `transferFrom` into an account that has none of the token, and out of it again."""


def own_offer(owner: Address, token: Address, available: int) -> LoanOffer:
    """Return what the executor's owner lends of `token`: free, and cheaper in gas than any contract.

    `available` is the least of the owner's balance and what the owner allowed the executor to take, less
    what transactions under way will take.
    """
    return LoanOffer(
        lender=owner,
        venue=OWN_FUNDS,
        token=token,
        available=available,
        fee_numerator=0,
        fee_denominator=1,
        fee_rounds="down",
        gas=OWN_FUNDS_GAS,
    )


def choose_loan(
    offers: Iterable[LoanOffer],
    token: Address,
    amount: int,
    *,
    native_per_unit: float,
    gas_price_wei: float,
    locked: Collection[Address] = (),
) -> Borrowing | None:
    """Return the cheapest loan of `amount` of `token`, or None: nobody lends that much.

    The cost is the fee, at `native_per_unit` wei for each smallest unit, and the gas. Where costs are
    equal the lower address lends, so that the order of `offers` does not matter. `locked` are contracts
    that cannot lend because the trade needs them: a pool or a vault that lends refuses everything else
    until it is paid.
    """
    fitting = (
        offer
        for offer in offers
        if offer.token == token and 0 < amount <= offer.available and offer.lender not in locked
    )
    best = min(
        (
            (offer.fee(amount) * native_per_unit + offer.gas * gas_price_wei, offer.lender, offer)
            for offer in fitting
        ),
        key=lambda each: each[:2],
        default=None,
    )
    return None if best is None else Borrowing(offer=best[2], amount=amount, fee=best[2].fee(amount))
