"""Venues from configuration and from the table of well-known ones; every mistake is named."""

from __future__ import annotations

import pytest
from tallyio_protocol_solidly.venues import DEPLOYMENTS, Settings, Venue, VenueSettings, resolve

from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.model.errors import ConfigError
from tallyio.model.units import address, checksum

FACTORY = "0x420DD381b31aEf6683db6B902084cB0FFECe40Da"


def resolved(venue: VenueSettings) -> Venue:
    (made,) = resolve(Settings(venues=(venue,)))
    return made


def build(**settings: object) -> object:
    return PluginHost(Catalog.scan()).protocol("solidly", settings)


def test_presets_say_how_deployments_differ_and_their_checksums_hold() -> None:
    facts = {name: (each.solver, each.names, each.fee) for name, each in DEPLOYMENTS.presets.items()}
    assert facts == {
        "aerodrome": ("velodrome_v2", "pool", "by_pool"),
        "velodrome_v2": ("velodrome_v2", "pool", "by_pool"),
        "velodrome_superchain": ("superchain", "pool", "by_pool"),
        "velodrome_v1": ("solidly", "pair", "by_kind"),
        "solidly": ("solidly", "pair", "fixed"),
    }
    factories = [text for preset in DEPLOYMENTS.presets.values() for text in preset.factories.values()]
    assert [checksum(address(text)) for text in factories] == factories


@pytest.mark.parametrize("preset", sorted(DEPLOYMENTS.presets))
def test_every_preset_completes_a_venue(preset: str) -> None:
    venue = resolved(VenueSettings(name="mine", preset=preset))
    assert (venue.fee_numerator, venue.fee_denominator) == (1 if preset == "solidly" else 0, 10_000)
    (chain_id, factory), *_ = DEPLOYMENTS.presets[preset].factories.items()
    assert checksum(venue.factory_on(chain_id)) == factory


def test_the_configuration_overrides_its_preset() -> None:
    venue = resolved(
        VenueSettings(
            name="mine",
            preset="aerodrome",
            factory=FACTORY,
            solver="solidly",
            names="pair",
            fee="fixed",
            fee_numerator=3,
            fee_denominator=1_000,
            gas_stable=7,
        )
    )
    assert (venue.solver, venue.names, venue.fee) == ("solidly", "pair", "fixed")
    assert (venue.fee_numerator, venue.fee_denominator, venue.settings.gas_stable) == (3, 1_000, 7)
    assert checksum(venue.factory_on(31337)) == FACTORY


def test_a_denominator_of_its_own_goes_with_the_factorys_fee() -> None:
    venue = resolved(VenueSettings(name="mine", preset="velodrome_v1", fee_denominator=1_000_000))
    assert (venue.fee, venue.fee_numerator, venue.fee_denominator) == ("by_kind", 0, 1_000_000)


def test_a_preset_without_a_factory_on_the_chain_asks_for_one() -> None:
    with pytest.raises(ConfigError, match=r"'base' has no known factory on chain 1; add factory"):
        resolved(VenueSettings(name="base", preset="aerodrome")).factory_on(1)


def test_the_plugin_loads_through_its_hook() -> None:
    protocol = PluginHost(Catalog.scan()).protocol(
        "solidly", {"venues": [{"name": "a", "preset": "aerodrome"}]}
    )
    assert protocol.compiled.module == "tallyio_protocol_solidly.hot"
    assert protocol.compiled.event_bytes == (64,) * len(protocol.topics)
    # `Sync(uint256,uint256)`: not the topic of Uniswap's, whose reserves are uint112.
    assert protocol.topics[0].hex()[:8] == "cf2aa508"


@pytest.mark.parametrize(
    ("venue", "message"),
    [
        ({"preset": "aerodrom"}, r"unknown preset 'aerodrom' \(did you mean \"aerodrome\"\?\)"),
        ({"factory": FACTORY}, "needs solver, names and fee; set all three, or a preset: aerodrome"),
        ({"factory": FACTORY, "solver": "solidly", "names": "pair"}, "needs solver, names and fee"),
        ({"solver": "solidly", "names": "pair", "fee": "by_kind"}, "has neither factory nor preset"),
        (
            {"preset": "aerodrome", "solver": "newton"},
            r"venues\[0\].solver\] has an unknown value",
        ),
        ({"preset": "aerodrome", "fee": "fixed"}, "has fee 'fixed' and no fee_numerator"),
        ({"preset": "aerodrome", "fee_numerator": 3}, "has fee 'by_pool' and a fee_numerator"),
        ({"preset": "solidly", "fee_denominator": 5}, "has fee 'fixed' and no fee_numerator"),
        ({"preset": "solidly", "fee_numerator": 10_001}, "has fee 10001/10000; the rule is 0 <="),
        ({"preset": "solidly", "fee_numerator": -1}, "has fee -1/10000; the rule is"),
        ({"preset": "velodrome_v1", "fee_denominator": 10**18 + 1}, "the rule is 0 <= fee_numerator"),
        ({"preset": "solidly", "factory": "0x12"}, r"\[protocols.solidly.venues.factory\] .*40 hex digits"),
        ({"preset": "solidly", "gas_stabel": 3}, r"unknown key 'gas_stabel' \(did you mean \"gas_stable\""),
    ],
)
def test_a_wrong_venue_is_refused_by_key(venue: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(venues=[{"name": "v", **venue}])


def test_no_venue_is_refused() -> None:
    with pytest.raises(ConfigError, match="names no venue; add"):
        build(venues=[])


def test_a_token_that_is_no_address_is_named() -> None:
    with pytest.raises(ConfigError, match=r"\[protocols.solidly.tokens\]"):
        build(venues=[{"name": "a", "preset": "aerodrome"}], tokens=["WETH"])
