"""What the real Vault lends, and for how much."""

from __future__ import annotations

import random

import pytest
from eth_abi.abi import encode
from tallyio_protocol_balancer.adapter import Balancer
from tallyio_protocol_balancer.loans import GAS

from tallyio.hooks.lending import FlashLender
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.world import OPERATOR
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.units import Address, checksum
from tests.balancer_rows import Chain
from tests.balancer_world import GIVEN_IN, World
from tests.loan_checks import Borrower

HELD = 10**24
EVEN = [5 * 10**17] * 2
MOST = 10**16
"""The collector allows a percent."""


class Bench:
    """A Vault with a token in it, whose administrator is the operator."""

    def __init__(self) -> None:
        self.world = World()
        self.backend = self.world.backend
        self.chain = Chain(self.world)
        self.vault = self.world.vault
        self.collector = Address(self.backend.call(self.vault.call("getProtocolFeesCollector"))[-20:])
        self.token = self.world.token(18)
        self.borrower = Borrower(self.backend)
        for holder in (self.vault.address, self.borrower.executor):
            self.backend.transact(Contract(artifact("Token"), self.token).call("mint", holder, HELD))

    def adapter(self, *names: str) -> Balancer:
        """Return the adapter with venues of these names, all at the one Vault."""
        vault = checksum(self.vault.address)
        return Balancer({"venues": [{"name": name, "vault": vault, "from_block": 0} for name in names]})

    def manage(self, contract: Address, signature: str, argument: bytes) -> None:
        """Let the operator call what needs a permission, after getting it."""
        function = selector(signature)
        authorizer = Contract(artifact("Authorizer"), Address(self._ask("getAuthorizer()")[-20:]))
        action = Call(to=contract, data=selector("getActionId(bytes4)") + encode(["bytes4"], [function]))
        self.backend.transact(authorizer.call("grantRole", self.backend.call(action), OPERATOR))
        self.backend.transact(Call(to=contract, data=function + argument))

    def ask_fee(self, percentage: int) -> None:
        """Let loans cost so much of 10**18."""
        self.manage(self.collector, "setFlashLoanFeePercentage(uint256)", percentage.to_bytes(32))

    def held(self, owner: Address) -> int:
        """Return what somebody has of the token."""
        token = Contract(artifact("Token"), self.token)
        return int.from_bytes(self.backend.call(token.call("balanceOf", owner)))

    def _ask(self, signature: str) -> bytes:
        return self.backend.call(Call(to=self.vault.address, data=selector(signature)))


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("percentage", [0, 1, 5 * 10**14 + 7, MOST])
async def test_the_vault_lends_what_it_holds_at_the_collectors_fee(bench: Bench, percentage: int) -> None:
    """Random amounts, one unit, and everything; a unit less of fee or more of loan is refused."""
    bench.ask_fee(percentage)
    adapter, draw = bench.adapter("b"), random.Random(percentage)
    assert isinstance(adapter, FlashLender)
    (offer,) = await adapter.loans(bench.chain, {bench.token}, block=bench.chain.latest)
    assert (offer.lender, offer.venue, offer.token) == (bench.vault.address, "b", bench.token)
    assert (offer.available, offer.gas) == (HELD, GAS)
    amounts = {draw.getrandbits(draw.randrange(1, 79)) + 1 for _ in range(30)}
    bench.borrower.check(adapter, offer, {1, *amounts})


@pytest.mark.parametrize("percentage", [7, MOST])
async def test_the_fee_of_a_loan_goes_to_the_collector_and_moves_no_pool(
    bench: Bench, percentage: int
) -> None:
    """So whoever was priced on a pool's balances may go with a loan of all that is in it."""
    bench.ask_fee(percentage)
    pool = bench.world.pool("weighted_v1", [bench.token, bench.world.token(6)], fee=10**15, weights=EVEN)
    pool.hold([(HELD, 0), (HELD, 0)])
    adapter = bench.adapter("b")
    (offer,) = await adapter.loans(bench.chain, {bench.token}, block=bench.chain.latest)
    fee = offer.fee(HELD)
    assert fee == -(-HELD * percentage // 10**18) > 0
    assert not offer.disturbs

    def state() -> tuple[object, ...]:
        quotes = [pool.query(GIVEN_IN, i, 1 - i, 10**k) for i in (0, 1) for k in (12, 15, 21)]
        assert all(quotes)
        return (
            bench.held(bench.vault.address),
            bench.backend.read(bench.vault, "getPoolTokens", pool.id),
            quotes,
        )

    before = state()
    bench.backend.transact(bench.borrower.run(adapter, offer, HELD))
    assert bench.held(bench.collector) == fee
    assert bench.held(bench.borrower.executor) == HELD - fee
    assert state() == before


async def test_what_the_vault_has_not_got_is_not_offered(bench: Bench) -> None:
    adapter, other = bench.adapter("b"), bench.world.token(6)
    found = await adapter.loans(bench.chain, {other, bench.token}, block=bench.chain.latest)
    assert [offer.token for offer in found] == [bench.token]
    assert await adapter.loans(bench.chain, (), block=bench.chain.latest) == []


async def test_two_venues_at_one_vault_lend_once_under_the_first_name(bench: Bench) -> None:
    adapter = bench.adapter("first", "second")
    (offer,) = await adapter.loans(bench.chain, {bench.token}, block=bench.chain.latest)
    assert offer.venue == "first"


async def test_a_paused_vault_lends_nothing(bench: Bench) -> None:
    adapter = bench.adapter("b")
    (offer,) = await adapter.loans(bench.chain, {bench.token}, block=bench.chain.latest)
    bench.manage(bench.vault.address, "setPaused(bool)", (1).to_bytes(32))
    assert await adapter.loans(bench.chain, {bench.token}, block=bench.chain.latest) == []
    bench.borrower.refuses(adapter, offer, 1)


async def test_a_vault_that_is_none_is_named(bench: Bench) -> None:
    adapter = Balancer({"venues": [{"name": "x", "vault": checksum(OPERATOR), "from_block": 0}]})
    with pytest.raises(ChainError, match="does not answer as a contract of Balancer V2"):
        await adapter.loans(bench.chain, {bench.token}, block=bench.chain.latest)
