"""What the executor's owner lends to it: tokens of its own that it allowed the executor to take.

Layer: engine. Within one transaction the executor takes them, and gives them back with the profit or reverts;
so transactions under way do not compete for them. They do for an allowance that is used up by taking.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tallyio.hooks.interfaces import ChainReader
from tallyio.lending.loans import own_offer
from tallyio.model.chain import Head
from tallyio.model.erc20 import allowance, balance_of
from tallyio.model.lending import LoanOffer
from tallyio.model.units import Address
from tallyio.model.words import WORD, unsigned


class Purse(NamedTuple):
    """Whose tokens they are, who may take them, and in how many transactions at once."""

    owner: Address
    executor: Address
    most_pending: int


async def own_offers(
    chain: ChainReader, purse: Purse, tokens: Sequence[Address], head: Head
) -> list[LoanOffer]:
    """Return what the owner lends of `tokens` as of `head`: what it holds, and what one plan may take.

    Raises: ChainError.
    """
    calls = [balance_of(token, purse.owner) for token in tokens]
    calls += [allowance(token, purse.owner, purse.executor) for token in tokens]
    answers = [_amount(answer) for answer in (await chain.call(calls, block=head.hash) if calls else [])]
    held, allowed = answers[: len(tokens)], answers[len(tokens) :]
    shares = [min(each) for each in zip(held, (all_ // purse.most_pending for all_ in allowed), strict=True)]
    return [
        own_offer(purse.owner, token, share) for token, share in zip(tokens, shares, strict=True) if share
    ]


def _amount(answer: bytes | None) -> int:
    return unsigned(answer, 0) if answer is not None and len(answer) >= WORD else 0
