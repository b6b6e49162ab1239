"""What a new plugin may be called.

Layer: authoring.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from typing import Final

from tallyio.hooks.catalog import Installed
from tallyio.hooks.contract import KINDS, Kind
from tallyio.hooks.settings import did_you_mean
from tallyio.model.errors import ConfigError

LONGEST: Final = 40
"""Characters: names stand in tables, in paths, and in file names of wheels."""
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def check_kind(kind: str) -> Kind:
    """Return `kind` if there is such a kind of plugin. Raises: ConfigError: there is none."""
    if kind not in KINDS:
        raise ConfigError(
            f"{kind!r} is no kind of plugin{did_you_mean(kind, KINDS)}",
            way_out=f"name one of: {', '.join(KINDS)}",
        )
    return kind


def check_name(kind: Kind, name: str, installed: Iterable[Installed]) -> str:
    """Return `name` if a new plugin of `kind` may have it.

    Raises: ConfigError: it is no lower-case Python identifier, too long, or an installed plugin's.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ConfigError(
            f"{name!r} cannot be a plugin's name, which is part of a Python package's: lower-case words of"
            " letters and digits with single underscores between them, and no keyword of Python",
            way_out=f"take {_suggested(name)!r}" if _suggested(name) else "take another name",
        )
    if len(name) > LONGEST:
        raise ConfigError(
            f"{name!r} has {len(name)} characters; a plugin's name has at most {LONGEST}",
            way_out="take a shorter one",
        )
    taken = next((each for each in installed if (each.kind, each.name) == (kind, name)), None)
    if taken is not None:
        raise ConfigError(
            f"there is a {kind} plugin {name!r} already, installed by {taken.distribution}",
            way_out="take another name, or uninstall it first",
        )
    return name


def _suggested(name: str) -> str | None:
    """Return a name near `name` that would do, or None."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    near = re.sub(r"[^a-z0-9]+", "_", spaced).strip("_").lstrip("0123456789_")[:LONGEST].strip("_")
    return near if _NAME.fullmatch(near) and not keyword.iskeyword(near) else None
