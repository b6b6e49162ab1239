"""A plugin's package from the template: a folder of files for each kind, filled in by copier.

Layer: authoring. The template travels with TallyIO (`examples/plugin`), so a package is as new as the
TallyIO that wrote it. What was written is remembered in the package itself, in `STATE_FILE`: the answers,
the version, and the text of every file, which is what an update compares with (`tallyio.authoring.update`).
"""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Final

import msgspec

from tallyio import __version__
from tallyio.hooks.contract import Kind
from tallyio.kernel.resources import data_path
from tallyio.model.errors import ConfigError, EnvironmentFault, MissingExtraError, UnsafeRefused

STATE_FILE: Final = ".tallyio-template.json"


class Answers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the template asks; `examples/plugin/copier.yml` says the same to copier."""

    kind: Kind
    name: str
    slow: bool = False
    """Of a strategy: written in Python only, for the slow lane."""
    lending: bool = False
    """Of a protocol: one whose positions can be liquidated, instead of one with pools."""
    owner: str = "you"
    """Who answers for it: goes into the contract."""


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of `STATE_FILE`."""

    tallyio: str
    """The version whose template wrote the package last."""
    answers: Answers
    files: dict[str, str]
    """Path to text, as the template had them."""


def distribution_of(answers: Answers) -> str:
    """Return the name of the distribution, which is also its folder's."""
    return f"tallyio-{answers.kind}-{answers.name.replace('_', '-')}"


def render(answers: Answers) -> dict[str, str]:
    """Return the files of a package, path to text, as the template of this TallyIO has them.

    Raises: MissingExtraError: copier is not installed.
    """
    copier = _copier()
    template = data_path("examples") / "plugin"
    with tempfile.TemporaryDirectory(prefix="tallyio-new-") as folder:
        copier.run_copy(str(template), folder, data=msgspec.to_builtins(answers), defaults=True, quiet=True)
        paths = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
        return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in paths}


def write_new(answers: Answers, folder: Path) -> list[Path]:
    """Write a new package into `folder`; return the paths of its files.

    Raises: UnsafeRefused: something is there already. EnvironmentFault: it cannot be written.
    MissingExtraError: copier is not installed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UnsafeRefused(
            f"{folder} exists and is not an empty folder",
            way_out="name another with --folder, or bring a package of the template up to date with --update",
        )
    files = render(answers)
    write(folder, files)
    write(folder, {STATE_FILE: state_text(answers, files)})
    return [folder / path for path in files]


def write(folder: Path, files: dict[str, str]) -> None:
    """Write texts to their paths below `folder`. Raises: EnvironmentFault: it cannot be done."""
    try:
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write into {folder}: {error.strerror}", way_out="name a folder of your own"
        ) from error


def state_text(answers: Answers, files: dict[str, str]) -> str:
    """Return the text of `STATE_FILE`."""
    state = State(tallyio=__version__, answers=answers, files=files)
    return msgspec.json.format(msgspec.json.encode(state)).decode() + "\n"


def read_state(folder: Path) -> State:
    """Return what the template wrote into `folder` last. Raises: ConfigError: nothing, or unreadable."""
    path = folder / STATE_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        raise ConfigError(
            f"{folder} was not written by `tallyio new plugin`: it has no {STATE_FILE}",
            way_out="name the folder of a package that was, and keep that file in it",
        ) from None
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}", way_out="restore it from version control"
        ) from None


def _copier() -> ModuleType:
    try:
        return importlib.import_module("copier")
    except ImportError:
        raise MissingExtraError("new", "`tallyio new plugin`") from None
