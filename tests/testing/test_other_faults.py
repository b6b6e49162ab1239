"""Faults of strategies, chains and notifiers fail the cards that are about them."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from tallyio_chain_evm.chain import EvmChain
from tallyio_chain_evm.settings import read_settings
from tallyio_strategy_arbitrage import bench_pools, generate
from tallyio_strategy_arbitrage.strategy import Arbitrage

from tallyio.hooks.interfaces import CompiledProtocol, Notice
from tallyio.hooks.search import Scene, Search
from tallyio.market.abi import FOUND, word
from tallyio.model.chain import Block, BlockEvent, Rollback
from tallyio.model.errors import ChainError
from tallyio.model.proposal import Proposal
from tallyio.model.units import checksum
from tallyio.testing import SECRET, ChainCards, Mailbox, NotifierCards, SlowStrategyCards, StrategyCards
from tallyio.testing.market_worlds import TOKENS, MarketWorld, Protocol
from tests.testing.planted import failure

# --- strategies ------------------------------------------------------------------------------

Change = Callable[[bytes, int], bytes]


class ChangedWorld(MarketWorld):
    """Changes what the strategy wrote."""

    change: Change

    def detect(self, index: int, capacity: int) -> bytes:
        """Find, and change it."""
        return type(self).change(super().detect(index, capacity), capacity)


class Arbitrages(StrategyCards):
    """The cards of cycles, with a fault planted into what they wrote."""

    plugin = "arbitrage"
    worlds = 2
    change: Change

    def settings(self) -> Mapping[str, object]:
        """Take profit in two tokens."""
        return {"base_tokens": [checksum(TOKENS[0]), checksum(TOKENS[2])], "max_legs": 4}

    @property
    def world(self) -> MarketWorld:
        """The changed one."""
        return self.once("world", self._make)

    def _make(self) -> MarketWorld:
        name, compiled = generate.protocol()
        found = CompiledProtocol(module=compiled.module)
        pairs = Protocol(name, found, bench_pools.RESERVES_TOPIC, bench_pools.pack_row)
        made = type("Made", (ChangedWorld,), {"change": staticmethod(type(self).change)})
        world: MarketWorld = made(Arbitrage(self.settings()), "arbitrage", pairs)
        return world


def pays_one_more(raw: bytes, _: int) -> bytes:
    at = 8 * word(FOUND, "amounts") + 32
    return raw[:at] + bytes([(raw[at] + 1) % 256]) + raw[at + 1 :] if len(raw) > FOUND.itemsize else raw


def worst_first(raw: bytes, _: int) -> bytes:
    size = FOUND.itemsize
    cut = [raw[k : k + size] for k in range(0, len(raw), size)]
    return b"".join([*reversed(cut[:-1]), cut[-1]])


def nothing(raw: bytes, _: int) -> bytes:
    return raw[-FOUND.itemsize :]


def one_too_many(raw: bytes, _: int) -> bytes:
    return raw[: -FOUND.itemsize] + bytes(FOUND.itemsize)


@pytest.mark.parametrize(
    ("card", "change", "says"),
    [
        ("test_s04_a_planted_gain_is_found", nothing, r"S04 .*in market 0 it found \[\]"),
        ("test_s05_every_proposal_gains_exactly_what_it_says", pays_one_more, r"S05 .*pool \d+ pays \d+"),
        ("test_s06_the_best_comes_first", worst_first, "S06 .*the nets are"),
        ("test_s07_no_more_is_written_than_there_is_room", one_too_many, "S07 .*wrote behind the end"),
    ],
)
def test_a_strategy_that_errs_fails(card: str, change: Change, says: str) -> None:
    said = failure(type("Planted", (Arbitrages,), {"change": staticmethod(change)}), card)
    assert re.search(says, said), said


class Eager:
    """Sees a gain everywhere: what it sells it gets back, and one unit."""

    def search(self, scene: Scene) -> Search:
        """Propose what no pool pays."""
        token = scene.pools[0].tokens[0]
        sale = scene.best_sale(token, scene.pools[0].tokens[1], 10**18)
        if sale is None:
            return Search()
        made = Proposal(
            token=token,
            legs=sale.legs,
            amount_in=10**18,
            amount_out=10**18 + 1,
            gas=1,
            net_wei=random.random(),
        )
        return Search(proposals=(made,))


class EagerCards(SlowStrategyCards):
    """The cards of it."""

    plugin = "liquidation"

    @property
    def host(self) -> Any:
        """Build the eager one."""
        return SimpleNamespace(slow_strategy=lambda _name, _settings: Eager())


@pytest.mark.parametrize(
    ("card", "says"),
    [
        ("test_t02_a_quiet_scene_has_nothing_to_take", "T02 .*scene 0 gave"),
        ("test_t04_every_proposal_gains_and_adds_up", "T04 .*of other tokens .* is left"),
        ("test_t06_the_same_scene_gives_the_same_answer", "T06 .*gave different answers"),
        ("test_t07_dear_gas_leaves_nothing", "T07 .*it proposed"),
    ],
)
def test_a_slow_strategy_that_errs_fails(card: str, says: str) -> None:
    said = failure(EagerCards, card)
    assert re.search(says, said), said


# --- chains ----------------------------------------------------------------------------------

Feed = Callable[[AsyncIterator[BlockEvent]], AsyncGenerator[BlockEvent]]


async def without_rollbacks(feed: AsyncIterator[BlockEvent]) -> AsyncGenerator[BlockEvent]:
    async for event in feed:
        if not isinstance(event, Rollback):
            yield event


async def twice(feed: AsyncIterator[BlockEvent]) -> AsyncGenerator[BlockEvent]:
    async for event in feed:
        yield event
        yield event


async def as_it_is(feed: AsyncIterator[BlockEvent]) -> AsyncGenerator[BlockEvent]:
    async for event in feed:
        yield event


async def cut_short(feed: AsyncIterator[BlockEvent]) -> AsyncGenerator[BlockEvent]:
    async for event in feed:
        yield msgspec.structs.replace(event, logs=event.logs[:2]) if isinstance(event, Block) else event


class ForwardingChain:
    """The real chain, whose feed goes through a fault, and whose errors show its URL."""

    def __init__(self, settings: Mapping[str, object], feed: Feed) -> None:
        self._url, self._feed = settings["url"], feed
        self._real = EvmChain(*read_settings(settings))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        """Connect."""
        async with self._real.open() as client:
            yield SimpleNamespace(blocks=lambda: self._blocks(client), head=client.head)

    async def _blocks(self, client: Any) -> AsyncIterator[BlockEvent]:
        try:
            async with aclosing(self._feed(client.blocks())) as feed:
                async for event in feed:
                    yield event
        except ChainError as error:
            raise ChainError(f"{self._url}: {error}") from None


class ForwardingCards(ChainCards):
    """The cards of it."""

    plugin = "evm"
    feed: Feed

    @property
    def host(self) -> Any:
        """Build it."""
        return SimpleNamespace(chain=lambda _name, settings: ForwardingChain(settings, type(self).feed))

    def settings(self, url: str, chain_id: int) -> Mapping[str, object]:
        """Have little patience."""
        return {"url": url, "chain_id": chain_id, "deadline_s": 0.5, "patience_s": 0.5, "max_silence_s": 0.3}


@pytest.mark.parametrize(
    ("card", "feed", "says"),
    [
        (
            "test_b01_blocks_come_in_order_and_whole",
            cut_short,
            "B01 .*with 40 logs, it yielded .*with 2 logs",
        ),
        ("test_b04_a_repeated_head_is_dropped", twice, "B04 .*expected was block 1 .*it yielded block 0"),
        ("test_b05_a_reorg_rolls_back_first", without_rollbacks, "B05 .*expected was a rollback of 1 blocks"),
        ("test_b12_a_dead_node_is_told_without_its_key", as_it_is, "B12 .*it says ws://.*k3y-of-a-provider"),
    ],
)
def test_a_chain_that_errs_fails(card: str, feed: Feed, says: str) -> None:
    said = failure(type("Planted", (ForwardingCards,), {"feed": staticmethod(feed)}), card)
    assert re.search(says, said), said


# --- notifiers -------------------------------------------------------------------------------


class Naive:
    """Prints whatever it is given, and lets every fault through."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._fails = bool(settings)

    async def notify(self, notice: Notice) -> None:
        """Print."""
        if self._fails:
            raise RuntimeError(SECRET)
        sys.stderr.write(f"{notice.title} {notice.body}\n")


