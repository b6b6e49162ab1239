"""`tallyio run`: a configuration on a chain, on paper unless told otherwise.

Layer: cli.
"""

from __future__ import annotations

from pathlib import Path


def run(
    config: Path,
    *,
    profile: str | None = None,
    live: bool = False,
    blocks: int | None = None,
    json: bool = False,
) -> int:
    """Run CONFIG until interrupted. On paper nothing is signed and nothing is sent.

    Args:
        config: A TOML file; `tallyio init` writes one.
        profile: Hardware profile; the configuration's by default.
        live: Sign and send. Needs [signers] and [limits].
        blocks: Stop after so many blocks.
        json: At the end print {mode, chain, opportunities, profit, stages_us, placement, rss_mb}.
    """
    import trio  # noqa: PLC0415 - help needs none of it

    from tallyio.cli.run_loop import run_configuration  # noqa: PLC0415 - the same
    from tallyio.engine.config import load_config  # noqa: PLC0415 - the same
    from tallyio.model.errors import ConfigError  # noqa: PLC0415 - the same

    if blocks is not None and blocks < 1:
        raise ConfigError(f"--blocks must be at least 1, was {blocks}")
    parsed = load_config(config)
    return trio.run(run_configuration, parsed, profile or parsed.profile, live, blocks, json)
