"""Percentiles are never below the exact ones, and above by less than 1/64."""

import math
import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyio.native.histogram import BUCKETS, SUB_BUCKETS, Histogram, bucket_limit, bucket_of, record
from tallyio.native.jit import hot

LIMIT = 2**40
VALUES = st.one_of(st.integers(0, 200), st.integers(0, LIMIT - 1), st.integers(0, 39).map(lambda k: 2**k))
PERCENTS = st.one_of(
    st.sampled_from([0, 50, 90, 99, 99.9, 100]), st.floats(0, 100).map(lambda p: round(p, 3))
)


@hot("void(int64, int64, int64)")
def record_many(address: int, first: int, count: int) -> None:
    for value in range(first, first + count):
        record(address, value)


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def exact(values: list[int], percent: float) -> int:
    rank = max(math.ceil(len(values) * Fraction(str(percent)) / 100), 1)
    return sorted(values)[rank - 1]


def test_buckets_are_a_partition_of_the_values() -> None:
    for bucket in range(BUCKETS - 1):
        assert bucket_of(bucket_limit(bucket)) == bucket
        assert bucket_of(bucket_limit(bucket) + 1) == bucket + 1
    assert bucket_of(0) == 0
    assert bucket_limit(BUCKETS - 1) == LIMIT - 1
    assert bucket_of(2**63 - 1) == BUCKETS - 1


@given(st.lists(VALUES, min_size=1, max_size=60), PERCENTS)
def test_a_percentile_is_within_its_bound(values: list[int], percent: float) -> None:
    with filled(values) as histogram:
        truth, answer = exact(values, percent), histogram.percentile(percent)
        assert truth <= answer <= truth + truth // SUB_BUCKETS
        assert answer <= max(values)


@given(st.lists(VALUES, min_size=1, max_size=60))
def test_count_mean_and_maximum_are_exact(values: list[int]) -> None:
    with filled(values) as histogram:
        assert (histogram.count, histogram.maximum) == (len(values), max(values))
        assert histogram.mean == sum(values) / len(values)


@given(st.lists(VALUES, max_size=30), st.lists(VALUES, max_size=30))
def test_merging_equals_recording_all_in_one(one: list[int], other: list[int]) -> None:
    with filled(one) as merged, filled(other) as added, filled(one + other) as whole:
        merged.merge(added)
        assert (merged._words() == whole._words()).all()
        assert added.count == len(other)


def test_values_beyond_the_last_bucket_are_reported_by_the_maximum() -> None:
    with filled([5, 2**50, 2**45]) as histogram:
        assert histogram.percentile(100) == histogram.percentile(50) == 2**50
        assert histogram.percentile(1) == 5


def test_a_negative_value_counts_as_zero() -> None:
    with filled([-7]) as histogram:
        assert (histogram.count, histogram.percentile(100), histogram.mean) == (1, 0, 0)


def test_an_empty_or_reset_histogram_answers_zero() -> None:
    with filled([1, 2]) as histogram:
        histogram.reset()
        assert (histogram.count, histogram.percentile(50), histogram.maximum, histogram.mean) == (0, 0, 0, 0)


@pytest.mark.parametrize("percent", [-1, 100.1, math.nan])
def test_a_percentage_outside_is_refused(percent: float) -> None:
    with Histogram() as histogram, pytest.raises(ValueError, match="between 0 and 100"):
        histogram.percentile(percent)


def test_a_closed_histogram_says_so() -> None:
    histogram = Histogram()
    histogram.close()
    for use in (lambda: histogram.record(1), lambda: histogram.percentile(50)):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_a_reader_sees_whole_counts_while_a_lane_records() -> None:
    with Histogram() as histogram:
        lane = threading.Thread(target=record_many, args=(histogram.address, 0, 200_000))
        lane.start()
        counts = [histogram.count]
        while lane.is_alive():
            counts.append(histogram.count)
            histogram.percentile(99)
        assert counts == sorted(counts)
        assert histogram.count == 200_000
        assert int(np.sum(histogram._words()[8:])) == 200_000
