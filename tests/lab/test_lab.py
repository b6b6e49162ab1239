"""The lab on a real node: the same world, the same trades for the same seed, one owner of the process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tallyio.lab import Contract, Lab, NodeGone, Reverted, build_revm_world, open_lab
from tallyio.lab.anvil import BASE_FEE_WEI, HOST
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import BLOCK_SECONDS, GENESIS_TIMESTAMP
from tallyio.lab.trading import observe
from tallyio.lab.world import account
from tallyio.model.errors import EnvironmentFault
from tallyio.model.hashing import event_topic
from tallyio.model.units import address, hex_text

pytestmark = pytest.mark.node

V2_SWAP = event_topic("Swap(address,uint256,uint256,uint256,uint256,address)")
V3_SWAP = event_topic("Swap(address,address,int256,int256,uint160,uint128,int24)")


async def swap_logs(lab: Lab, blocks: int) -> list[tuple[str, str, str]]:
    """Run `blocks` blocks and return place, pool and data of every swap in them."""
    first = (await lab.step()).number
    for _ in range(blocks - 1):
        await lab.step()
    topics = [[hex_text(V2_SWAP), hex_text(V3_SWAP)]]
    logs = await lab.rpc("eth_getLogs", {"fromBlock": hex(first), "toBlock": "latest", "topics": topics})
    return [(log["blockNumber"], log["address"], log["data"]) for log in logs]


@pytest.fixture
def busy_port() -> Iterator[int]:
    """A loopback port that somebody else listens on."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        yield taken.getsockname()[1]


async def test_both_drivers_build_the_same_world() -> None:
    revm = build_revm_world()
    async with open_lab(seed=1) as lab:
        assert lab.world.url == lab.url == lab.world.variables["url"]
        assert {**lab.world.variables, "url": ""} == revm.world.variables
        assert await lab._backend.run(observe(lab.world)) == revm.backend.run(observe(revm.world))
        assert int((await lab.head())["number"], 16) == revm.backend.number


async def test_both_drivers_run_the_same_trades() -> None:
    revm = build_revm_world()
    async with open_lab(seed=5) as lab:
        for _ in range(5):
            assert (await lab.step()).swaps == revm.step(seed=5)
        assert await lab._backend.run(observe(lab.world)) == revm.backend.run(observe(revm.world))


async def test_the_same_seed_gives_the_same_chain_and_another_seed_another() -> None:
    async with open_lab(seed=7) as lab:
        first, head = await swap_logs(lab, 5), await lab.head()
    async with open_lab(seed=7) as lab:
        assert await swap_logs(lab, 5) == first
        assert (await lab.head())["hash"] == head["hash"]
    async with open_lab(seed=8) as lab:
        assert await swap_logs(lab, 5) != first


async def test_swaps_do_not_depend_on_transactions_that_touch_no_pool() -> None:
    async with open_lab(seed=7) as lab:
        plain = [(await lab.step()).swaps for _ in range(3)]
    async with open_lab(seed=7) as lab:
        dai = Contract(artifact("Token"), lab.world.tokens["DAI"].address)
        busy = []
        for _ in range(3):
            await lab.rpc("eth_sendTransaction", mint_of(dai, tip=10**9))
            busy.append((await lab.step()).swaps)
    assert busy == plain


async def test_who_pays_a_higher_tip_comes_first_in_the_block() -> None:
    async with open_lab(seed=7) as lab:
        dai = Contract(artifact("Token"), lab.world.tokens["DAI"].address)
        sent = await lab.rpc("eth_sendTransaction", mint_of(dai, tip=10**6))
        block = await lab.step()
        receipts = await lab.rpc("eth_getBlockReceipts", hex(block.number))
        assert receipts[0]["transactionHash"] == sent
        assert len(receipts) == 1 + len(block.swaps) + 1, "ours, the traders', and the gas burner"
        assert [receipt["status"] for receipt in receipts] == ["0x1"] * (len(receipts) - 1) + ["0x0"]


