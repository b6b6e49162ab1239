"""Pack the lists of one plan, and refuse what would let anybody take more than the plan pays.

Layer: engine. Pure. Pools and lenders are paid by transfer where they allow it. Some take their payment
themselves, and for them an allowance has one of two shapes, with nothing in between:

    approve(spender, amount), a call of the spender, approve(spender, 0)
    a call of the spender [which calls back: ..., approve(spender, amount)], approve(spender, 0)

In the second the spender takes its payment when its callback has returned. In both nobody else is called
while there is an allowance, the spender has nothing to take but that amount, which a leg or a loan of the
plan pays, and after the last call nothing is left to take, whatever the spender did. The executor's owner
may have allowed the executor to take tokens; only the plan's own first call does that.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from tallyio.engine.executor import CallPacker
from tallyio.model.erc20 import APPROVE, TRANSFER_FROM, approve
from tallyio.model.errors import UnsafeRefused
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.units import Address, checksum
from tallyio.model.words import WORD, address_at, unsigned

Payment = tuple[Address, int]
"""A token, and how much of it a leg or a loan pays."""

_LASTING: Final = frozenset(
    {selector("increaseAllowance(address,uint256)"), selector("setApprovalForAll(address,bool)")}
)
"""What the executor never calls: an allowance outlives the transaction, a payment does not."""
_APPROVE_BYTES: Final = 4 + 2 * WORD


class GuardedPacker:
    """Packs the lists of one plan, innermost first, and refuses allowances that are not of those shapes."""

    def __init__(self, payments: Collection[Payment]) -> None:
        """`payments` are all that the plan pays."""
        self._payments = payments
        self._packer = CallPacker()
        self._open: dict[bytes, Call] = {}
        """By list that ends with an allowance, that allowance."""

    def pack(self, calls: tuple[Call, ...]) -> bytes:
        """Return a list that a call of the plan will carry. Raises: UnsafeRefused; see `CallPacker.pack`."""
        left = self._check(calls)
        packed = self._packer.pack(calls)
        if left is not None:
            self._open[packed] = left
        return packed

    def pack_all(self, calls: tuple[Call, ...], *, first: tuple[Call, ...] = ()) -> bytes:
        """Return the list of the whole plan; the planner itself wrote `first`. Raises: as `pack`."""
        left = self._check(calls)
        if left is not None:
            raise _allowance(left)
        return self._packer.pack(first + calls)

    def _check(self, calls: tuple[Call, ...]) -> Call | None:
        """Return the allowance that the carrier of these calls must use, if they end with one."""
        given: Call | None = None
        used = False
        for call in calls:
            self._refuse_others(call)
            carried = self._packer.carried(call.data)
            if given is None:
                left = self._open.get(carried)
                given, used = left or _allowance_in(call), left is not None
                if given is not None and not self._is_lawful(given, call, used=used):
                    raise _allowance(given)
            elif not used:
                used = call.to == spender_of(given) and call.data[:4] != APPROVE and not carried
                if not used:
                    raise _allowance(given)
            elif call != taken_back(given):
                raise _allowance(given)
            else:
                given = None
        if given is not None and used:
            raise _allowance(given)
        return given

    def _is_lawful(self, given: Call, call: Call, *, used: bool) -> bool:
        """Return whether `call`, which gives an allowance or is called back with it, does it as it should."""
        amount = unsigned(given.data[4:], 1)
        is_paid = len(given.data) == _APPROVE_BYTES and (given.to, amount) in self._payments
        return is_paid and (not used or call.to == spender_of(given))

    @staticmethod
    def _refuse_others(call: Call) -> None:
        if call.data[:4] in _LASTING:
            raise _allowance(call)
        if call.data[:4] == TRANSFER_FROM:
            raise UnsafeRefused(
                f"a plan would take {checksum(call.to)} from somebody who allowed it",
                way_out="let the opportunity name a loan from the executor's owner",
            )


def _allowance_in(call: Call) -> Call | None:
    return call if call.data[:4] == APPROVE else None


def spender_of(given: Call) -> Address:
    """Return whom an allowance lets take."""
    return address_at(given.data[4:], 0)


def taken_back(given: Call) -> Call:
    """Return the call that ends an allowance."""
    return approve(given.to, spender_of(given), 0)


def _allowance(call: Call) -> UnsafeRefused:
    return UnsafeRefused(
        f"a plan would give an allowance on {checksum(call.to)}",
        way_out="pay by transfer; or approve what the leg sells, call the spender, approve 0",
    )
