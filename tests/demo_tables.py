"""The demo's configuration, for tests that set up what a reader of it would."""

from __future__ import annotations

import tomllib
from pathlib import Path
from string import Template
from typing import Any

from tallyio.lab.world import World

DEMO = Path(__file__).parents[1] / "examples" / "demo" / "tallyio.toml"


def protocol_tables(world: World) -> dict[str, Any]:
    """Return the table of each protocol by its name, with the addresses of `world` filled in."""
    text = Template(DEMO.read_text(encoding="utf-8")).safe_substitute(world.variables)
    tables: dict[str, Any] = tomllib.loads(text)["protocols"]
    return tables
