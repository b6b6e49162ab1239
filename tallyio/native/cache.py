"""Where compiled code is kept between runs.

Layer: native. numba keeps machine code in files, but looks only at the file that defines a
function: an edit in a module that it calls goes unseen, and the old code goes on answering. So the
directory is named by a hash over everything that the code came from: the sources of all compiled
modules and of what they import from us, the compiler's versions, and the processor. A directory
that no run has used for a month is removed.

The files are code that is run: a directory that others may write to is not used.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import platform
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import llvmlite
import llvmlite.binding
import numba
from numba.core.caching import FunctionCache

_PACKAGE: Final = Path(__file__).resolve().parents[1]
_COMPILED_PARTS: Final = ("native", "kernel", "market", "engine")
_UNUSED_AFTER_S: Final = 30 * 86_400
_NAME_LENGTH: Final = 32

_IMPORT: Final = re.compile(
    rf"^from ({_PACKAGE.name}[\w.]*) import (\([^)]*\)|.*)$|^import ({_PACKAGE.name}[\w.]*)", re.MULTILINE
)
_NAME: Final = re.compile(r"\w+")

_notes: list[str] = []


def use_cache(extra_sources: Iterable[Path] = ()) -> Path:
    """Keep functions declared from now on in the directory of these sources, and return it.

    `extra_sources` are the compiled modules of plugins; call before importing them. Without any,
    this is the directory of the core, which importing `tallyio.native.jit` selects.
    """
    directory = _usable(cache_root() / source_hash(extra_sources))
    numba.config.CACHE_DIR = str(directory)  # type: ignore[attr-defined]  # made at run time
    return directory


class DiskCache(FunctionCache):
    """numba's cache of one function, where a bad file or a full disk only costs a compilation."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was kept, or None if there is nothing, or it cannot be read."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # noqa: BLE001 - unpickling a damaged file may raise anything
            _note(f"a damaged file in {self.cache_path} was compiled anew ({type(error).__name__}).")
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep compiled code, if that is possible."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _note(f"compiled code is not kept: cannot write to {self.cache_path} ({error.strerror}).")


def cache_note() -> str:
    """Return what is wrong with keeping compiled code, in whole sentences, or an empty string."""
    return " ".join(_notes)


def cache_root() -> Path:
    """Return `$TALLYIO_CACHE`, else `$XDG_CACHE_HOME/tallyio`, else `~/.cache/tallyio`."""
    if own := os.environ.get("TALLYIO_CACHE"):
        return Path(own).expanduser().absolute()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "tallyio"
    with contextlib.suppress(RuntimeError):
        return Path.home() / ".cache" / "tallyio"
    return Path("/nonexistent")  # no home: the caller falls back and says so


def source_hash(extra_sources: Iterable[Path] = (), package: Path = _PACKAGE) -> str:
    """Return the name of the directory for the core's compiled modules and `extra_sources`."""
    digest = hashlib.sha256(_toolchain().encode())
    for path in [*core_sources(package), *sorted(extra_sources)]:
        digest.update(str(path).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:_NAME_LENGTH]


def core_sources(package: Path = _PACKAGE) -> list[Path]:
    """Return the modules that hold compiled functions, and all of ours that those import."""
    found: set[Path] = set()
    waiting = [path for part in _COMPILED_PARTS for path in (package / part).rglob("*.py") if _is_hot(path)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imported(path, package))
    return sorted(found)


def _is_hot(path: Path) -> bool:
    return b"@hot" in path.read_bytes()


def _imported(path: Path, package: Path) -> Iterator[Path]:
    # What compiled code uses is imported at the top of its module; a pattern is fifty times faster to
    # find it than a syntax tree, at every start.
    for origin, members, whole in _IMPORT.findall(path.read_text()):
        for name in (whole, origin, *(f"{origin}.{member}" for member in _NAME.findall(members))):
            module = package.parent / f"{name.replace('.', '/')}.py"
            if module.is_file():
                yield module


def _toolchain() -> str:
    features = llvmlite.binding.get_host_cpu_features().flatten()
    cpu = llvmlite.binding.get_host_cpu_name()
    versions = (platform.python_version(), numba.__version__, llvmlite.__version__)
    return " ".join([*versions, platform.machine(), cpu, features])


def _usable(directory: Path) -> Path:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(directory)
        os.utime(directory)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        _note(
            f"compiled code is not kept: cannot use {directory} ({error.strerror or error}); "
            "set TALLYIO_CACHE to a directory of your own, or every start compiles anew."
        )
        return _temporary()
    _remove_unused(directory)
    return directory


def _check_owner(directory: Path) -> None:
    status = directory.stat()
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError("others may write to it")


def _temporary() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="tallyio-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def _note(sentence: str) -> None:
    if sentence not in _notes:
        _notes.append(sentence)


def _remove_unused(current: Path) -> None:
    oldest = time.time() - _UNUSED_AFTER_S
    for other in current.parent.iterdir():
        # Only names that we give: a user may point TALLYIO_CACHE at a directory with other things.
        ours = len(other.name) == _NAME_LENGTH and set(other.name) <= set("0123456789abcdef")
        with contextlib.suppress(OSError):
            if ours and other != current and other.stat().st_mtime < oldest:
                shutil.rmtree(other, ignore_errors=True)
