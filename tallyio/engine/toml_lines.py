"""On which line of a TOML file each value stands.

Layer: engine. The standard library's reader keeps no positions. TOML statements end with a line, so
the reader itself finds where each one ends: it is the shortest run of lines that it accepts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping

Path = tuple[str | int, ...]
"""Keys and list positions, from the top of the file to one value."""


def value_lines(text: str) -> dict[Path, int]:
    """Return the line, from 1, of every value in `text`, which is TOML."""
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, statement in _statements(text):
        parsed = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _table(parsed, counts)
        else:
            found |= {(*table, *path): number for path, _ in leaves(parsed)}
    return found


def leaves(value: object) -> Iterator[tuple[Path, object]]:
    """Yield path and value of everything in `value` that holds no further keys."""
    if isinstance(value, Mapping):
        parts: Iterator[tuple[str | int, object]] = iter(value.items())
    elif isinstance(value, list | tuple) and any(isinstance(each, Mapping) for each in value):
        parts = iter(enumerate(value))
    else:
        yield (), value
        return
    for name, part in parts:
        for path, leaf in leaves(part):
            yield (name, *path), leaf


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield number of the first line and text of each table header and each `key = value`."""
    begun: list[str] = []
    start = 0
    # Not `splitlines`, which sees ends of lines that are none in TOML, such as U+2028 in a comment.
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not begun:
            start = number
            if not line.strip() or line.lstrip().startswith("#"):
                continue
        begun.append(line)
        statement = "\n".join(begun)
        # Reading a long list anew at each of its lines would be slow, and most cannot be its end.
        if _may_end(line) and _is_whole(statement):
            yield start, statement
            begun = []


def _may_end(line: str) -> bool:
    # Behind a statement stands nothing but a comment, so without one a comma says that it goes on.
    return "#" in line or not line.rstrip().endswith(",")


def _is_whole(statement: str) -> bool:
    try:
        tomllib.loads(statement)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _table(header: Mapping[str, object], counts: dict[Path, int]) -> Path:
    """Return the path that a parsed header opens; `counts` says how many each list of tables has so far."""
    path: Path = ()
    inside: object = header
    while isinstance(inside, Mapping) and inside:
        name, inside = next(iter(inside.items()))
        path = (*path, name)
        if isinstance(inside, list):
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path = (*path, counts[path] - 1)
    return path
