"""What a module's compiled code came from: its source, and those of all that it imports.

Layer: native. Compiled code holds the code and the constants of what it uses. Those are imported at
the top of its module, so a digest over the sources along the imports changes with everything that
the code depends on, and with nothing else: an edit in a plugin leaves the core's code as it is.

Followed are imports within a package, into the core, whose layouts and constants plugins compile in, and
into any module with compiled functions; what the standard library, numpy or numba give to compiled code
changes with their versions. Not seen are an import inside a function, and a plain module of yet another
package: keep constants that are compiled in beside the code. Files may lie anywhere: names and contents
count. What a process has imported counts as it was then, whatever its file holds by now.

Of a generated module with late functions their names and signatures count, which is what its attribute
`__late__` holds, unless the digest is for the whole.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys
from collections.abc import Collection, Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

_IMPORT: Final = re.compile(r"^from (\.*[\w.]*) import (\([^)]*\)|.*)$|^import ([\w., ]+)$", re.MULTILINE)
_NAME: Final = re.compile(r"\w+")
_MARK: Final = "@hot"
_CORE: Final = __name__.partition(".")[0]
_OUTSIDE: Final = frozenset({*sys.stdlib_module_names, "llvmlite", "numba", "numpy"})


class Source(NamedTuple):
    """One module: its dotted name and its file."""

    name: str
    file: Path

    @property
    def top(self) -> str:
        """The name of its outermost package."""
        return self.name.partition(".")[0]


class _Text(NamedTuple):
    digest: bytes
    has_compiled: bool
    imports: tuple[tuple[str, str], ...]
    """Origin (as written, with its dots) and members of each import."""


_imported: Final[dict[int, tuple[ModuleSpec, Source, bytes]]] = {}
"""By the identity of the import specification, of which every import and reload has a new one: what its file
held when it was first looked at, which is while somebody imported it."""


def digest(module: str, file: Path, *, whole: bool = False) -> str:
    """Return the digest of what the compiled functions of `module`, written in `file`, depend on.

    `whole` is with what late functions do.
    """
    root, over = Source(module, file), hashlib.sha256()
    for source in sorted(closure(root, whole=whole)):
        late = None if whole or source == root else _late(source)
        over.update(source.name.encode() + b"\0" + (_content(source) if late is None else late.encode()))
    return over.hexdigest()


def edited(packages: Collection[str]) -> dict[str, ModuleType]:
    """Return by name the modules of `packages` that compiled code was made of and that changed on disk since.

    One that imports a changed one, directly or not, has changed too.
    """
    changed = {source for spec, source, content in _imported.values() if _is_changed(spec, source, content)}
    if not changed:
        return {}
    known = [(name, each) for name, each in list(sys.modules.items()) if name.partition(".")[0] in packages]
    return {name: module for name, module in known if _depends(module, changed)}


def _is_changed(spec: ModuleSpec, source: Source, content: bytes) -> bool:
    if _spec_of(source.name) is not spec:
        return False  # another import took its place
    try:
        return _read(source.file).digest != content
    except FileNotFoundError:
        return True


def _depends(module: ModuleType, changed: set[Source]) -> bool:
    found = _imported.get(id(_spec_of(module.__name__)))
    try:
        return found is not None and not changed.isdisjoint(closure(found[1]))
    except FileNotFoundError:
        return True


def _late(source: Source) -> str | None:
    late: str | None = getattr(sys.modules.get(source.name), "__late__", None)
    return late


def _content(source: Source) -> bytes:
    spec, content = _spec_of(source.name), _read(source.file).digest
    return content if spec is None else _imported.setdefault(id(spec), (spec, source, content))[2]


def _spec_of(name: str) -> ModuleSpec | None:
    spec: ModuleSpec | None = getattr(sys.modules.get(name), "__spec__", None)
    return spec


def closure(root: Source, *, whole: bool = True) -> set[Source]:
    """Return `root`, and the modules that it imports and that are followed, and so on.

    Unless it is for the `whole`, modules with late functions are not followed further.
    """
    found: set[Source] = set()
    waiting = [root]
    while waiting:
        source = waiting.pop()
        if source not in found:
            found.add(source)
            if whole or source == root or _late(source) is None:
                waiting.extend(_followed(source))
    return found


def _followed(source: Source) -> Iterator[Source]:
    for origin, members in _read(source.file).imports:
        whole = _absolute(origin, source)
        if whole.partition(".")[0] in _OUTSIDE:
            continue
        for name in (whole, *(f"{whole}.{member}" for member in _NAME.findall(members))):
            file = _file_of(name, source)
            if file is not None:
                found = Source(name, file)
                if found.top in (source.top, _CORE) or _read(file).has_compiled:
                    yield found


def _absolute(origin: str, source: Source) -> str:
    name = origin.lstrip(".")
    if name == origin:
        return name
    is_package = source.file.name == "__init__.py"
    parents = source.name.split(".")
    kept = parents[: len(parents) - (len(origin) - len(name)) + is_package]
    return ".".join([*kept, name] if name else kept)


def _file_of(name: str, importer: Source) -> Path | None:
    # A module that was generated, or of a package that is not imported as a whole, is only known there.
    module = sys.modules.get(name)
    if module is not None:
        text = getattr(module, "__file__", None)
        return Path(text) if text and text.endswith(".py") else None
    if name.partition(".")[0] != importer.top:
        return None  # what an imported module imports has been imported
    return _found(name)


@functools.cache
def _found(name: str) -> Path | None:
    """Return the file of a module that is not imported; None if `name` is no module."""
    parent = name.rpartition(".")[0]
    if parent and not hasattr(sys.modules.get(parent), "__path__"):
        return None
    spec = find_spec(name)
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _read(file: Path) -> _Text:
    status = file.stat()
    return _parsed(file, status.st_mtime_ns, status.st_size)


@functools.cache
def _parsed(file: Path, changed_ns: int, size: int) -> _Text:  # noqa: ARG001 - the key: an edit reads anew
    # A pattern is fifty times faster than a syntax tree, at every start.
    data = file.read_bytes()
    text = data.decode()
    imports: list[tuple[str, str]] = []
    for origin, members, plain in _IMPORT.findall(text):
        imports += [(name, "") for name in _modules(plain)] if plain else [(origin, members)]
    return _Text(hashlib.sha256(data).digest(), _MARK in text, tuple(imports))


def _modules(plain: str) -> Iterator[str]:
    for part in plain.split(","):
        yield part.split(" as ")[0].strip()
