"""Turn an opportunity into a call of the executor.

Layer: engine. Pure: the same opportunity gives the same bytes. Somebody pays before he is paid:

- the first leg of each cycle: a pool that can flash, or a liquidation whose protocol calls back. The
  other legs, then the payment, travel inside it as nested calls;
- a lender: every leg travels inside the loan, one after the other, then the payback with its fee. Several
  liquidations of the same two tokens may come first, and then one sale of what they brought, which may be
  divided over several paths;
- the executor's owner, who allowed the executor to take the token: the first call takes it, and
  everything of it goes back at the end.

The plan demands the predicted profit to the last unit, so a wrong prediction costs gas only. What the
owner lends counts as gained by the executor, so `run` must demand it on top of the profit: a trade that
loses any of it reverts, and the owner's balance never sinks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from tallyio.engine.allowances import GuardedPacker
from tallyio.engine.cycles import Cycle, find_cycles
from tallyio.engine.executor import encode_run
from tallyio.engine.trades import Lending, Trades
from tallyio.hooks.interfaces import ExchangeProtocol
from tallyio.model.erc20 import transfer_from
from tallyio.model.execution import Call, Opportunity, Plan
from tallyio.model.market import PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address, Wei

NO_TIP = Wei(0)
NO_LENDING: Final = Lending()


def plan(  # noqa: PLR0913 - one plan has this many facts
    opportunity: Opportunity,
    pools: Sequence[PoolSpec],
    adapters: Sequence[ExchangeProtocol],
    *,
    executor: Address,
    sender: Address,
    deadline_block: int,
    tip_wei: Wei = NO_TIP,
    lending: Lending = NO_LENDING,
) -> Plan:
    """Return the plan that takes `opportunity`, or reverts.

    `pools` and `adapters` are by pool id: the pool, and the protocol that trades it. `sender` is the
    executor's owner, who gets everything; `tip_wei` comes from the sender's balance.

    Raises: UnsafeRefused: see `find_cycles` and `GuardedPacker`, or it is too long for the executor.
    """
    trades = Trades(pools=pools, adapters=adapters, lending=lending, recipient=executor)
    cycles = find_cycles(opportunity, trades, owner=sender)
    packer = GuardedPacker(_payments(opportunity, trades))
    own_funds = _own_funds(opportunity, sender)
    taken = (transfer_from(opportunity.token, sender, executor, own_funds),) if own_funds else ()
    data = encode_run(
        packer.pack_all(_calls(opportunity, cycles, trades, packer, owner=sender), first=taken),
        token=opportunity.token,
        min_profit=own_funds + opportunity.profit,
        tip_wei=tip_wei,
        deadline_block=deadline_block,
        sweep=_middle_tokens(cycles, trades, opportunity.token),
    )
    return Plan(
        call=Call(to=executor, data=data, value_wei=tip_wei),
        token=opportunity.token,
        min_profit=opportunity.profit,
        deadline_block=deadline_block,
        sender=sender,
        behind=opportunity.trigger.transaction if opportunity.trigger else None,
        own_funds=own_funds,
    )


def _calls(
    opportunity: Opportunity,
    cycles: Sequence[Cycle],
    trades: Trades,
    packer: GuardedPacker,
    *,
    owner: Address,
) -> tuple[Call, ...]:
    loan = opportunity.loan
    trade = partial(trades.calls, encode=packer.pack)
    if loan is None:
        nested = [
            (cycle.heads[0], tuple(call for leg in cycle.rest for call in trade(leg, ()))) for cycle in cycles
        ]
        return tuple(call for first, inner in nested for call in trade(first, inner))
    calls = tuple(call for cycle in cycles for leg in cycle.legs for call in trade(leg, ()))
    if loan.offer.lender == owner:
        return calls
    return trades.lending.lenders[loan.offer.lender].borrow(
        loan.offer, amount=loan.amount, recipient=trades.recipient, inner=calls, encode=packer.pack
    )


def _payments(opportunity: Opportunity, trades: Trades) -> set[tuple[Address, int]]:
    """Return what the plan pays: each leg its input, and the loan with its fee."""
    sold = [(trades.sold(leg), leg.amount_in) for leg in opportunity.legs]
    paid = {(token, amount) for token, amount in sold if token is not None}
    loan = opportunity.loan
    return paid | ({(opportunity.token, loan.amount + loan.fee)} if loan else set())


def _own_funds(opportunity: Opportunity, owner: Address) -> int:
    loan = opportunity.loan
    return loan.amount if loan is not None and loan.offer.lender == owner else 0


def _middle_tokens(cycles: Sequence[Cycle], trades: Trades, own: Address) -> tuple[Address, ...]:
    """Return the tokens between legs, of which something may be left over, but its `own`.

    Of native currency the executor returns what is left in any case.
    """
    tokens = dict.fromkeys(trades.bought(leg) for cycle in cycles for leg in cycle.legs[:-1])
    return tuple(token for token in tokens if token is not None and token not in (ZERO_ADDRESS, own))
