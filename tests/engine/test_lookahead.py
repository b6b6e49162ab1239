"""Who dies at the price of an update that waits dies when it has landed; until then nothing has happened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import cast

import msgspec
import pytest
import trio
from tallyio_protocol_aave_v3.adapter import AaveV3

from tallyio.engine.books import Books, load_books
from tallyio.engine.lookahead import Lookahead, Update, open_lookahead, told
from tallyio.engine.simulator import Effect
from tallyio.engine.slow_lane import SlowLane
from tallyio.engine.waiting import MOST, PATIENCE, Waiting
from tallyio.hooks.interfaces import ChainClient, ChainReader
from tallyio.lab.artifact import Contract
from tallyio.lab.lending.feeds import feed_artifacts
from tallyio.lab.recipe import USD_PRICES
from tallyio.lab.world import OPERATOR
from tallyio.model.chain import AccountState, Block, Head, Log, PendingTransaction
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.lending import PositionKey
from tallyio.model.proposal import Proposal
from tallyio.model.units import Address, Hash, Wei, checksum
from tallyio.testing import RevmChain
from tests.lending_lab import lending_chain, lending_table
from tests.ocr_reports import forward, ocr1, ocr2

DOLLAR = 10**8
FORWARDER = Address(b"\xf0" * 20)
AWAY = Address(b"\xaa" * 20)


class Looker:
    """Stands in the slow lane's place: writes down who is at risk in the books that it may look at."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.seen: list[dict[int, set[PositionKey]]] = []

    def search_supposing(
        self, head: Head, gas_price_wei: int, supposed: Sequence[int]
    ) -> tuple[Proposal, ...]:
        """Look."""
        assert gas_price_wei == 1
        self.seen.append({number: at_risk(self.books, head, number) for number in supposed})
        return ()


def at_risk(books: Books, head: Head, number: int = 0) -> set[PositionKey]:
    """Return who can be liquidated in the block after `head`."""
    return set(books.held[number].book.at_risk(head.timestamp + 12, head.number + 1))


class Scene:
    """A lending world, the book of its Aave market, and somebody who looks ahead."""

    def __init__(self, chain: RevmChain, books: Books) -> None:
        self.chain, self.books = chain, books
        self.looker = Looker(books)
        self.run_first: list[PendingTransaction] = []
        slow = cast("SlowLane", self.looker)
        self.ahead = Lookahead(chain, self, slow, self._effect)

    async def pending(self) -> AsyncIterator[PendingTransaction]:
        """Tell of one transaction."""
        yield waiting(Call(to=AWAY, data=b""))

    def feed(self, symbol: str) -> Contract:
        """Return the aggregator of a token's price."""
        facts = self.chain.world.lending
        assert facts is not None
        return Contract(feed_artifacts()["Feed"], facts.feeds[symbol])

    async def look(self, call: Call) -> dict[int, set[PositionKey]]:
        """Return who is at risk behind `call`, by book that was looked at."""
        update = self.ahead.recognise(waiting(call))
        assert update is not None
        self.looker.seen.clear()
        assert await self.ahead.search(update, self.chain.latest, 1) == ()
        return self.looker.seen.pop() if self.looker.seen else {}

    async def _effect(self, transaction: PendingTransaction, head: Head) -> Effect:
        """Run it on the world's own EVM."""
        await trio.lowlevel.checkpoint()
        self.run_first.append(transaction)
        assert transaction.to is not None
        with self.chain.backend.undone():
            block = self.chain.block_of(Call(to=transaction.to, data=transaction.data))
        return Effect(logs=block.logs)


def waiting(call: Call, number: int = 0) -> PendingTransaction:
    """Return `call` as it waits."""
    return PendingTransaction(
        hash=Hash(number.to_bytes(32)),
        sender=OPERATOR,
        nonce=number,
        to=call.to,
        data=call.data,
        value_wei=Wei(0),
        gas_limit=10**6,
        max_fee_wei=Wei(1),
        max_priority_fee_wei=Wei(1),
        arrived_ns=0,
    )


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    chain = lending_chain()
    adapter = AaveV3(lending_table(chain, "aave_v3"))
    books = trio.run(load, chain, adapter)
    yield Scene(chain, books)
    books.close()