class NaiveCards(NotifierCards):
    """The cards of it."""

    plugin = "apprise"

    @property
    def host(self) -> Any:
        """Build it."""
        return SimpleNamespace(notifier=lambda _name, settings: Naive(settings))

    @contextmanager
    def service(self, folder: Path) -> Iterator[Mailbox]:
        """Collect what is printed."""
        with redirect_stderr(StringIO()) as printed:
            yield Mailbox({}, lambda: printed.getvalue().splitlines())

    @contextmanager
    def refusing(self, folder: Path) -> Iterator[Mapping[str, object]]:
        """Fail."""
        yield {"fail": True}


@pytest.mark.parametrize(
    ("card", "says"),
    [
        ("test_n02_secrets_do_not_leave", "N02 .*a provider's key in a URL arrived"),
        ("test_n03_a_repeated_fact_is_told_once", "N03 .*5 notices of one key arrived 5 times"),
        ("test_n04_a_burst_is_bounded", "N04 .*300 of 300 arrived"),
        ("test_n05_a_failing_service_is_not_the_engines_problem", "N05 .*`notify` raised"),
    ],
)
def test_a_naive_notifier_fails(card: str, says: str) -> None:
    said = failure(NaiveCards, card)
    assert re.search(says, said), said
    assert ". Fix: " in said


def test_a_sequence_of_worlds_is_the_same_every_time() -> None:
    worlds: Sequence[object] = [Arbitrages().planted(random.Random(3)) for _ in range(2)]
    assert worlds[0] == worlds[1]
