"""What the owner lends to its executor: what it holds, as far as it allowed it."""

from __future__ import annotations

import pytest

from tallyio.engine.purse import Purse, own_offers
from tallyio.lab.world import account
from tallyio.lending.loans import OWN_FUNDS
from tallyio.model.erc20 import approve, transfer
from tallyio.testing import RevmChain

OWNER, EXECUTOR = account("owner"), account("executor")
HELD = 10**9


@pytest.mark.parametrize(
    ("allowed", "lent"), [(0, None), (3, None), (4 * 10**6 + 3, 10**6), (2**256 - 1, HELD)]
)
async def test_each_plan_may_take_its_share_of_an_allowance_and_no_more_than_there_is(
    allowed: int, lent: int | None
) -> None:
    chain = RevmChain()
    usdc, dai, weth = (chain.world.tokens[symbol].address for symbol in ("USDC", "DAI", "WETH"))
    chain.backend.transact(transfer(usdc, OWNER, HELD))
    chain.backend.transact(approve(usdc, EXECUTOR, allowed), sender=OWNER)
    chain.backend.transact(approve(dai, EXECUTOR, 2**256 - 1), sender=OWNER)
    offers = await own_offers(chain, Purse(OWNER, EXECUTOR, 4), [usdc, dai, weth], chain.latest)
    assert [(each.lender, each.venue, each.token, each.available) for each in offers] == (
        [] if lent is None else [(OWNER, OWN_FUNDS, usdc, lent)]
    )
    assert all(each.fee(HELD) == 0 and not each.disturbs for each in offers)
