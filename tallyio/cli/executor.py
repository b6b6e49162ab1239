"""`tallyio executor`: what deploys the contract that trades for you.

Layer: cli.
"""

from __future__ import annotations

import sys

from tallyio.cli.output import print_json


def executor(owner: str, *, json: bool = False) -> None:
    """Print the init code of an executor contract for OWNER; deploy it with any wallet.

    Whoever deploys it has no power over it: only OWNER can use it, and all it earns goes to OWNER.
    Put the address that the deployment gives into [execution] of the configuration.

    Args:
        owner: The account that will trade, "0x" and 40 hex digits.
        json: Print {owner, init_code}.
    """
    from tallyio.engine.executor import deployment  # noqa: PLC0415 - help needs none of it
    from tallyio.hooks.settings import parse_address  # noqa: PLC0415 - the same
    from tallyio.model.units import checksum, hex_text  # noqa: PLC0415 - the same

    account = parse_address(owner, where="executor")
    init_code = hex_text(deployment(account))
    if json:
        print_json({"owner": checksum(account), "init_code": init_code})
    else:
        sys.stdout.write(f"{init_code}\n")  # to be copied: whole on a terminal too
