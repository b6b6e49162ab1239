"""The lab's lending world on an EVM in this process, its prices, and the tables of the lending demo."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact, ensure_fetched
from tallyio.lab.lending.feeds import feed_artifacts
from tallyio.lab.lending.moves import MOVING
from tallyio.lab.lending.world import PRICE_UNIT, build_lending_world, venus_price
from tallyio.lab.recipe import USD_PRICES
from tallyio.lab.revm import RevmBackend, RevmWorld
from tallyio.model.execution import Call
from tallyio.testing import RevmChain

DEMO = Path(__file__).parents[1] / "examples" / "demo" / "lending.toml"
SEED = 7
FALLING_PERCENT = (85, 60, 80)
"""Of the first prices, block by block: some go under water, then most, then some come up again."""


class LendingWorld(RevmWorld):
    """Pools, three protocols that lend, and borrowers."""

    def __init__(self) -> None:
        ensure_fetched()
        self.backend = RevmBackend()
        self.world = self.backend.run(build_lending_world(SEED))


def lending_chain() -> RevmChain:
    """Return a chain with all of it."""
    return RevmChain(LendingWorld())


def lending_table(chain: RevmChain, protocol: str) -> dict[str, Any]:
    """Return the table of a protocol, with the addresses of the chain's world filled in."""
    text = Template(_demo()).safe_substitute(chain.world.variables)
    table: dict[str, Any] = tomllib.loads(text)["protocols"][protocol]
    return table


def falling_prices(chain: RevmChain) -> list[list[Call]]:
    """Return blocks of calls with which the operator lets everything fall that has a moving price."""
    return [
        [call for symbol in MOVING for call in _posted(chain, symbol, percent)] for percent in FALLING_PERCENT
    ]


def _posted(chain: RevmChain, symbol: str, percent: int) -> list[Call]:
    facts = chain.world.lending
    assert facts is not None
    answer = USD_PRICES[symbol] * PRICE_UNIT * percent // 100
    calls = [Contract(feed_artifacts()["Feed"], facts.feeds[symbol]).call("post", answer)]
    if symbol in facts.vtokens:
        oracle = Contract(artifact("SimplePriceOracle"), facts.venus_oracle)
        price = venus_price(symbol, answer)
        calls.append(oracle.call("setUnderlyingPrice", facts.vtokens[symbol], price))
    return calls


@cache
def _demo() -> str:
    return DEMO.read_text(encoding="utf-8")
