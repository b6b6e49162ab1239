"""The wire: what a node may send, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from tallyio_chain_evm.errors import (
    BatchRefused,
    CallTimeout,
    ConnectionLost,
    MalformedReply,
    MessageTooLarge,
    RpcError,
    WrongChain,
)
from trio.testing import MockClock

from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.units import Address
from tallyio.testing.node import PROVIDER_KEY, Step, error, open_node, result, silence, text
from tests.evm_clients import chain_of, open_fake

ACCOUNT = Address(bytes(20))
CALL = Call(to=ACCOUNT, data=b"\x01")


async def test_answers_find_their_questions_in_any_order(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        held: list[dict[str, Any]] = []

        def hold(request: dict[str, Any]) -> None:
            held.append(request)

        node.always("eth_getTransactionCount", hold)
        answers: dict[int, int] = {}

        async def ask(account: int) -> None:
            answers[account] = await client.nonce(Address(account.to_bytes(20, "big")))

        async with trio.open_nursery() as nursery:
            for account in range(5):
                nursery.start_soon(ask, account)
            await trio.testing.wait_all_tasks_blocked()
            for request in reversed(held):
                account = int(request["params"][0], 16)
                await node.say(result(hex(100 + account))(request) or "")
        assert answers == {account: 100 + account for account in range(5)}


async def test_a_batch_answered_in_reverse_keeps_its_order(autojump_clock: MockClock) -> None:
    async with open_fake(batch_size=10) as (node, client):
        node.always("eth_call", lambda request: result(request["params"][0]["data"])(request))
        calls = [Call(to=ACCOUNT, data=bytes([index])) for index in range(25)]
        assert await client.call(calls) == [call.data for call in calls]
        assert node.batches == [10, 10, 5]


async def test_a_reverted_call_is_none_and_any_other_error_is_raised(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        for step in (
            error(3, "execution reverted", "0x"),
            error(-32_000, "execution reverted: STF"),
            error(-32_015, "VM execution error."),
            error(-32_000, "invalid opcode: INVALID"),
            error(-32_000, "out of gas"),
            error(-32_000, "stack underflow (0 <=> 1)"),
            error(-32_000, "stack limit reached 1024 (1023)"),
            error(-32_000, "return data out of bounds"),
            error(-32_000, "gas uint64 overflow"),
            error(-32_000, "invalid code: must not begin with 0xef"),
            error(-32_000, "max code size exceeded"),
            error(-32_000, "max initcode size exceeded"),
            error(-32_000, "contract address collision"),
        ):
            node.script("eth_call", step)
            assert await client.call([CALL]) == [None]
        node.script("eth_call", error(-32_000, "header not found"))
        with pytest.raises(RpcError, match="eth_call with error -32000: header not found") as fault:
            await client.call([CALL])
        assert (fault.value.rpc_code, fault.value.reason) == (-32_000, "header not found")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (result(None), "eth_getBlockByNumber wrongly: Expected `object`, got `null`"),
        (result([]), "wrongly: Expected `object`, got `array`"),
        (result({"number": "0x1"}), "missing required field `hash`"),
        (text('{"id": ID}'), "neither result nor error"),
        (text('{"id": ID, "result": {}, "error": {"code": 1}}'), "a result and an error at once"),
    ],
)
async def test_a_wrong_answer_fails_the_one_call(answer: Step, says: str, autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script("eth_getBlockByNumber", answer)
        with pytest.raises(MalformedReply, match=says):
            await client.head()
        assert await client.head() == node.chain.tip.head
        assert node.connections == 1


@pytest.mark.parametrize("value", ["0x", "10", "0xg", "0x 1", "0x1_0", "-0x1", "0x" + "f" * 65, 5, None])
async def test_a_bad_quantity_fails_the_one_call(value: object, autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script("eth_getBalance", result(value), result("0x10"))
        with pytest.raises(MalformedReply, match="eth_getBalance wrongly"):
            await client.balance(ACCOUNT)
        assert await client.balance(ACCOUNT) == 16


@pytest.mark.parametrize(
    "message",
    [
        '{"jsonrpc":"2.0","id":1,"resu',
        "<html><body>502 Bad Gateway</body></html>",
        "",
        "null",
        "7",
        '{"id": ID, "result": NaN}',
        '{"id": ID, "result": ' + "[" * 200_000 + "]" * 200_000 + "}",
        "[" * 200_000,
        '{"id": ' + "9" * 5_000 + ', "result": "0x1"}',
        '{"id": {}, "result": "0x1"}',
    ],
)
async def test_a_message_that_is_no_json_rpc_costs_the_connection_only(
    message: str, autojump_clock: MockClock
) -> None:
    async with open_fake() as (node, client):
        node.script("eth_getBalance", text(message), result("0x10"))
        with pytest.raises(MalformedReply, match="sent what is not JSON-RPC"):
            await client.balance(ACCOUNT)
        assert await client.balance(ACCOUNT) == 16
        assert client.statistics().reconnects == 1


async def test_of_duplicate_keys_the_last_wins(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script("eth_getBalance", text('{"id": 999, "id": ID, "result": "0x1", "result": "0x2"}'))
        assert await client.balance(ACCOUNT) == 2


async def test_unknown_and_repeated_ids_are_dropped(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        good = '{"id": ID, "result": "0x2"}'
        batch = f'[{{"id": 77777, "result": "0x1"}}, {good}, {{"id": ID, "result": "0x3"}}, {{"id": "x"}}]'
        node.script("eth_getBalance", text(batch))
        assert await client.balance(ACCOUNT) == 2
        assert await client.head() == node.chain.tip.head
        assert node.connections == 1


async def test_notifications_of_no_subscription_are_dropped(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        for params in ('{"subscription": "0x9", "result": 1}', "[]", "null", '{"subscription": 5}'):
            await node.say('{"method": "eth_subscription", "params": ' + params + "}")
        assert await client.head() == node.chain.tip.head
        assert node.connections == 1


async def test_an_error_without_an_id_reaches_whoever_waits(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script(
            "eth_getBalance", text('{"id": null, "error": {"code": -32700, "message": "parse error"}}')
        )
        with pytest.raises(RpcError, match="error -32700: parse error"):
            await client.balance(ACCOUNT)


@pytest.mark.parametrize("identity", ["ID", "null"])
async def test_one_error_for_a_whole_batch_is_an_answer_to_all_of_it(
    identity: str, autojump_clock: MockClock
) -> None:
    """So does geth refuse a batch: a list of one error, with the id of the first call."""
    async with open_fake(batch_size=10) as (node, client):
        refusal = text(f'{{"id": {identity}, "error": {{"code": -32600, "message": "batch too large"}}}}')
        node.script("eth_call", refusal, *[silence] * 9)
        with pytest.raises(
            BatchRefused, match=r"10 calls with error -32600: batch too large; lower `batch_size`"
        ):
            await client.call([CALL] * 10)
        assert node.connections == 1


async def test_one_refused_message_does_not_fail_the_others(autojump_clock: MockClock) -> None:
    async with open_fake(batch_size=10) as (node, client):
        node.script("eth_getBalance", silence, result("0x5"))
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                assert await client.balance(ACCOUNT) == 5

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            node.script("eth_call", error(-32_600, "batch too large"), *[silence] * 9)
            with pytest.raises(BatchRefused):
                await client.call([CALL] * 10)
            await node.hang_up()  # what still waits is asked again


async def test_a_result_without_an_id_is_nobodys(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script("eth_getBalance", text('[{"id": null, "result": "0x1"}, {"id": ID, "result": "0x2"}]'))
        assert await client.balance(ACCOUNT) == 2


async def test_an_error_of_odd_shape_is_an_error_still(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script("eth_getBalance", text('{"id": ID, "error": "too busy"}'))
        with pytest.raises(RpcError, match="too busy"):
            await client.balance(ACCOUNT)
        node.script("eth_getBalance", text('{"id": ID, "result": null, "error": {}}'))
        with pytest.raises(RpcError, match="error 0: no reason given"):
            await client.balance(ACCOUNT)


async def test_a_null_error_beside_a_result_is_no_error(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script("eth_getBalance", text('{"id": ID, "result": "0x5", "error": null}'))
        assert await client.balance(ACCOUNT) == 5


async def test_a_binary_message_is_read_like_text(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script("eth_getBalance", silence)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.balance, ACCOUNT)
            await trio.testing.wait_all_tasks_blocked()
            await node.say(b'{"id": 2, "result": "0x5"}')


async def test_a_text_that_is_no_utf_8_costs_the_connection_only(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script("eth_getBalance", silence)
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                with pytest.raises(MalformedReply):
                    await client.balance(ACCOUNT)

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            await node.say(b'{"id": 2, "result": "\xff\xfe"}')
        assert await client.head() == node.chain.tip.head


async def test_silence_ends_at_the_deadline_of_the_whole_call(autojump_clock: MockClock) -> None:
    async with open_fake(deadline_s=5) as (node, client):
        node.script("eth_getBalance", silence)
        began = trio.current_time()
        with pytest.raises(CallTimeout, match=r"did not finish eth_getBalance within 5 s.*deadline_s"):
            await client.balance(ACCOUNT)
        assert trio.current_time() - began == pytest.approx(5)
        assert node.connections == 1


async def test_a_late_answer_is_dropped(autojump_clock: MockClock) -> None:
    async with open_fake(deadline_s=5) as (node, client):
        node.script("eth_getBalance", silence)
        with pytest.raises(CallTimeout):
            await client.balance(ACCOUNT)
        await node.say('{"id": 2, "result": "0x5"}')
        assert await client.head() == node.chain.tip.head


async def test_a_slow_drip_ends_at_the_deadline_too(autojump_clock: MockClock) -> None:
    """One byte now and then keeps any timeout per read from firing."""
    async with open_fake(deadline_s=5) as (node, client):
        node.drip_s = 0.2
        with pytest.raises(CallTimeout):
            await client.head()


async def test_a_message_over_the_cap_is_refused_while_it_grows(autojump_clock: MockClock) -> None:
    async with open_fake(max_bytes=65_536) as (node, client):
        node.script("eth_call", result("0x" + "00" * 40_000))
        with pytest.raises(MessageTooLarge, match=r"more than 65536 bytes.*raise `max_bytes`"):
            await client.call([CALL])
        assert await client.head() == node.chain.tip.head
        assert client.statistics().reconnects == 1


async def test_large_messages_under_the_cap_are_whole(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script("eth_call", result("0x" + "ab" * 1_500_000))
        assert await client.call([CALL]) == [b"\xab" * 1_500_000]


async def test_a_call_survives_a_lost_connection_within_its_deadline(autojump_clock: MockClock) -> None:
    async with open_fake(deadline_s=5) as (node, client):
        node.script("eth_getBalance", silence, result("0x7"))
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                assert await client.balance(ACCOUNT) == 7

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            await node.hang_up()


async def test_a_call_during_an_outage_ends_at_its_deadline(autojump_clock: MockClock) -> None:
    async with open_fake(deadline_s=5, patience_s=60) as (node, client):
        node.dead = True
        await node.hang_up()
        with pytest.raises(CallTimeout):
            await client.balance(ACCOUNT)


@pytest.mark.parametrize("status", [301, 302, 403, 429, 503])
async def test_a_refused_handshake_is_not_followed(status: int, autojump_clock: MockClock) -> None:
    async with open_node() as node:
        node.reject_with = status
        with pytest.raises(
            ConnectionLost, match=f"refused the WebSocket handshake with HTTP status {status}"
        ):
            async with chain_of(node).open():
                pass
        assert node.connections == 1


async def test_a_peer_that_is_no_web_server_is_named(autojump_clock: MockClock) -> None:
    async def connect() -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.send_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        return ours

    async with open_node() as node:
        node.connect = connect  # type: ignore[method-assign]
        with pytest.raises(ConnectionLost, match="broke the WebSocket protocol"):
            async with chain_of(node).open():
                pass


async def test_a_peer_that_never_answers_the_handshake_is_given_up(autojump_clock: MockClock) -> None:
    async def connect() -> trio.abc.Stream:
        return trio.testing.memory_stream_pair()[0]

    async with open_node() as node:
        node.connect = connect  # type: ignore[method-assign]
        with pytest.raises(CallTimeout, match="did not finish the connection attempt within 5 s"):
            async with chain_of(node).open():
                pass


async def test_the_wrong_chain_is_refused_before_anything_is_asked(autojump_clock: MockClock) -> None:
    async with open_node() as node:
        node.chain_id = 1
        with pytest.raises(WrongChain, match=r"chain id 1, configured is 31337; correct `url`") as fault:
            async with chain_of(node).open():
                pass
        assert node.asked == ["eth_chainId"]
        assert fault.value.exit_code == 4


@pytest.mark.parametrize("answer", [result(None), text("nonsense"), error(-32_601, "no"), silence])
async def test_a_node_that_cannot_name_its_chain_is_refused(answer: Step, autojump_clock: MockClock) -> None:
    async with open_node() as node:
        node.always("eth_chainId", answer)
        with pytest.raises(ChainError):
            async with chain_of(node).open():
                pass


async def test_what_the_body_raises_leaves_as_it_is(autojump_clock: MockClock) -> None:
    async with open_node() as node:
        with pytest.raises(KeyError, match="ours"):
            async with chain_of(node).open():
                raise KeyError("ours")


async def test_after_the_end_the_client_says_so(autojump_clock: MockClock) -> None:
    async with open_node() as node:
        async with chain_of(node).open() as client:
            pass
        with pytest.raises(ConnectionLost, match="this client is closed"):
            await client.head()


async def test_no_message_holds_the_providers_key(autojump_clock: MockClock) -> None:
    """Not ours, and not a node's that repeats the URL at us."""
    async with open_fake() as (node, client):
        node.script("eth_getBalance", error(-32_005, f"project {PROVIDER_KEY} is over its limit\x1b[31m"))
        with pytest.raises(RpcError) as refused:
            await client.balance(ACCOUNT)
        assert "project … is over its limit" in str(refused.value)
        node.script("eth_getBalance", result(PROVIDER_KEY), text(PROVIDER_KEY))
        with pytest.raises(MalformedReply) as wrong:
            await client.balance(ACCOUNT)
        with pytest.raises(MalformedReply) as broken:
            await client.balance(ACCOUNT)
        for fault in (refused, wrong, broken):
            shown = f"{fault.value!s} {fault.value!r} {fault.value.message}"
            assert PROVIDER_KEY not in shown
            assert "\x1b" not in shown


