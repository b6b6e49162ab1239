"""Configuration tables become records, and mistakes name their key."""

from __future__ import annotations

import msgspec
import pytest

from tallyio.hooks.settings import parse_address, parse_settings, unknown_name
from tallyio.model.errors import ConfigError


class _Venue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    factory: str
    fee_numerator: int = 997


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    venues: tuple[_Venue, ...] = ()


def test_a_good_table_becomes_a_record() -> None:
    parsed = parse_settings(_Settings, {"url": "x", "venues": [{"factory": "y"}]}, where="chains.a")
    assert parsed == _Settings(url="x", venues=(_Venue(factory="y"),))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"url": "x", "venus": []}, r"\[chains.a\] has an unknown key 'venus' \(did you mean \"venues\"\?\)"),
        ({"url": 1}, r"\[chains.a.url\] expected `str`, got `int`"),
        ({}, r"\[chains.a\] object missing required field `url`"),
        (
            {"url": "x", "venues": [{"factory": "y", "fee_numeratr": 1}]},
            r"\[chains.a.venues\[0\]\] has an unknown key 'fee_numeratr'.*\"fee_numerator\"",
        ),
        (
            {"url": "x", "venues": [{"factory": "y", "urll": 1}]},
            r"\[chains.a.venues\[0\]\] has an unknown key 'urll'; known keys: factory, fee_numerator$",
        ),
    ],
)
def test_a_mistake_names_table_key_and_way_out(table: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_settings(_Settings, table, where="chains.a")


def test_a_wrong_checksum_is_refused_with_the_right_one() -> None:
    with pytest.raises(ConfigError, match=r"\[x.factory\].*0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"):
        parse_address("0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", where="x.factory")


def test_an_unknown_name_lists_what_is_known() -> None:
    error = unknown_name("profile", "workstaton", ["ci", "workstation"], where="run.profile")
    assert str(error) == (
        "[run.profile] unknown profile 'workstaton' (did you mean \"workstation\"?); known: ci, workstation"
    )
    assert error.exit_code == 3
