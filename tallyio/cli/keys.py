"""`tallyio keys`: the key of a configuration's signer.

Layer: cli.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cyclopts import App

from tallyio.cli.output import print_json

app = App(name="keys", help="Make the key of a configuration's signer.", help_format="plaintext")


@app.command
def new(config: Path, *, json: bool = False) -> None:
    """Make a new key where [signers] of CONFIG says, outside this process, and print its account.

    Nothing that exists is overwritten. Put the account into [execution] of the configuration.

    Args:
        config: A TOML file with one [signers.NAME] table.
        json: Print {account}.
    """
    import trio  # noqa: PLC0415 - help needs none of it

    from tallyio.engine.built import build_instance  # noqa: PLC0415 - the same
    from tallyio.engine.config import load_config  # noqa: PLC0415 - the same
    from tallyio.hooks.catalog import Catalog  # noqa: PLC0415 - the same
    from tallyio.hooks.host import PluginHost  # noqa: PLC0415 - the same
    from tallyio.model.errors import ConfigError  # noqa: PLC0415 - the same
    from tallyio.model.units import checksum  # noqa: PLC0415 - the same

    parsed = load_config(config)
    if parsed.signer is None:
        raise ConfigError(f"{config} names no signer", way_out="add a [signers.NAME] table")
    host = PluginHost(Catalog.scan())
    signer = build_instance(host.signer, "signer", parsed.signer, source=parsed.source)
    account = checksum(trio.run(signer.create))
    if json:
        print_json({"account": account})
    else:
        sys.stdout.write(f"{account}\n")
