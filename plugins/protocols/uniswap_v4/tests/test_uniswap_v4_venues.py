"""Settings of the plugin; every mistake is named."""

from __future__ import annotations

import pytest
from tallyio_protocol_uniswap_v4.venues import DEPLOYMENTS, VenueSettings

from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.model.errors import ConfigError
from tallyio.model.units import address, checksum

MANAGER = "0x000000000004444c5dc75cB358380D2e3dE08A90"


def build(**settings: object) -> object:
    return PluginHost(Catalog.scan()).protocol("uniswap_v4", settings)


def test_presets_carry_managers_whose_checksums_hold() -> None:
    managers = [text for preset in DEPLOYMENTS.presets.values() for text in preset.factories.values()]
    assert [checksum(address(text)) for text in managers] == managers


def test_a_manager_comes_from_the_configuration_or_the_preset() -> None:
    assert checksum(DEPLOYMENTS.factory_on(VenueSettings(name="u", preset="uniswap"), 1)) == MANAGER
    own = "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f"
    assert checksum(DEPLOYMENTS.factory_on(VenueSettings(name="u", factory=own), 31337)) == own


def test_the_plugin_loads_through_its_hook() -> None:
    protocol = PluginHost(Catalog.scan()).protocol(
        "uniswap_v4", {"venues": [{"name": "u", "preset": "uniswap"}]}
    )
    # As their topics are on the chain.
    assert [topic.hex()[:8] for topic in protocol.topics] == ["dd466e67", "40e9cecb", "f208f491", "e9c42593"]
    assert len(protocol.compiled.event_bytes) == len(protocol.topics)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"venues": []}, "names no venue; add"),
        ({"venues": [{"name": "v"}]}, "'v' has neither factory nor preset"),
        ({"venues": [{"name": "v", "preset": "unswap"}]}, r"unknown preset 'unswap' \(did you mean"),
        ({"venues": [{"name": "v", "factory": "0x1"}]}, r"\[protocols.uniswap_v4.venues.factory\]"),
        (
            {"venues": [{"name": "v", "preset": "uniswap"}], "dynamic_fee_seconds": 0},
            "dynamic_fee_seconds is 0; it must be >= 1",
        ),
        (
            {"venues": [{"name": "v", "preset": "uniswap"}], "tokens": ["x"]},
            r"\[protocols.uniswap_v4.tokens\]",
        ),
        ({"venues": [{"name": "v", "factry": MANAGER}]}, r"unknown key 'factry' \(did you mean \"factory\""),
    ],
)
def test_a_wrong_setting_is_refused_by_key(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**settings)
