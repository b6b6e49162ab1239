"""The configuration: every mistake is named."""

from __future__ import annotations

import pytest
from tallyio_protocol_curve_stable.events import TOPICS

from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.market.fusion import fuse
from tallyio.model.errors import ConfigError

POOL = "0xbEbc44782C7dB0a1A60Cb6fe97d0b483032FF1C7"


def build(**settings: object) -> object:
    return PluginHost(Catalog.scan()).protocol("curve_stable", settings)


def test_the_plugin_loads_through_its_hook_and_fuses_with_the_core() -> None:
    protocol = PluginHost(Catalog.scan()).protocol(
        "curve_stable", {"pools": [{"address": POOL, "kind": "three_pool"}]}
    )
    assert protocol.topics == TOPICS
    assert len(set(TOPICS)) == len(TOPICS)
    assert fuse([("curve_stable", protocol.compiled)]).protocols == ("curve_stable",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"names no pool; add \[\[protocols.curve_stable.pools\]\]"),
        ({"pools": [{"address": POOL, "kind": "tree_pool"}]}, r'unknown kind .* \(did you mean "three_pool"'),
        (
            {"pools": [{"address": "0x12", "kind": "base"}]},
            r"\[protocols.curve_stable.pools.address\] .*40 hex",
        ),
        ({"pools": [{"address": POOL, "kind": "base", "lp_token": "x"}]}, r"pools.lp_token\]"),
        ({"pools": [{"address": POOL, "kind": "meta", "base_pool": "x"}]}, r"pools.base_pool\]"),
        ({"factories": [{"address": "x"}]}, r"\[protocols.curve_stable.factories.address\]"),
        (
            {"pools": [{"address": POOL, "kind": "base"}], "max_rate_age_seconds": 0},
            "max_rate_age_seconds is 0; it must be >= 1",
        ),
        ({"pools": [{"address": POOL, "kind": "base", "move": True}]}, r"unknown key 'move' \(did you mean"),
    ],
)
def test_a_wrong_table_is_refused_by_key(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**settings)
