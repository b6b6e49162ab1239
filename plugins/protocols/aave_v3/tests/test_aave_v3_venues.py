"""Which markets settings mean, and which revisions are known."""

from __future__ import annotations

from typing import Any

import pytest
from tallyio_protocol_aave_v3.adapter import AaveV3
from tallyio_protocol_aave_v3.layout import Rules
from tallyio_protocol_aave_v3.plugin import tallyio_lending
from tallyio_protocol_aave_v3.revisions import RULES, rules_of
from tallyio_protocol_aave_v3.venues import DEPLOYMENTS, VenueSettings

from tallyio.hooks.lending import FlashLender
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.units import ZERO_ADDRESS, checksum

CHAINS = (1, 10, 56, 137, 8_453, 42_161, 43_114)


def test_the_hook_builds_a_protocol_that_lends() -> None:
    built = tallyio_lending({"venues": [{"name": "aave", "preset": "aave"}]})
    assert isinstance(built, AaveV3)
    assert isinstance(built, FlashLender)


@pytest.mark.parametrize("chain_id", CHAINS)
def test_the_preset_knows_a_provider_on_each_chain(chain_id: int) -> None:
    assert DEPLOYMENTS.factory_on(VenueSettings(name="aave", preset="aave"), chain_id) != ZERO_ADDRESS


def test_a_provider_of_the_settings_comes_before_the_presets() -> None:
    own = "0x" + "11" * 20
    venue = VenueSettings(name="mine", preset="aave", factory=own)
    assert checksum(DEPLOYMENTS.factory_on(venue, 1)) == own


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"venues": []}, "names no venue"),
        ({"venues": [{"name": "a"}]}, "has neither factory nor preset"),
        ({"venues": [{"name": "a", "preset": "aave2"}]}, "aave2"),
        ({"venues": [{"name": "a", "factory": "0x12"}]}, "0x12"),
        ({"venues": [{"name": "a", "preset": "aave", "fee": 1}]}, "fee"),
    ],
)
def test_settings_that_mean_no_market_are_refused(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        AaveV3(settings)


@pytest.mark.parametrize("revision", [0, 4, 5, 8, 12])
def test_a_revision_that_is_not_known_is_refused_with_those_that_are(revision: int) -> None:
    with pytest.raises(ChainError, match=rf"POOL_REVISION {revision}, .*1, 2, 3, 6, 7, 9, 10, 11"):
        rules_of(revision, ZERO_ADDRESS)


def test_later_revisions_keep_the_rules_that_earlier_ones_brought() -> None:
    for rule in (Rules.BITMAPS, Rules.BY_TOTAL, Rules.DIRECTED, Rules.TAYLOR, Rules.SPLIT_DOWN):
        has = [bool(RULES[revision] & rule) for revision in sorted(RULES)]
        assert has == sorted(has)
