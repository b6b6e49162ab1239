"""Predicted, simulated and realised profit: the same number, or a word why not."""

from __future__ import annotations

import msgspec
import pytest
import trio

from tallyio.engine.executor import encode_calls, encode_run
from tallyio.engine.simulator import MAX_GAS, Simulator
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.world import OPERATOR
from tallyio.lending.loans import own_offer
from tallyio.model.chain import Block, Head, PendingTransaction, Rollback
from tallyio.model.errors import ChainError
from tallyio.model.execution import Borrowing, Call, Plan, Simulation
from tallyio.model.hashing import keccak256, selector
from tallyio.model.units import Address, Hash, Wei, hex_text
from tallyio.testing import head_at
from tests.engine import hostile
from tests.engine.inprocess import InProcessChain
from tests.engine.practice import CYCLES, FOREVER, OWNER, Cycle, Practice

V2_TO_V3 = CYCLES["V2 to V3"]
V3_TO_V2 = CYCLES["V3 to V2"]


def block(head: Head) -> Block:
    return Block(head=head, logs=(), bytes_in_ns=0, decoded_ns=0)


class Desk:
    """A simulator, the chain that it asks, and the market behind both."""

    def __init__(self) -> None:
        self.practice = Practice()
        self.practice.unbalance()
        self.chain = InProcessChain(self.practice)
        self.simulator = Simulator(self.chain.client)
        self._followed = self.practice.backend.number

    def plan(self, cycle: Cycle = V2_TO_V3) -> Plan:
        """Return the plan of a cycle as the market stands now."""
        made: Plan = self.practice.plan(self.practice.opportunity(cycle))
        return made

    async def simulate(self, plan: Plan) -> Simulation:
        """Simulate at the head; `asked` then says what the node was asked for it."""
        self.chain.asked.clear()
        return await self.simulator.simulate(plan, self.practice.head)

    async def land(self, plan: Plan) -> int:
        """Land `plan`, follow its block, and return what the owner gained."""
        gained = self.practice.land(plan)
        await self.follow()
        return gained

    async def move(self, symbol: str, amount: int) -> None:
        """Let somebody sell into the pool where WETH is cheap, and follow."""
        self.practice.pull_apart(self.practice.find("v2a:USDC/WETH:3000"), symbol, amount)
        await self.follow()

    async def follow(self) -> None:
        """Tell the simulator of every block that it has not seen."""
        for number in range(self._followed + 1, self.practice.backend.number + 1):
            await self.simulator.follow(block(head_at(number)))
        self._followed = self.practice.backend.number

    @property
    def asked(self) -> list[str]:
        """The methods of the node that were used since the last simulation began."""
        return self.chain.asked


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("cycle", CYCLES.values(), ids=CYCLES)
async def test_predicted_is_simulated_is_realised(desk: Desk, cycle: Cycle) -> None:
    opportunity = desk.practice.opportunity(cycle)
    plan: Plan = desk.practice.plan(opportunity)
    simulation = await desk.simulate(plan)
    assert simulation.success
    assert simulation.reason == ""
    assert simulation.profit == opportunity.profit > 0
    assert 100_000 < simulation.gas_used < 400_000
    assert await desk.land(plan) == opportunity.profit


async def test_what_the_owner_lends_is_no_part_of_the_simulated_profit(desk: Desk) -> None:
    practice = desk.practice
    opportunity = practice.opportunity(V2_TO_V3)
    practice.transact(practice.transfer("USDC", OWNER, opportunity.amount_in))
    token = Contract(artifact("Token"), opportunity.token)
    practice.transact(token.call("approve", practice.executor, opportunity.amount_in), OWNER)
    await desk.follow()
    own = own_offer(OWNER, opportunity.token, opportunity.amount_in)
    loan = Borrowing(offer=own, amount=opportunity.amount_in, fee=0)
    plan: Plan = practice.plan(msgspec.structs.replace(opportunity, loan=loan))
    simulation = await desk.simulate(plan)
    assert (simulation.success, simulation.profit) == (True, opportunity.profit)
    assert await desk.land(plan) == opportunity.profit


async def test_the_node_is_asked_once_and_then_never_for_the_same_contracts(desk: Desk) -> None:
    first = await desk.simulate(desk.plan(V2_TO_V3))
    assert desk.asked == ["prestate"]
    assert await desk.simulate(desk.plan(V2_TO_V3)) == first
    assert desk.asked == []
    # The way back touches the same pools and tokens, and other amounts.
    await desk.move("WETH", 10**18)
    assert (await desk.simulate(desk.plan(V3_TO_V2))).success
    assert desk.asked == []


