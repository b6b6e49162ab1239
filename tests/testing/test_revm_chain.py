"""The chain of the test kit says what happened on its EVM, as a chain plugin would."""

from __future__ import annotations

import pytest

from tallyio.hooks.interfaces import ChainReader
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import Reverted, deploy
from tallyio.lab.world import OPERATOR
from tallyio.model.chain import Block, LogFilter
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic
from tallyio.model.units import Address
from tallyio.testing import RevmChain, head_at

TRANSFER = event_topic("Transfer(address,address,uint256)")
SYNC = event_topic("Sync(uint112,uint112)")
FRIEND = Address(b"\x77" * 20)
FORTY_TWO = bytes.fromhex("602a60005260206000f3")  # PUSH1 42; MSTORE at 0; RETURN 32 bytes


@pytest.fixture
def chain() -> RevmChain:
    return RevmChain()


@pytest.fixture
def token(chain: RevmChain) -> Contract:
    return Contract(artifact("Token"), chain.world.tokens["DAI"].address)


def topic(account: Address) -> bytes:
    return account.rjust(32, b"\0")


async def numbers_of(chain: ChainReader, **query: object) -> list[int]:
    """Return the block number of each log that a filter over all blocks selects."""
    selected = LogFilter(**({"from_block": 0, "to_block": 2**63} | query))  # type: ignore[arg-type]
    return [log.block_number for log in await chain.logs(selected)]


async def test_the_latest_head_follows_the_world_and_names_its_parent(chain: RevmChain) -> None:
    before = chain.latest
    chain.backend.deploy(artifact("Token").encode_constructor("T", "T", 18))
    head = await chain.head()
    assert (head.number, head.parent_hash) == (before.number + 1, before.hash)
    assert head.timestamp - before.timestamp == 12
    assert head.hash != before.hash
    assert chain.chain_id == chain.world.chain_id


async def test_a_block_is_what_its_calls_did(chain: RevmChain, token: Contract) -> None:
    block = chain.block_of(*(token.call("transfer", FRIEND, amount) for amount in (5, 7)))
    assert block.head == chain.latest
    assert [int.from_bytes(log.data) for log in block.logs] == [5, 7]
    assert [log.log_index for log in block.logs] == [0, 1]
    for log in block.logs:
        assert (log.address, log.topics) == (token.address, (TRANSFER, topic(OPERATOR), topic(FRIEND)))
        assert (log.block_hash, log.block_number) == (block.head.hash, block.head.number)


def test_a_call_that_reverts_says_so(chain: RevmChain, token: Contract) -> None:
    with pytest.raises(Reverted):
        chain.block_of(token.call("transfer", OPERATOR, 1), sender=FRIEND)


def test_no_calls_are_an_empty_block(chain: RevmChain) -> None:
    before = chain.latest
    block = chain.block_of()
    assert (block.head.number, block.logs) == (before.number + 1, ())


async def test_the_traders_make_a_block_that_moves_pools(chain: RevmChain) -> None:
    block = chain.step(seed=1)
    pools = {pool.address for pool in chain.world.pools}
    assert any(log.address in pools for log in block.logs)
    assert block == chain.block(chain.latest.number)


async def test_blocks_after_a_head_are_all_that_happened_since(chain: RevmChain, token: Contract) -> None:
    seen = chain.latest
    assert chain.blocks_after(seen) == []
    made: list[Block] = [chain.step(seed=2), chain.block_of()]
    chain.backend.transact(token.call("transfer", FRIEND, 3))
    blocks = chain.blocks_after(seen)
    assert blocks[:2] == made
    assert [len(block.logs) for block in blocks[1:]] == [0, 1]


def test_a_block_that_is_not_there_is_named(chain: RevmChain) -> None:
    for number in (-1, chain.latest.number + 1):
        with pytest.raises(LookupError, match=f"no block {number}; the head is {chain.latest.number}"):
            chain.block(number)


async def test_a_call_answers_in_order_and_none_where_it_reverts(chain: RevmChain, token: Contract) -> None:
    good, bad = token.call("decimals"), Call(to=token.address, data=b"\xff\xff\xff\xff")
    assert await chain.call([good, bad, good], block=chain.latest.hash) == [
        (18).to_bytes(32),
        None,
        (18).to_bytes(32),
    ]
    assert await chain.call([good]) == [(18).to_bytes(32)]


