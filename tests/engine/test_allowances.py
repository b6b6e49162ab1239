"""Allowances within a plan: given, used, taken back, and met by nobody else."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple

import pytest

from tallyio.engine.allowances import GuardedPacker
from tallyio.model.erc20 import approve, transfer_from
from tallyio.model.errors import UnsafeRefused
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.units import Address

USD, ETH = (Address(bytes([letter]) * 20) for letter in b"ue")
EXECUTOR, OWNER, BANK = (Address(bytes([digit]) * 20) for digit in range(1, 4))
SPENDER = Address(b"s" * 20)
GIVEN, TAKEN = approve(USD, SPENDER, 7), approve(USD, SPENDER, 0)
USED = Call(to=SPENDER, data=b"take")
PLAIN = Call(to=USD, data=b"plain")


def carrying(*calls: Call, to: Address = SPENDER) -> tuple[GuardedPacker, Call]:
    """Return a packer and a call of `to` that carries a list of `calls`."""
    packer = GuardedPacker({(USD, 7)})
    return packer, Call(to=to, data=b"lend " + packer.pack(calls))


def test_an_allowance_is_given_used_and_taken_back_in_one_of_two_places() -> None:
    packer = GuardedPacker({(USD, 7)})
    packer.pack_all((PLAIN, GIVEN, USED, TAKEN, PLAIN))
    packer.pack((GIVEN, USED, TAKEN))
    packer, lend = carrying(PLAIN, GIVEN)
    packer.pack_all((PLAIN, lend, TAKEN, PLAIN))
    packer.pack((PLAIN, lend, TAKEN))


@pytest.mark.parametrize(
    "calls",
    [
        (GIVEN,),
        (GIVEN, USED),
        (GIVEN, TAKEN),
        (GIVEN, PLAIN, TAKEN),
        (GIVEN, USED, PLAIN, TAKEN),
        (GIVEN, USED, GIVEN),
        (TAKEN,),
        (GIVEN, Call(to=SPENDER, data=GIVEN.data), TAKEN),
        (approve(USD, SPENDER, 8), USED, TAKEN),
        (approve(ETH, SPENDER, 7), USED, approve(ETH, SPENDER, 0)),
        (Call(to=USD, data=GIVEN.data + b"more"), USED, TAKEN),
        (GIVEN, USED, approve(USD, BANK, 0)),
    ],
)
def test_any_other_allowance_is_refused(calls: tuple[Call, ...]) -> None:
    with pytest.raises(UnsafeRefused, match="would give an allowance on 0x"):
        GuardedPacker({(USD, 7)}).pack_all(calls)


@pytest.mark.parametrize("after", [(), (PLAIN, TAKEN), (approve(USD, BANK, 0),), (USED, TAKEN)])
def test_an_allowance_for_the_carrier_must_be_taken_back_by_the_next_call(after: tuple[Call, ...]) -> None:
    packer, lend = carrying(GIVEN)
    with pytest.raises(UnsafeRefused, match="would give an allowance"):
        packer.pack_all((lend, *after))


def test_an_allowance_that_was_used_is_not_left_to_the_carrier() -> None:
    with pytest.raises(UnsafeRefused, match="would give an allowance"):
        carrying(GIVEN, USED)


def test_an_allowance_for_the_carrier_is_for_nobody_else() -> None:
    packer, lend = carrying(GIVEN, to=BANK)
    with pytest.raises(UnsafeRefused, match="would give an allowance"):
        packer.pack((lend, TAKEN))


@pytest.mark.parametrize("inner", [(GIVEN,), (PLAIN,), (GIVEN, USED, TAKEN)])
def test_nothing_of_ours_runs_while_there_is_an_allowance(inner: tuple[Call, ...]) -> None:
    packer, lend = carrying(*inner)
    with pytest.raises(UnsafeRefused, match="would give an allowance"):
        packer.pack((GIVEN, lend, TAKEN))


class Nested(NamedTuple):
    """A call of `to`, or an allowance for it, and what runs in the call's callback."""

    to: Address
    amount: int | None = None
    inner: tuple[Nested, ...] = ()

    def call(self, packer: GuardedPacker) -> Call:
        """Return this as a plan has it. Raises: UnsafeRefused."""
        if self.amount is not None:
            return approve(USD, self.to, self.amount)
        inner = packer.pack(tuple(each.call(packer) for each in self.inner))
        return Call(to=self.to, data=b"call " + inner)


def run(calls: Iterable[Nested], allowed: dict[Address, int]) -> None:
    """Do what an executor does, whose `allowed` nobody but the called contract may have meanwhile."""
    for each in calls:
        if each.amount is None:
            assert set(allowed) <= {each.to}
            run(each.inner, allowed)
            assert set(allowed) <= {each.to}
        elif each.amount:
            assert not allowed
            allowed[each.to] = each.amount
        else:
            del allowed[each.to]


def shape(draw: random.Random, depth: int) -> tuple[Nested, ...]:
    """Return a list of what is right and what is nearly so, with such lists in it."""
    calls: list[Nested] = []
    for _ in range(draw.randrange(3)):
        to, amount = draw.choice((SPENDER, BANK)), draw.choice((7, 7, 7, 7, 8))
        inner = shape(draw, depth - 1) if depth else ()
        kind = draw.randrange(8)
        if kind < 3:
            within = inner if draw.random() < 0.2 else ()
            calls += [Nested(to, amount), Nested(to, inner=within), Nested(to, 0)]
        elif kind < 6:
            calls += [Nested(to, inner=(*inner, Nested(to, amount))), Nested(to, 0)]
        else:
            calls.append(Nested(to, inner=inner))
    if calls and draw.random() < 0.2:
        place = draw.randrange(len(calls))
        calls[place : place + draw.randrange(2)] = [Nested(SPENDER, draw.choice((None, 0, 7)))]
    return tuple(calls)


def test_whatever_is_planned_leaves_no_allowance_and_lets_nobody_else_meet_one() -> None:
    draw, planned, refused = random.Random(5), 0, 0
    for _ in range(5_000):
        calls, packer = shape(draw, 3), GuardedPacker({(USD, 7)})
        try:
            packer.pack_all(tuple(each.call(packer) for each in calls))
        except UnsafeRefused:
            refused += 1
            continue
        allowed: dict[Address, int] = {}
        run(calls, allowed)
        assert not allowed
        planned += any(each.amount for each in calls)
    assert planned > 500
    assert refused > 500


def test_no_plugin_takes_what_the_owner_allowed() -> None:
    packer = GuardedPacker({(USD, 7)})
    taking = transfer_from(USD, OWNER, EXECUTOR, 7)
    with pytest.raises(UnsafeRefused, match=r"would take 0x7575.* from somebody who allowed it"):
        packer.pack((taking,))
    with pytest.raises(UnsafeRefused, match="would take"):
        packer.pack_all((taking,))
    packer.pack_all((PLAIN,), first=(taking,))


@pytest.mark.parametrize("name", ["increaseAllowance(address,uint256)", "setApprovalForAll(address,bool)"])
def test_an_allowance_that_lasts_is_refused(name: str) -> None:
    with pytest.raises(UnsafeRefused, match="would give an allowance"):
        GuardedPacker({(USD, 7)}).pack((Call(to=USD, data=selector(name) + bytes(64)),))
