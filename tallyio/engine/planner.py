"""Turn an opportunity into a call of the executor.

Layer: engine. Pure: the same opportunity gives the same bytes. The first pool pays out before it is
paid; what happens in between - the other legs, then the payment - travels inside its swap as nested
calls. The plan demands the predicted profit to the last unit, so a wrong prediction costs gas only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from tallyio.engine.executor import CallPacker, encode_run
from tallyio.hooks.interfaces import ExchangeProtocol
from tallyio.model.erc20 import APPROVE, approve
from tallyio.model.errors import UnsafeRefused
from tallyio.model.execution import Call, Leg, Opportunity, Plan
from tallyio.model.hashing import selector
from tallyio.model.market import PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address, Wei, checksum
from tallyio.model.words import WORD, address_at, unsigned

NO_TIP = Wei(0)

_LASTING: Final = frozenset(
    {selector("increaseAllowance(address,uint256)"), selector("setApprovalForAll(address,bool)")}
)
"""What the executor never calls: an allowance outlives the transaction, a payment does not."""
_APPROVE_BYTES: Final = 4 + 2 * WORD
_TRIPLE: Final = 3


def plan(  # noqa: PLR0913 - one plan has this many facts
    opportunity: Opportunity,
    pools: Sequence[PoolSpec],
    adapters: Sequence[ExchangeProtocol],
    *,
    executor: Address,
    sender: Address,
    deadline_block: int,
    tip_wei: Wei = NO_TIP,
) -> Plan:
    """Return the plan that takes `opportunity`, or reverts.

    `pools` and `adapters` are by pool id: the pool, and the protocol that trades it. `sender` is the
    executor's owner, who gets everything; `tip_wei` comes from the sender's balance.

    Raises: UnsafeRefused: it does not pay, its legs do not join into a cycle, its first pool cannot
    flash, it uses a pool twice, it wants an allowance, or it is too long for the executor.
    """
    middle = _middle_tokens(opportunity, pools)
    packer = CallPacker()

    def pack(calls: tuple[Call, ...]) -> bytes:
        _check_allowances(calls, {leg.amount_in for leg in opportunity.legs})
        return packer.pack(calls)

    def swap(leg: Leg, inner: tuple[Call, ...] = ()) -> tuple[Call, ...]:
        return adapters[leg.pool].swap(
            pools[leg.pool],
            token_in=leg.token_in,
            token_out=leg.token_out,
            amount_in=leg.amount_in,
            amount_out=leg.amount_out,
            recipient=executor,
            inner=inner,
            encode=pack,
        )

    first, *others = opportunity.legs
    calls = swap(first, inner=tuple(call for leg in others for call in swap(leg)))
    data = encode_run(
        pack(calls),
        token=opportunity.token,
        min_profit=opportunity.profit,
        tip_wei=tip_wei,
        deadline_block=deadline_block,
        # What is left of native currency goes to the owner in any case.
        sweep=tuple(token for token in dict.fromkeys(middle) if token != ZERO_ADDRESS),
    )
    return Plan(
        call=Call(to=executor, data=data, value_wei=tip_wei),
        token=opportunity.token,
        min_profit=opportunity.profit,
        deadline_block=deadline_block,
        sender=sender,
    )


def _middle_tokens(opportunity: Opportunity, pools: Sequence[PoolSpec]) -> list[Address]:
    """Return the tokens between the legs, after checking that they are a cycle that pays."""
    legs = opportunity.legs
    if not legs or opportunity.profit <= 0:
        raise _refused(opportunity, f"gains {opportunity.profit} over {len(legs)} legs")
    amounts = [opportunity.amount_in, *(leg.amount_out for leg in legs)]
    if [leg.amount_in for leg in legs] != amounts[:-1] or amounts[-1] != opportunity.amount_out:
        raise _refused(opportunity, f"has amounts that do not join: {amounts}")
    sold = [pools[leg.pool].tokens[leg.token_in] for leg in legs]
    bought = [pools[leg.pool].tokens[leg.token_out] for leg in legs]
    if bought != [*sold[1:], opportunity.token] or sold[0] != opportunity.token:
        raise _refused(opportunity, "has tokens that do not join into a cycle")
    if opportunity.token == ZERO_ADDRESS:
        raise _refused(opportunity, "gains native currency, and the executor measures tokens")
    if len({leg.pool for leg in legs}) < len(legs):
        raise _refused(opportunity, "uses a pool twice, and pools refuse that while they wait for payment")
    first = pools[legs[0].pool]
    if not first.can_flash:
        raise _refused(opportunity, f"starts at pool {checksum(first.address)}, which cannot flash")
    return sold[1:]


def _check_allowances(calls: Sequence[Call], amounts: Collection[int]) -> None:
    """Refuse every allowance but one for exactly what a leg sells, used by the next call, and taken back.

    Some pools take their payment themselves. The call in between has nothing to take but that amount, and
    after the third call nothing is left to take, whatever the pool did.
    """
    place = 0
    while place < len(calls):
        call = calls[place]
        if call.data[:4] == APPROVE and _is_used_and_taken_back(calls[place : place + 3], amounts):
            place += 3
            continue
        if call.data[:4] == APPROVE or call.data[:4] in _LASTING:
            raise UnsafeRefused(
                f"a plan would give an allowance on {checksum(call.to)}",
                way_out="pay by transfer; or approve what the leg sells, call the spender, approve 0",
            )
        place += 1


def _is_used_and_taken_back(calls: Sequence[Call], amounts: Collection[int]) -> bool:
    if len(calls) < _TRIPLE:
        return False
    given, used, taken = calls
    if given.to != taken.to or any(len(call.data) != _APPROVE_BYTES for call in (given, taken)):
        return False
    spender, amount = address_at(given.data[4:], 0), unsigned(given.data[4:], 1)
    back = approve(given.to, spender, 0)
    return used.to == spender and amount in amounts and taken.data == back.data


def _refused(opportunity: Opportunity, fault: str) -> UnsafeRefused:
    return UnsafeRefused(
        f"opportunity {opportunity.id} of strategy {opportunity.strategy!r} {fault}",
        way_out="report it to the strategy's author; nothing was signed",
    )
