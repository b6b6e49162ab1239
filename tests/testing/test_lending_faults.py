"""A fault that is planted in a protocol that lends fails the card that is about it, in words that help."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, cast

import pytest
from tallyio_protocol_morpho_blue import hot

from tallyio.hooks.lending import LendingProtocol
from tallyio.lending import abi
from tallyio.model.chain import Head
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, Position, PositionKey
from tallyio.testing import Judged, LendingCards, RevmChain
from tallyio.testing.lending_desk import LendingDesk
from tests.lending_lab import falling_prices, lending_chain, lending_table
from tests.testing.planted import Instead, failure

Plant = Callable[[LendingDesk], None]
CAP = 10**6
NUMBER = 32
SEIZE = NUMBER
MOST = 4 * NUMBER
REPAY = 4
"""Which argument of `liquidate` the offer is."""


class Loans(LendingCards):
    """The cards of real loans, with a fault planted into what stands for the plugin."""

    plugin = "morpho_blue"
    trials = 3
    plant: Plant

    def chain(self) -> RevmChain:
        """Build the world."""
        return lending_chain()

    def settings(self, chain: RevmChain) -> Mapping[str, object]:
        """Take the table of the lending demo."""
        return lending_table(chain, "morpho_blue")

    def changes(self, chain: RevmChain, books: Sequence[BookSpec]) -> list[list[Call]]:
        """Let prices fall once."""
        return falling_prices(chain)[:1]

    def judged(self, chain: RevmChain, book: BookSpec, key: PositionKey) -> Judged:
        """Say of everybody what is true at first."""
        return Judged(status=abi.HEALTHY)

    def _make_desk(self) -> LendingDesk:
        desk, protocol, specs = sound_desk()
        desk.protocol, desk.specs, desk.hot = protocol, specs, hot
        type(self).plant(desk)
        return desk


@cache
def sound_desk() -> tuple[LendingDesk, LendingProtocol, list[BookSpec]]:
    """Return a desk, made once, and the parts of it that a fault may replace."""
    Loans.setup_class()
    desk = LendingCards._make_desk(Loans())
    return desk, desk.protocol, desk.specs


def compiled_fault(**faults: object) -> Plant:
    """Return what replaces compiled functions."""

    def plant(desk: LendingDesk) -> None:
        desk.hot = Instead(hot, **faults)

    return plant


def adapter_fault(make: Callable[[LendingProtocol], dict[str, object]]) -> Plant:
    """Return what replaces parts of the adapter."""

    def plant(desk: LendingDesk) -> None:
        desk.protocol = cast("LendingProtocol", Instead(desk.protocol, **make(desk.protocol)))

    return plant


def finds_each_twice(desk: LendingDesk) -> None:
    desk.specs = desk.specs * 2


def reads_the_latest(real: LendingProtocol) -> dict[str, object]:
    async def load(chain: RevmChain, book: BookSpec, *, block: Head) -> object:
        await chain.call([])
        return await real.load(chain, book, block=block)

    return {"load": load}


def tells_them_backwards(real: LendingProtocol) -> dict[str, object]:
    async def positions(
        chain: RevmChain, book: BookSpec, keys: Sequence[PositionKey], *, block: Head
    ) -> list[Position]:
        return (await real.positions(chain, book, keys, block=block))[::-1]

    return {"positions": positions}


def number_at(address: int) -> int:
    return int.from_bytes(ctypes.string_at(address, NUMBER), "little")


def put_number(address: int, value: int) -> None:
    ctypes.memmove(address, value.to_bytes(NUMBER, "little"), NUMBER)


def gives_one_more(*arguments: Any) -> int:
    verdict, out = hot.liquidate(*arguments), arguments[-1]
    put_number(out + SEIZE, number_at(out + SEIZE) + 1)
    return int(verdict)


def cuts_too_much(*arguments: Any) -> int:
    cut, out = list(arguments), arguments[-1]
    cut[REPAY] = min(cut[REPAY], CAP)
    verdict = hot.liquidate(*cut)
    put_number(out + MOST, number_at(out))
    return int(verdict)


FAULTS: dict[str, tuple[Plant, str]] = {
    "l02_discovery_finds_the_books": (finds_each_twice, "found a book twice"),
    "l03_everything_is_read_at_the_given_block": (adapter_fault(reads_the_latest), r"it asked at \{None\}"),
    "l07_positions_are_found_and_told_in_order": (
        adapter_fault(tells_them_backwards),
        r"\d+ keys of 'morpho' gave other positions",
    ),
    "l08_health_is_what_the_contract_says": (
        compiled_fault(health=lambda *_: abi.LIQUIDATABLE),
        "the contract's status is 0, the plugin's 1",
    ),
    "l09_the_search_overlooks_nobody": (
        compiled_fault(weight=lambda *_: 1.0),
        r"whose status is 1, it is [\d.e+]+ with a slack of",
    ),
    "l10_liquidations_take_and_give_what_was_said": (
        compiled_fault(liquidate=gives_one_more),
        r"the contract moves None, the plugin says Moved\(spent=\d+, got=\d+\)",
    ),
    "l11_what_is_refused_the_contract_refuses": (
        compiled_fault(liquidate=lambda *_: abi.PAUSED),
        r"the plugin says 'liquidation is paused', the contract moves Moved\(spent=\d+, got=1\)",
    ),
    "l12_beyond_the_most_nothing_is_had": (
        compiled_fault(liquidate=cuts_too_much),
        r"a unit beyond \d+ moves Moved\(.*\), more than",
    ),
    "l13_books_that_follow_logs_equal_a_fresh_load": (
        adapter_fault(lambda _: {"follow": lambda *_: None}),
        r"after block \d+, 0x\w+ in 'morpho' has \('health', .*, read afresh",
    ),
    "l14_a_callback_runs_before_the_debt_is_paid": (
        adapter_fault(lambda _: {"can_call_back": lambda _: False}),
        "it took calls to run, though `can_call_back` is False",
    ),
}


@pytest.mark.parametrize("card", FAULTS)
def test_a_planted_fault_fails_its_card(card: str) -> None:
    plant, says = FAULTS[card]
    made = type("Planted", (Loans,), {"plant": staticmethod(plant)})
    said = failure(made, f"test_{card}")
    assert said.startswith(card[:3].upper())
    assert re.search(says, said), said
    assert ". Fix: " in said


def test_inner_calls_that_are_forgotten_are_seen() -> None:
    def forgets_inner(real: LendingProtocol) -> dict[str, object]:
        return {"liquidate": lambda *which, **facts: real.liquidate(*which, **facts | {"inner": ()})}

    made = type("Planted", (Loans,), {"plant": staticmethod(adapter_fault(forgets_inner))})
    assert "0 could be passed on" in failure(made, "test_l14_a_callback_runs_before_the_debt_is_paid")
