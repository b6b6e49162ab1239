"""The client against a real node with the lab's world on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import coincurve
import pytest
from tallyio_chain_evm.chain import EvmChain
from tallyio_chain_evm.client import EvmClient
from tallyio_chain_evm.errors import GaveUp, RpcError, WrongChain
from tallyio_chain_evm.state import StateReader

from tallyio.lab import Lab, open_lab
from tallyio.model.chain import Block, Head, LogFilter, Rollback, StateSlice
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call, SignedTransaction, UnsignedTransaction
from tallyio.model.hashing import keccak256, selector
from tallyio.model.transaction import encode_signed, signing_hash, transaction_hash
from tallyio.model.units import Address, Hash, Wei, hex_text
from tests.evm_clients import take

pytestmark = pytest.mark.node

KEY = coincurve.PrivateKey(bytes(31) + b"\x07")
ACCOUNT = Address(keccak256(KEY.public_key.format(compressed=False)[1:])[-20:])
GET_RESERVES = selector("getReserves()")
SYNC = selector("sync()")


@asynccontextmanager
async def open_world(seed: int = 7, **settings: object) -> AsyncIterator[tuple[Lab, EvmClient]]:
    async with open_lab(seed=seed) as lab:
        table = {"url": lab.url, "chain_id": lab.chain_id, **settings}
        async with EvmChain.from_settings(table).open() as client:
            yield lab, client


async def slot_at(lab: Lab, account: Address, slot: int, block: Hash) -> int:
    where = {"blockHash": hex_text(block)}
    return int(await lab.rpc("eth_getStorageAt", hex_text(account), f"0x{slot:064x}", where), 16)


async def assert_equals_the_node(lab: Lab, state: StateSlice, block: Hash) -> None:
    """Every fact that `state` tells is what the node says of `block`."""
    where = {"blockHash": hex_text(block)}
    for account, told in state.items():
        name = hex_text(account)
        if told.balance_wei is not None:
            assert told.balance_wei == int(await lab.rpc("eth_getBalance", name, where), 16)
        if told.nonce is not None:
            assert told.nonce == int(await lab.rpc("eth_getTransactionCount", name, where), 16)
        if told.code is not None:
            assert hex_text(told.code) == await lab.rpc("eth_getCode", name, where)
        for slot, value in told.storage.items():
            assert value == await slot_at(lab, account, slot, block)


def sign(unsigned: UnsignedTransaction) -> SignedTransaction:
    signature = KEY.sign_recoverable(signing_hash(unsigned), hasher=None)
    r, s, parity = signature[:32], signature[32:64], signature[64]
    raw = encode_signed(unsigned, parity, int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    return SignedTransaction(unsigned=unsigned, sender=ACCOUNT, raw=raw, hash=transaction_hash(raw))


def deposit(lab: Lab, *, nonce: int) -> SignedTransaction:
    return sign(
        UnsignedTransaction(
            chain_id=lab.chain_id,
            nonce=nonce,
            max_priority_fee_wei=Wei(10**9),
            max_fee_wei=Wei(10**11),
            gas_limit=50_000,
            to=lab.world.weth,
            value_wei=Wei(10**15),
            data=selector("deposit()"),
        )
    )


async def test_heads_and_logs_equal_the_nodes_own() -> None:
    async with open_world() as (lab, client):
        feed = client.blocks()
        await take(feed, 1)
        for _ in range(5):
            mined = await lab.step()
            (event,) = await take(feed, 1)
            assert isinstance(event, Block)
            assert event.head.hash == mined.hash
            theirs = await lab.rpc("eth_getLogs", {"blockHash": hex_text(mined.hash)})
            assert len(theirs) > 0
            assert [hex_text(log.data) for log in event.logs] == [log["data"] for log in theirs]
            assert [hex_text(log.address) for log in event.logs] == [log["address"] for log in theirs]


async def test_the_next_base_fee_is_exact() -> None:
    async with open_world() as (lab, client):
        before = await client.head()
        fees = set()
        for _ in range(8):
            await lab.step()
            after = await client.head()
            assert client.fees(before).base_fee_wei == after.base_fee_wei
            before = after
            fees.add(after.base_fee_wei)
        assert len(fees) > 4


@pytest.mark.parametrize("depth", [1, 3])
async def test_a_reorg_of_the_node_is_followed(depth: int) -> None:
    async with open_world() as (lab, client):
        feed = client.blocks()
        (first,) = await take(feed, 1)
        assert isinstance(first, Block)
        for _ in range(4):
            await lab.step()
        stack = [event.head.hash for event in await take(feed, 4) if isinstance(event, Block)]
        await lab.rpc("anvil_reorg", depth, [])
        await lab.mine()
        tip = (await client.head()).hash
        while stack[-1] != tip:
            (event,) = await take(feed, 1)
            if isinstance(event, Rollback):
                assert event.dropped == tuple(reversed(stack[-depth:]))
                del stack[-depth:]
                assert stack[-1] == event.ancestor
            else:
                assert event.head.parent_hash == stack[-1]
                stack.append(event.head.hash)
        assert len(stack) == 5


async def test_a_batch_of_calls_is_read_at_its_block_and_a_revert_is_none() -> None:
    async with open_world() as (lab, client):
        pair = next(pool.address for pool in lab.world.pools if pool.kind == "v2")
        reserves, bad = Call(to=pair, data=GET_RESERVES), Call(to=lab.world.weth, data=b"\x23\xb8\x72\xdd")
        then = await client.head()
        before = await client.call([reserves, bad] * 120, block=then.hash)
        assert before[1] is None
        assert len({before[0], *before[::2]}) == 1
        for _ in range(4):
            await lab.step()
        assert await client.call([reserves], block=then.hash) == before[:1]
        now = await client.call([reserves])
        assert now == [await lab.call(reserves)]
        with pytest.raises(RpcError):
            await client.call([reserves], block=Hash(b"\x11" * 32))


async def test_a_log_query_over_split_ranges_equals_one_over_the_whole() -> None:
    async with open_world(log_range=3) as (lab, client):
        for _ in range(4):
            await lab.step()
        tip = (await client.head()).number
        found = await client.logs(LogFilter(from_block=0, to_block=tip))
        theirs = await lab.rpc("eth_getLogs", {"fromBlock": "0x0", "toBlock": hex(tip)})
        assert [(log.block_number, log.log_index) for log in found] == [
            (int(log["blockNumber"], 16), int(log["logIndex"], 16)) for log in theirs
        ]
        wanted = LogFilter(
            from_block=0, to_block=tip, addresses=(found[-1].address,), topics=((found[-1].topics[0],),)
        )
        assert found[-1] in await client.logs(wanted)
        assert {log.address for log in await client.logs(wanted)} == {found[-1].address}


async def test_what_a_block_changed_equals_the_nodes_state_after_it() -> None:
    async with open_world() as (lab, client):
        for _ in range(3):
            mined = await lab.step()
            diff = await client._state.diff(mined.hash)
            assert sum(len(told.storage) for told in diff.values()) > 5
            await assert_equals_the_node(lab, diff, mined.hash)


async def test_known_slots_read_after_a_block_equal_the_nodes_state() -> None:
    async with open_world() as (lab, client):
        feed = client.blocks()
        (first,) = await take(feed, 1)
        assert isinstance(first, Block)
        known: dict[Address, set[int]] = {}
        for pair in [pool.address for pool in lab.world.pools if pool.kind == "v2"]:
            state = await client.prestate(Call(to=pair, data=SYNC), sender=ACCOUNT, block=first.head.hash)
            for account, told in state.items():
                known.setdefault(account, set()).update(told.storage)
        for _ in range(3):
            await lab.step()
            (block,) = await take(feed, 1)
            assert isinstance(block, Block)
            after = await client.state_after(block, known)
            assert after.keys() == {log.address for log in block.logs if known.get(log.address)}
            assert sum(len(told.storage) for told in after.values()) > 5
            await assert_equals_the_node(lab, after, block.head.hash)
            one_by_one = StateReader(client._link)
            one_by_one._no_storage_values = one_by_one._no_debug = client._link.reconnects
            assert await one_by_one.after(block, known) == after


async def test_a_slot_that_a_block_clears_is_zero_in_its_diff() -> None:
    """Init code stores 5; the code that it leaves behind clears the slot when called."""
    async with open_world() as (lab, client):
        runtime = bytes.fromhex("6000600055")
        store, leave = bytes.fromhex("6005600055"), bytes.fromhex("6005601160003960056000f3")
        contract = await lab.deploy(store + leave + runtime)
        block = Hash(bytes.fromhex((await lab.head())["hash"][2:]))
        assert (await client._state.diff(block))[contract].storage == {0: 5}
        await lab.send(Call(to=contract, data=b""))
        block = Hash(bytes.fromhex((await lab.head())["hash"][2:]))
        assert (await client._state.diff(block))[contract].storage == {0: 0}


async def test_the_prestate_of_a_call_equals_the_nodes_state() -> None:
    async with open_world() as (lab, client):
        head: Head = await client.head()
        pair = next(pool.address for pool in lab.world.pools if pool.kind == "v2")
        state = await client.prestate(Call(to=pair, data=SYNC), sender=ACCOUNT, block=head.hash)
        await assert_equals_the_node(lab, state, head.hash)
        assert state[pair].code
        assert len(state) >= 4


async def test_without_debug_methods_the_prestate_has_the_same_slots() -> None:
    async with open_world() as (lab, client):
        head = await client.head()
        pair = next(pool.address for pool in lab.world.pools if pool.kind == "v2")
        call = Call(to=pair, data=SYNC)
        traced = await client.prestate(call, sender=ACCOUNT, block=head.hash)
        client._state._no_debug = client._link.reconnects
        listed = await client.prestate(call, sender=ACCOUNT, block=head.hash)
        await assert_equals_the_node(lab, listed, head.hash)
        assert {a: s.storage for a, s in traced.items() if s.storage} == {
            a: s.storage for a, s in listed.items() if s.storage
        }


async def test_a_transaction_is_sent_known_mined_and_known_again() -> None:
    async with open_world() as (lab, client):
        await lab.fund(ACCOUNT, 10**18)
        sent = deposit(lab, nonce=await client.nonce(ACCOUNT))
        assert await client.receipt(sent.hash) is None
        assert await client.submit(sent) == sent.hash
        assert await client.submit(sent) == sent.hash
        assert await client.receipt(sent.hash) is None
        await lab.mine()
        receipt = await client.receipt(sent.hash)
        assert receipt is not None
        assert receipt.status
        assert receipt.block_hash == (await client.head()).hash
        assert len(receipt.logs) == 1
        assert await client.nonce(ACCOUNT) == 1
        spent = receipt.gas_used * receipt.effective_gas_price_wei + 10**15
        assert await client.balance(ACCOUNT) == 10**18 - spent
        assert await client.submit(sent) == sent.hash


async def test_a_refused_transaction_keeps_the_nodes_reason() -> None:
    async with open_world() as (lab, client):
        with pytest.raises(RpcError, match=r"(?i)insufficient funds"):
            await client.submit(deposit(lab, nonce=0))


async def test_the_wrong_chain_is_refused_at_once() -> None:
    async with open_lab(seed=1) as lab:
        chain = EvmChain.from_settings({"url": lab.url, "chain_id": 1})
        with pytest.raises(WrongChain, match=r"configured is 1.*correct `url` or `chain_id`"):
            async with chain.open():
                pass


async def test_a_killed_node_is_named_when_patience_ends() -> None:
    async with open_world(patience_s=0.3) as (lab, client):
        feed = client.blocks()
        await take(feed, 1)
        await lab.kill()
        with pytest.raises(GaveUp, match=r"ws://127\.0\.0\.1:\d+ was lost for 0\.3 s"):
            await take(feed, 1)


async def test_nobody_listening_is_one_clear_error() -> None:
    chain = EvmChain.from_settings({"url": "ws://127.0.0.1:1", "chain_id": 1})
    with pytest.raises(ChainError, match=r"^ws://127\.0\.0\.1:1 does not accept connections"):
        async with chain.open():
            pass
