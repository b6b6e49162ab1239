"""Published swaps of a pool of Balancer V3, where the folder of shared data lies beside the repository.

The pool has a hook that raises the fee of swaps which unbalance it, so the plugin refuses it; but the rest of
the swap is the Vault's and the pool's. Here the hook's fee, by its own formula, stands in for the pool's.
Of the other published V3 cases the buffers are vaults (`test_erc4626`); GyroECLP and ReClamm are out of
scope.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tallyio_protocol_balancer_v3 import hot, reference, reference_stable
from tallyio_protocol_balancer_v3.layout import pack_row
from tallyio_protocol_balancer_v3.state import PoolState, TokenState

from tallyio.market.fixed.reference import ONE, fixed_div_down, fixed_mul_down, fixed_mul_up
from tallyio.native.memory import Region

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "02_amm" / "balancer_maths_v3"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no shared data at {DATA}")

CASE = "1-22247251-StableSurgeHook.json"


def state_of(pool: Any) -> PoolState:
    """Return the published state; what the Vault books is as much as the live balances need."""
    facts = zip(pool["balancesLiveScaled18"], pool["tokenRates"], pool["scalingFactors"], strict=True)
    return PoolState(
        tokens=tuple(
            TokenState(
                live=int(live), raw=-(-int(live) * ONE // int(rate)), rate=int(rate), scaling=int(scaling)
            )
            for live, rate, scaling in facts
        ),
        fee=int(pool["swapFee"]),
        amp=int(pool["amp"]),
    )


def imbalance(balances: Sequence[int]) -> int:
    """Return how far two balances are from their middle, as a part of both."""
    median = sum(balances) // 2
    return fixed_div_down(sum(abs(balance - median) for balance in balances), sum(balances))


def surge_fee(pool: Any, state: PoolState, i: int, amount: int, *, exact_in: bool) -> int:
    """Return the fee that the hook sets for a swap."""
    j, balances = 1 - i, state.balances
    if exact_in:
        moved = fixed_mul_down(amount, state.tokens[i].rate)
        other = reference_stable.out_given_in(state.amp, balances, i, j, moved)
        after = (balances[i] + moved, balances[j] - other)
    else:
        moved = fixed_mul_up(amount, reference.rate_up(state.tokens[j].rate))
        other = reference_stable.in_given_out(state.amp, balances, i, j, moved)
        after = (balances[i] + other, balances[j] - moved)
    hook = pool["hook"]["dynamicData"]
    threshold, most = int(hook["surgeThresholdPercentage"]), int(hook["maxSurgeFeePercentage"])
    assert imbalance(after) > max(threshold, imbalance(balances))
    excess = fixed_div_down(imbalance(after) - threshold, ONE - threshold)
    return state.fee + fixed_mul_down(most - state.fee, excess)


def test_the_published_swaps_are_quoted_to_the_unit() -> None:
    case = json.loads((DATA / CASE).read_text())
    state, tokens = state_of(case["pool"]), [token.lower() for token in case["pool"]["tokens"]]
    for swap in case["swaps"]:
        i, amount, exact_in = tokens.index(swap["tokenIn"]), int(swap["amountRaw"]), swap["swapKind"] == 0
        fee = surge_fee(case["pool"], state, i, amount, exact_in=exact_in)
        charged = msgspec.structs.replace(state, fee=fee)
        raw = pack_row(charged)
        with Region(len(raw)) as memory:
            memory.view("u1", len(raw))[:] = bytearray(raw)
            compiled = (hot.quote if exact_in else hot.quote_exact_out)(memory.address, i, 1 - i, amount)
        plain = (reference.quote if exact_in else reference.quote_exact_out)(charged, i, 1 - i, amount)
        assert compiled == plain == int(swap["outputRaw"])
    assert len(case["swaps"]) == 4
