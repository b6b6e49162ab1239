"""What a pool pays and takes, in Python integers: the specification of `hot.quote` and `hot.quote_exact_out`.

Sources: `BaseMinimalSwapInfoPool.onSwap`, `BaseGeneralPool.onSwap` and `BasePool` of pool-utils for fee
and scaling, `Swaps._swapWithPool` and `BalanceAllocation` of vault for what the Vault accepts
(balancer-v2-monorepo).
"""

from __future__ import annotations

from tallyio.market.fixed.reference import (
    ONE,
    Revert,
    checked,
    fixed_div_down,
    fixed_div_up,
    fixed_mul_down,
    fixed_mul_up,
    require,
)
from tallyio_protocol_balancer import reference_stable, reference_weighted
from tallyio_protocol_balancer.layout import STABLE_KINDS, UINT112_MAX, WEIGHTED_POWERS, PoolState


def quote(state: PoolState, i: int, j: int, amount_in: int) -> int:
    """Return what selling `amount_in` of token `i` pays in token `j`; 0 where the swap reverts."""
    try:
        return _given_in(state, i, j, amount_in)
    except Revert:
        return 0


def quote_exact_out(state: PoolState, i: int, j: int, amount_out: int) -> int:
    """Return what buying `amount_out` of token `j` takes in token `i`; 0 where the swap reverts."""
    try:
        return _given_out(state, i, j, amount_out)
    except Revert:
        return 0


def _given_in(state: PoolState, i: int, j: int, amount_in: int) -> int:
    require(amount_in and not state.paused_until)
    after_fee = amount_in - fixed_mul_up(amount_in, state.fee)
    amount = fixed_mul_down(checked(after_fee), state.tokens[i].scaling(state.time))
    amount_out = fixed_div_down(_out_given_in(state, i, j, amount), state.tokens[j].scaling(state.time))
    return _settled(state, i, j, amount_in, amount_out)[1]


def _given_out(state: PoolState, i: int, j: int, amount_out: int) -> int:
    require(amount_out and not state.paused_until)
    amount = fixed_mul_down(amount_out, state.tokens[j].scaling(state.time))
    before_fee = fixed_div_up(_in_given_out(state, i, j, amount), state.tokens[i].scaling(state.time))
    amount_in = fixed_div_up(before_fee, ONE - state.fee)
    return _settled(state, i, j, amount_in, amount_out)[0]


def _settled(state: PoolState, i: int, j: int, amount_in: int, amount_out: int) -> tuple[int, int]:
    # `increaseCash` of the one, `decreaseCash` of the other: balances stay below 2**112 and above 0.
    require(state.tokens[i].cash + state.tokens[i].managed + amount_in <= UINT112_MAX)
    require(amount_out <= state.tokens[j].cash)
    return amount_in, amount_out


def _out_given_in(state: PoolState, i: int, j: int, amount: int) -> int:
    balances = state.balances()
    if state.kind in STABLE_KINDS:
        amp = state.amp.at(state.time)
        return reference_stable.out_given_in(amp, balances, state.invariant(), i=i, j=j, amount_in=amount)
    sold, bought = _sides(state, balances, i, j)
    has_powers = state.kind == WEIGHTED_POWERS
    return reference_weighted.out_given_in(sold, bought, amount, has_powers=has_powers)


def _in_given_out(state: PoolState, i: int, j: int, amount: int) -> int:
    balances = state.balances()
    if state.kind in STABLE_KINDS:
        amp = state.amp.at(state.time)
        return reference_stable.in_given_out(amp, balances, state.invariant(), i=i, j=j, amount_out=amount)
    sold, bought = _sides(state, balances, i, j)
    has_powers = state.kind == WEIGHTED_POWERS
    return reference_weighted.in_given_out(sold, bought, amount, has_powers=has_powers)


def _sides(
    state: PoolState, balances: list[int], i: int, j: int
) -> tuple[reference_weighted.Side, reference_weighted.Side]:
    return (balances[i], state.tokens[i].weight), (balances[j], state.tokens[j].weight)