async def test_a_first_notification_in_the_same_breath_is_not_lost(autojump_clock: MockClock) -> None:
    """The answer to eth_subscribe and the first head come in one read."""
    async with open_fake() as (node, client):
        feed = client.blocks()

        def both(request: dict[str, Any]) -> str:
            block = node.chain.mine()
            head = json.loads(node.honest({"id": 0, "method": "eth_getBlockByNumber", "params": ["latest"]}))
            params = {"subscription": "0x5", "result": head["result"]}
            told = {"method": "eth_subscription", "params": params}
            assert block is node.chain.tip
            return json.dumps([{"id": request["id"], "result": "0x5"}, told])

        node.script("eth_subscribe", both)
        await anext(feed)
        link = client._link
        assert link._connection is not None
        assert link._connection.strays == 0


async def test_a_node_without_subscriptions_is_one_clear_error(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.always("eth_subscribe", error(-32_601, "notifications not supported"))
        with pytest.raises(ChainError, match="notifications not supported"):
            await anext(client.blocks())


async def test_closing_says_goodbye(autojump_clock: MockClock) -> None:
    async with open_node() as node:
        async with chain_of(node).open():
            assert node.open_connections == 1
        await trio.testing.wait_all_tasks_blocked()
        assert node.open_connections == 0
