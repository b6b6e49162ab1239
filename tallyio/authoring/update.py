"""Bring a package that the template wrote up to the template of this TallyIO, and keep what its author did.

Layer: authoring. Three texts of each file are known: what the template wrote last time (`STATE_FILE`), what
is there now, and what the template writes today. Where only one side changed, that side counts; where both
did, `git merge-file` merges them line by line, and marks what contradicts. copier's own update wants the
template's history in a git repository; a template that travels in a wheel has none, and needs none.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from tallyio import __version__
from tallyio.authoring.template import STATE_FILE, read_state, render, state_text, write
from tallyio.model.errors import EnvironmentFault

Change = Literal["added", "updated", "merged", "conflict", "removed", "left"]
"""What became of a file. left: the author deleted it, or the template no longer has it."""

_FAILED: Final = 128
"""From here on, the exit code of `git merge-file` is no count of conflicts."""


class Texts(NamedTuple):
    """One file thrice; None: it is not there."""

    was: str | None
    """As the template wrote it last."""
    here: str | None
    """As it is."""
    new: str | None
    """As the template writes it now."""


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """What an update did."""

    folder: str
    from_version: str
    to_version: str
    changes: dict[str, Change]
    """By path; what is not named stayed as it was."""

    @property
    def conflicts(self) -> list[str]:
        """Files that hold conflict marks now."""
        return [path for path, change in self.changes.items() if change == "conflict"]


Merge = Callable[[Texts], tuple[str, bool]]
"""Returns the merged text, and whether it is without conflicts."""


def update(folder: Path) -> Update:
    """Update the package in `folder`; files of the author's own are not looked at.

    Raises: ConfigError: the template did not write it. EnvironmentFault: git is missing where two sides
    changed one file; then nothing is changed. MissingExtraError: copier is not installed.
    """
    state = read_state(folder)
    new = render(state.answers)
    before = {path: _read(folder / path) for path in {*state.files, *new}}
    texts = {path: Texts(state.files.get(path), before[path], new.get(path)) for path in sorted(before)}
    decided = {path: decide(each, _merge_with_git) for path, each in texts.items()}
    write(
        folder,
        {path: text for path, (text, _) in decided.items() if text not in {None, before[path]} and text},
    )
    for path, (_, change) in decided.items():
        if change == "removed":
            (folder / path).unlink()
    write(folder, {STATE_FILE: state_text(state.answers, new)})
    return Update(
        folder=str(folder),
        from_version=state.tallyio,
        to_version=__version__,
        changes={path: change for path, (_, change) in decided.items() if change is not None},
    )


def decide(texts: Texts, merge: Merge) -> tuple[str | None, Change | None]:
    """Return what a file becomes, and what to call that; None: nothing changes."""
    was, here, new = texts
    if new in (here, was):
        return here, None
    if here is None:
        return (new, "added") if was is None else (None, "left")
    if new is None:
        return (None, "removed") if here == was else (here, "left")
    if here == was:
        return new, "updated"
    text, clean = merge(texts)
    return text, "merged" if clean else "conflict"


def counted(changes: Mapping[str, Change]) -> str:
    """Return how many files met which fate, in words."""
    kinds = list(dict.fromkeys(changes.values()))
    return ", ".join(f"{list(changes.values()).count(kind)} {kind}" for kind in kinds) or "nothing to change"


def _merge_with_git(texts: Texts) -> tuple[str, bool]:
    git = shutil.which("git")
    if git is None:
        raise EnvironmentFault(
            "merging your changes with the template's needs git; nothing was changed", way_out="install git"
        )
    with tempfile.TemporaryDirectory(prefix="tallyio-update-") as folder:
        names = {"yours": texts.here, "the template before": texts.was, "the template now": texts.new}
        for number, text in enumerate(names.values()):
            (Path(folder) / str(number)).write_text(text or "", encoding="utf-8")
        labels = [word for name in names for word in ("-L", name)]
        done = subprocess.run(
            [git, "merge-file", "-p", "--diff3", *labels, "0", "1", "2"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode < 0 or done.returncode >= _FAILED:
        raise EnvironmentFault(f"git merge-file failed: {done.stderr.strip()}; nothing was changed")
    return done.stdout, done.returncode == 0


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
