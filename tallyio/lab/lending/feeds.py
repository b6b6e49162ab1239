"""Price feeds whose answers the lab chooses.

Layer: lab. A feed has the views and the event of a Chainlink aggregator; a proxy in front of it keeps its
address, as on real chains. The source is `Feed.sol` beside this file.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.solidity import compile_solidity
from tallyio.lab.steps import Recipe, deploy

SOURCE: Final = "Feed.sol"
FEED_DECIMALS: Final = 8


class Feed(msgspec.Struct, frozen=True):
    """A proxy, which oracles name, and the aggregator behind it, to which answers are posted."""

    proxy: Contract
    aggregator: Contract


@cache
def feed_artifacts() -> dict[str, Artifact]:
    """Return "Feed" and "FeedProxy". Compiles on first use."""
    text = (Path(__file__).parent / SOURCE).read_text(encoding="utf-8")
    made = compile_solidity({SOURCE: text}, [SOURCE])
    return {name.rpartition(":")[2]: artifact for name, artifact in made.items()}


def deploy_feed(answer: int) -> Recipe[Feed]:
    """Deploy a feed that says `answer`, an integer in 1e-8."""
    made = feed_artifacts()
    aggregator = yield from deploy(made["Feed"], answer)
    proxy = yield from deploy(made["FeedProxy"], aggregator.address)
    return Feed(proxy, aggregator)
