"""Turn an opportunity into a call of the executor.

Layer: engine. Pure: the same opportunity gives the same bytes. The first pool pays out before it is
paid; what happens in between - the other legs, then the payment - travels inside its swap as nested
calls. The plan demands the predicted profit to the last unit, so a wrong prediction costs gas only.
"""

from __future__ import annotations

from collections.abc import Sequence

from tallyio.engine.executor import CallPacker, encode_run
from tallyio.hooks.interfaces import ExchangeProtocol
from tallyio.model.errors import UnsafeRefused
from tallyio.model.execution import Call, Leg, Opportunity, Plan
from tallyio.model.hashing import selector
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Wei, checksum

NO_TIP = Wei(0)

_ALLOWANCES = frozenset(
    selector(signature)
    for signature in (
        "approve(address,uint256)",
        "increaseAllowance(address,uint256)",
        "setApprovalForAll(address,bool)",
    )
)
"""What the executor never calls: an allowance outlives the transaction, a payment does not."""


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
        _refuse_allowances(calls)
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
        sweep=tuple(dict.fromkeys(middle)),
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
    if len({leg.pool for leg in legs}) < len(legs):
        raise _refused(opportunity, "uses a pool twice, and pools refuse that while they wait for payment")
    first = pools[legs[0].pool]
    if not first.can_flash:
        raise _refused(opportunity, f"starts at pool {checksum(first.address)}, which cannot flash")
    return sold[1:]


def _refuse_allowances(calls: tuple[Call, ...]) -> None:
    for call in calls:
        if call.data[:4] in _ALLOWANCES:
            raise UnsafeRefused(
                f"a plan would give an allowance on {checksum(call.to)}",
                way_out="pay pools by transfer; the executor leaves no allowance behind",
            )


def _refused(opportunity: Opportunity, fault: str) -> UnsafeRefused:
    return UnsafeRefused(
        f"opportunity {opportunity.id} of strategy {opportunity.strategy!r} {fault}",
        way_out="report it to the strategy's author; nothing was signed",
    )
