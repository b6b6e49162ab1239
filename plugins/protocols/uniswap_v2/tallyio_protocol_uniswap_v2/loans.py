"""Loans of pairs: flash swaps that are paid back in the token that they took.

Source: `UniswapV2Pair.swap` (v2-core). What comes in of a token pays its fee, and the product of the
reserves must not shrink. With fee (d - n) / d and only one token moved, `amount` out and `amount + f` in:

    d * (reserve + f) - (d - n) * (amount + f) >= d * reserve   <=>   f >= amount * (d - n) / n

so the fee is that quotient rounded up, whatever the reserves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head
from tallyio.model.erc20 import transfer
from tallyio.model.execution import Call
from tallyio.model.lending import LoanOffer
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address
from tallyio.model.words import unsigned
from tallyio_protocol_uniswap_v2.calls import GET_RESERVES, checked, swap_data

_RESERVE_MAX: Final = 2**112 - 1
_SIDES: Final = (0, 1)


async def read_offers(
    chain: ChainReader, pools: Sequence[PoolSpec], tokens: Collection[Address], *, block: Head
) -> list[LoanOffer]:
    """Return what `pools` lend of `tokens` at `block`. Raises: ChainError: a pool is not a pair."""
    lenders = [pool for pool in pools if pool.can_flash and not set(pool.tokens).isdisjoint(tokens)]
    calls = [Call(to=pool.address, data=GET_RESERVES) for pool in lenders]
    answers = await chain.call(calls, block=block.hash) if calls else []
    return [
        offer
        for pool, answer in zip(lenders, answers, strict=True)
        for offer in _offers(pool, tokens, checked(answer, 2, pool.address))
    ]


def borrow_calls(
    offer: LoanOffer,
    *,
    amount: int,
    recipient: Address,
    inner: tuple[Call, ...],
    encode: Callable[[tuple[Call, ...]], bytes],
) -> tuple[Call, ...]:
    """Return the flash swap that lends `amount`."""
    pay = transfer(offer.token, offer.lender, amount + offer.fee(amount))
    outputs = (0, amount) if dict(offer.parameters)["side"] else (amount, 0)
    return (Call(to=offer.lender, data=swap_data(outputs, recipient, encode((*inner, pay)))),)


def _offers(pool: PoolSpec, tokens: Collection[Address], reserves: bytes) -> Iterator[LoanOffer]:
    facts = dict(pool.parameters)
    for side in _SIDES:
        kept = facts[f"fee_numerator{side}"]
        available = _available(unsigned(reserves, side), kept, facts["fee_denominator"])
        if pool.tokens[side] in tokens and available > 0:
            yield LoanOffer(
                lender=pool.address,
                venue=pool.venue,
                token=pool.tokens[side],
                available=available,
                fee_numerator=facts["fee_denominator"] - kept,
                fee_denominator=kept,
                fee_rounds="up",
                gas=facts["gas"],
                parameters=(("side", side),),
                disturbs=True,
            )


def _available(reserve: int, kept: int, denominator: int) -> int:
    """Return the most that a pair lends: it keeps one unit, and its reserve must hold the fee.

    `amount * (d - n) / n`, rounded up, is at most the room that is left exactly where `amount` is at most
    `room * n / (d - n)`.
    """
    most, taken = reserve - 1, denominator - kept
    return min(most, (_RESERVE_MAX - reserve) * kept // taken) if taken else most
