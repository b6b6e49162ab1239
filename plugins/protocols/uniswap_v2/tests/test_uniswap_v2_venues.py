"""Venues from configuration and from the table of well-known ones; every mistake is named."""

from __future__ import annotations

import pytest
from tallyio_protocol_uniswap_v2.venues import DEPLOYMENTS, Settings, Venue, VenueSettings, resolve

from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.model.errors import ConfigError
from tallyio.model.units import address, checksum

FACTORY = "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f"


def resolved(venue: VenueSettings) -> Venue:
    (made,) = resolve(Settings(venues=(venue,)))
    return made


def build(**settings: object) -> object:
    return PluginHost(Catalog.scan()).protocol("uniswap_v2", settings)


def test_presets_carry_fees_and_factories_whose_checksums_hold() -> None:
    fees = {
        name: (preset.fee_numerator, preset.fee_denominator) for name, preset in DEPLOYMENTS.presets.items()
    }
    assert fees == {
        "uniswap": (997, 1000),
        "sushiswap": (997, 1000),
        "pancakeswap": (9975, 10000),
        "quickswap": (997, 1000),
        "traderjoe": (997, 1000),
    }
    factories = [text for preset in DEPLOYMENTS.presets.values() for text in preset.factories.values()]
    assert [checksum(address(text)) for text in factories] == factories


def test_a_preset_completes_a_venue() -> None:
    venue = resolved(VenueSettings(name="cake", preset="pancakeswap"))
    assert (venue.fee_numerator, venue.fee_denominator, venue.fee_pips) == (9975, 10000, 2500)
    assert checksum(venue.factory_on(56)) == "0xcA143Ce32Fe78f1f7019d7d551a6402fC5350c73"
    assert venue.can_flash


def test_the_configuration_overrides_its_preset() -> None:
    venue = resolved(
        VenueSettings(
            name="mine",
            preset="traderjoe",
            factory=FACTORY,
            fee_numerator=99,
            fee_denominator=100,
            callback="ownCall",
            gas=5,
        )
    )
    assert checksum(venue.factory_on(31337)) == FACTORY
    assert (venue.fee_pips, venue.can_flash, venue.settings.gas) == (10_000, False, 5)


def test_a_preset_without_a_factory_on_the_chain_asks_for_one() -> None:
    venue = resolved(VenueSettings(name="quick", preset="quickswap"))
    with pytest.raises(ConfigError, match=r"'quick' has no known factory on chain 1; add factory"):
        venue.factory_on(1)


def test_the_plugin_loads_through_its_hook() -> None:
    protocol = PluginHost(Catalog.scan()).protocol(
        "uniswap_v2", {"venues": [{"name": "u", "preset": "uniswap"}]}
    )
    assert protocol.compiled.module == "tallyio_protocol_uniswap_v2.hot"
    assert [topic.hex()[:8] for topic in protocol.topics] == ["1c411e9a"]


@pytest.mark.parametrize(
    ("venue", "message"),
    [
        ({"preset": "uniswop"}, r"unknown preset 'uniswop' \(did you mean \"uniswap\"\?\)"),
        ({"factory": FACTORY}, "needs fee_numerator and fee_denominator; set both, or a preset: pancakeswap"),
        ({"factory": FACTORY, "fee_numerator": 997}, "needs fee_numerator and fee_denominator"),
        ({"preset": "uniswap", "fee_denominator": 10}, "needs fee_numerator and fee_denominator"),
        (
            {"factory": FACTORY, "fee_numerator": 1001, "fee_denominator": 1000},
            "has fee 1001/1000; the rule is",
        ),
        ({"fee_numerator": 997, "fee_denominator": 1000}, "has neither factory nor preset"),
        (
            {"preset": "uniswap", "factory": "0x12"},
            r"\[protocols.uniswap_v2.venues.factory\] .*40 hex digits",
        ),
        (
            {"preset": "uniswap", "fee_numerater": 3},
            r"unknown key 'fee_numerater' \(did you mean \"fee_numerator\"",
        ),
    ],
)
def test_a_wrong_venue_is_refused_by_key(venue: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(venues=[{"name": "v", **venue}])


def test_no_venue_is_refused() -> None:
    with pytest.raises(ConfigError, match="names no venue; add"):
        build(venues=[])


def test_a_token_that_is_no_address_is_named() -> None:
    with pytest.raises(ConfigError, match=r"\[protocols.uniswap_v2.tokens\]"):
        build(venues=[{"name": "u", "preset": "uniswap"}], tokens=["WETH"])
