"""Settings of the plugin; every mistake is named."""

from __future__ import annotations

import pytest
from tallyio_protocol_uniswap_v3.dialects import DIALECTS
from tallyio_protocol_uniswap_v3.venues import DEPLOYMENTS, VenueSettings, dialect_name

from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.model.errors import ConfigError
from tallyio.model.units import address, checksum

FACTORY = "0x1F98431c8aD98523631AE4a59f267346ea31F984"


def build(**settings: object) -> object:
    return PluginHost(Catalog.scan()).protocol("uniswap_v3", settings)


def test_presets_carry_factories_whose_checksums_hold() -> None:
    factories = [text for preset in DEPLOYMENTS.presets.values() for text in preset.factories.values()]
    assert [checksum(address(text)) for text in factories] == factories


def test_a_factory_comes_from_the_configuration_or_the_preset() -> None:
    assert checksum(DEPLOYMENTS.factory_on(VenueSettings(name="u", preset="uniswap"), 42161)) == FACTORY
    own = "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f"
    assert (
        checksum(DEPLOYMENTS.factory_on(VenueSettings(name="u", preset="uniswap", factory=own), 42161)) == own
    )


def test_a_preset_without_a_factory_on_the_chain_asks_for_one() -> None:
    with pytest.raises(ConfigError, match="'u' has no known factory on chain 31337; add factory"):
        DEPLOYMENTS.factory_on(VenueSettings(name="u", preset="uniswap"), 31337)


def test_the_plugin_loads_through_its_hook() -> None:
    protocol = PluginHost(Catalog.scan()).protocol(
        "uniswap_v3", {"venues": [{"name": "u", "preset": "uniswap"}]}
    )
    assert len(protocol.compiled.event_bytes) == len(protocol.topics)


def test_a_venue_speaks_its_own_dialect_or_its_presets() -> None:
    own = "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f"
    for venue, name in (
        (VenueSettings(name="u", preset="uniswap"), "uniswap"),
        (VenueSettings(name="u", preset="pancakeswap"), "uniswap"),
        (VenueSettings(name="u", preset="aerodrome"), "slipstream"),
        (VenueSettings(name="u", preset="quickswap"), "algebra_v1"),
        (VenueSettings(name="u", factory=own), "uniswap"),
        (VenueSettings(name="u", factory=own, dialect="slipstream"), "slipstream"),
    ):
        assert dialect_name(venue) == name


def test_every_preset_speaks_a_dialect_that_is_known() -> None:
    assert {preset.dialect for preset in DEPLOYMENTS.presets.values()} == set(DIALECTS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"venues": []}, "names no venue; add"),
        ({"venues": [{"name": "v"}]}, "'v' has neither factory nor preset"),
        ({"venues": [{"name": "v", "preset": "unswap"}]}, r"unknown preset 'unswap' \(did you mean"),
        ({"venues": [{"name": "v", "factory": "0x1"}]}, r"\[protocols.uniswap_v3.venues.factory\]"),
        ({"venues": [{"name": "v", "preset": "uniswap"}], "spare_ticks": -1}, "must not be negative"),
        (
            {"venues": [{"name": "v", "preset": "uniswap", "dialect": "slipsteam"}]},
            r"unknown dialect 'slipsteam' \(did you mean",
        ),
        (
            {"venues": [{"name": "v", "preset": "uniswap"}], "tokens": ["x"]},
            r"\[protocols.uniswap_v3.tokens\]",
        ),
        ({"venues": [{"name": "v", "factry": FACTORY}]}, r"unknown key 'factry' \(did you mean \"factory\""),
    ],
)
def test_a_wrong_setting_is_refused_by_key(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**settings)
