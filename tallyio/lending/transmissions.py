"""Reports of Chainlink's oracles in calldata: whom they are for, and the answer that they will set.

Layer: lending. A report holds what each oracle observed, sorted, and the aggregator takes the middle one: so
the answer is known as soon as the transaction is. Signatures, configuration and limits are not looked at:
whether the aggregator takes the report is for an EVM to say, before anything is signed.

Sources: `OffchainAggregator.transmit` (OCR1) and `OCR2Aggregator.transmit` (OCR2) of libocr, where
`observations[observations.length / 2]` is the answer; `AuthorizedForwarder` of @chainlink/contracts, through
which a node sends from many accounts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tallyio.model.hashing import selector
from tallyio.model.units import Address
from tallyio.model.words import WORD, address_at, signed, unsigned

TRANSMIT_OCR1: Final = selector("transmit(bytes,bytes32[],bytes32[],bytes32)")
TRANSMIT_OCR2: Final = selector("transmit(bytes32[3],bytes,bytes32[],bytes32[],bytes32)")
FORWARDS: Final = (selector("forward(address,bytes)"), selector("ownerForward(address,bytes)"))
FORWARDS_MANY: Final = selector("multiForward(address[],bytes[])")

MOST_ORACLES: Final = 31
"""`maxNumOracles` of both aggregators."""

_SELECTOR: Final = 4
_MOST_NESTED: Final = 2
_MOST_CALLS: Final = 64
_MOST: Final = (1 << 191) - 1  # an int192
_LEAST: Final = -_MOST - 1
_TIME_BITS: Final = 32
_OCR2_REPORT: Final = 4  # time, observers, observations, juels per coin
_OBSERVATIONS: Final = 2  # behind the context or the time, and the observers
_SIGNATURES: Final = 2  # arrays of words: r and s
_OCR1_HEAD: Final = 4  # report, rs, ss, rawVs
_OCR2_HEAD: Final = 7  # the context's three words before them


def final_calls(to: Address, data: bytes, *, nested: int = 0) -> Iterator[tuple[Address, bytes]]:
    """Yield whom calldata reaches through forwarders and with what; `to` itself where it forwards nothing."""
    mark, arguments = data[:_SELECTOR], data[_SELECTOR:]
    inner: list[tuple[Address, bytes]] = []
    try:
        if mark in FORWARDS:
            inner = [(address_at(arguments, 0), _bytes(arguments, 1))]
        elif mark == FORWARDS_MANY:
            inner = _many(arguments)
    except ValueError:
        inner = []
    if not inner or nested == _MOST_NESTED:
        yield to, data
        return
    for target, call in inner:
        yield from final_calls(target, call, nested=nested + 1)


def transmitted_answer(data: bytes) -> int | None:
    """Return the answer that calldata of an aggregator sets if it is taken, or None: it is no report.

    Also None where the aggregator would revert for the calldata's form alone.
    """
    mark, arguments = data[:_SELECTOR], data[_SELECTOR:]
    try:
        if mark == TRANSMIT_OCR2:
            return _middle(_report(arguments, _OCR2_HEAD), exact=True)
        if mark == TRANSMIT_OCR1:
            return _middle(_report(arguments, _OCR1_HEAD), exact=False)
    except ValueError:
        return None
    return None


def _report(arguments: bytes, head: int) -> bytes:
    """Return the report; the calldata is as long as its parts, as both contracts demand."""
    place = head - _OCR1_HEAD
    report = _bytes(arguments, place)
    entries = [_array(arguments, place + 1 + k)[0] for k in range(_SIGNATURES)]
    if len(arguments) != WORD * (head + 1 + _SIGNATURES + sum(entries)) + len(report):
        raise ValueError("the calldata is longer or shorter than its parts")
    return report


def _middle(report: bytes, *, exact: bool) -> int:
    """Return the middle observation of a report of OCR2, or else OCR1."""
    count, start = _array(report, _OBSERVATIONS)
    if not 0 < count <= MOST_ORACLES:
        raise ValueError("no observations, or too many")
    entries = report[start : start + WORD * count]
    observed = [signed(entries, k) for k in range(count)]
    if min(observed) < _LEAST or max(observed) > _MOST:
        raise ValueError("an observation is no int192")
    if exact:
        _check_exact(report, count)
    elif observed != sorted(observed):
        raise ValueError("observations not sorted")
    return observed[count // 2]


def _check_exact(report: bytes, count: int) -> None:
    """See that a report of OCR2 is a head of four words, the array's length and its entries."""
    if len(report) != WORD * (_OCR2_REPORT + 1 + count):
        raise ValueError("the report is longer or shorter than its parts")
    if unsigned(report, 0) >> _TIME_BITS or not _LEAST <= signed(report, _OCR2_REPORT - 1) <= _MOST:
        raise ValueError("a number is too large for its type")


def _many(arguments: bytes) -> list[tuple[Address, bytes]]:
    count, start = _array(arguments, 0)
    calls, at = _array(arguments, 1)
    if count != calls or count > _MOST_CALLS:
        raise ValueError("as many calls as contracts, and not too many")
    targets, data = arguments[start:], arguments[at:]
    return [(address_at(targets, k), _bytes(data, k)) for k in range(count)]


def _bytes(arguments: bytes, index: int) -> bytes:
    """Return argument `index`, of type `bytes`. Raises: ValueError: it does not lie in `arguments`."""
    start = _place(arguments, index)
    size = unsigned(arguments[start : start + WORD], 0)
    end = start + WORD + size
    if end > len(arguments):
        raise ValueError("bytes reach beyond the end")
    return arguments[start + WORD : end]


def _array(arguments: bytes, index: int) -> tuple[int, int]:
    """Return how many words argument `index` has, and where they begin. Raises: ValueError."""
    start = _place(arguments, index)
    count = unsigned(arguments[start : start + WORD], 0)
    if start + WORD * (1 + count) > len(arguments):
        raise ValueError("an array reaches beyond the end")
    return count, start + WORD


def _place(arguments: bytes, index: int) -> int:
    start = unsigned(arguments, index)
    if len(arguments) < WORD * (index + 1) or start + WORD > len(arguments):
        raise ValueError("an offset leads beyond the end")
    return start
