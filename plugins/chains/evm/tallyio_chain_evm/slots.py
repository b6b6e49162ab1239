"""Many storage slots in one question, and its answers as state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tallyio.model.chain import AccountState, StateSlice
from tallyio.model.units import Address, Hash
from tallyio_chain_evm import requests
from tallyio_chain_evm.rpc import Request

MOST_SLOTS = 1_024
"""What geth answers in one `eth_getStorageValues`."""

type Slot = tuple[Address, int]
"""One storage slot of an account; the slots of an account stand together."""


def questions(slots: Sequence[Slot], block: Hash) -> list[Request[list[list[int]]]]:
    """Return what to ask for the values of `slots` at `block`, in order."""
    parts = [_by_account(slots[at : at + MOST_SLOTS]) for at in range(0, len(slots), MOST_SLOTS)]
    return [requests.storage_values(part, block) for part in parts]


def state(slots: Sequence[Slot], values: Iterable[int]) -> StateSlice:
    """Return `slots` with their `values`."""
    told: StateSlice = {}
    for (account, slot), value in zip(slots, values, strict=True):
        told.setdefault(account, AccountState(storage={})).storage[slot] = value
    return told


def flat(answers: Iterable[list[list[int]]]) -> list[int]:
    """Return the values in the answers to `questions`, in the order of the slots."""
    return [value for part in answers for values in part for value in values]


def _by_account(slots: Iterable[Slot]) -> dict[Address, list[int]]:
    grouped: dict[Address, list[int]] = {}
    for account, slot in slots:
        grouped.setdefault(account, []).append(slot)
    return grouped
