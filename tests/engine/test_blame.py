"""A plan that reverts through no fault of its own names the token that is to blame."""

from __future__ import annotations

import pytest

from tallyio.engine.blame import KEEPS, Blame
from tallyio.lab.artifact import Artifact
from tallyio.lab.fetch import artifact
from tallyio.lab.world import account
from tallyio.model.execution import Call, Leg, Opportunity
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash
from tallyio.testing import RevmChain
from tests.fault.odd_contracts import TAX_PERCENT, TAXED, compiled

EXECUTOR = account("executor")
POOL = account("pool")
AMOUNT = 10**18


def trade(*tokens: Address) -> tuple[PoolSpec, Opportunity]:
    pool = PoolSpec(address=POOL, tokens=tokens, venue="lab", fee_pips=3_000, can_flash=True)
    leg = Leg(pool=0, token_in=0, token_out=1, amount_in=AMOUNT, amount_out=AMOUNT)
    found = Opportunity(
        id=1,
        strategy="s",
        block_hash=Hash(bytes(32)),
        block_number=1,
        token=tokens[0],
        legs=(leg,),
        amount_in=AMOUNT,
        amount_out=AMOUNT,
        gas=1,
        net_wei=1.0,
    )
    return pool, found


def tokens_of(chain: RevmChain, *made: Artifact) -> list[Address]:
    """Deploy tokens of which the pool has some."""
    tokens = []
    for each in made:
        facts = () if each.name == "odd" else ("plain", "P", 18)
        tokens.append(chain.backend.deploy(each.encode_constructor(*facts)))
        mint = each.encode("mint", POOL, 10 * AMOUNT)
        chain.backend.transact(Call(to=tokens[-1], data=mint))
    return tokens


@pytest.fixture(scope="module")
def chain() -> RevmChain:
    return RevmChain()


async def test_a_token_that_keeps_a_part_of_what_is_sent_is_named(chain: RevmChain) -> None:
    pool, found = trade(*tokens_of(chain, artifact("Token"), compiled(TAXED)))
    blame = Blame(chain, executor=EXECUTOR, pools=[pool], name=lambda token: f"T{pool.tokens.index(token)}")
    said = await blame.explain(found, chain.latest)
    assert said == KEEPS.format(name="T1", sent=AMOUNT, arrives=AMOUNT * (100 - TAX_PERCENT) // 100)


async def test_plain_tokens_and_those_that_nobody_can_send_are_not_to_blame(chain: RevmChain) -> None:
    (plain,) = tokens_of(chain, artifact("Token"))
    without = chain.backend.deploy(artifact("Token").encode_constructor("of which it has none", "N", 18))
    pool, found = trade(plain, without)
    blame = Blame(chain, executor=EXECUTOR, pools=[pool], name=str)
    assert not await blame.explain(found, chain.latest)
