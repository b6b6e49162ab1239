"""The source folder of a plugin: what its `pyproject.toml` announces, as an installer would read it.

Layer: authoring. A plugin need not be installed to be checked: `as_installed` makes its folder look so.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tallyio.hooks.catalog import GROUP_PREFIX
from tallyio.hooks.contract import KINDS
from tallyio.hooks.settings import did_you_mean
from tallyio.model.errors import PluginError

PYPROJECT: Final = "pyproject.toml"
_PATHS: Final = "PYTHONPATH"
# What becomes a folder's name: PyPA's "Names and normalization", and the letters of PEP 440.
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE | re.ASCII)
_VERSION: Final = re.compile(r"[\w.!+-]+", re.ASCII)


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution in source."""

    folder: Path
    """Absolute."""
    distribution: str
    version: str
    entry_points: dict[str, dict[str, str]]
    """By group, then name to module; at least one is a plugin's."""

    @property
    def groups(self) -> list[str]:
        """The groups that hold plugins."""
        return [group for group in self.entry_points if group.startswith(GROUP_PREFIX)]

    @property
    def packages(self) -> set[str]:
        """The names of the packages that its plugins are in."""
        modules = (module for group in self.groups for module in self.entry_points[group].values())
        return {module.partition(".")[0] for module in modules}

    @property
    def roots(self) -> list[Path]:
        """The folders that the packages lie in."""
        return [root for root in (self.folder / "src", self.folder) if root.is_dir()]


class _Table(msgspec.Struct, frozen=True):
    """The part of `[project]` that is read; the rest is the builder's."""

    name: str
    version: str = "0"
    entry_points: dict[str, dict[str, str]] = msgspec.field(name="entry-points", default_factory=dict)


class _File(msgspec.Struct, frozen=True):
    project: _Table


def read_project(folder: Path) -> Project:
    """Return the project in `folder`.

    Raises: PluginError: there is no readable `pyproject.toml`, it names no possible distribution, or it
    announces no plugin of a known kind.
    """
    path = folder / PYPROJECT
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        project = msgspec.convert(table, _File).project
    except (FileNotFoundError, NotADirectoryError):
        raise _broken(folder, f"has no {PYPROJECT}", "name the folder of a plugin's source") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise _broken(folder, f"has an unreadable {PYPROJECT}: {error}", "mend the file") from None
    for key, value, allowed in (("name", project.name, _NAME), ("version", project.version, _VERSION)):
        if not allowed.fullmatch(value):
            fault = f"has the {key} {value!r} in {PYPROJECT}, which no distribution can have"
            raise _broken(folder, fault, f"use letters, digits and . - _ for the {key}")
    _check_groups(folder, project.entry_points)
    return Project(
        folder=folder.resolve(),
        distribution=project.name,
        version=project.version,
        entry_points=project.entry_points,
    )


def _check_groups(folder: Path, groups: Mapping[str, Mapping[str, str]]) -> None:
    known = [GROUP_PREFIX + kind for kind in KINDS]
    for group in groups:
        if group.startswith(GROUP_PREFIX) and group not in known:
            raise _broken(
                folder,
                f"announces a plugin of an unknown kind, [project.entry-points.{group!r}]"
                f"{did_you_mean(group, known)}",
                f"use one of: {', '.join(known)}",
            )
    if not any(groups.get(group) for group in known):
        raise _broken(
            folder,
            f"announces no plugin: {PYPROJECT} has no entry point of TallyIO's",
            f'add a table such as [project.entry-points."{known[1]}"]',
        )


@contextmanager
def as_installed(project: Project) -> Iterator[None]:
    """Let this process, and those that it starts, find `project` as if it were installed from its folder.

    It goes before everything that is installed, under the same name too.
    """
    with tempfile.TemporaryDirectory(prefix="tallyio-check-") as made:
        _write_metadata(Path(made), project)
        ours = [made, *map(str, project.roots)]
        before, path = os.environ.get(_PATHS), list(sys.path)
        os.environ[_PATHS] = os.pathsep.join([*ours, *filter(None, [before])])
        sys.path[:0] = ours
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path[:] = path
            for name in [name for name in sys.modules if name.partition(".")[0] in project.packages]:
                del sys.modules[name]
            os.environ.pop(_PATHS)
            if before is not None:
                os.environ[_PATHS] = before


def _write_metadata(folder: Path, project: Project) -> None:
    # What an installer writes: "Recording installed projects" of the PyPA.
    info = folder / f"{project.distribution.replace('-', '_')}-{project.version}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project.distribution}\nVersion: {project.version}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {module}\n" for name, module in entries.items())
        for group, entries in project.entry_points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups), encoding="utf-8")


def _broken(folder: Path, fault: str, way_out: str) -> PluginError:
    return PluginError(folder.resolve().name, fault, way_out=way_out)