async def load(chain: RevmChain, adapter: AaveV3) -> Books:
    return await load_books(chain, [("aave_v3", adapter)], head=chain.latest)


def state(books: Books) -> tuple[object, ...]:
    """Return what a book holds, as far as blocks change it."""
    book = books.held[0].book
    count = len(book.spec.reserves)
    return (book.head, book.own(), *map(book.reserve, range(count)), *map(book.position, book.keys))


async def test_who_is_at_risk_behind_an_update_is_at_risk_once_it_has_landed(scene: Scene) -> None:
    """Whatever way the answer comes: by a report, through a forwarder, or by a call that is run first."""
    for percent, symbol in (
        (101, "WETH"),
        (90, "WETH"),
        (75, "WBTC"),
        (60, "WETH"),
        (140, "LINK"),
        (100, "WETH"),
    ):
        feed, answer = scene.feed(symbol), USD_PRICES[symbol] * DOLLAR * percent // 100
        observed = [answer - 2, answer - 1, answer, answer, answer + 5]
        before, then = state(scene.books), at_risk(scene.books, scene.chain.latest)
        reports = [
            Call(to=feed.address, data=ocr2(observed)),
            Call(to=feed.address, data=ocr1(observed)),
            Call(to=FORWARDER, data=forward(feed.address, ocr2(observed))),
        ]
        expected = [await scene.look(call) for call in reports]
        assert scene.run_first == [], "calldata told all of it"
        expected.append(await scene.look(feed.call("post", answer)))
        assert len(scene.run_first) == 1
        scene.run_first.clear()
        assert (state(scene.books), at_risk(scene.books, scene.chain.latest)) == (before, then)
        await scene.books.apply(scene.chain.block_of(feed.call("post", answer)))
        landed = {0: at_risk(scene.books, scene.chain.latest)}
        assert expected == [landed] * 4


async def test_an_update_that_fails_leads_nowhere(scene: Scene) -> None:
    feed = scene.feed("WETH")

    async def fails(transaction: PendingTransaction, head: Head) -> Effect:
        await trio.lowlevel.checkpoint()
        return Effect(reason="stale report")

    ahead = Lookahead(scene.chain, scene, cast("SlowLane", scene.looker), fails)
    update = ahead.recognise(waiting(feed.call("post", 1)))
    assert update is not None
    assert await ahead.search(update, scene.chain.latest, 1) == ()
    assert scene.looker.seen == []


async def test_what_a_book_cannot_follow_is_read_as_the_update_will_leave_it(scene: Scene) -> None:
    """No event that is followed tells of it: the node is told which slots to take for its own."""
    held = scene.books.held[0]
    (source,) = (feed for feed in held.book.spec.reserves[0].feeds if feed != scene.feed("WETH").address)
    changed = {source: AccountState(storage={1: 2})}
    asked: list[object] = []
    posted = scene.chain.block_of(scene.feed("DAI").call("post", DOLLAR)).logs
    strangers = tuple(msgspec.structs.replace(each, address=AWAY) for each in posted)
    await scene.books.apply(scene.chain.block(scene.chain.backend.number))

    class Node:
        """Writes down what is to be pretended."""

        async def call(self, calls: Sequence[Call], **facts: object) -> list[bytes | None]:
            asked.append(facts["pretend"])
            return await scene.chain.call(calls, block=scene.chain.latest.hash)

    async def effect(transaction: PendingTransaction, head: Head) -> Effect:
        await trio.lowlevel.checkpoint()
        return Effect(logs=strangers, changes=changed)

    ahead = Lookahead(cast("ChainReader", Node()), scene, cast("SlowLane", scene.looker), effect)
    update = Update(transaction=waiting(Call(to=source, data=b"")), answers={source: None})
    before = state(scene.books)
    assert await ahead.search(update, scene.chain.latest, 1) == ()
    assert asked
    assert all(pretend == changed for pretend in asked)
    assert scene.looker.seen.pop().keys() == {0}
    assert state(scene.books) == before


