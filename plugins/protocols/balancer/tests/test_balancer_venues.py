"""Which pools a configuration means; every mistake is named."""

from __future__ import annotations

import pytest
from tallyio_protocol_balancer.venues import VAULT, Settings, VenueSettings, resolve

from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.model.errors import ConfigError
from tallyio.model.units import address, checksum

POOL = "0x5c6ee304399dbdb9c8ef030ab642b10820db8f56000200000000000000000014"


def build(**settings: object) -> object:
    return PluginHost(Catalog.scan()).protocol("balancer", settings)


def test_the_vault_is_the_one_of_every_chain_unless_another_is_named() -> None:
    (venue,) = resolve(Settings(venues=(VenueSettings(name="x", pools=(POOL, POOL)),)))
    assert checksum(venue.vault) == VAULT
    assert venue.pools == (bytes.fromhex(POOL[2:]),)
    other = "0x" + "11" * 20
    (venue,) = resolve(Settings(venues=(VenueSettings(name="x", from_block=5, vault=other),)))
    assert (venue.vault, venue.from_block, venue.pools) == (address(other), 5, ())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"venues": []}, "names no venue"),
        ({"venues": [{"name": "x"}]}, "neither pools nor from_block"),
        ({"venues": [{"name": "x", "pools": ["0x12"]}]}, "is no pool id: 0x and 64 hex digits"),
        ({"venues": [{"name": "x", "pools": [POOL[2:]]}]}, "is no pool id"),
        ({"venues": [{"name": "x", "pools": ["0x" + "zz" * 32]}]}, "is no pool id"),
        ({"venues": [{"name": "x", "pools": [POOL], "vault": "0x1"}]}, "venues.vault"),
        ({"venues": [{"name": "x", "pools": [POOL]}], "tokens": ["0x1"]}, "balancer.tokens"),
        ({"venues": [{"name": "x", "pool": [POOL]}]}, "unknown key 'pool'"),
    ],
)
def test_a_mistake_in_the_settings_is_named(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(**settings)


def test_the_adapter_names_its_compiled_module_and_events() -> None:
    made = build(venues=[{"name": "x", "pools": [POOL]}])
    assert made.compiled.module == "tallyio_protocol_balancer.hot"  # type: ignore[attr-defined]
    assert len(set(made.topics)) == 13  # type: ignore[attr-defined]
