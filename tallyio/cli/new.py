"""`tallyio new`: begin a plugin of your own.

Layer: cli.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from cyclopts import App, CycloptsError

from tallyio.cli.output import console, print_json

if TYPE_CHECKING:
    from tallyio.authoring.update import Update

app = App(name="new", help="Begin a plugin of your own.", help_format="plaintext")

CONFLICTS: Final = 1


@app.command
def plugin(  # noqa: PLR0913 - what may be said of a new package, each once
    kind: str | None = None,
    name: str | None = None,
    *,
    folder: Path | None = None,
    slow: bool = False,
    lending: bool = False,
    owner: str = "you",
    update: Path | None = None,
    json: bool = False,
) -> int:
    """Write a package for a new plugin: contract, hook, example, tests, benchmark. Needs tallyio[new].

    Its tests pass as it is written; `tallyio plugins check FOLDER` says when it no longer keeps its contract.

    Args:
        kind: chain, protocol, strategy, signer or notifier.
        name: Lower-case words with underscores, such as constant_sum.
        folder: Where to write; made if it is missing. tallyio-KIND-NAME by default.
        slow: A strategy in plain Python, looked at once a block, instead of a compiled one.
        lending: A protocol that lends, whose positions can be liquidated, instead of one with pools.
        owner: Who answers for it, for its contract.
        update: Bring the package in this folder, written by an older TallyIO, up to this one's template;
            your changes stay. Exit code 1 if some contradict the template's: they are marked in the files.
        json: Print {folder, kind, name, files: [path]}, or after an update
            {folder, from_version, to_version, changes: {path: added|updated|merged|conflict|removed|left}}.

    """
    if update is not None:
        return _update(update, json=json)
    if kind is None or name is None:
        raise CycloptsError(msg="name a kind and a name, such as: tallyio new plugin protocol constant_sum")
    from tallyio.authoring import template  # noqa: PLC0415 - help needs none of it
    from tallyio.authoring.names import check_kind, check_name  # noqa: PLC0415 - the same
    from tallyio.hooks.catalog import Catalog  # noqa: PLC0415 - the same
    from tallyio.model.errors import ConfigError  # noqa: PLC0415 - the same

    known = check_kind(kind)
    for option, given, fits in (("--slow", slow, "strategy"), ("--lending", lending, "protocol")):
        if given and known != fits:
            raise ConfigError(f"{option} is for a {fits}, not for a {known}", way_out="leave it out")
    check_name(known, name, Catalog.scan().all())
    answers = template.Answers(kind=known, name=name, slow=slow, lending=lending, owner=owner)
    target = folder or Path(template.distribution_of(answers))
    files = template.write_new(answers, target)
    if json:
        print_json(
            {"folder": str(target), "kind": kind, "name": name, "files": [str(file) for file in files]}
        )
        return 0
    out = console()
    for file in files:
        out.print(f"wrote {file}")
    out.print(f"next: read {target / 'README.md'}, then: tallyio plugins check {target}")
    return 0


def _update(folder: Path, *, json: bool) -> int:
    from tallyio.authoring.update import update  # noqa: PLC0415 - help needs none of it

    done = update(folder)
    if json:
        print_json(done)
    else:
        _tell(done)
    return CONFLICTS if done.conflicts else 0


def _tell(done: Update) -> None:
    from tallyio.authoring.update import counted  # noqa: PLC0415 - help needs none of it

    out = console()
    for path, change in done.changes.items():
        out.print(f"{change:<9} {path}")
    out.print(f"from {done.from_version} to {done.to_version}: {counted(done.changes)}")
    for path in done.conflicts:
        out.print(f"way out: mend what is between the conflict marks in {path}", style="yellow")
