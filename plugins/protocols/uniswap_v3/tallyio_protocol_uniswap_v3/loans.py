"""Loans of pools: `flash`.

Source: `UniswapV3Pool.flash` (v3-core 1.0.1), and the same in the pools of all dialects: the fee is that of
a swap, `mulDivRoundingUp(amount, fee, 1e6)`; a pool with no liquidity in range refuses, and one that
lends refuses everything else until it is paid.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head
from tallyio.model.erc20 import balance_of, transfer
from tallyio.model.execution import Call
from tallyio.model.lending import LoanOffer
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address
from tallyio.model.words import unsigned
from tallyio_protocol_uniswap_v3 import abi
from tallyio_protocol_uniswap_v3.dialects import dialect_of
from tallyio_protocol_uniswap_v3.discovery import pool_fees

GAS: Final = 70_000
"""Estimate: two transfers, four balances read, and the fees counted."""
_PIPS: Final = 1_000_000
_READS: Final = 3


async def read_offers(
    chain: ChainReader, pools: Sequence[PoolSpec], tokens: Collection[Address], *, block: Head
) -> list[LoanOffer]:
    """Return what `pools` lend of `tokens` at `block`. Raises: ChainError: a pool does not answer as one."""
    lenders = [pool for pool in pools if not set(pool.tokens).isdisjoint(tokens)]
    fees = await pool_fees(
        chain,
        [pool.address for pool in lenders],
        [dialect_of(pool.parameters) for pool in lenders],
        [pool.fee_pips for pool in lenders],
        block,
    )
    calls = [call for pool in lenders for call in _reads(pool)]
    answers = await chain.call(calls, block=block.hash) if calls else []
    said = [unsigned(abi.checked(answer, 1, call.to), 0) for call, answer in zip(calls, answers, strict=True)]
    groups = zip(said[::_READS], said[1::_READS], said[2::_READS], strict=True)
    return [
        offer
        for pool, fee, (liquidity, *balances) in zip(lenders, fees, groups, strict=True)
        if liquidity > 0
        for offer in _offers(pool, fee, balances, tokens)
    ]


def borrow_calls(
    offer: LoanOffer,
    *,
    amount: int,
    recipient: Address,
    inner: tuple[Call, ...],
    encode: Callable[[tuple[Call, ...]], bytes],
) -> tuple[Call, ...]:
    """Return the flash that lends `amount`."""
    pay = transfer(offer.token, offer.lender, amount + offer.fee(amount))
    amounts = (0, amount) if dict(offer.parameters)["side"] else (amount, 0)
    return (Call(to=offer.lender, data=abi.flash_data(recipient, amounts, encode((*inner, pay)))),)


def _reads(pool: PoolSpec) -> Iterator[Call]:
    yield Call(to=pool.address, data=abi.LIQUIDITY)
    for token in pool.tokens:
        yield balance_of(token, pool.address)


def _offers(
    pool: PoolSpec, fee_pips: int, balances: Sequence[int], tokens: Collection[Address]
) -> Iterator[LoanOffer]:
    for side, token in enumerate(pool.tokens):
        if token in tokens and balances[side] > 0:
            yield LoanOffer(
                lender=pool.address,
                venue=pool.venue,
                token=token,
                available=balances[side],
                fee_numerator=fee_pips,
                fee_denominator=_PIPS,
                fee_rounds="up",
                gas=GAS,
                parameters=(("side", side),),
            )
