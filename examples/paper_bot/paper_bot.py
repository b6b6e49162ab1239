"""A bot on paper, on a chain of its own: it reads, decides and simulates, and sends nothing.

    python paper_bot.py [--world pools|lending] [--blocks N]

The lab starts a node with real contracts and traders; in the world `lending` there are borrowers too, and
the bot looks for liquidations as well. `tallyio run` follows the chain in a process of its own, as it would
follow any other. At the end the funnel says what it would have done. It needs the network once.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Final

import trio

from tallyio.kernel.resources import data_path
from tallyio.lab import open_lab

TALLYIO: Final = (sys.executable, "-c", "import sys; from tallyio.cli import main; sys.exit(main())")
CONFIGURATIONS: Final = {"pools": "tallyio.toml", "lending": "lending.toml"}
"""Of `examples/demo`; what they call `$name` the lab knows."""
SECONDS_PER_BLOCK: Final = 1.0


def configuration(world: str, facts: dict[str, str], folder: Path) -> str:
    """Return the demo's configuration for this chain; on paper there is no account and no executor."""
    source = data_path("examples") / "demo" / CONFIGURATIONS[world]
    own = {"keys": str(folder), "data_dir": str(folder / "data"), "account": "", "executor": ""}
    return Template(source.read_text(encoding="utf-8")).substitute(facts, **own)


async def follow(world: str, blocks: int, folder: Path) -> int:
    """Run the bot while the lab's traders make blocks; return its exit code."""
    async with open_lab(seed=7, kind="lending" if world == "lending" else "pools") as lab:
        config = folder / "tallyio.toml"
        config.write_text(configuration(world, lab.world.variables, folder), encoding="utf-8")
        command = [*TALLYIO, "run", str(config), "--blocks", str(blocks)]
        async with trio.open_nursery() as nursery:
            process = await nursery.start(trio.run_process, command)
            while process.poll() is None:
                await lab.step()
                await trio.sleep(SECONDS_PER_BLOCK)
        return int(process.returncode)


def main(words: Sequence[str] | None = None) -> int:
    """Follow the chain for some blocks, then ask why nothing was sent."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--world", choices=tuple(CONFIGURATIONS), default="pools")
    parser.add_argument("--blocks", type=int, default=10)
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="tallyio-paper-") as name:
        folder = Path(name)
        code = trio.run(follow, asked.world, asked.blocks, folder)
        why = [*TALLYIO, "why", "--data-dir", str(folder / "data"), "--last", "5"]
        return code or subprocess.run(why, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
