"""Presets of a plugin's package, and the venues of a configuration that lean on them."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tallyio.hooks import venues
from tallyio.hooks.settings import parse_addresses
from tallyio.hooks.venues import Deployments, VenueSettings
from tallyio.model.errors import ConfigError
from tallyio.model.units import Address, checksum

ONE, TWO, OWN = (checksum(Address(bytes([n]) * 20)) for n in (1, 2, 3))
PRESETS = f"""
[reef]
factories = {{ 1 = "{ONE}", 56 = "{TWO}" }}
fee_pips = 3000

[lagoon]
factories = {{ 1 = "0x12" }}
fee_pips = 500
"""


class Preset(venues.Preset, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With a fact of its own, as a plugin's may have."""

    fee_pips: int


@pytest.fixture
def deployments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployments[Preset]:
    package = tmp_path / "toy_reefs"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "presets.toml").write_text(PRESETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return Deployments("toy_reefs", Preset, where="protocols.toy")


def venue(preset: str | None = None, factory: str | None = None) -> VenueSettings:
    return VenueSettings(name="mine", preset=preset, factory=factory)


def test_presets_are_the_plugins_own_records(deployments: Deployments[Preset]) -> None:
    assert deployments.presets["reef"] == Preset(factories={1: ONE, 56: TWO}, fee_pips=3000)
    assert deployments.preset(venue("lagoon")) == deployments.presets["lagoon"]
    assert deployments.preset(venue(factory=OWN)) is None


def test_the_factory_is_the_presets_on_that_chain(deployments: Deployments[Preset]) -> None:
    assert [checksum(deployments.factory_on(venue("reef"), chain)) for chain in (1, 56)] == [ONE, TWO]


def test_a_factory_goes_before_the_presets(deployments: Deployments[Preset]) -> None:
    for preset in ("reef", None):
        assert checksum(deployments.factory_on(venue(preset, OWN), 1)) == OWN


@pytest.mark.parametrize(("preset", "chain_id"), [("reef", 10), (None, 1)])
def test_a_factory_that_nobody_named_is_asked_for(
    deployments: Deployments[Preset], preset: str | None, chain_id: int
) -> None:
    with pytest.raises(ConfigError, match=f"'mine' has no known factory on chain {chain_id}; add factory"):
        deployments.factory_on(venue(preset), chain_id)


def test_a_wrong_address_among_the_presets_is_found_there(deployments: Deployments[Preset]) -> None:
    with pytest.raises(ConfigError, match=r"\[presets.toml: lagoon\] .*40 hex digits"):
        deployments.factory_on(venue("lagoon"), 1)


def test_venues_that_mean_a_deployment_pass(deployments: Deployments[Preset]) -> None:
    deployments.check([venue("reef"), venue(factory=OWN), venue("lagoon", OWN)])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], r"\[protocols.toy\] names no venue; add \[\[protocols.toy.venues\]\]"),
        ([venue()], r"\[protocols.toy.venues\] 'mine' has neither factory nor preset"),
        ([venue("reef"), venue("ref")], r"unknown preset 'ref' \(did you mean \"reef\"\?\)"),
        ([venue("reef", "0x12")], r"\[protocols.toy.venues.factory\] .*40 hex digits"),
    ],
)
def test_venues_that_mean_none_are_refused(
    deployments: Deployments[Preset], wrong: list[VenueSettings], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        deployments.check(wrong)


def test_a_list_of_addresses_keeps_its_order_and_names_each_once() -> None:
    parsed = parse_addresses([TWO, ONE, TWO.lower()], where="protocols.toy.tokens")
    assert [checksum(each) for each in parsed] == [TWO, ONE]
    with pytest.raises(ConfigError, match=r"\[protocols.toy.tokens\] .*40 hex digits"):
        parse_addresses([ONE, "WETH"], where="protocols.toy.tokens")
