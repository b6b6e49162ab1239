"""The same plan on four judges: routers, simulation, eth_call, and a receipt of a real node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tallyio_chain_evm.chain import EvmChain

from tallyio.engine.executor import deployment
from tallyio.engine.mirror import code_after
from tallyio.engine.simulator import Simulator
from tallyio.hooks.interfaces import ChainClient
from tallyio.lab import Lab, Transaction, open_lab
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.model.chain import Block, LogFilter
from tallyio.model.execution import Call, Plan
from tallyio.model.units import Address, Wei
from tests.engine.practice import CYCLES, OWNER, Practice

pytestmark = pytest.mark.node

POOL_GAS = 6_000_000


class Twin:
    """A world in this process and the same world on a node: whatever moves one moves the other.

    The recipe gives both the same addresses, so a plan made with one holds on the other.
    """

    def __init__(self, lab: Lab, client: ChainClient) -> None:
        self.lab = lab
        self.client = client
        self.practice = Practice()
        self.simulator = Simulator(client)
        self.readings = 0
        self._read = client.prestate
        client.prestate = self._count  # type: ignore[method-assign]

    async def _count(self, *args: Any, **kwargs: Any) -> Any:
        self.readings += 1
        return await self._read(*args, **kwargs)

    async def send(self, call: Call, sender: Address = OPERATOR) -> dict[str, Any]:
        """Land `call` on the node, follow its block, and return the receipt."""
        (receipt,) = await self.lab._backend.block(
            (Transaction(sender=sender, call=call, gas_limit=POOL_GAS),)
        )
        head = await self.client.head()
        logs = await self.client.logs(LogFilter(from_block=head.number, to_block=head.number))
        await self.simulator.follow(Block(head=head, logs=tuple(logs), bytes_in_ns=0, decoded_ns=0))
        return receipt

    async def balance(self, token: Address, owner: Address) -> int:
        """Return what `owner` holds, as the node says."""
        data = bytes.fromhex("70a08231") + owner.rjust(32, b"\0")
        return int.from_bytes(await self.lab.call(Call(to=token, data=data)))


@asynccontextmanager
async def twins(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Twin]:
    """Open both worlds with the same history."""
    history: list[tuple[Call, Address]] = []
    remember = Practice.transact

    def transact(practice: Practice, call: Call, sender: Address = OPERATOR) -> bytes:
        history.append((call, sender))
        return remember(practice, call, sender)

    monkeypatch.setattr(Practice, "transact", transact)
    async with open_lab(seed=1) as lab:
        chain = EvmChain.from_settings({"url": lab.url, "chain_id": lab.chain_id})
        async with chain.open() as client:
            twin = Twin(lab, client)
            twin.practice.unbalance()
            assert await lab.deploy(deployment(OWNER)) == twin.practice.executor
            await lab.fund(OWNER, 10**20)
            for call, sender in history:
                await twin.send(call, sender)
            yield twin


async def test_all_judges_agree_to_the_wei(monkeypatch: pytest.MonkeyPatch) -> None:
    async with twins(monkeypatch) as twin:
        for cycle in CYCLES.values():
            opportunity = twin.practice.opportunity(cycle)
            plan: Plan = twin.practice.plan(opportunity)
            head = await twin.client.head()
            simulation = await twin.simulator.simulate(plan, head)
            [said] = await twin.client.call([plan.call], block=head.hash, sender=OWNER)
            before = await twin.balance(plan.token, OWNER)
            receipt = await twin.send(plan.call, OWNER)
            realised = await twin.balance(plan.token, OWNER) - before
            assert twin.practice.land(plan) == realised
            assert said is not None
            assert opportunity.profit == simulation.profit == int.from_bytes(said) == realised > 0
            assert simulation.gas_used == int(receipt["gasUsed"], 16)


async def test_a_followed_chain_needs_no_second_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    async with twins(monkeypatch) as twin:
        cycle = CYCLES["V3 to V2"]._replace(amount_in=10**17)
        for _ in range(3):
            plan: Plan = twin.practice.plan(twin.practice.opportunity(cycle))
            simulation = await twin.simulator.simulate(plan, await twin.client.head())
            assert simulation.profit == plan.min_profit
            receipt = await twin.send(plan.call, OWNER)
            twin.practice.land(plan)
            assert simulation.gas_used == int(receipt["gasUsed"], 16)
        assert twin.readings == 1


async def test_a_plan_that_the_chain_reverts_is_reverted_here(monkeypatch: pytest.MonkeyPatch) -> None:
    async with twins(monkeypatch) as twin:
        plan: Plan = twin.practice.plan(twin.practice.opportunity(CYCLES["V2 to V2"]))
        await twin.send(plan.call, OWNER)
        head = await twin.client.head()
        simulation = await twin.simulator.simulate(plan, head)
        assert (simulation.success, simulation.profit) == (False, 0)
        assert simulation.reason == "a contract reverted: 'UniswapV2: K'"
        assert await twin.client.call([plan.call], block=head.hash, sender=OWNER) == [None]
        with pytest.raises(Reverted):
            await twin.send(plan.call, OWNER)


async def test_the_tip_reaches_the_builder_on_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    async with twins(monkeypatch) as twin:
        opportunity = twin.practice.opportunity(CYCLES["V3 to V3"])
        plan: Plan = twin.practice.plan(opportunity, tip_wei=Wei(12_345))
        simulation = await twin.simulator.simulate(plan, await twin.client.head())
        assert simulation.profit == opportunity.profit
        miner = Address(bytes.fromhex((await twin.lab.head())["miner"][2:]))
        before = await twin.client.balance(miner)
        await twin.send(plan.call, OWNER)
        assert await twin.client.balance(miner) - before >= 12_345
        assert await twin.client.balance(plan.call.to) == 0


async def test_an_executor_that_is_not_deployed_yet_is_judged_by_the_code_it_would_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with twins(monkeypatch) as twin:
        ghost = Address(b"\x99" * 20)
        pretend = {ghost: code_after(deployment(OWNER), OWNER)}
        simulator = Simulator(twin.client, pretend=pretend)
        opportunity = twin.practice.opportunity(CYCLES["V2 to V3"])
        plan: Plan = twin.practice.plan(opportunity, executor=ghost)
        head = await twin.client.head()
        simulation = await simulator.simulate(plan, head)
        assert (simulation.success, simulation.profit) == (True, opportunity.profit)
        real = await twin.simulator.simulate(twin.practice.plan(opportunity), head)
        assert (real.success, real.profit) == (True, opportunity.profit)
        said = await twin.client.call([plan.call], block=head.hash, sender=OWNER, pretend=pretend)
        assert [int.from_bytes(output or b"") for output in said] == [opportunity.profit]
