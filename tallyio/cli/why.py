"""`tallyio why`: the funnel of a run, from its ledger.

Layer: cli.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tallyio.cli.output import console, print_json

if TYPE_CHECKING:
    from tallyio.ledger.records import Funnel

LARGEST: Final = 2**63 - 1
"""Integer that SQLite knows."""


def why(
    *, last: int = 10, run: int | None = None, data_dir: Path = Path("tallyio-data"), json: bool = False
) -> None:
    """Say how far a run's opportunities came, and what stopped each that died.

    Args:
        last: How many of the latest opportunities to show one by one.
        run: The run's number; the latest by default.
        data_dir: Where the ledger is ([run] data_dir of the configuration).
        json: Print {run, mode, seen, priced, simulated, signed, landed, deaths: [{gate, reason,
            count}], opportunities: [...]}; amounts are decimal text in smallest units.
    """
    from tallyio.ledger.journal import Journal  # noqa: PLC0415 - help needs none of it
    from tallyio.ledger.ledger import LEDGER_FILE  # noqa: PLC0415 - the same
    from tallyio.model.errors import ConfigError  # noqa: PLC0415 - the same

    if last < 0:
        raise ConfigError(f"--last must be at least 0, was {last}")
    path = data_dir / LEDGER_FILE
    way_out = "name the run's data_dir: --data-dir DIR"
    try:
        if not path.is_file():
            raise ConfigError(f"there is no ledger in {data_dir}", way_out=way_out)
    except OSError as error:
        raise ConfigError(f"the ledger {path} cannot be read: {error.strerror}", way_out=way_out) from None
    with Journal(path) as journal, journal.faults_told():
        number = run if run is not None else journal.last_run()
        if number is None:
            raise ConfigError(f"the ledger in {data_dir} has no run yet", way_out="`tallyio run` begins one")
        if not 0 <= number <= LARGEST or not journal.has_run(number):
            raise ConfigError(
                f"the ledger in {data_dir} has no run {number}", way_out="leave out --run for the latest"
            )
        funnel = journal.funnel(number)
        opportunities = journal.latest(number, min(last, LARGEST))
    if json:
        import msgspec  # noqa: PLC0415 - text needs none of it

        print_json(msgspec.to_builtins(funnel) | {"opportunities": opportunities})
    else:
        _print(funnel, opportunities)


def _print(funnel: Funnel, opportunities: list[dict[str, object]]) -> None:
    out = console()
    steps = ("seen", "priced", "simulated", "signed", "landed")
    out.print(
        f"run {funnel.run} ({funnel.mode}):  "
        + "  →  ".join(f"{getattr(funnel, step)} {step}" for step in steps)
    )
    for death in funnel.deaths:
        out.print(f"  {death.count:>6} stopped at {death.gate}: e.g. {death.reason}")
    if opportunities:
        out.print(f"the last {len(opportunities)}:")
    for each in opportunities:
        out.print(f"  #{each['id']} block {each['block_number']}  {each['path']}")
        out.print(f"      {_fate(each)}", soft_wrap=True)  # it may name a transaction


def _fate(opportunity: dict[str, object]) -> str:
    if opportunity["gate"] is not None:
        return f"stopped at {opportunity['gate']}: {opportunity['reason']}"
    if opportunity["realised"] is not None:
        amounts = ", ".join(f"{name} {opportunity[name]}" for name in ("predicted", "simulated", "realised"))
        return f"landed: {amounts} (smallest units)"
    return f"under way: transaction {opportunity['hash']}"
