"""The rules of 3.5 and 3.7, which no package has, against 3.6 with the lines changed that differ.

What 3.7 changes is in its notes ("Liquidation rounding improvements"), what 3.5 had in `GenericLogic` of
its release; the lines here are ours, after them. Those of 3.5 take the compiler a minute, so it is left to
the runs with many cases: see TALLYIO_LENDING_CASES in `test_aave_v3_bytecode`.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Mapping

import pytest
from msgspec.structs import replace
from tallyio_protocol_aave_v3 import terms
from tallyio_protocol_aave_v3.layout import Rules
from tallyio_protocol_aave_v3.reference import UNLIMITED
from tallyio_protocol_aave_v3.revisions import RULES_3_5, RULES_3_7

from tallyio.lab.artifact import Artifact
from tallyio.lab.lending.aave import PACKAGE, AaveVersion, aave_artifacts, aave_sources
from tallyio.lab.solidity import compile_solidity
from tallyio.lending import abi
from tests.aave_memory import Memory
from tests.aave_positions import NOW, random_pool, random_position, sides_of
from tests.aave_world import LISTINGS, AaveWorld, Taken

POSITIONS = 200
LIQUIDATIONS = f"{PACKAGE}protocol/libraries/logic/LiquidationLogic.sol"
ACCOUNTS = f"{PACKAGE}protocol/libraries/logic/GenericLogic.sol"
VIEWS = f"{PACKAGE}protocol/libraries/logic/PoolLogic.sol"

SPLIT_DOWN = {
    "vars.maxCollateralToLiquidate = vars.baseCollateral.percentMul(": (
        "vars.maxCollateralToLiquidate = vars.baseCollateral.percentMulFloor("
    ),
    "vars.collateralAmount.percentDiv(liquidationBonus)": "(vars.collateralAmount * 1e4) / liquidationBonus",
    "vars.liquidationProtocolFee = vars.bonusCollateral.percentMul(": (
        "vars.liquidationProtocolFee = vars.bonusCollateral.percentMulCeil("
    ),
    """bool hasNoCollateralLeft = vars.totalCollateralInBaseCurrency ==
      vars.collateralToLiquidateInBaseCurrency;""": """bool hasNoCollateralLeft;
    {
      uint256 index = vars.collateralReserveCache.nextLiquidityIndex;
      uint256 scaled = IAToken(vars.collateralReserveCache.aTokenAddress).scaledBalanceOf(params.borrower);
      uint256 consumed = vars.actualCollateralToLiquidate.getATokenBurnScaledAmount(index) +
        vars.liquidationProtocolFeeAmount.getATokenTransferScaledAmount(index);
      if (consumed > scaled) consumed = scaled;
      hasNoCollateralLeft = vars.totalCollateralInBaseCurrency ==
        (consumed.getATokenBalance(index) * vars.collateralAssetPrice) / vars.collateralAssetUnit;
    }""",
}
SKIPS_ZERO = {
    """if (isEnabledAsCollateral) {
            vars.userBalance""": """if (
            isEnabledAsCollateral && vars.configurationCache.getLiquidationThreshold() != 0
          ) {
            vars.userBalance"""
}


def changed(path: str, changes: Mapping[str, str]) -> dict[str, str]:
    """Return the sources of 3.6 with lines of one file changed, each of which is there once."""
    sources = dict(aave_sources())
    for before, after in changes.items():
        assert sources[path].count(before) == 1
        sources[path] = sources[path].replace(before, after)
    return sources


def variant(path: str, changes: Mapping[str, str], wanted: tuple[str, ...]) -> dict[str, Artifact]:
    """Return the contracts of 3.6 with some libraries compiled anew."""
    made = compile_solidity(changed(path, changes), wanted, optimised=False)
    return dict(aave_artifacts(AaveVersion.V3_6)) | {
        name.rpartition(":")[2]: each for name, each in made.items()
    }


def world_with(rules: Rules) -> AaveWorld:
    """Return a market by those rules."""
    if rules is RULES_3_7:
        artifacts = variant(LIQUIDATIONS, SPLIT_DOWN, (LIQUIDATIONS,))
    else:
        artifacts = variant(ACCOUNTS, SKIPS_ZERO, (VIEWS, LIQUIDATIONS))
    return AaveWorld(AaveVersion.V3_6, LISTINGS, artifacts=artifacts)


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(
            RULES_3_5,
            id="3.5",
            marks=pytest.mark.skipif(
                "TALLYIO_LENDING_CASES" not in os.environ, reason="TALLYIO_LENDING_CASES is not set"
            ),
        ),
        pytest.param(RULES_3_7, id="3.7"),
    ],
)
def test_health_and_liquidations_equal_the_changed_contracts(rules: Rules) -> None:
    world, memory = world_with(rules), Memory()
    draw, seen = random.Random(9), Counter[str]()
    world.at(NOW)
    for case in range(POSITIONS):
        if case % 4 == 0:
            pool = random_pool(draw, rules)
            world.put_pool(pool)
            memory.put_pool(pool)
        position = random_position(draw, pool)
        k, j = sides_of(draw, position)
        held = pool.reserves[position.balances[k].reserve]
        if not rules & Rules.SPLIT_DOWN and not held.threshold:
            continue  # whether 3.5 lets such collateral be taken its account does not say
        world.put_position(position)
        memory.put_position(position)
        found = memory.health(NOW)
        assert (found.debt, found.factor) == world.account_data()[1::2]
        for offer in (UNLIMITED, draw.randrange(1, 2 + position.balances[j].debt)):
            made = memory.liquidate(k, j, offer, NOW)
            assert made == terms.liquidate(pool, position, collateral=k, debt=j, repay=offer, time=NOW)
            asked = made.most if offer == UNLIMITED and made.most else offer
            said = world.liquidate(position.balances[k].reserve, position.balances[j].reserve, asked)
            seen[abi.VERDICTS[made.verdict]] += 1
            if made.verdict == abi.LAWFUL:
                assert isinstance(said, Taken), said
                assert (made.repay, made.seize, made.written_off) == said[:3]
            elif made.verdict != abi.OUT_OF_DOMAIN:
                assert isinstance(said, str), made
    assert seen["lawful"] > POSITIONS // 4


def test_the_rules_of_3_7_never_give_a_liquidator_more() -> None:
    memory, draw = Memory(), random.Random(3)
    differing = 0
    for _ in range(300):
        pool = random_pool(draw, RULES_3_7)
        position = random_position(draw, pool)
        k, j = sides_of(draw, position)
        seized = []
        for rules in (RULES_3_7, RULES_3_7 & ~Rules.SPLIT_DOWN):
            memory.put_pool(replace(pool, own=replace(pool.own, rules=rules)))
            memory.put_position(position)
            seized.append(memory.liquidate(k, j, UNLIMITED, NOW).seize)
        assert seized[0] <= seized[1]
        differing += seized[0] != seized[1]
    assert differing > 10
