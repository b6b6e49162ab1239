"""Loans of the Vault.

Source: `FlashLoans`, `ProtocolFeesCollector` (balancer-v2-monorepo): the fee is `mulUp` of the collector's
percentage, a product rounded up. The Vault lends what it holds of a token, for all pools together, and
while it lends it refuses swaps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head
from tallyio.model.erc20 import balance_of, transfer
from tallyio.model.execution import Call
from tallyio.model.lending import LoanOffer
from tallyio.model.units import Address
from tallyio.model.words import WORD, address_at, address_word, bytes_words, unsigned, word
from tallyio_protocol_balancer import abi
from tallyio_protocol_balancer.venues import Venue

GAS: Final = 80_000
"""Estimate: two transfers, two balances read, and the collector asked for its fee."""
_ONE: Final = 10**18


async def read_offers(
    chain: ChainReader, venues: Sequence[Venue], tokens: Collection[Address], *, block: Head
) -> list[LoanOffer]:
    """Return what each Vault lends of `tokens` at `block`. Raises: ChainError: it does not answer as one."""
    vaults = {venue.vault: venue.name for venue in reversed(venues)}
    return [
        offer for vault, name in vaults.items() for offer in await _offers(chain, vault, name, tokens, block)
    ]


def borrow_calls(
    offer: LoanOffer,
    *,
    amount: int,
    recipient: Address,
    inner: tuple[Call, ...],
    encode: Callable[[tuple[Call, ...]], bytes],
) -> tuple[Call, ...]:
    """Return the loan of `amount`, whose callback runs `inner` and pays the Vault."""
    pay = transfer(offer.token, offer.lender, amount + offer.fee(amount))
    # flashLoan(address recipient, address[] tokens, uint256[] amounts, bytes userData), one token.
    head = address_word(recipient) + word(4 * WORD) + word(6 * WORD) + word(8 * WORD)
    lists = word(1) + address_word(offer.token) + word(1) + word(amount)
    data = abi.FLASH_LOAN + head + lists + bytes_words(encode((*inner, pay)))
    return (Call(to=offer.lender, data=data),)


async def _offers(
    chain: ChainReader, vault: Address, name: str, tokens: Collection[Address], block: Head
) -> list[LoanOffer]:
    wanted = sorted(tokens)
    calls = [Call(to=vault, data=data) for data in (abi.GET_PAUSED, abi.GET_PROTOCOL_FEES_COLLECTOR)]
    calls += [balance_of(token, vault) for token in wanted]
    answers = await chain.call(calls, block=block.hash)
    paused, collector, *balances = (
        abi.checked(answer, 1, call.to) for call, answer in zip(calls, answers, strict=True)
    )
    if unsigned(paused, 0):
        return []
    collects = address_at(collector, 0)
    (fee,) = await chain.call([Call(to=collects, data=abi.GET_FLASH_LOAN_FEE)], block=block.hash)
    return [
        LoanOffer(
            lender=vault,
            venue=name,
            token=token,
            available=unsigned(balance, 0),
            fee_numerator=unsigned(abi.checked(fee, 1, collects), 0),
            fee_denominator=_ONE,
            fee_rounds="up",
            gas=GAS,
        )
        for token, balance in zip(wanted, balances, strict=True)
        if unsigned(balance, 0) > 0
    ]