async def test_a_call_leaves_no_trace_and_knows_its_sender(chain: RevmChain, token: Contract) -> None:
    give, before = token.call("transfer", FRIEND, 1), chain.latest
    assert (await chain.call([give]), await chain.call([give], sender=OPERATOR)) == (
        [None],
        [(1).to_bytes(32)],
    )
    assert await chain.call([token.call("balanceOf", FRIEND)]) == [bytes(32)]
    assert chain.latest == before


async def test_a_read_at_another_block_is_refused(chain: RevmChain, token: Contract) -> None:
    old = chain.latest
    chain.block_of()
    with pytest.raises(ChainError, match=f"is not the latest, which is {chain.latest.number}; read at"):
        await chain.call([token.call("decimals")], block=old.hash)
    await chain.call([token.call("decimals")])
    assert chain.asked_at == [old.hash, None]


async def test_pretended_code_answers_for_one_question_only(chain: RevmChain, token: Contract) -> None:
    asked = [Call(to=FRIEND, data=b""), token.call("balanceOf", OPERATOR)]
    own = await chain.call(asked)
    pretended = await chain.call(asked, pretend={FRIEND: FORTY_TWO, token.address: FORTY_TWO})
    assert pretended == [(42).to_bytes(32)] * 2
    assert await chain.call(asked) == own == [b"", own[1]]


async def test_the_events_of_the_recipe_are_there_from_the_first_block_on(chain: RevmChain) -> None:
    created = event_topic("PairCreated(address,address,address,uint256)")
    logs = await chain.logs(LogFilter(from_block=0, to_block=chain.latest.number, topics=((created,),)))
    pairs = [Address(log.data[12:32]) for log in logs]
    assert pairs == [pool.address for pool in chain.world.pools if pool.kind == "v2"]


async def test_events_of_a_constructor_are_there(chain: RevmChain) -> None:
    factory = chain.backend.run(deploy(artifact("UniswapV3Factory")))
    assert set(await numbers_of(chain, addresses=(factory.address,))) == {chain.latest.number}


async def test_logs_are_selected_by_block_address_and_topic(chain: RevmChain, token: Contract) -> None:
    seen = chain.latest
    first, second = (chain.block_of(token.call("transfer", FRIEND, 1)) for _ in range(2))
    chain.block_of(token.call("approve", FRIEND, 1))
    ours: dict[str, object] = {"from_block": seen.number + 1}
    one, two, three = range(seen.number + 1, seen.number + 4)
    assert [first.head.number, second.head.number] == [one, two]
    assert await numbers_of(chain, **ours) == [one, two, three]
    assert await numbers_of(chain, **ours, to_block=two) == [one, two]
    assert await numbers_of(chain, **ours, addresses=(FRIEND,)) == []
    assert await numbers_of(chain, **ours, addresses=(FRIEND, token.address)) == [one, two, three]
    assert await numbers_of(chain, **ours, topics=((TRANSFER,),)) == [one, two]
    assert await numbers_of(chain, **ours, topics=((), (), (topic(FRIEND),))) == [one, two, three]
    assert await numbers_of(chain, **ours, topics=((SYNC,),)) == []


async def test_a_log_with_fewer_topics_than_the_filter_is_not_selected(chain: RevmChain) -> None:
    """As nodes do: a position that accepts any topic wants one all the same."""
    chain.step(seed=3)
    assert await numbers_of(chain, topics=((SYNC,),)) != []
    assert await numbers_of(chain, topics=((SYNC,), ())) == []


def test_what_is_undone_never_was(chain: RevmChain, token: Contract) -> None:
    before = chain.step(seed=4)
    with chain.backend.undone():
        chain.block_of(token.call("transfer", FRIEND, 9))
    assert chain.latest == before.head
    assert chain.block(chain.latest.number) == before
    assert chain.backend.read(token, "balanceOf", FRIEND) == (0,)
    assert chain.block_of(token.call("transfer", FRIEND, 2)).head.number == before.head.number + 1


def test_two_fresh_chains_are_equal_and_do_not_touch() -> None:
    one, other = RevmChain(), RevmChain()
    assert one.step(seed=5) == other.step(seed=5)
    one.step(seed=6)
    assert other.latest.number == one.latest.number - 1


def test_a_fork_is_a_sibling_with_another_hash() -> None:
    main, fork = head_at(7), head_at(7, fork="b")
    assert (main.number, main.parent_hash) == (fork.number, fork.parent_hash)
    assert main.hash != fork.hash
    assert head_at(8, parent=fork.hash, fork="b").parent_hash == fork.hash