async def test_time_and_base_fee_are_the_chain_s_own() -> None:
    async with open_lab(seed=7) as lab:
        for _ in range(20):
            await lab.step()
            head = await lab.head()
            assert int(head["timestamp"], 16) == GENESIS_TIMESTAMP + BLOCK_SECONDS * int(head["number"], 16)
            assert BASE_FEE_WEI / 2 < int(head["baseFeePerGas"], 16) < BASE_FEE_WEI * 2


async def test_the_operator_funds_deploys_and_sends() -> None:
    owner = account("somebody")
    async with open_lab(seed=1) as lab:
        await lab.fund(owner, 10**18)
        token = Contract(
            artifact("Token"), await lab.deploy(artifact("Token").encode_constructor("A token", "A", 6))
        )
        receipts = await lab.send(token.call("mint", owner, 5), sender=owner)
        assert [address(receipt["to"]) for receipt in receipts] == [token.address]
        assert await lab.read(token, "balanceOf", owner) == (5,)
        with pytest.raises(Reverted, match=f"to {hex_text(token.address)} reverted"):
            await lab.send(token.call("transfer", owner, 6), sender=owner)


async def test_a_busy_port_is_an_environment_fault(busy_port: int) -> None:
    with pytest.raises(EnvironmentFault, match=f"port {busy_port} of 127.0.0.1 is busy; choose another"):
        async with open_lab(seed=1, port=busy_port):
            pass


async def test_a_killed_node_is_told_and_the_context_still_ends() -> None:
    async with open_lab(seed=1) as lab:
        await lab.kill()
        with pytest.raises(NodeGone, match="ended or does not answer; start the lab again"):
            await lab.step()


async def test_the_node_ends_with_its_context_even_when_the_body_fails() -> None:
    pids = []

    async def fail() -> None:
        async with open_lab(seed=1) as lab:
            pids.append(lab.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_a_call_that_was_cut_off_does_not_disturb_the_next() -> None:
    async with open_lab(seed=1) as lab:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lab.rpc, "anvil_mine", hex(1_000))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert await lab.rpc("eth_chainId") == hex(lab.chain_id)


async def test_swaps_that_do_not_fit_are_dropped_and_the_next_block_has_its_own() -> None:
    async with open_lab(seed=1) as lab:
        hungry = {"from": hex_text(account("operator")), "to": hex_text(lab.world.gas_burner)}
        await lab.rpc("eth_sendTransaction", {**hungry, "gas": hex(29_990_000), "gasPrice": hex(10**12)})
        full = await lab.step()
        assert len(await lab.rpc("eth_getBlockReceipts", hex(full.number))) == 1
        after = await lab.step()
        assert len(await lab.rpc("eth_getBlockReceipts", hex(after.number))) == len(after.swaps) + 1


async def test_an_error_of_the_node_names_the_method() -> None:
    async with open_lab(seed=1) as lab:
        with pytest.raises(EnvironmentFault, match="eth_nothing: the lab's node answered: Method not found"):
            await lab.rpc("eth_nothing")


async def test_the_node_predicts_the_base_fee_of_the_first_block() -> None:
    async with open_lab(seed=1) as lab:
        assert int((await lab.head())["baseFeePerGas"], 16) == BASE_FEE_WEI
        await lab.step()
        assert int((await lab.head())["baseFeePerGas"], 16) == BASE_FEE_WEI - BASE_FEE_WEI // 8


def mint_of(token: Contract, *, tip: int) -> dict[str, str]:
    """Return a transaction of somebody else, which touches no pool."""
    sender = account("trader 0")
    return {
        "from": hex_text(account("operator")),
        "to": hex_text(token.address),
        "data": hex_text(token.call("mint", sender, 1).data),
        "maxPriorityFeePerGas": hex(tip),
        "maxFeePerGas": hex(10**11),
        "gas": hex(100_000),
    }
