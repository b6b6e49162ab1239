"""The lab's lending world on an EVM in this process, and the tables that the lending demo has for it."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from tallyio.lab.fetch import ensure_fetched
from tallyio.lab.lending.world import build_lending_world
from tallyio.lab.revm import RevmBackend, RevmWorld
from tallyio.testing import RevmChain

DEMO = Path(__file__).parents[1] / "examples" / "demo" / "lending.toml"
SEED = 7


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


@cache
def _demo() -> str:
    return DEMO.read_text(encoding="utf-8")