def test_what_reports_to_nobody_we_know_is_no_update(scene: Scene) -> None:
    feed = scene.feed("WETH")
    for call in (
        Call(to=AWAY, data=ocr2([1, 2, 3])),
        Call(to=FORWARDER, data=forward(AWAY, ocr2([1, 2, 3]))),
        Call(to=AWAY, data=feed.call("post", 1).data),
    ):
        assert scene.ahead.recognise(waiting(call)) is None
    assert scene.ahead.recognise(msgspec.structs.replace(waiting(feed.call("post", 1)), to=None)) is None


def test_a_feed_whose_updates_are_sold_is_left_out(scene: Scene) -> None:
    book = scene.books.held[0].book
    plain = book.spec
    feed = scene.feed("WETH").address
    sold = [
        msgspec.structs.replace(each, auction="svr" if feed in each.feeds else "") for each in plain.reserves
    ]
    try:
        vars(book)["spec"] = msgspec.structs.replace(plain, reserves=tuple(sold))
        assert scene.ahead.recognise(waiting(Call(to=feed, data=ocr2([1, 2, 3])))) is None
        other = scene.feed("LINK").address
        assert scene.ahead.recognise(waiting(Call(to=other, data=ocr2([1, 2, 3])))) is not None
    finally:
        vars(book)["spec"] = plain
    update = scene.ahead.recognise(waiting(Call(to=feed, data=ocr2([1, 2, 3]))))
    assert update is not None
    assert update.answers == {feed: 2}
    assert told(update.trigger) == f"pending oracle update 0x{'00' * 32} of feed {checksum(feed)}"


def test_a_chain_that_follows_no_mempool_says_so(scene: Scene) -> None:
    said: list[str] = []
    chain = cast("ChainClient", scene.chain)
    slow = cast("SlowLane", scene.looker)
    assert open_lookahead(chain, slow, scene._effect, said.append) is None
    assert said == ["price updates in the mempool are not followed: the chain's plugin has no way to"]
    assert open_lookahead(chain, None, scene._effect, said.append) is None
    assert len(said) == 1


# --- waiting -----------------------------------------------------------------------------------


def update_of(number: int) -> Update:
    """Return the update that many are told apart by."""
    return Update(transaction=waiting(Call(to=AWAY, data=b""), number), answers={AWAY: 1})


def test_updates_wait_until_a_block_took_them_or_nobody_would_wait_longer(scene: Scene) -> None:
    held, updates = Waiting(), [update_of(number) for number in range(3)]
    for update in updates:
        held.add(update)
    (log, *_) = scene.chain.block_of(scene.feed("LINK").call("post", 7 * DOLLAR)).logs
    took = msgspec.structs.replace(log, transaction_hash=updates[1].transaction.hash)

    def block(*logs: Log) -> Block:
        return Block(head=scene.chain.latest, logs=logs, bytes_in_ns=0, decoded_ns=0)

    assert held.after(block()) == updates
    held.add(update_of(4))
    assert held.after(block(took)) == [updates[0], updates[2], update_of(4)]
    for _ in range(PATIENCE - 3):
        assert len(held.after(block())) == 3
    assert held.after(block()) == [update_of(4)]
    assert held.after(block()) == []


def test_only_so_many_updates_wait() -> None:
    held = Waiting()
    for number in range(MOST + 2):
        held.add(update_of(number))
    assert len(held._seen) == MOST
    assert update_of(1).transaction.hash not in held._seen


async def test_the_chain_in_memory_pretends_code_and_no_slots(scene: Scene) -> None:
    with pytest.raises(ChainError, match="pretends code only"):
        await scene.chain.call([], pretend={AWAY: AccountState(storage={1: 2})})
