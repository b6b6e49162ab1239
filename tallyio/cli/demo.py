"""`tallyio demo`: the whole idea on a chain of your own.

Layer: cli.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

MOST_BLOCKS = 100_000


def demo(
    *,
    blocks: int = 60,
    seed: int = 7,
    world: Literal["pools", "lending"] = "pools",
    profile: str = "auto",
    data_dir: Path = Path("tallyio-data"),
    json: bool = False,
) -> int:
    """Start a real node with the real Uniswap contracts, trade on it, and prove the profit.

    Everything is local: the node listens on loopback, the key is made for this run and thrown
    away. The first start fetches the node and the contracts; later ones need no network.

    Args:
        blocks: How many blocks the lab's traders make.
        seed: The same seed gives the same trades.
        world: pools has Uniswap's; lending has borrowers in Aave, Morpho and Venus beside them.
        profile: Hardware profile; auto takes the one that fits this machine.
        data_dir: Where the ledger goes, for `tallyio why`.
        json: Print one JSON object: {seed, chain, opportunities, profit, trades, balance_change,
            exact, stages_us, detect_us, placement, rss_mb}.
    """
    import trio  # noqa: PLC0415 - help needs none of it

    from tallyio.cli.demo_run import Wishes, run_demo  # noqa: PLC0415 - the same
    from tallyio.model.errors import ConfigError  # noqa: PLC0415 - the same

    if not 1 <= blocks <= MOST_BLOCKS:
        raise ConfigError(f"--blocks must be from 1 to {MOST_BLOCKS}, was {blocks}")
    wishes = Wishes(
        blocks=blocks, seed=seed, world=world, profile=profile, data_dir=data_dir.resolve(), json=json
    )
    return trio.run(run_demo, wishes)
