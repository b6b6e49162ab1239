"""What a transmission will answer, against contracts that take it: who agrees, and who reverts."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallyio.lab.artifact import Contract
from tallyio.lab.revm import RevmBackend
from tallyio.lab.steps import Recipe, deploy
from tallyio.lending.transmissions import MOST_ORACLES, final_calls, transmitted_answer
from tallyio.model.errors import EnvironmentFault
from tallyio.model.execution import Call
from tallyio.model.units import Address
from tests.ocr_reports import forward, forward_many, ocr1, ocr2, ocr_artifacts

START = 5
HIGHEST = 2**191 - 1
FRIEND = Address(b"\x77" * 20)

observations = st.lists(st.integers(-HIGHEST - 1, HIGHEST), max_size=MOST_ORACLES + 2)
calldata = st.one_of(observations.map(sorted), observations).flatmap(
    lambda seen: st.sampled_from([ocr1, ocr2]).map(lambda kind: kind(seen))
)


class Desk:
    """An aggregator and a forwarder on an EVM."""

    def __init__(self) -> None:
        self.backend = RevmBackend()
        self.aggregator, self.forwarder = self.backend.run(_deploy())

    def answer(self, to: Address, data: bytes) -> int | None:
        """Return what the aggregator says after that call, or None: it reverted."""
        with self.backend.undone():
            try:
                self.backend.append(Call(to=to, data=data))
            except EnvironmentFault:
                return None
            (said,) = self.backend.read(self.aggregator, "latestAnswer")
            return int(said)


def _deploy() -> Recipe[tuple[Contract, Contract]]:
    made = ocr_artifacts()
    aggregator = yield from deploy(made["Aggregator"], START)
    forwarder = yield from deploy(made["Forwarder"])
    return aggregator, forwarder


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


@given(data=calldata)
@example(data=ocr2([1, 2]))
@example(data=ocr2([3, 1, 2]))
@example(data=ocr1([3, 1, 2]))
@example(data=ocr2([]))
@example(data=ocr1([-7] * MOST_ORACLES))
@example(data=ocr2([1, 2, 3], signers=0))
def test_the_answer_is_the_contracts_own_or_it_reverts(desk: Desk, data: bytes) -> None:
    assert transmitted_answer(data) == desk.answer(desk.aggregator.address, data)


@given(data=calldata, place=st.integers(4, 2_000), value=st.sampled_from([0, 1, 31, 32, 0x80, 0xFF]))
def test_where_a_byte_is_another_both_say_the_same(desk: Desk, data: bytes, place: int, value: int) -> None:
    """A form that the contract refuses has no answer here, and no other answer comes of it."""
    broken = bytearray(data)
    broken[4 + place % (len(data) - 4)] = value
    ours, theirs = transmitted_answer(bytes(broken)), desk.answer(desk.aggregator.address, bytes(broken))
    assert ours == theirs


@given(data=calldata, length=st.integers(0, 600))
def test_calldata_cut_short_has_no_answer(desk: Desk, data: bytes, length: int) -> None:
    cut = data[: min(length, len(data) - 1)]
    assert transmitted_answer(cut) is None
    assert desk.answer(desk.aggregator.address, cut) is None


def test_reports_are_found_behind_forwarders(desk: Desk) -> None:
    aggregator, forwarder = desk.aggregator.address, desk.forwarder.address
    report = ocr2([4, 8, 15, 16, 23])
    direct = forward(aggregator, report)
    for data in (
        direct,
        forward(aggregator, report, "ownerForward"),
        forward(forwarder, direct),
        forward_many([(aggregator, ocr1([1, 2, 3])), (aggregator, report)]),
        forward_many([(forwarder, direct)]),
    ):
        *_, (target, call) = final_calls(forwarder, data)
        assert (target, call) == (aggregator, report)
        assert transmitted_answer(call) == 15 == desk.answer(forwarder, data)


def test_what_forwards_nothing_is_its_own_call() -> None:
    broken = forward(FRIEND, b"\x01\x02")[:60]
    for data in (b"", b"\x01\x02\x03\x04", broken, forward_many([])):
        assert list(final_calls(FRIEND, data)) == [(FRIEND, data)]


def test_forwarders_within_forwarders_have_an_end() -> None:
    data = ocr2([1, 2, 3])
    for _ in range(5):
        data = forward(FRIEND, data)
    ((_, left),) = final_calls(FRIEND, data)
    assert transmitted_answer(left) is None
