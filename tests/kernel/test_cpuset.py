"""Sets of PUs and their list form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyio.kernel.cpuset import MAX_PUS, format_cpuset, parse_cpuset
from tallyio.model.errors import ConfigError


@given(st.frozensets(st.integers(0, MAX_PUS - 1), min_size=1))
def test_what_was_formatted_is_parsed_back(pus: frozenset[int]) -> None:
    assert parse_cpuset(format_cpuset(pus)) == pus


@pytest.mark.parametrize(
    ("text", "pus"), [("0-5,48-53", {*range(6), *range(48, 54)}), ("7\n", {7}), ("", set()), ("\n", set())]
)
def test_the_list_form_of_linux_is_read(text: str, pus: set[int]) -> None:
    assert parse_cpuset(text) == pus


def test_neighbours_are_joined() -> None:
    assert format_cpuset([3, 1, 2, 48]) == "1-3,48"
    assert format_cpuset([]) == "none"


@pytest.mark.parametrize("text", ["a", "5-3", "-1", "1-", "0-999999999", "1;2"])
def test_text_that_lists_no_pus_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no list of PUs"):
        parse_cpuset(text)
