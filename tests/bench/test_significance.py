"""The tests of significance are the textbook's: exact, and honest about ties."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallyio.bench.significance import holm, rank_sum_p, signed_rank_p

VALUES = st.lists(
    st.floats(-5, 5).filter(lambda value: abs(value) > 1e-6), min_size=1, max_size=7, unique_by=abs
)


@settings(deadline=None)
@given(VALUES)
def test_signed_ranks_are_as_likely_as_counting_every_choice_of_signs_says(values: list[float]) -> None:
    ranks = {abs(value): rank for rank, value in enumerate(sorted(values, key=abs), 1)}
    seen = sum(ranks[value] for value in values if value > 0)
    choices = itertools.product((0, 1), repeat=len(values))
    sums = [sum(rank for rank, sign in zip(ranks.values(), each, strict=True) if sign) for each in choices]
    assert signed_rank_p(values, 0.0) == pytest.approx(sum(each >= seen for each in sums) / len(sums))


@settings(deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8, unique=True), st.integers(1, 7))
def test_rank_sums_are_as_likely_as_counting_every_split_says(values: list[float], cut: int) -> None:
    lower, higher = values[:cut], values[cut:]
    if not higher:
        return

    def wins(chosen: frozenset[float]) -> int:
        return sum(a > b for a in chosen for b in values if b not in chosen)

    seen = wins(frozenset(higher))
    splits = [wins(frozenset(each)) for each in itertools.combinations(values, len(higher))]
    assert rank_sum_p(lower, higher, 0.0) == pytest.approx(sum(each >= seen for each in splits) / len(splits))


def test_agreement_of_all_is_as_unlikely_as_it_can_be() -> None:
    assert signed_rank_p([0.1, 0.11, 0.12, 0.13, 0.14], 0.03) == 1 / 32
    assert rank_sum_p([1.0, 1.1, 1.2], [1.5, 1.6, 1.7], 0.1) == pytest.approx(1 / math.comb(6, 3))


def test_a_shift_within_the_margin_is_nothing() -> None:
    assert signed_rank_p([0.02] * 12, 0.03) == 1.0
    assert rank_sum_p([0.0] * 9, [0.02] * 9, 0.03) == 1.0


def test_ties_count_against_the_claim() -> None:
    assert signed_rank_p([0.1, 0.1, -0.1], 0.0) == pytest.approx(5 / 8)
    assert rank_sum_p([1.0, 1.0], [1.0, 1.0], 0.0) == 1.0


def test_a_chance_is_corrected_for_how_many_were_looked_at() -> None:
    corrected = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.9})
    assert corrected == pytest.approx({"a": 0.04, "c": 0.09, "b": 0.09, "d": 0.9})
    assert holm({}) == {}


def test_noise_is_called_significant_as_rarely_as_promised() -> None:
    draw = random.Random(7)
    found = sum(signed_rank_p([draw.gauss(0, 1) for _ in range(10)], 0.0) <= 0.05 for _ in range(2_000))
    assert found / 2_000 <= 0.06
