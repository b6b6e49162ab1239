"""Published swaps of Balancer V3's buffers, where the folder of shared data lies beside the repository.

A buffer without liquidity wraps and unwraps at the vault itself. The published facts are two swaps and the
rate, which is what 10**18 shares redeem, rounded down; the vault's own totals are not published. So the exact
ratio behind the rate is sought: each swap allows an interval of it, and all of them must meet.

Source: `_erc4626BufferWrapOrUnwrap` of Balancer V3's Vault, which asks the vault about one unit less than it
was given, and pays one unit less than the answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tallyio_protocol_erc4626 import hot, reference
from tallyio_protocol_erc4626.layout import ROW_BYTES, Upkeep, pack_row
from tallyio_protocol_erc4626.reference import MOST, Vault

from tallyio.native.memory import Region

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "02_amm" / "balancer_maths_v3"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no shared data at {DATA}")

CASES = ("1-21671845-Buffer-csUSDC.json", "1-21671845-Buffer-waEthUSDC.json")
UNIT = 10**18
SUPPLY = MOST // 10**9
"""Of shares: large, so that totals express the ratio finely."""


class Trial(NamedTuple):
    """One published swap, as what the vault was asked and answered."""

    i: int
    amount: int
    answer: int


def trials(case: Any) -> list[Trial]:
    """Return the swaps; all of them give an exact input."""
    share = case["pool"]["tokens"][0]
    assert case["pool"]["poolAddress"] == share
    assert {swap["swapKind"] for swap in case["swaps"]} == {0}
    return [
        Trial(int(swap["tokenIn"] == share), int(swap["amountRaw"]) - 1, int(swap["outputRaw"]) + 1)
        for swap in case["swaps"]
    ]


def totals_for(trial: Trial) -> range:
    """Return the total assets of a vault without virtual shares with which it answers so.

    Those are all that satisfy answer <= amount * ratio < answer + 1, where the ratio is total / SUPPLY for
    a redemption, and its inverse for a deposit.
    """
    _, amount, answer = trial
    if trial.i == 1:
        return range(-(-answer * SUPPLY // amount), -(-(answer + 1) * SUPPLY // amount))
    return range(amount * SUPPLY // (answer + 1) + 1, amount * SUPPLY // answer + 1)


def both(vault: Vault, i: int, amount: int) -> int:
    """Return the compiled quote, after checking that the reference gives the same."""
    with Region(ROW_BYTES) as memory:
        memory.view("u1", ROW_BYTES)[:] = bytearray(pack_row(vault, Upkeep()))
        quoted = int(hot.quote(memory.address, i, 1 - i, amount))
    assert quoted == reference.quote(vault, i, amount)
    return quoted


@pytest.mark.parametrize("name", CASES)
def test_one_ratio_gives_the_published_rate_and_every_published_swap(name: str) -> None:
    case = json.loads((DATA / name).read_text())
    rate = Trial(1, UNIT, int(case["pool"]["rate"]))
    allowed = [totals_for(trial) for trial in (rate, *trials(case))]
    low, high = max(each.start for each in allowed), min(each.stop for each in allowed)
    assert low < high
    for total in (low, (low + high) // 2, high - 1):
        vault = Vault(total_assets=total, supply=SUPPLY, virtual_shares=0)
        for trial in (rate, *trials(case)):
            assert both(vault, trial.i, trial.amount) == trial.answer
    outside = [
        both(Vault(total_assets=total, supply=SUPPLY, virtual_shares=0), *trial[:2]) != trial.answer
        for total in (low - 1, high)
        for trial in (rate, *trials(case))
    ]
    assert any(outside[: len(outside) // 2])
    assert any(outside[len(outside) // 2 :])
