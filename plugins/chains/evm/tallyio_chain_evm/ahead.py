"""Slots of the newest block, asked for together with its logs.

Whoever keeps a copy of state wants the slots of those accounts that had events in a block. The header's
Bloom filter says which may have had before the logs do, and leaves none out. So the slots come with the
logs, in one message, and are read when somebody wants them.

It is a favour: where an answer is missing, broken, or not all that is wanted, the node is asked again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from tallyio.model.chain import Head, StateSlice
from tallyio.model.units import Address, Hash
from tallyio_chain_evm import slots
from tallyio_chain_evm.bloom import possible
from tallyio_chain_evm.errors import MalformedReply, RpcError
from tallyio_chain_evm.link import Answer, Link
from tallyio_chain_evm.rpc import Request, Result
from tallyio_chain_evm.slots import Slot

type Answered = Answer[msgspec.Raw] | RpcError
"""What came for one of the requests."""


class Question(NamedTuple):
    """Slots that are asked for along with the logs of a block."""

    block: Hash
    slots: list[Slot]
    asked: list[Request[list[list[int]]]]

    def unread(self) -> list[Request[msgspec.Raw]]:
        """Return what to ask; the answers are read later."""
        return [Request(each.method, each.params, _unread) for each in self.asked]


NOTHING_ASKED: Final = Question(Hash(b""), [], [])


class Ahead:
    """The slots to ask for, and what came with the newest block."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.watched: Mapping[Address, Collection[int]] = {}
        """The slots to ask for, by account; looked at with every block."""
        self._question = NOTHING_ASKED
        self._answers: Sequence[Answered] = ()

    def question(self, head: Head) -> Question:
        """Return what to ask along with the logs of `head`; hand it to `keep` with the answers."""
        accounts = possible(head.logs_bloom, self.watched)
        wanted = [(account, slot) for account in accounts for slot in self.watched[account]]
        return Question(head.hash, wanted, slots.questions(wanted, head.hash))

    def keep(self, question: Question, answers: Sequence[Answered]) -> None:
        """Keep the answers until the next block."""
        self._question, self._answers = question, answers

    def state(self, wanted: Collection[Slot], block: Hash) -> StateSlice | None:
        """Return slots of `block`, among them all `wanted`; None where they did not come."""
        question = self._question
        if block != question.block or not set(question.slots).issuperset(wanted):
            return None
        try:
            return slots.state(question.slots, slots.flat(self._read()))
        except (MalformedReply, RpcError):
            return None

    def _read(self) -> list[list[list[int]]]:
        told: list[list[list[int]]] = []
        for request, answer in zip(self._question.asked, self._answers, strict=True):
            if isinstance(answer, RpcError):
                raise answer
            told.append(self._link.decode(request, Result(answer.value, answer.arrived_ns)).value)
        return told


def _unread(raw: msgspec.Raw) -> msgspec.Raw:
    return raw
