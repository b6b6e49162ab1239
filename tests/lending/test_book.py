"""A book finds everybody who is liquidatable, whatever moved, and forgets nothing that is undone."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest

from tallyio.hooks.lending import BookRows
from tallyio.lending import abi, margins
from tallyio.lending.book import Book
from tallyio.lending.fusion import FusedLending
from tallyio.lending.positions import Positions, head_at, slot_bytes
from tallyio.lending.rows import RowMemory
from tallyio.market.market import OutOfOrder, UndoLost
from tallyio.model.lending import Position
from tallyio.native.memory import Region
from tests.lending import toys
from tests.lending.toys import TIME, head, key, open_book, position, row

PRICES = (10**6, 2_500 * 10**6, 60_000 * 10**6, 15 * 10**6)


def expected(book: Book, positions: dict[int, Position], time: int) -> set[object]:
    """Return who is liquidatable, by looking at each in Python integers."""
    rows = [book.reserve(number) for number in range(len(book.spec.reserves))]
    return {each.key for each in positions.values() if toys.liquidatable(each, rows, time)}


def test_everybody_below_the_threshold_is_found_and_nobody_else(fused: FusedLending) -> None:
    rng = Random(1)
    rows = [row(price=price, growth=rng.randrange(3)) for price in PRICES]
    positions = {n: toys.random_position(rng, n, len(rows)) for n in range(3_000)}
    with open_book(fused, rows, list(positions.values())) as book:
        found = book.at_risk(TIME + 12, 1)
        assert set(found) == expected(book, positions, TIME + 12)
        assert len(found) > 300


def test_prices_thresholds_interest_and_positions_may_change_in_any_order(fused: FusedLending) -> None:
    rng = Random(2)
    rows = [row(price=price, growth=rng.randrange(100)) for price in PRICES]
    positions = {n: toys.random_position(rng, n, len(rows)) for n in range(400)}
    threshold = 80
    with open_book(fused, rows, list(positions.values())) as book:
        for number in range(1, 150):
            edit = book.change(head(number))
            for _ in range(rng.randrange(4)):
                reserve = rng.randrange(len(rows))
                factor = rng.choice((0.5, 0.999, 0.9999999, 1.0000001, 1.001, 2.2))
                price = max(1, int(PRICES[reserve] * factor))
                edit.set_reserve(reserve, row(price=price, growth=rng.randrange(100), threshold=threshold))
            if rng.random() < 0.1:
                threshold = rng.choice((0, 70, 100))
                for reserve, price in enumerate(PRICES):
                    edit.set_reserve(reserve, row(price=price, threshold=threshold))
                edit.reweigh()
            for _ in range(rng.randrange(5)):
                changed = toys.random_position(rng, rng.randrange(400), len(rows))
                edit.set_position(changed)
                positions[int.from_bytes(changed.key.account, "big")] = changed
            time = TIME + 12 * number + 12
            assert set(book.at_risk(time, number)) == expected(book, positions, time), number


def test_a_price_may_creep_below_what_has_margins_renewed(fused: FusedLending) -> None:
    # Thresholds a ten-millionth apart, and a price that falls by less than that each block.
    rows = [row(price=10**9), row(price=10**9)]
    positions = {n: position(n, (0, 10**15, 0), (1, 0, 8 * 10**14 - n * 8 * 10**7)) for n in range(200)}
    with open_book(fused, rows, list(positions.values())) as book:
        sizes = set()
        for number in range(1, 200):
            book.change(head(number)).set_reserve(0, row(price=10**9 - 70 * number))
            found = set(book.at_risk(TIME, number))
            assert found == expected(book, positions, TIME), number
            sizes.add(len(found))
        assert len(sizes) > 100


def test_any_mix_of_blocks_and_rollbacks_is_what_a_fresh_load_gives(fused: FusedLending) -> None:
    rng = Random(3)
    rows = [row(price=price) for price in PRICES]
    start = [toys.random_position(rng, n, len(rows)) for n in range(100)]
    with open_book(fused, rows, start) as book:
        states = [(rows, {each.key: each for each in start if each.balances})]
        chain = [toys.block(0)]
        for step in range(1, 200):
            if len(chain) > 1 and rng.random() < 0.4:
                book.roll_back([chain.pop()])
                states.pop()
            else:
                edit = book.change(head(step, chain[-1]))
                now_rows, held = list(states[-1][0]), dict(states[-1][1])
                reserve = rng.randrange(len(rows))
                now_rows[reserve] = row(price=rng.randrange(1, 10**9), threshold=rng.choice((50, 80)))
                edit.set_reserve(reserve, now_rows[reserve])
                edit.reweigh()
                for _ in range(3):
                    changed = toys.random_position(rng, rng.randrange(120), len(rows))
                    edit.set_position(changed)
                    held.pop(changed.key, None)
                    if changed.balances:
                        held[changed.key] = changed
                chain.append(toys.block(step))
                states.append((now_rows, held))
            now_rows, held = states[-1]
            assert {each: book.position(each) for each in book.keys} == held
            with open_book(fused, now_rows, list(held.values())) as other:
                assert set(book.at_risk(TIME, step)) == set(other.at_risk(TIME, step))


def test_a_reserve_without_a_price_has_its_holders_looked_at_until_there_is_one(fused: FusedLending) -> None:
    holder, other = position(1, (0, 10**9, 0), (1, 0, 10**6)), position(2, (0, 10**9, 10**8))
    with open_book(fused, [row(price=10**6), row(price=0)], [holder, other]) as book:
        assert book.at_risk(TIME, 1) == [holder.key]
        assert book.health(holder.key, TIME, 1).status == abi.UNKNOWN
        book.change(head(1)).set_reserve(1, row(price=10**6))
        assert book.at_risk(TIME, 1) == []


def test_nobody_is_at_risk_in_a_book_that_is_empty_or_was_emptied(fused: FusedLending) -> None:
    with open_book(fused, [row(price=10**6)]) as book:
        assert book.at_risk(TIME, 1) == []
        book.put(position(1, (0, 1, 5)))
        assert book.at_risk(TIME, 1) == [key(1)]
        book.put(position(1))
        book.change(head(1)).set_reserve(0, row(price=10**7))  # so far that all margins are made anew
        assert book.at_risk(TIME, 1) == []


def test_whoever_owes_nothing_is_never_at_risk(fused: FusedLending) -> None:
    with open_book(fused, [row(price=10**6)], [position(1, (0, 5, 0))]) as book:
        book.change(head(1)).set_reserve(0, row(price=1))
        assert book.at_risk(TIME, 1) == []


def test_the_factor_on_a_price_at_which_a_position_dies_is_where_it_dies(fused: FusedLending) -> None:
    rows = [row(price=10**6), row(price=10**6)]
    long, short = position(1, (0, 10**12, 0), (1, 0, 4 * 10**11)), position(2, (0, 0, 10**11), (1, 10**12, 0))
    with open_book(fused, rows, [long, short, position(3, (0, 10**12, 10**3))]) as book:
        falls, rises = book.deaths(0, TIME, 1)
        assert (falls.key, rises.key) == (long.key, short.key)
        assert falls.factor == pytest.approx(0.5)
        assert rises.factor == pytest.approx(8.0)
        book.change(head(1)).set_reserve(0, row(price=int(10**6 * falls.factor) - 1))
        assert book.at_risk(TIME, 1) == [long.key]


def test_a_liquidation_is_asked_for_by_reserve_and_answers_with_the_most_that_is_lawful(
    fused: FusedLending,
) -> None:
    rows = [row(price=10**6), row(price=2 * 10**6)]
    with open_book(fused, rows, [position(1, (0, 100, 0), (1, 0, 60))]) as book:
        terms = book.liquidate(key(1), collateral=0, debt=1, time=TIME, number=1)
        assert (terms.verdict, terms.repay, terms.most, terms.seize) == (abi.LAWFUL, 30, 30, 66)
        assert book.liquidate(key(1), collateral=0, debt=1, repay=7, time=TIME, number=1).repay == 7
        book.change(head(1)).set_reserve(1, row(price=2 * 10**6, paused=True))
        assert book.liquidate(key(1), collateral=0, debt=1, time=TIME, number=1).verdict == abi.PAUSED
        book.put(position(1, (1, 0, 60)))
        with pytest.raises(LookupError, match="nothing in reserve 0 or 1"):
            book.liquidate(key(1), collateral=0, debt=1, time=TIME, number=1)


def test_a_block_follows_the_head_and_only_the_newest_is_undone(fused: FusedLending) -> None:
    with open_book(fused, [row(price=1)]) as book:
        book.change(head(1))
        with pytest.raises(OutOfOrder, match="does not follow"):
            book.change(head(1))
        book.change(head(2))
        with pytest.raises(UndoLost, match="not the newest"):
            book.roll_back([head(1).hash])
        book.roll_back([head(2).hash, head(1).hash])
        assert book.head == toys.block(0)
        with pytest.raises(UndoLost):
            book.roll_back([toys.block(0)])


def test_rows_and_positions_read_again_belong_to_the_newest_block(fused: FusedLending) -> None:
    rows = [row(price=10**6)]
    with open_book(fused, rows, [position(1, (0, 100, 90))]) as book:
        assert book.at_risk(TIME, 1) == [key(1)]
        book.change(head(1))
        fresh = type("Rows", (), {"own": bytes(64), "reserves": (row(price=10**6, threshold=95),)})()
        book.take_rows(fresh)
        assert book.at_risk(TIME, 1) == []
        book.take_positions([position(1, (0, 100, 96)), position(2, (0, 1, 0))])
        assert book.at_risk(TIME, 1) == [key(1)]
        book.roll_back([head(1).hash])
        assert (book.at_risk(TIME, 1), len(book)) == ([key(1)], 1)
        assert book.position(key(1)) == position(1, (0, 100, 90))


def test_a_position_outgrows_its_room_and_keeps_its_place(fused: FusedLending) -> None:
    rows = [row(price=10**6) for _ in range(40)]
    with open_book(fused, rows, [position(n, (n, 10, 1)) for n in range(40)]) as book:
        grown = position(3, *((r, 1, 1) for r in range(33)))
        book.put(grown)
        assert book.position(key(3)) == grown
        assert book.at_risk(TIME, 1) == [key(3)]
        book.put(position(3, (0, 10, 1)))
        assert book.at_risk(TIME, 1) == []


def packed(positions: Sequence[Position], room: int) -> Region:
    """Return positions as rows for a book to take over."""
    source, memory = Positions(), Region(len(positions) * slot_bytes(room))
    for number, each in enumerate(positions):
        at = source.address(source.write(each))
        raw = ctypes.string_at(at, abi.LINE * (1 + len(each.balances)))
        start = number * slot_bytes(room) + head_at(room)
        memory.view("u1", len(raw), start)[:] = np.frombuffer(raw, "u1")
    source.close()
    return memory


def test_positions_that_are_taken_over_are_like_those_that_came_one_by_one(fused: FusedLending) -> None:
    rng = Random(4)
    rows = [row(price=price) for price in PRICES]
    drawn = {n: toys.random_position(rng, n, len(rows)) for n in range(1_500)}
    positions = {n: each for n, each in drawn.items() if each.balances}
    with open_book(fused, rows, [position(2_000, (0, 5, 1))]) as book:
        book.adopt(packed(list(positions.values()), 4), len(positions), 4)
        assert {each: book.position(each) for each in book.keys if each != key(2_000)} == {
            each.key: each for each in positions.values()
        }
        for number in range(1, 60):
            edit = book.change(head(number))
            edit.set_reserve(number % 4, row(price=max(1, int(PRICES[number % 4] * rng.uniform(0.5, 2)))))
            changed = toys.random_position(rng, rng.randrange(1_500), len(rows))
            edit.set_position(changed)
            positions[int.from_bytes(changed.key.account, "big")] = changed
            found = set(book.at_risk(TIME, number)) - {key(2_000)}
            assert found == expected(book, positions, TIME), number


def test_positions_with_keys_that_are_taken_are_not_taken_over(fused: FusedLending) -> None:
    twins = [position(1, (0, 5, 1)), position(1, (0, 6, 1))]
    with open_book(fused, [row(price=1)], [position(2, (0, 5, 1))]) as book:
        for refused in (twins, [position(2, (0, 7, 1))]):
            with pytest.raises(ValueError, match="keys of their own"):
                book.adopt(packed(refused, 1), len(refused), 1)
        assert len(book) == 1


def test_only_whose_weights_changed_are_entered_anew_however_many_they_are(fused: FusedLending) -> None:
    # What does not secure holds no place among a side's holders: there is none for it until it does.
    worthless = [row(price=10**6, threshold=0), row(price=10**6)]
    positions = {n: position(n, (0, 10**6 + n, 0), (1, 0, 10**5)) for n in range(2_000)}
    with open_book(fused, worthless, list(positions.values())) as book:
        assert len(book.at_risk(TIME, 1)) == len(positions)
        book.change(head(1))
        book.take_rows(BookRows(own=bytes(64), reserves=(row(price=10**6), row(price=10**6))))
        assert book.at_risk(TIME, 1) == []
        before = book.nets(key(7))
        book.take_rows(BookRows(own=bytes(64), reserves=(row(price=10**6), row(price=2 * 10**6))))
        assert book.nets(key(7)) == before
        book.roll_back([head(1).hash])
        assert set(book.at_risk(TIME, 1)) == expected(book, positions, TIME)


def test_a_scan_finds_whoever_is_at_risk_and_few_others(fused: FusedLending) -> None:
    rng = Random(5)
    rows = [row(price=price) for price in PRICES]
    positions = [toys.random_position(rng, n, len(rows)) for n in range(1_005)]
    with open_book(fused, rows, positions) as book:
        risky = set(book.at_risk(TIME, 1))
        found = np.empty(len(book), "i8")
        count = margins.scan(book.columns_address, found.ctypes.data, len(found))
        keys = book.keys
        assert risky <= {keys[number] for number in found[:count].tolist()}
        assert count < len(risky) + 100
        assert margins.scan(book.columns_address, found.ctypes.data, 3) == count


@pytest.mark.parametrize("rows", [[], [bytes(64), bytes(128)], [bytes(63)]])
def test_rows_that_do_not_fit_the_book_are_refused(fused: FusedLending, rows: list[bytes]) -> None:
    with open_book(fused, [row(price=1)]) as book, pytest.raises(ValueError, match=r"rows? of"):
        book.take_rows(type("Rows", (), {"own": bytes(64), "reserves": tuple(rows)})())


def test_what_functions_keep_for_a_reserve_goes_with_its_row_and_with_the_own_one() -> None:
    rows = [row(price=1), row(price=2)]
    memory = RowMemory(BookRows(own=bytes(64), reserves=tuple(rows)), 0)
    memos = memory.memos()
    memos[:] = 1
    memory.set_reserve(1, row(price=3))
    assert (memos[0].all(), memos[1].any()) == (True, False)
    memory.set_own(bytes(64))
    assert not memos.any()
