"""Published and on-chain Balancer cases, where the folder of shared data lies beside the repository.

Of the V3 cases only the stable one has mathematics like ours. The buffers (csUSDC, waEthUSDC) are vaults:
`test_erc4626`. The others are out of scope: GyroECLP, and both ReClamm pools.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tallyio_protocol_balancer import hot, reference, reference_stable
from tallyio_protocol_balancer.layout import (
    STABLE_ROUNDED,
    STABLE_TRUNCATED,
    WEIGHTED,
    Amp,
    PoolState,
    Rate,
    TokenState,
    pack_row,
)

from tallyio.market.fixed.reference import (
    ONE,
    div_up,
    fixed_div_down,
    fixed_div_up,
    fixed_mul_down,
    fixed_mul_up,
)
from tallyio.model.units import address
from tallyio.native.memory import Region
from tests.balancer_states import FAR

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "02_amm"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no shared data at {DATA}")


def read(name: str) -> Any:
    return json.loads((DATA / name).read_text())


def state_of(raw: Any, kind: int) -> PoolState:
    """Return the state of a pool as degenbot writes it."""
    rates = raw.get("resolved_rates", [0] * len(raw["tokens"]))
    weights = raw.get("weights", [0] * len(raw["tokens"]))
    amp = raw.get("amp", 0)
    return PoolState(
        kind=kind,
        fee=int(Fraction(raw["fee"]) * ONE),
        amp=Amp(start_value=amp, end_value=amp),
        tokens=tuple(
            TokenState(
                address=address(token["address"]),
                cash=cash,
                decimals=token["decimals"],
                weight=weight,
                rate=Rate(cached=rate, live=rate, expires=FAR, duration=0) if rate not in {0, ONE} else None,
            )
            for token, cash, weight, rate in zip(raw["tokens"], raw["balances"], weights, rates, strict=True)
        ),
    )


def both(state: PoolState, kind: str, i: int, j: int, amount: int) -> int:
    """Return the compiled answer, after checking that the reference gives the same."""
    plain = reference.quote if kind == "GIVEN_IN" else reference.quote_exact_out
    compiled = hot.quote if kind == "GIVEN_IN" else hot.quote_exact_out
    raw = pack_row(state)
    with Region(len(raw)) as memory:
        memory.view("u1", len(raw))[:] = bytearray(raw)
        answer: int = compiled(memory.address, i, j, amount)
    assert answer == plain(state, i, j, amount)
    return answer


@pytest.mark.parametrize("pool", ["usdc_weth", "weth_bal"])
def test_the_queries_of_real_weighted_pools_are_met(pool: str) -> None:
    """Mainnet, block 24407242: `BalancerQueries.querySwap` on pools of 2021."""
    raw = read(f"degenbot/balancer_weighted_{pool}.state.json")
    entries = read(f"degenbot/test_balancer_v2_{pool}_query_swap.quotes.json")["entries"]
    state = state_of(raw, WEIGHTED)
    symbols = [token["symbol"] for token in raw["tokens"]]
    for key, answer in entries.items():
        _, _, kind, route, amount = key.split("|")
        i, j = (symbols.index(symbol) for symbol in route.split("->"))
        assert both(state, kind, i, j, int(amount)) == answer["value"]
    assert len(entries) == 18


@pytest.mark.parametrize("kind", [STABLE_ROUNDED, STABLE_TRUNCATED])
def test_a_real_meta_stable_pool_quotes_there_and_back(kind: int) -> None:
    """Mainnet, block 24407242: a state without answers, so the two directions check each other."""
    state = state_of(read("degenbot/balancer_stable_wsteth_weth.state.json"), kind)
    for i in (0, 1):
        for amount in (10**12, 10**15, 10**16):
            paid = both(state, "GIVEN_IN", i, 1 - i, amount)
            taken = both(state, "GIVEN_OUT", i, 1 - i, paid)
            assert amount - 2000 <= taken <= amount + 2000
            assert paid > amount * 1.2 if i == 0 else paid < amount


def v3_token_balance(amp: int, balances: Sequence[int], invariant: int, index: int) -> int:
    """`StableMath.computeBalance` of V3: V2's, but for multiplying by the precision before it divides."""
    count, ann = len(balances), amp * len(balances)
    product = balances[0] * count
    for balance in balances[1:]:
        product = product * balance * count // invariant
    c = div_up(invariant**2 * 1000, ann * product) * balances[index]
    b = sum(balances) - balances[index] + invariant * 1000 // ann
    y, before = div_up(invariant**2 + c, invariant + b), 0
    while abs(y - before) > 1:
        y, before = div_up(y * y + c, 2 * y + b - invariant), y
    return y


class Surge:
    """The V3 pool of the published case, with the fee that its hook takes for imbalance."""

    def __init__(self, pool: Any) -> None:
        self.balances = [int(balance) for balance in pool["balancesLiveScaled18"]]
        self.amp, self.fee = int(pool["amp"]), int(pool["swapFee"])
        hook = pool["hook"]["dynamicData"]
        self.threshold = int(hook["surgeThresholdPercentage"])
        self.most = int(hook["maxSurgeFeePercentage"])
        self.invariant = reference_stable.invariant_truncated(self.amp, self.balances)

    def out(self, i: int, amount: int) -> int:
        """Return the scaled output before a fee."""
        after = [*self.balances]
        after[i] += amount
        return after[1 - i] - v3_token_balance(self.amp, after, self.invariant, 1 - i) - 1

    def taken(self, i: int, amount: int) -> int:
        """Return the scaled input before a fee."""
        after = [*self.balances]
        after[1 - i] -= amount
        return v3_token_balance(self.amp, after, self.invariant, i) - after[i] + 1

    def fee_after(self, i: int, amount_in: int, amount_out: int) -> int:
        """Return the fee of a swap that moves this much."""
        after = [*self.balances]
        after[i] += amount_in
        after[1 - i] -= amount_out
        imbalance = _imbalance(after)
        assert imbalance > max(self.threshold, _imbalance(self.balances))
        excess = fixed_div_down(imbalance - self.threshold, ONE - self.threshold)
        return self.fee + fixed_mul_down(self.most - self.fee, excess)


def _imbalance(balances: Sequence[int]) -> int:
    median = sum(balances) // 2
    return fixed_div_down(sum(abs(balance - median) for balance in balances), sum(balances))


def test_the_stable_mathematics_of_v3_differ_from_v2_in_one_rounding() -> None:
    """The four swaps of the StableSurge case, to the unit: our invariant, and V3's `computeBalance`."""
    case = read("balancer_maths_v3/1-22247251-StableSurgeHook.json")
    pool, rates = Surge(case["pool"]), [int(rate) for rate in case["pool"]["tokenRates"]]
    tokens = [token.lower() for token in case["pool"]["tokens"]]
    for swap in case["swaps"]:
        i, amount = tokens.index(swap["tokenIn"]), int(swap["amountRaw"])
        j = 1 - i
        if swap["swapKind"] == 0:
            given = fixed_mul_down(amount, rates[i])
            fee = pool.fee_after(i, given, pool.out(i, given))
            paid = pool.out(i, given - fixed_mul_up(given, fee))
            assert fixed_div_down(paid, rates[j] + 1) == int(swap["outputRaw"])
        else:
            given = fixed_mul_up(amount, rates[j] + 1)
            taken = pool.taken(i, given)
            fee = pool.fee_after(i, taken, given)
            with_fee = taken + div_up(taken * fee, ONE - fee)
            assert fixed_div_up(with_fee, rates[i]) == int(swap["outputRaw"])
    assert len(case["swaps"]) == 4
