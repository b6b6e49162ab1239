"""Every value of a TOML file is found on its line."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyio.engine.toml_lines import leaves, value_lines
from tallyio.kernel.resources import data_path

TEXT = '''
a = 1  # one,
b.c = "x # no comment"

[t]
long = [
  1,   # a comment, with commas,
  2,
]
text = """
[not.a.table]
z = 1
"""
inline = { p = 1, q = { r = 2 } }
tables = [
  { k = 1 },
  { k = 2 },
]

[[l.m]]  # the first
n = 1
[l.m.inside]
o = 2
[[l.m]]
n = 3
"quoted key" = 4
'''


def test_every_kind_of_value_is_found() -> None:
    assert value_lines(TEXT) == {
        ("a",): 2,
        ("b", "c"): 3,
        ("t", "long"): 6,
        ("t", "text"): 10,
        ("t", "inline", "p"): 14,
        ("t", "inline", "q", "r"): 14,
        ("t", "tables", 0, "k"): 15,
        ("t", "tables", 1, "k"): 15,
        ("l", "m", 0, "n"): 21,
        ("l", "m", 0, "inside", "o"): 23,
        ("l", "m", 1, "n"): 25,
        ("l", "m", 1, "quoted key"): 26,
    }


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "\xa0"])
def test_only_a_line_feed_ends_a_line(odd: str, end: str) -> None:
    """As TOML has it; Python's own idea of lines has more ends."""
    text = end.join([f"# one{odd}more", f"a = 1 # {odd}", f"b = [ # x{odd}y", f' "{odd}",', "]", "c = 2", ""])
    assert value_lines(text) == {("a",): 2, ("b",): 3, ("c",): 6}


def test_the_values_found_are_those_of_the_file() -> None:
    for path in data_path("examples").glob("*/tallyio.toml"):
        text = path.read_text().replace("$chain_id", "1").replace("$morpho_markets", "")
        assert set(value_lines(text)) == {where for where, _ in leaves(tomllib.loads(text))}


KEYS = st.sampled_from(["a", "b", '"c d"', "'e.f'", "g-h"])
VALUES = st.sampled_from(
    ["1", "true", '"x#,"', "[1,\n 2] # c,", '"""\n[x]\n"""', "'''y,'''", "{ k = 1 }", "[{ k = [] }]"]
)
TABLES = st.lists(
    st.tuples(st.lists(KEYS, min_size=1, max_size=3), st.dictionaries(KEYS, VALUES)), max_size=4
)


@given(TABLES)
def test_no_value_is_missed_or_made_up(tables: list[tuple[list[str], dict[str, str]]]) -> None:
    """Whatever the reader of the standard library accepts."""
    text = ""
    for number, (words, values) in enumerate(tables):
        head = ".".join([*words, f"n{number % 2}"])
        text += f"[[{head}]]\n" if number % 2 else f"[{head}]\n"
        text += "".join(f"{key} = {value}\n" for key, value in values.items())
    try:
        parsed: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    wanted = {path for path, value in leaves(parsed) if path and value != {}}
    assert set(value_lines(text)) == wanted
