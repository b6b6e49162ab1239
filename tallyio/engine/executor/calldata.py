"""What the executor reads: packed calls, and the arguments of its `run`.

Layer: engine. The layout is the one that `Executor.vy` documents.
"""

from __future__ import annotations

from typing import Final

from tallyio.model.errors import UnsafeRefused
from tallyio.model.execution import Call
from tallyio.model.hashing import keccak256, selector
from tallyio.model.units import ADDRESS_BYTES, Address, Wei
from tallyio.model.words import WORD, address_word, bytes_words, word

RUN_SELECTOR: Final = selector("run(bytes,address,uint256,uint256,uint256,address[])")
OWNER_SELECTOR: Final = selector("OWNER()")
"""Returns whom the executor obeys."""

MAX_CALLS: Final = 32
"""Most calls in one list."""
MAX_BYTES: Final = 6_144
"""Most bytes in one packed list, the lists nested in it included."""
MAX_SWEEP: Final = 8

_PROMISE_BYTES = 28
_NO_PROMISE = bytes(_PROMISE_BYTES)
_HEAD_WORDS = 6


class CallPacker:
    """Packs the lists of one plan, innermost first, and promises the callbacks that they cause.

    A list that was packed and then became part of a call's data comes back to the executor as that
    call's callback. The packer remembers its lists, finds them in the data of later calls, and
    writes the promise without which the executor refuses the callback.
    """

    def __init__(self) -> None:
        self._lists: list[bytes] = []

    def pack(self, calls: tuple[Call, ...]) -> bytes:
        """Return `calls` as the executor reads them; no calls are no bytes.

        Raises: UnsafeRefused: more than the executor takes. ValueError: a field does not fit.
        """
        packed = b"".join([self._entry(call) for call in calls])
        if len(calls) > MAX_CALLS or len(packed) > MAX_BYTES:
            raise UnsafeRefused(
                f"a list of {len(calls)} calls and {len(packed)} bytes is more than the executor's"
                f" {MAX_CALLS} calls and {MAX_BYTES} bytes",
                way_out="use paths with fewer legs",
            )
        if packed:
            self._lists.append(packed)
        return packed

    def _entry(self, call: Call) -> bytes:
        if len(call.to) != ADDRESS_BYTES:
            raise ValueError(f"call.to is {len(call.to)} bytes, not {ADDRESS_BYTES}")
        if not 0 <= call.value_wei < 1 << 96:
            raise ValueError(f"call.value_wei is {call.value_wei}, not an unsigned 96-bit integer")
        value = call.value_wei.to_bytes(12, "big")
        return b"".join(
            (call.to, value, self._promise(call.data), len(call.data).to_bytes(4, "big"), call.data)
        )

    def carried(self, data: bytes) -> bytes:
        """Return the list that a call with `data` brings back: of lists within lists, the outermost."""
        return max((packed for packed in self._lists if packed in data), key=len, default=b"")

    def _promise(self, data: bytes) -> bytes:
        found = self.carried(data)
        return keccak256(found)[:_PROMISE_BYTES] if found else _NO_PROMISE


def encode_calls(calls: tuple[Call, ...]) -> bytes:
    """Return `calls` packed, none of them causing a callback."""
    return CallPacker().pack(calls)


def encode_run(
    calls: bytes,
    *,
    token: Address,
    min_profit: int,
    tip_wei: Wei,
    deadline_block: int,
    sweep: tuple[Address, ...],
) -> bytes:
    """Return the call data of the executor's `run`; `calls` are packed.

    Raises: ValueError: a number does not fit. UnsafeRefused: too many tokens to sweep.
    """
    if len(sweep) > MAX_SWEEP:
        raise UnsafeRefused(f"{len(sweep)} tokens to sweep are more than the executor's {MAX_SWEEP}")
    listed = bytes_words(calls)
    calls_at = WORD * _HEAD_WORDS
    head = (
        word(calls_at),
        address_word(token),
        _word("min_profit", min_profit),
        _word("tip_wei", tip_wei),
        _word("deadline_block", deadline_block),
        word(calls_at + len(listed)),
    )
    return b"".join((RUN_SELECTOR, *head, listed, word(len(sweep)), *map(address_word, sweep)))


def _word(name: str, value: int) -> bytes:
    if not 0 <= value < 1 << 256:
        raise ValueError(f"{name} is {value}, not an unsigned 256-bit integer")
    return word(value)
