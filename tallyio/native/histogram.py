"""Histograms of latencies in fixed memory, after HdrHistogram (Gil Tene).

Layer: native. Values are integers from 0, such as nanoseconds. Below 64 every value has a bucket of
its own; above, every octave has 64 buckets of equal width. So a percentile is never below the exact
one, and above it by less than one part in 64. The last bucket takes everything from 2**40 (18 minutes
of nanoseconds); the maximum is kept exactly. 18 KiB hold it all, and recording never allocates.

One thread records into a histogram, any may read; give each lane its own and merge them.
"""

from __future__ import annotations

import math
from fractions import Fraction
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from tallyio.native.atomics import load, store_relaxed
from tallyio.native.jit import entry, hot
from tallyio.native.memory import Region
from tallyio.native.u256 import clz

SUB_BUCKETS: Final = 64
"""Buckets per octave; the relative error of a percentile is below 1 / SUB_BUCKETS."""
OCTAVES: Final = 40
BUCKETS: Final = (OCTAVES - 5) * SUB_BUCKETS

# Words of the header, a cache line; the buckets follow it.
_COUNT: Final = 0
_SUM: Final = 1
_MAXIMUM: Final = 2
_HEADER: Final = 8
_WORD: Final = 8
_SUB_BITS: Final = 6


@hot("int64(int64)", inline=True)
def bucket_of(value: int) -> int:
    """Return the bucket of a value of at least 0: value // 2**k is between 64 and 127 in octave k."""
    octave = 63 - _SUB_BITS - clz(value | SUB_BUCKETS)  # 0 also for values below 64
    return min((octave << _SUB_BITS) + (value >> octave), BUCKETS - 1)


@hot("void(int64, int64)")
def record(address: int, value: int) -> None:
    """Count `value` in the histogram at `address`; a negative one counts as 0. One thread at a time."""
    value = max(value, 0)
    # Relaxed stores: a reader on another thread sees whole words. 2**63 counts take centuries, and sums
    # of nanoseconds wrap after three centuries of latency.
    bucket = _HEADER + bucket_of(value)
    store_relaxed(address, bucket, load(address, bucket) + 1)
    store_relaxed(address, _SUM, load(address, _SUM) + value)
    if value > load(address, _MAXIMUM):
        store_relaxed(address, _MAXIMUM, value)
    store_relaxed(address, _COUNT, load(address, _COUNT) + 1)


def bucket_limit(bucket: int) -> int:
    """Return the largest value that belongs to a bucket; the last one has no limit but this number."""
    octave = max(bucket // SUB_BUCKETS - 1, 0)
    return ((bucket - octave * SUB_BUCKETS + 1) << octave) - 1


class Histogram:
    """A histogram that Python reads and hot code, or Python, fills: pass `address` to `record`.

    Owns its memory until `close`, or as a context.
    """

    def __init__(self) -> None:
        self._region = Region((_HEADER + BUCKETS) * _WORD)
        self._view: npt.NDArray[np.int64] | None = self._region.view(np.int64, _HEADER + BUCKETS)
        self._record = entry(record)
        self.address: Final = self._region.address

    @property
    def count(self) -> int:
        """How many values were recorded."""
        return int(self._words()[_COUNT])

    @property
    def maximum(self) -> int:
        """The largest value recorded, exactly; 0 if there is none."""
        return int(self._words()[_MAXIMUM])

    @property
    def mean(self) -> float:
        """The mean of all values, exactly; 0 if there is none."""
        words = self._words()
        return int(words[_SUM]) / max(int(words[_COUNT]), 1)

    def record(self, value: int) -> None:
        """Count a value; a negative one counts as 0."""
        self._words()
        self._record(self.address, value)

    def percentile(self, p: float) -> int:
        """Return the value that `p` percent of all values do not exceed; 0 if there are none.

        Never below the exact one (the smallest value with at least p percent at or below it), and above it by
        less than 1/64 of it; above 2**40 the maximum.

        Raises: ValueError: if `p` is not between 0 and 100.
        """
        if not 0 <= p <= 100:  # noqa: PLR2004 - a percentage
            raise ValueError(f"a percentile is between 0 and 100, not {p}")
        words = self._words()
        up_to = np.cumsum(words[_HEADER:])
        total = int(up_to[-1])
        if not total:
            return 0
        rank = max(math.ceil(total * Fraction(str(p)) / 100), 1)  # 99.9 means 999 / 1000, not its float
        bucket = int(np.searchsorted(up_to, rank))
        maximum = int(words[_MAXIMUM])
        return maximum if bucket == BUCKETS - 1 else min(bucket_limit(bucket), maximum)

    def merge(self, other: Histogram) -> None:
        """Add all values of `other`, whose writer may be at work, to this one, whose writer must not."""
        mine, theirs = self._words(), other._words().copy()
        mine[_HEADER:] += theirs[_HEADER:]
        mine[_COUNT] += theirs[_COUNT]
        mine[_SUM] += theirs[_SUM]
        mine[_MAXIMUM] = max(mine[_MAXIMUM], theirs[_MAXIMUM])

    def reset(self) -> None:
        """Forget all values; the writer must not be at work."""
        self._words()[:] = 0

    def close(self) -> None:
        """Give the memory back; its writer must have stopped."""
        self._view = None
        self._region.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _words(self) -> npt.NDArray[np.int64]:
        if self._view is None:
            raise ValueError("the histogram is closed; keep it open as long as it is used")
        return self._view
