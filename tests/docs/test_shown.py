"""The comparison of shown and printed output can fail."""

from __future__ import annotations

import pytest

from tests.docs.shown import agrees

PRINTED = "run 3:  17 seen\n  12 stopped at gas\ndone in 0.25 s\n"


@pytest.mark.parametrize(
    "shown",
    [
        PRINTED,
        "run 1: 5 seen\n 4 stopped at gas\ndone in 12 s",
        "run 1: 5 seen\n…\ndone in 1 s",
        "run …\n…",
        "…",
    ],
)
def test_numbers_spaces_and_ellipses_may_differ(shown: str) -> None:
    assert agrees(shown, PRINTED)


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "run 1: 5 seen",
        "run 1: 5 seen\ndone in 1 s",
        "run 1: 5 found\n…",
        "…\n4 stopped at limit\n…",
        f"{PRINTED}more",
    ],
)
def test_words_and_lines_may_not(shown: str) -> None:
    assert not agrees(shown, PRINTED)
