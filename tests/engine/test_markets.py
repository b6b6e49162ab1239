"""Loading a market: what an adapter returns is looked at before anything is built on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from tallyio.engine.markets import load_market
from tallyio.hooks.interfaces import CompiledProtocol, ExchangeProtocol
from tallyio.model.errors import PluginError
from tests.market import toys

POOLS = [toys.pool(0, 1, 2), toys.pool(1, 2, 3)]
ROWS = [toys.row(1, 1), toys.row(2, 2)]
POOLS_RULE = "its `discover` returns a list of PoolSpec"
ROWS_RULE = "its `load` returns a list of bytes, the row of each pool in order"
TOPICS_RULE = "its `topics` are each event's topic 0, 32 bytes, no two the same"


class Adapter:
    """Returns what it is told to, typed or not."""

    compiled = CompiledProtocol(module="nobody_compiles_this.hot")

    def __init__(self, *, pools: object = POOLS, rows: object = ROWS, topics: object = toys.TOPICS) -> None:
        self.pools, self.rows, self.topics = pools, rows, topics

    async def discover(self, _: object, *, block: object) -> object:
        """Return them all."""
        return self.pools

    async def load(self, _: object, pools: Sequence[Any], *, block: object) -> object:
        """Return one each."""
        assert list(pools) == POOLS
        return self.rows


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ({"pools": None}, f"returned NoneType; {POOLS_RULE}"),
        ({"pools": [POOLS[0], b"pool"]}, f"returned a list with bytes in it; {POOLS_RULE}"),
        ({"rows": None}, f"returned NoneType; {ROWS_RULE}"),
        ({"rows": [ROWS[0], "x" * 64]}, f"returned a list with str in it; {ROWS_RULE}"),
        ({"rows": ROWS[:1]}, f"returned 1 rows of 2 pools; {ROWS_RULE}"),
        ({"rows": [*ROWS, *ROWS]}, f"returned 4 rows of 2 pools; {ROWS_RULE}"),
        ({"topics": "abc"}, f"returned str; {TOPICS_RULE}"),
        ({"topics": (b"ab",)}, f"returned the topics 0x6162; {TOPICS_RULE}"),
        ({"topics": (*toys.TOPICS, "ab")}, f"returned a list with str in it; {TOPICS_RULE}"),
        ({"topics": (b"a" * 32,) * 2}, f"returned the topics 0x{'61' * 32}, 0x{'61' * 32}; {TOPICS_RULE}"),
    ],
)
async def test_what_an_adapter_may_not_return_names_the_plugin_and_the_rule(
    returned: dict[str, object], said: str
) -> None:
    adapter = cast("ExchangeProtocol", Adapter(**returned))
    with pytest.raises(PluginError) as caught:
        await load_market(cast("Any", None), [("mine", adapter)], head=cast("Any", None))
    assert str(caught.value) == f"plugin 'mine' {said}"


async def test_what_an_adapter_may_return_goes_on_to_be_fused() -> None:
    adapter = cast("ExchangeProtocol", Adapter())
    with pytest.raises(PluginError, match="there is no nobody_compiles_this"):
        await load_market(cast("Any", None), [("mine", adapter)], head=cast("Any", None))
