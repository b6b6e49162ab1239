"""The configuration: every mistake is named."""

from __future__ import annotations

import pytest
from tallyio_protocol_curve_crypto.events import TOPICS

from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.market.fusion import fuse
from tallyio.model.errors import ConfigError

POOL = "0xD51a44d3FaE010294C616388b506AcdA1bfAAE46"


def build(**settings: object) -> object:
    return PluginHost(Catalog.scan()).protocol("curve_crypto", settings)


def test_the_plugin_loads_through_its_hook_and_fuses_with_the_core() -> None:
    protocol = PluginHost(Catalog.scan()).protocol(
        "curve_crypto", {"pools": [{"address": POOL, "kind": "tricrypto"}]}
    )
    assert protocol.topics == TOPICS
    assert len(set(TOPICS)) == len(TOPICS)
    assert fuse([("curve_crypto", protocol.compiled)]).protocols == ("curve_crypto",)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"names no pool; add \[\[protocols.curve_crypto.pools\]\]"),
        ({"pools": [{"address": POOL, "kind": "tricripto"}]}, r'unknown kind .* \(did you mean "tricrypto"'),
        (
            {"factories": [{"address": POOL, "kind": "twocrypto_gn"}]},
            r"\[protocols.curve_crypto.factories\] .*unknown kind|unknown kind .*",
        ),
        (
            {"pools": [{"address": "0x12", "kind": "twocrypto"}]},
            r"\[protocols.curve_crypto.pools.address\] .*40 hex",
        ),
        (
            {"factories": [{"address": "x", "kind": "twocrypto"}]},
            r"\[protocols.curve_crypto.factories.address\]",
        ),
        ({"pools": [{"address": POOL, "kind": "twocrypto", "gs": 1}]}, r"unknown key 'gs' \(did you mean"),
    ],
)
def test_a_wrong_table_is_refused_by_key(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(**settings)
