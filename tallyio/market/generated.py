"""Modules that TallyIO writes: kept by their text, imported under a name of ours.

Layer: market.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from tallyio.market.exports import Export, Exported
from tallyio.model.errors import EnvironmentFault, TallyError
from tallyio.native.cache import REMEDY, usable_directory
from tallyio.native.jit import check_compiles, is_hot
from tallyio.native.sources import edited


class OutdatedFusionError(TallyError):
    """What is built on a fusion was asked for when another fusion had taken its place."""

    code = "fusion"

    def __init__(self, protocols: Sequence[str]) -> None:
        names = ", ".join(protocols) or "nothing"
        super().__init__(
            f"the fusion of {names} is no longer the one of this process: another was made after it",
            way_out="open all that is asked of it before the next fusion, or use a process for each",
        )


def dispatcher(
    export: Export, signature: str, key: tuple[str, str, str], numbers: Iterable[int], *, brief: bool = True
) -> str:
    """Return the text of a function that hands a call on to the plugin with the right number.

    `key` are its first parameter, the expression of the number, and what a plugin gets in place of the
    first parameter, if anything. `brief` is what `hot` says of it.
    """
    subject, number_of, row = key
    arguments = f"{row}, {export.parameters}" if row else export.parameters
    branches = [
        f"    if key == {number}:\n        return {export.name}_{number}({arguments})" for number in numbers
    ]
    head = [
        f'@hot("{signature}", brief={brief}, late=True)',
        f"def {export.name}({subject}, {export.parameters}):",
    ]
    look = [f"    key = {number_of}"] if branches else []
    return "\n".join([*head, *look, *branches, f"    return {export.otherwise}"])


def heading(what: str, modules: Sequence[str], *, by: str = "tallyio.market.fusion") -> str:
    """Return a module's docstring."""
    names = ", ".join(modules) or "none"
    return f'"""Written by {by}. Fused {what}: {names}."""'


def imports(modules: Sequence[Exported]) -> str:
    """Return the imports of a dispatcher over `modules`."""
    lines = ["from tallyio.native.atomics import load", "from tallyio.native.jit import hot"]
    lines.append("from tallyio.native.u256 import const")
    for number, (module, names) in enumerate(modules):
        lines.append(f"from {module} import " + ", ".join(f"{name} as {name}_{number}" for name in names))
    return "\n".join(lines)


def place(text: str) -> Path:
    """Write a generated module where equal text, and only that, is found; return its file.

    Raises: EnvironmentFault: it cannot be written.
    """
    path = usable_directory(text) / "generated.py"
    try:
        _write_once(path, text)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be written: {error.strerror}", way_out=REMEDY) from None
    return path


def register(name: str, path: Path) -> None:
    """Import the module in `path` as `name`, and compile or load what it defines."""
    spec = cast("Any", importlib.util.spec_from_file_location(name, path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    parent, _, last = name.rpartition(".")
    setattr(sys.modules[parent], last, module)
    own = [each for each in vars(module).values() if is_hot(each) and each.__module__ == name]
    vars(module)["__late__"] = " ".join(function.late for function in own)
    for function in own:
        check_compiles(function)


def _write_once(path: Path, text: str) -> None:
    # Other processes may start at the same moment, so the file appears whole or not at all.
    if path.exists():
        return
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, suffix=".new", delete_on_close=False
    ) as file:
        file.write(text)
        file.close()
        Path(file.name).replace(path)


def forget_edited(packages: Collection[str]) -> None:
    """Have those modules of `packages` imported afresh that changed since, or depend on what did."""
    changed = edited(packages)
    for module in changed.values():
        # Python tells the bytecode of an earlier text by its size and by whole seconds.
        if module.__spec__ is not None and module.__spec__.cached is not None:
            Path(module.__spec__.cached).unlink(missing_ok=True)
    forget(changed)


def forget(names: Iterable[str]) -> None:
    """Have these modules imported afresh when they are wanted next."""
    for name in names:
        if sys.modules.pop(name, None) is not None:
            # `from package import module` looks at the package first.
            parent, _, last = name.rpartition(".")
            if parent in sys.modules:
                vars(sys.modules[parent]).pop(last, None)


@contextlib.contextmanager
def noting(module: str, built: set[str]) -> Iterator[None]:
    """Note in `built` `module` and the compiled modules that are imported with it."""
    before = set(sys.modules)
    try:
        yield
    finally:
        fresh = [name for name in set(sys.modules) - before if defines_hot(sys.modules[name])]
        built.update({module, *fresh})


def is_same(module: ModuleType, other: ModuleType | None) -> bool:
    """Return whether two generated modules have the same text, over the same functions of others."""
    return module is other or (
        other is not None
        and module.__file__ == other.__file__
        and all(
            vars(other).get(name) is value
            for name, value in vars(module).items()
            if is_hot(value) and value.__module__ != module.__name__
        )
    )


def defines_hot(module: ModuleType) -> bool:
    """Return whether `module` itself defines compiled functions."""
    return any(is_hot(value) and value.__module__ == module.__name__ for value in vars(module).values())
