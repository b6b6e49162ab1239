"""Exact health, margins, scans, and an oracle's tick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from tallyio_protocol_aave_v3.bench import CASES, Scene, health_all, health_all_reference
from tallyio_protocol_aave_v3.layout import Reserve, pack_reserve

from perf.lending.books import NOW, make_book
from perf.market.row import Case, require_equal, row
from perf.peers.session import Peers
from tallyio.bench.rounds import Timer, timed
from tallyio.lending import margins
from tallyio.lending.book import Book
from tallyio.lending.margins import sums_of
from tallyio.native.atomics import load
from tallyio.native.jit import entry, hot

ROUGH: Final = 500
HOLDERS: Final = 2_000
SCANNED: Final = 10_000
MANY: Final = 100_000
MILLION: Final = 1_000_000
TICK_PERCENT: Final = 3
_SAMPLE: Final = 5_000
_NEAR: Final = 1e-9


@row("health.exact_8", goal_ns=110.0)
def exact(_: Peers) -> Case:
    """Health of eight collaterals and two debts as the contract computes it, interest included."""
    scene = Scene()
    both = scene.pool, scene.positions
    require_equal(health_all(*scene.arguments), health_all_reference(*both), "plain Python")
    return Case(
        ours=timed(entry(health_all), *scene.arguments, operations=CASES),
        reference=timed(health_all_reference, *both, operations=CASES),
        keeps=scene,
    )


@hot("float64(int64, int64, int64)")
def all_shares(columns: int, places: int, count: int) -> float:
    """Return the sum of what positions owe as a share of what they have, weighted."""
    total = 0.0
    for k in range(count):
        secured, owed = sums_of(columns, load(places, k))
        total += owed / secured
    return total


@row("health.float_8", goal_ns=7.0)
def rough(peers: Peers) -> Case:
    """Health of eight collaterals and two debts in float64, from what they weigh and what that is worth."""
    book, pool = make_book(ROUGH, owed=2)
    places = np.array([book.address_of(key) for key in book.keys], "i8")
    found = all_shares(book.columns_address, places.ctypes.data, ROUGH)
    exact = [book.health(key, NOW, 1) for key in book.keys]
    require_near(found, sum(each.debt / each.collateral for each in exact), "the exact health")
    beside, absent = _beside_degenbot(peers, book, pool, found)
    return Case(
        ours=timed(entry(all_shares), book.columns_address, places.ctypes.data, ROUGH, operations=ROUGH),
        peers=beside,
        absent=absent,
        keeps=(book, places),
    )


def require_near(ours: float, theirs: float, who: str) -> None:
    """Raises: Differs: they differ by more than a billionth."""
    require_equal(ours, theirs if abs(ours - theirs) > _NEAR * abs(ours) else ours, who)


def _beside_degenbot(
    peers: Peers, book: Book, pool: Sequence[Reserve], shares: float
) -> tuple[dict[str, Timer], dict[str, str]]:
    """Let degenbot analyse the same positions: float as well, and without interest since the last event."""
    if (peer := peers.degenbot) is None:
        return {}, {"degenbot": peers.degenbot_absent}
    reserves = [[each.price, each.liquidity_index, each.debt_index, each.threshold] for each in pool]
    held = [book.position(key) for key in book.keys]
    positions = [[[b.reserve, b.collateral, b.debt] for b in each.balances] for each in held if each]
    answers = peer.ask("aave", reserves, positions)
    require_near(shares, sum(1.0 / health for health in answers), "degenbot")
    return {"degenbot": lambda: float(peer.ask("aave_ns"))}, {}


@row("scan.10000", goal_ns=1_500.0)
def scan(_: Peers) -> Case:
    """Whose margin is within its band, or below, of 10,000 positions, by a look at each."""
    book = make_book(SCANNED)[0]
    found, columns = np.empty(SCANNED, "i8"), book.columns_address
    near = margins.scan(columns, found.ctypes.data, SCANNED)
    keys = book.keys  # of ids 0 and up: nobody has left
    known = {keys[number] for number in found[:near].tolist()}
    require_equal(set(book.at_risk(NOW, 1)) <= known, True, "the exact list")
    ours = timed(entry(margins.scan), columns, found.ctypes.data, SCANNED, operations=1)
    return Case(ours=ours, keeps=(book, found))


@row("side.move_2000", goal_ns=2_500.0)
def move(_: Peers) -> Case:
    """One price moves: the margins of its 2,000 holders, and who is near."""
    book = make_book(HOLDERS)[0]
    value = float(book.side_values[0])
    move_side: Any = entry(margins.move)

    def there_and_back() -> None:
        move_side(book.columns_address, 0, value * 1.001)
        move_side(book.columns_address, 0, value)

    return Case(ours=timed(there_and_back, operations=2), keeps=book)


def _tick(count: int) -> Case:
    """Return the case of one oracle that falls, and rises again, by three percent."""
    book, pool = make_book(count)
    before = pack_reserve(pool[0])
    lower = int(pool[0].price * (100 - TICK_PERCENT) / 100)
    after = pack_reserve(msgspec.structs.replace(pool[0], price=lower))
    book.put_reserve(0, after)
    found, looked_at = set(book.at_risk(NOW, 1)), book.keys[:_SAMPLE]
    expected = {key for key in looked_at if book.health(key, NOW, 1).status == 1}
    require_equal({key for key in looked_at if key in found}, expected, "a look at everybody")

    def down_and_up() -> None:
        book.put_reserve(0, before)
        book.at_risk(NOW, 1)
        book.put_reserve(0, after)
        book.at_risk(NOW, 1)

    return Case(
        ours=timed(down_and_up, operations=2), bytes_each=book.memory_bytes // count, keeps=(book, pool)
    )


@row("tick.100000x12", goal_ns=200_000.0)
def tick(_: Peers) -> Case:
    """One oracle moves by three percent: the exact list of who can be liquidated, of 100,000 positions."""
    return _tick(MANY)


@row("tick.1000000x12", goal_ns=2_000_000.0)
def big_tick(_: Peers) -> Case:
    """The same of a million."""
    return _tick(MILLION)