async def test_following_block_by_block_needs_no_second_reading(desk: Desk) -> None:
    assert (await desk.simulate(desk.plan())).success
    for _ in range(4):
        plan = desk.plan(Cycle(V2_TO_V3.symbol, V2_TO_V3.amount_in // 10, V2_TO_V3.pools))
        simulation = await desk.simulate(plan)
        assert desk.asked == []
        assert simulation.profit == plan.min_profit == await desk.land(plan)


async def test_pools_that_were_never_read_are_read_first(desk: Desk) -> None:
    assert (await desk.simulate(desk.plan(CYCLES["V2 to V2"]))).success
    assert (await desk.simulate(desk.plan(CYCLES["V3 to V3"]))).success
    assert desk.asked == ["prestate"]


async def test_ticks_that_were_never_read_are_read_when_the_outcome_differs(desk: Desk) -> None:
    """A larger swap crosses ticks that a smaller one did not see; to the EVM they are zero."""
    await desk.move("WETH", 400 * 10**18)
    asked = []
    for amount in (10**15, 10**18, 200 * 10**18, 201 * 10**18):
        plan = desk.plan(Cycle("WETH", amount, V3_TO_V2.pools))
        assert (await desk.simulate(plan)).profit == plan.min_profit
        asked.append(desk.asked.copy())
    assert asked == [["prestate"], [], ["prestate"], []]


async def test_a_wrong_prediction_is_refused_in_words_after_a_second_look(desk: Desk) -> None:
    plan = desk.plan()
    assert (await desk.simulate(plan)).success
    await desk.move("USDC", 500 * 10**6)
    simulation = await desk.simulate(plan)
    assert desk.asked == ["prestate"]
    assert (simulation.success, simulation.profit) == (False, 0)
    assert simulation.reason == "a contract reverted: 'UniswapV2: K'"


async def test_a_better_outcome_than_predicted_is_looked_at_twice(desk: Desk) -> None:
    plan = desk.plan()
    await desk.simulate(plan)
    desk.practice.transact(desk.practice.transfer("USDC", desk.practice.executor, 5))
    await desk.follow()
    simulation = await desk.simulate(plan)
    assert desk.asked == ["prestate"]
    assert simulation.success
    assert simulation.profit == plan.min_profit + 5


async def test_a_newer_block_makes_a_plan_stale(desk: Desk) -> None:
    plan, old = desk.plan(), desk.practice.head
    desk.practice.transact(desk.practice.transfer("DAI", OWNER, 1))
    await desk.follow()
    desk.chain.asked.clear()
    simulation = await desk.simulator.simulate(plan, old)
    assert (simulation.success, simulation.reason) == (False, "a newer block has arrived")
    assert simulation.block_hash == old.hash
    assert desk.asked == []


async def test_a_rollback_forgets_and_reads_anew(desk: Desk) -> None:
    plan = desk.plan()
    await desk.simulate(plan)
    head = desk.practice.head
    await desk.simulator.follow(Rollback(dropped=(head.hash,), ancestor=head.parent_hash))
    assert (await desk.simulate(plan)).profit == plan.min_profit
    assert desk.asked == ["prestate"]


async def test_a_gap_forgets_and_reads_anew(desk: Desk) -> None:
    await desk.simulate(desk.plan())
    desk._followed += 1  # it misses a block
    await desk.move("WETH", 10**18)
    plan = desk.plan()
    assert (await desk.simulate(plan)).profit == plan.min_profit
    assert desk.asked == ["prestate"]


async def test_the_same_block_again_changes_nothing(desk: Desk) -> None:
    await desk.simulate(desk.plan())
    await desk.simulator.follow(block(desk.practice.head))
    await desk.simulate(desk.plan())
    assert desk.asked == []


async def test_a_node_that_cannot_tell_changes_costs_a_reading_only(desk: Desk) -> None:
    await desk.simulate(desk.plan())
    desk.chain.fault = "state_after"
    await desk.move("WETH", 10**18)
    plan = desk.plan()
    assert (await desk.simulate(plan)).profit == plan.min_profit
    assert desk.asked == ["prestate"]


async def test_a_failing_node_is_not_taken_for_an_answer(desk: Desk) -> None:
    desk.chain.fault = "prestate"
    with pytest.raises(ChainError, match="prestate failed"):
        await desk.simulate(desk.plan())
    desk.chain.fault = ""
    assert (await desk.simulate(desk.plan())).success


async def test_warming_reads_before_it_matters(desk: Desk) -> None:
    plan = desk.plan()
    await desk.simulator.warm([plan.call], sender=OWNER, head=desk.practice.head)
    assert (await desk.simulate(plan)).success
    assert desk.asked == []


async def test_a_refusal_stands_until_a_slot_that_its_plan_read_holds_something_else(desk: Desk) -> None:
    plan = desk.plan()
    too_much = msgspec.structs.replace(plan, min_profit=plan.min_profit + 1)
    assert not desk.simulator.stands(plan.call)
    assert not (await desk.simulate(too_much)).success
    assert desk.simulator.stands(plan.call)
    # A block with nothing of it, and one with a trade in one of its pools.
    token = Contract(artifact("Token"), desk.practice.world.tokens["DAI"].address)
    desk.practice.transact(token.call("approve", OWNER, 1))
    await desk.follow()
    assert desk.simulator.stands(plan.call)
    await desk.move("WETH", 10**18)
    assert not desk.simulator.stands(plan.call)
    # After a fresh start nothing is known of anything.
    await desk.simulate(too_much)
    assert desk.simulator.stands(plan.call)
    await desk.simulator.follow(Rollback(dropped=(), ancestor=desk.practice.head.hash))
    assert not desk.simulator.stands(plan.call)


async def test_simulations_and_blocks_queue(desk: Desk) -> None:
    plan = desk.plan()
    results: list[Simulation] = []

    async def simulate() -> None:
        results.append(await desk.simulator.simulate(plan, head))

    head = desk.practice.head
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(simulate)
        nursery.start_soon(desk.simulator.follow, block(head))
    assert len(results) == 3
    assert all(result.profit == plan.min_profit for result in results)
    assert desk.asked.count("prestate") == 1


async def test_the_senders_balance_is_judged_not_the_contracts_word(desk: Desk) -> None:
    """The executor gains 100, but the token keeps a tenth on the way to the owner."""
    simulation = await desk.simulate(_minting(desk, hostile.taxing_token()))
    assert not simulation.success
    assert simulation.profit == 90
    assert simulation.reason == "the sender received less than the executor gained"


@pytest.mark.parametrize("watched", ["block.coinbase != empty(address)", "tx.gasprice != 0"])
async def test_a_token_that_detects_simulation_gives_itself_away(desk: Desk, watched: str) -> None:
    desk.practice.backend.fund(OWNER, 10**18)
    simulation = await desk.simulate(_minting(desk, hostile.watchful_token(watched)))
    assert not simulation.success
    assert simulation.reason == "the outcome depends on who builds the block, or on the gas price"


async def test_a_missing_executor_is_named(desk: Desk) -> None:
    plan = msgspec.structs.replace(desk.plan(), call=Call(to=Address(bytes(19) + b"\x77"), data=b""))
    simulation = await desk.simulate(plan)
    assert not simulation.success
    assert simulation.reason == "there is no executor at 0x0000000000000000000000000000000000000077"


async def test_a_contract_that_wants_too_much_gas_is_stopped(desk: Desk) -> None:
    burner = Call(to=desk.practice.world.gas_burner, data=b"")
    simulation = await desk.simulate(_plan(desk, desk.practice.token("WETH"), burner))
    assert not simulation.success
    assert simulation.gas_used <= MAX_GAS


class NewerNode(InProcessChain):
    """A node whose EVM knows more opcodes than ours."""

    answer: bytes | None = None

    async def call(self, *_: object, **__: object) -> list[bytes | None]:
        """Answer as told."""
        self.asked.append("call")
        return [self.answer]


@pytest.mark.parametrize("own_funds", [0, 1_000])
@pytest.mark.parametrize("answer", [None, 123])
async def test_what_this_evm_cannot_run_is_asked_of_the_node(
    desk: Desk, answer: int | None, own_funds: int
) -> None:
    """The executor counts what it takes from its owner as gained; the owner does not."""
    clz = desk.practice.backend.deploy(bytes.fromhex("601e5f5360015ff3"))  # its code is CLZ (EIP-7939)
    chain = NewerNode(desk.practice)
    chain.answer = None if answer is None else (own_funds + answer).to_bytes(32)
    plan = _plan(desk, desk.practice.token("WETH"), Call(to=clz, data=b""))
    plan = msgspec.structs.replace(plan, own_funds=own_funds)
    simulation = await Simulator(chain.client).simulate(plan, desk.practice.head)
    assert chain.asked == ["prestate", "call"]
    if answer is None:
        assert not simulation.success
        assert simulation.reason == "the node says that it reverts, and no contract says why"
    else:
        assert simulation.success
        assert (simulation.profit, simulation.gas_used) == (123, MAX_GAS)


def _plan(desk: Desk, token: Address, *calls: Call) -> Plan:
    data = encode_run(
        encode_calls(calls),
        token=token,
        min_profit=100,
        tip_wei=Wei(0),
        deadline_block=FOREVER,
        sweep=(),
    )
    return Plan(
        call=Call(to=desk.practice.executor, data=data),
        token=token,
        min_profit=100,
        deadline_block=FOREVER,
        sender=OWNER,
    )


def _minting(desk: Desk, token_code: bytes) -> Plan:
    """Deploy a token, and return the plan that mints 100 of it and calls that a gain."""
    token = desk.practice.backend.deploy(token_code)
    desk.chain = InProcessChain(desk.practice)  # which knows what was deployed
    desk.simulator = Simulator(desk.chain.client)
    mint = selector("mint(address,uint256)") + desk.practice.executor.rjust(32, b"\0") + (100).to_bytes(32)
    return _plan(desk, token, Call(to=token, data=mint))


def test_heads_of_the_practice_world_are_a_chain() -> None:
    assert head_at(5).parent_hash == head_at(4).hash != Hash(bytes(32))


# --- behind what waits -------------------------------------------------------------------------


class Waiting:
    """A sale of WETH in one V3 pool that waits, and a plan that sells it on in another."""

    def __init__(self, desk: Desk) -> None:
        practice, amount = desk.practice, 20 * 10**18
        router = Contract(artifact("SwapRouter"), practice.world.v3.router)
        weth = Contract(artifact("Token"), practice.token("WETH"))
        practice.transact(weth.call("approve", router.address, amount))
        sale = (weth.address, practice.token("USDC"), 3_000, OPERATOR, FOREVER, amount, 0, 0)
        self.call = router.call("exactInputSingle", sale)
        self.pool = practice.pools[practice.find("v3:USDC/WETH:3000")].address
        self.transaction = pending(self.call)
        with practice.backend.undone():
            practice.backend.append(self.call)
            plan: Plan = desk.plan(CYCLES["V3 to V3"])
        self.plan = msgspec.structs.replace(plan, behind=self.transaction)


def pending(call: Call, *, gas_limit: int = 400_000) -> PendingTransaction:
    """Return `call` of the operator as it waits."""
    return PendingTransaction(
        hash=Hash(bytes(32)),
        sender=OPERATOR,
        nonce=0,
        to=call.to,
        data=call.data,
        value_wei=Wei(0),
        gas_limit=gas_limit,
        max_fee_wei=Wei(10),
        max_priority_fee_wei=Wei(1),
        arrived_ns=0,
    )


async def test_a_plan_is_judged_on_what_a_transaction_that_waits_leaves(desk: Desk) -> None:
    waiting = Waiting(desk)
    await desk.follow()
    plain = desk.plan()
    before = await desk.simulate(plain)
    behind = await desk.simulate(waiting.plan)
    assert desk.asked == ["prestate", "prestate"], "what waits, and what comes behind it"
    assert (behind.success, behind.profit) == (True, waiting.plan.min_profit)
    assert behind.profit > before.profit
    assert await desk.simulate(waiting.plan) == behind
    assert desk.asked == []
    alone = await desk.simulate(msgspec.structs.replace(waiting.plan, behind=None))
    assert not alone.success, "without what waits it reverts"
    assert await desk.simulate(plain) == before, "the state is the chain's again"
    desk.practice.transact(waiting.call)
    await desk.follow()
    assert await desk.land(waiting.plan) == behind.profit


async def test_what_waits_is_told_by_its_events_and_the_slots_that_it_changes(desk: Desk) -> None:
    waiting = Waiting(desk)
    await desk.follow()
    effect = await desk.simulator.effect(waiting.transaction, desk.practice.head)
    assert effect.reason == ""
    assert {each.transaction_hash for each in effect.logs} == {waiting.transaction.hash}
    desk.practice.transact(waiting.call)
    landed = [bytes.fromhex(each.address[2:]) for each in desk.practice.backend.logs]
    assert [each.address for each in effect.logs] == landed
    assert {waiting.pool, desk.practice.token("WETH")} <= effect.changes.keys()
    for account, told in effect.changes.items():
        for slot, value in told.storage.items():
            assert desk.practice.backend.evm.storage(hex_text(account), slot) == value


async def test_behind_what_fails_nothing_is_done(desk: Desk) -> None:
    waiting = Waiting(desk)
    await desk.follow()
    for broken in (
        pending(Call(to=waiting.pool, data=selector("swap(address,bool,int256,uint160,bytes)") + bytes(160))),
        pending(waiting.call, gas_limit=22_000),
        msgspec.structs.replace(waiting.transaction, to=None),
    ):
        numbered = msgspec.structs.replace(broken, hash=Hash(keccak256(msgspec.json.encode(broken))))
        simulation = await desk.simulate(msgspec.structs.replace(waiting.plan, behind=numbered))
        assert not simulation.success
        assert simulation.reason.startswith("what it was to run behind fails: ")
    assert (
        await desk.simulator.effect(waiting.transaction, head_at(0))
    ).reason == "a newer block has arrived"
