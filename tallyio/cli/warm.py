"""`tallyio warm`: compile ahead of a start.

Layer: cli.
"""

from __future__ import annotations

from pathlib import Path


def warm(config: Path, *, json: bool = False) -> None:
    """Compile everything that CONFIG's plugins and lanes need, with a progress bar; connect to nothing.

    Args:
        config: A TOML file; `tallyio init` writes one.
        json: Print {functions, seconds, directory}.
    """
    from tallyio.cli.output import console, print_json  # noqa: PLC0415 - help needs none of it
    from tallyio.cli.session import compiling  # noqa: PLC0415 - the same
    from tallyio.engine.config import load_config  # noqa: PLC0415 - the same
    from tallyio.engine.warming import warm_configuration  # noqa: PLC0415 - the same
    from tallyio.hooks.catalog import Catalog  # noqa: PLC0415 - the same
    from tallyio.hooks.host import PluginHost  # noqa: PLC0415 - the same
    from tallyio.lab.progress import show_progress  # noqa: PLC0415 - the same

    parsed = load_config(config)
    screen = console(stderr=True)
    with show_progress(screen) as bars:
        warmed = warm_configuration(parsed, PluginHost(Catalog.scan()), compiling(bars, screen))
    if json:
        print_json(
            {
                "functions": warmed.functions,
                "seconds": warmed.seconds,
                "directory": str(warmed.directory),
            }
        )
        return
    console().print(
        f"{warmed.functions} functions are compiled ({warmed.seconds:.1f} s), kept in {warmed.directory}",
    )
