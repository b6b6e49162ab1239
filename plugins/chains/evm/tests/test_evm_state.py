"""What tracers leave out means something."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tallyio_chain_evm.errors import MalformedReply, NoDebugMethods, RpcError
from tallyio_chain_evm.state import merge_diffs
from tallyio_chain_evm.wire import WireDiff
from trio.testing import MockClock

from tallyio.model.chain import AccountState, Block, Head, Log, Moment
from tallyio.model.execution import Call
from tallyio.model.units import Address, Hash, Wei
from tallyio.testing.node import Json, error, result
from tests.evm_clients import open_fake

A, B = Address(b"\xaa" * 20), Address(b"\xbb" * 20)
BLOCK = Hash(b"\x01" * 32)
CALL = Call(to=B, data=b"\x01\x02")
SENDER = Address(b"\xcc" * 20)


def key(account: Address) -> str:
    return "0x" + account.hex()


def word(value: int) -> str:
    return f"0x{value:064x}"


def diff(pre: dict[str, Any], post: dict[str, Any]) -> dict[str, Any]:
    return {"pre": pre, "post": post}


def merge(*diffs: dict[str, Any]) -> dict[Address, AccountState]:
    return merge_diffs(msgspec.convert(list(diffs), list[WireDiff]))


def test_a_slot_only_in_pre_became_zero() -> None:
    merged = merge(diff({key(A): {"balance": "0x5", "storage": {word(1): word(9)}}}, {key(A): {}}))
    assert merged == {A: AccountState(storage={1: 0})}


def test_what_did_not_change_is_not_told() -> None:
    pre = {key(A): {"balance": "0x5", "nonce": 3, "code": "0x60"}}
    assert merge(diff(pre, {key(A): {"nonce": 4}})) == {A: AccountState(nonce=4)}


def test_later_transactions_override_earlier_ones() -> None:
    merged = merge(
        diff({}, {key(A): {"balance": "0x1", "nonce": 1, "storage": {word(1): word(5), word(2): word(6)}}}),
        diff({key(A): {"storage": {word(1): word(5)}}}, {key(A): {"balance": "0x2"}}),
        diff({}, {key(A): {"storage": {word(2): word(7)}}}),
    )
    assert merged[A].balance_wei == 2
    assert merged[A].nonce == 1
    assert merged[A].storage == {1: 0, 2: 7}


def test_a_slot_cleared_and_set_again_has_its_last_value() -> None:
    merged = merge(
        diff({key(A): {"storage": {word(1): word(5)}}}, {key(A): {}}),
        diff({}, {key(A): {"storage": {word(1): word(8)}}}),
    )
    assert merged[A].storage == {1: 8}


def test_a_deleted_account_is_empty_with_all_its_slots() -> None:
    merged = merge(
        diff({}, {key(A): {"storage": {word(1): word(5)}, "code": "0x60"}}),
        diff({key(A): {"balance": "0x1", "code": "0x60", "storage": {word(2): word(6)}}}, {}),
    )
    assert merged == {A: AccountState(balance_wei=Wei(0), nonce=0, code=b"", storage={1: 0, 2: 0})}


def test_a_created_account_is_told_whole() -> None:
    post = {key(A): {"balance": "0x1", "nonce": 1, "code": "0x6001", "storage": {word(0): word(1)}}}
    assert merge(diff({}, post)) == {
        A: AccountState(balance_wei=Wei(1), nonce=1, code=b"\x60\x01", storage={0: 1})
    }


async def test_in_a_prestate_what_is_absent_is_zero(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        traced = {
            key(A): {"balance": "0x7"},
            key(B): {"code": "0x60", "nonce": "0x2", "storage": {"0x3": "0x4"}},
        }

        def in_the_next_block(request: dict[str, Json]) -> str | None:
            assert request["params"][2]["blockOverrides"] == {"number": "0x12", "time": "0xff"}
            return result(traced)(request)

        node.script("debug_traceCall", in_the_next_block)
        state = await client.prestate(CALL, sender=A, block=BLOCK, moment=Moment(18, 255))
        assert state[A] == AccountState(balance_wei=Wei(7), nonce=0, code=b"", storage={})
        assert state[B] == AccountState(balance_wei=Wei(0), nonce=2, code=b"\x60", storage={3: 4})


@pytest.mark.parametrize(
    "refusal",
    [
        error(-32_601, "the method debug_traceCall does not exist/is not available"),
        error(-32_600, "Unsupported method: debug_traceCall"),
        error(-32_602, "data did not match any variant of untagged enum EthRpcCall"),
        error(-32_000, "Method not supported"),
    ],
)
async def test_without_debug_methods_an_access_list_serves(refusal: Any, autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script("debug_traceCall", refusal)
        listed = {"accessList": [{"address": key(B), "storageKeys": [word(3)]}], "gasUsed": "0x1"}
        node.always("eth_createAccessList", result(listed))
        for method, answer in {
            "eth_getBalance": "0x7",
            "eth_getTransactionCount": "0x2",
            "eth_getCode": "0x60",
            "eth_getStorageAt": word(4),
        }.items():
            node.always(method, at_the_block(answer))
        for _ in range(2):
            state = await client.prestate(CALL, sender=A, block=BLOCK)
            assert state == {
                A: AccountState(balance_wei=Wei(7), nonce=2, code=b"\x60", storage={}),
                B: AccountState(balance_wei=Wei(7), nonce=2, code=b"\x60", storage={3: 4}),
            }
        assert node.asked.count("debug_traceCall") == 1
        with pytest.raises(NoDebugMethods, match=r"cannot tell what a block changed.*read the state"):
            await client._state.diff(BLOCK)


def at_the_block(value: Json) -> Any:
    def answer(request: dict[str, Json]) -> str | None:
        assert request["params"][-1] == {"blockHash": "0x" + BLOCK.hex()}
        return result(value)(request)

    return answer


async def test_a_node_without_debug_methods_says_so_for_diffs(autojump_clock: MockClock) -> None:
    async with open_fake() as (_, client):
        with pytest.raises(NoDebugMethods):
            await client._state.diff(BLOCK)


async def test_a_trace_that_failed_is_an_error_and_not_an_empty_diff(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script("debug_traceBlockByHash", error(-32_000, "block not found"))
        with pytest.raises(RpcError, match="block not found"):
            await client._state.diff(BLOCK)
        node.script("debug_traceBlockByHash", result([{"txHash": "0x", "error": "execution timeout"}]))
        with pytest.raises(MalformedReply, match="missing required field `result`"):
            await client._state.diff(BLOCK)


KNOWN: dict[Address, tuple[int, ...]] = {A: (1, 2), B: (3,)}


def block_with_events_of(*accounts: Address) -> Block:
    logs = tuple(
        Log(
            address=account,
            topics=(),
            data=b"",
            block_hash=BLOCK,
            block_number=1,
            log_index=index,
            transaction_hash=BLOCK,
        )
        for index, account in enumerate(accounts)
    )
    head = Head(
        number=1,
        hash=BLOCK,
        parent_hash=BLOCK,
        timestamp=1,
        base_fee_wei=Wei(1),
        gas_used=0,
        gas_limit=1,
        logs_bloom=b"",
    )
    return Block(head=head, logs=logs, bytes_in_ns=0, decoded_ns=0)


async def test_only_contracts_with_events_are_read_again_in_one_question(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.always("eth_getStorageValues", at_the_block({key(A): [word(7), word(8)]}))
        state = await client.state_after(block_with_events_of(A, A), KNOWN)
        assert state == {A: AccountState(storage={1: 7, 2: 8})}
        assert await client.state_after(block_with_events_of(), KNOWN) == {}
        assert node.asked.count("eth_getStorageValues") == 1


async def test_too_few_slots_are_an_error(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.always("eth_getStorageValues", result({key(A): [word(7)]}))
        with pytest.raises(MalformedReply, match="fewer or more slots"):
            await client.state_after(block_with_events_of(A), KNOWN)


async def test_an_older_node_is_asked_for_the_diff_and_then_slot_by_slot(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        lacking = error(-32_601, "the method does not exist")
        node.always("eth_getStorageValues", lacking)
        node.always("debug_traceBlockByHash", lacking)
        node.always("eth_getStorageAt", at_the_block(word(9)))
        for _ in range(2):
            state = await client.state_after(block_with_events_of(A, B), KNOWN)
            assert state == {A: AccountState(storage={1: 9, 2: 9}), B: AccountState(storage={3: 9})}
        assert node.asked.count("eth_getStorageValues") == node.asked.count("debug_traceBlockByHash") == 1


async def test_another_connection_may_lead_to_a_newer_node(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        lacking = error(-32_601, "the method does not exist")
        node.script("eth_getStorageValues", lacking)
        node.script("debug_traceBlockByHash", lacking)
        node.always("eth_getStorageAt", at_the_block(word(9)))
        node.always("eth_getStorageValues", at_the_block({key(A): [word(7), word(8)]}))
        node.always("debug_traceBlockByHash", result([]))
        for _ in range(2):
            state = await client.state_after(block_with_events_of(A), KNOWN)
            assert state == {A: AccountState(storage={1: 9, 2: 9})}
        await node.hang_up()
        await client.head()
        state = await client.state_after(block_with_events_of(A), KNOWN)
        assert state == {A: AccountState(storage={1: 7, 2: 8})}
        assert await client._state.diff(BLOCK) == {}


async def test_many_slots_are_asked_for_in_several_questions(autojump_clock: MockClock) -> None:
    def answer(request: dict[str, Json]) -> str | None:
        texts, _ = request["params"]
        assert sum(len(slots) for slots in texts.values()) <= 1_024
        return result({a: [word(int(slot, 16) * 3) for slot in slots] for a, slots in texts.items()})(request)

    async with open_fake() as (node, client):
        node.always("eth_getStorageValues", answer)
        known = {A: range(1_000), B: range(2_000)}
        state = await client.state_after(block_with_events_of(A, B), known)
        assert state[A].storage == {slot: slot * 3 for slot in range(1_000)}
        assert state[B].storage == {slot: slot * 3 for slot in range(2_000)}
        assert node.asked.count("eth_getStorageValues") == 3


async def test_pretended_code_goes_with_the_question(autojump_clock: MockClock) -> None:
    def answer(request: dict[str, Json]) -> str | None:
        options = request["params"][2]
        assert options == {"tracer": "prestateTracer", "stateOverrides": {key(B): {"code": "0x60"}}}
        return result({key(B): {"balance": "0x0", "code": "0x60"}})(request)

    async with open_fake() as (node, client):
        node.always("debug_traceCall", answer)
        state = await client.prestate(CALL, sender=A, block=BLOCK, pretend={B: b"\x60"})
        assert state[B].code == b"\x60"


async def test_slots_are_pretended_beside_code(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        asked: list[Json] = []

        def trace(request: dict[str, Json]) -> str:
            asked.append(request["params"][2]["stateOverrides"])
            return result({key(B): {"balance": "0x1", "storage": {word(3): word(4)}}})(request) or ""

        node.script("debug_traceCall", trace)
        pretend: dict[Address, bytes | AccountState] = {
            A: b"\x60",
            B: AccountState(storage={3: 4}),
            SENDER: AccountState(code=b"\x61"),
        }
        state = await client.prestate(CALL, sender=SENDER, block=BLOCK, pretend=pretend)
        assert asked == [
            {
                key(A): {"code": "0x60"},
                key(B): {"stateDiff": {word(3): word(4)}},
                key(SENDER): {"code": "0x61"},
            }
        ]
        assert state[B].storage == {3: 4}


async def test_without_debug_methods_slots_are_pretended_too(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        entry = {"address": key(B), "storageKeys": [word(3), word(5)]}
        node.script("eth_createAccessList", result({"accessList": [entry], "gasUsed": "0x1"}))
        for method, value in (
            ("eth_getBalance", "0x0"),
            ("eth_getTransactionCount", "0x0"),
            ("eth_getCode", "0x60"),
        ):
            node.always(method, result(value))
        node.always("eth_getStorageAt", result("0x7"))
        pretend = {B: AccountState(storage={3: 4})}
        state = await client.prestate(CALL, sender=SENDER, block=BLOCK, pretend=pretend)
        assert (state[B].code, state[B].storage) == (b"\x60", {3: 4, 5: 7})
