"""What the library of Aave's web pages computes, where the folder of shared data lies beside the repository.

Its arithmetic is decimal and its own: indexes are equal to the unit, compound interest and health nearly. It
does not round the average threshold, so health is that of the rules since 3.5.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tallyio_protocol_aave_v3 import reference
from tallyio_protocol_aave_v3.layout import ACTIVE, AS_COLLATERAL, Category, Own, Reserve
from tallyio_protocol_aave_v3.reference import RAY, Pool
from tallyio_protocol_aave_v3.revisions import RULES_3_0, RULES_3_6

from tallyio.model.lending import Balance, Position, PositionKey
from tallyio.model.units import ZERO_ADDRESS

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "03_lending"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no shared data at {DATA}")
FILES = ("aave_math_utils_2021_12", "aave_math_utils_head")


def calls(name: str, *files: str) -> Iterator[tuple[Any, Any]]:
    """Yield arguments and result of each call of function `name`."""
    for file in files or FILES:
        for call in json.loads((DATA / f"{file}.json").read_text())["calls"]:
            if call["fn"] == name:
                yield call["args"], call["result"]


def integer(text: Any) -> int:
    return int(Decimal(str(text)))


def reserve(said: Any) -> Reserve:
    return Reserve(
        liquidity_index=integer(said["liquidityIndex"]),
        liquidity_rate=integer(said["liquidityRate"]),
        debt_index=integer(said["variableBorrowIndex"]),
        debt_rate=integer(said["variableBorrowRate"]),
        price=integer(said["priceInMarketReferenceCurrency"]),
        decimals=said["decimals"],
        cash=0,
        updated_at=said["lastUpdateTimestamp"],
        flags=ACTIVE,
        threshold=integer(said["reserveLiquidationThreshold"]),
        bonus=integer(said["reserveLiquidationBonus"]),
        fee=0,
        category=said.get("eModeCategoryId", 0),
    )


def test_supply_indexes_grow_as_published() -> None:
    seen = 0
    for [facts], result in calls("getReserveNormalizedIncome"):
        row = Reserve(
            liquidity_index=integer(facts["index"]),
            liquidity_rate=integer(facts["rate"]),
            debt_index=RAY,
            debt_rate=0,
            price=1,
            decimals=0,
            cash=0,
            updated_at=facts["lastUpdateTimestamp"],
            flags=ACTIVE,
            threshold=0,
            bonus=0,
            fee=0,
        )
        assert reference.normalized_income(row, facts["currentTimestamp"]) == integer(result)
        seen += 1
    assert seen == 4


def test_compound_interest_is_as_published() -> None:
    seen = 0
    for [facts], result in calls("calculateCompoundedInterest"):
        seconds = facts["currentTimestamp"] - facts["lastUpdateTimestamp"]
        made = reference.compounded_interest(RULES_3_0, integer(facts["rate"]), seconds)
        assert abs(made - integer(result)) <= 10**8  # of 1e27; the library rounds the rate of a second
        seen += 1
    assert seen == 5


def test_health_factors_of_real_positions_are_as_published() -> None:
    """Reserves of USDC and ETH of mainnet, August 2021, and users with and without e-mode."""
    seen = 0
    for [facts], result in calls("formatUserSummary", FILES[0]):
        held = facts["rawUserReserves"]
        if any(each["principalStableDebt"] != "0" for each in held):
            continue
        category = facts.get("userEmodeCategoryId", 0)
        modes = {
            each["reserve"]["eModeCategoryId"]: Category(
                threshold=each["reserve"]["eModeLiquidationThreshold"],
                bonus=each["reserve"]["eModeLiquidationBonus"],
                bitmap=1 << number,
            )
            for number, each in enumerate(held)
        }
        pool = Pool(
            own=Own(rules=RULES_3_6, categories=modes), reserves=[reserve(each["reserve"]) for each in held]
        )
        balances = tuple(
            Balance(
                reserve=number,
                collateral=integer(each["scaledATokenBalance"]),
                debt=integer(each["scaledVariableDebt"]),
                flags=AS_COLLATERAL if each["usageAsCollateralEnabledOnUser"] else 0,
            )
            for number, each in enumerate(held)
        )
        position = Position(key=PositionKey(ZERO_ADDRESS), balances=balances, flags=category)
        account = reference.account_data(pool, position, facts["currentTimestamp"])
        assert account is not None
        said = Decimal(result["healthFactor"])
        if said > 0:
            assert abs(Decimal(account.factor) / 10**18 / said - 1) < Decimal("1e-6")
        else:
            assert account.factor == reference.UNLIMITED
        seen += 1
    assert seen == 5
