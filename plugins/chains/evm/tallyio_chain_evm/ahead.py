"""Slots of a new block, asked for as soon as it is announced.

Whoever keeps a copy of state wants, after each block, the slots of the accounts that had events in it. The
header's Bloom filter says which may have had, before the logs do, and leaves none out. So the question for
the slots is under way while the logs are, and its answer is read when somebody wants it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec
import trio

from tallyio.model.chain import Head, StateSlice
from tallyio.model.errors import ChainError
from tallyio.model.units import Address, Hash
from tallyio_chain_evm import slots
from tallyio_chain_evm.bloom import possible
from tallyio_chain_evm.errors import ConnectionLost, RpcError
from tallyio_chain_evm.link import Answer, Link
from tallyio_chain_evm.rpc import Request, Result
from tallyio_chain_evm.slots import Slot


class Ahead:
    """The question for some slots of one block, under way in a task of its own."""

    def __init__(self, link: Link, head: Head, watched: Mapping[Address, Collection[int]]) -> None:
        self.block: Hash = head.hash
        self._link = link
        self._bloom = head.logs_bloom
        self._watched = watched
        self._slots: list[Slot] = []
        self._asked: list[Request[list[list[int]]]] = []
        self._answers: Sequence[Answer[msgspec.Raw] | RpcError] = ()
        self._fault: ChainError | None = ConnectionLost(f"{link.endpoint}: this client is closed")
        self._over = trio.Event()

    async def run(self) -> None:
        """Ask; never raises for what the node does. `state` has the outcome."""
        accounts = possible(self._bloom, self._watched)
        self._slots = [(account, slot) for account in accounts for slot in self._watched[account]]
        self._asked = slots.questions(self._slots, self.block)
        try:
            unread = [Request(each.method, each.params, _unread) for each in self._asked]
            self._answers = await self._link.ask_all(unread)
            self._fault = None
        except ChainError as fault:
            self._fault = fault
        finally:
            self._over.set()

    def has(self, wanted: Collection[Slot]) -> bool:
        """Return whether all of `wanted` was asked for."""
        return set(self._slots).issuperset(wanted)

    async def state(self) -> StateSlice:
        """Return all that was asked for, once it is here. Raises: ChainError."""
        await self._over.wait()
        if self._fault is not None:
            raise self._fault
        told: list[list[list[int]]] = []
        for request, answer in zip(self._asked, self._answers, strict=True):
            if isinstance(answer, RpcError):
                raise answer
            told.append(self._link.decode(request, Result(answer.value, answer.arrived_ns)).value)
        return slots.state(self._slots, slots.flat(told))


def _unread(raw: msgspec.Raw) -> msgspec.Raw:
    # Left to whoever wants it: the logs, which come at the same time, are waited for.
    return raw
