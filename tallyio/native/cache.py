"""Where compiled code is kept between runs.

Layer: native. numba keeps machine code in files, but looks only at the file that defines a
function: an edit in a module that it calls goes unseen, and the old code goes on answering. So every
module has a directory of its own, named by a digest over what its code came from: its source and
those that it imports (`tallyio.native.sources`), the compiler's versions, and the processor. So an
edit has only that compiled anew which depends on it, and checkouts at several places share the rest.
A directory that no run has used for a month is removed.

The files are code that is run: a directory that others may write to is not used.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import platform
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, Final, Self

import llvmlite
import llvmlite.binding
import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, _CacheLocator
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

from tallyio.native.sources import digest

_UNUSED_AFTER_S: Final = 30 * 86_400
_NAME_LENGTH: Final = 32

REMEDY: Final = "set TALLYIO_CACHE to a directory of your own with room, or every start compiles anew"

_notes: list[str] = []
_faults: list[str] = []
"""The first reason why compiled code is not kept: where a disk is full, every function has one."""
_of_modules: dict[tuple[int, bool], tuple[ModuleSpec, Path]] = {}
"""By the identity of the import specification, of which every import and reload has a new one, and whether
late functions count."""


def directory_of(function: Callable[..., Any], *, whole: bool = False) -> Path:
    """Return the directory for the compiled functions of the module that defines `function`.

    For use while the module is imported, before somebody edits it. `whole` is for code that late functions
    are part of; other code is the same whatever they do.
    """
    spec = function.__globals__.get("__spec__")
    key = id(spec), whole
    if spec is not None and key in _of_modules:
        return _of_modules[key][1]
    file = Path(function.__code__.co_filename)
    name = _name(_toolchain() + digest(function.__module__, file, whole=whole))
    found = _usable(_usable_root(cache_root()) / name)
    if spec is not None:
        _of_modules[key] = spec, found
    return found


def _name(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:_NAME_LENGTH]


def usable_directory(content: str) -> Path:
    """Return the directory that is named by a digest of `content`, ours alone and writable."""
    return _usable(_usable_root(cache_root()) / _name(content))


class _Locator(_CacheLocator):
    """Where a function's code is kept; that it is fresh, the directory's name says."""

    _whole = False

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        self._py_file = file
        self._directory = str(directory_of(function, whole=self._whole))
        self._line = function.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        return self._directory

    def get_source_stamp(self) -> str:
        return ""

    def get_disambiguator(self) -> str:
        return str(self._line)

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> Self:
        return cls(py_func, py_file)


class WholeLocator(_Locator):
    """Where code is kept that late functions are part of."""

    _whole = True


class CacheFiles(CompileResultCacheImpl):
    """The files of one function in one form."""

    _locator_classes = [_Locator]  # noqa: RUF012 - a list to numba
    _prefix = ""

    def get_filename_base(self, fullname: str, abiflags: str) -> str:
        """Return how the names of the files begin."""
        return f"{self._prefix}{super().get_filename_base(fullname, abiflags)}"


class _KeyedFiles(IndexDataCacheFile):
    """An index and the files that it names, each with the key of what is in it.

    The index is written first, and others may write meanwhile: it may name what was made of another key.
    """

    def save(self, key: Any, data: Any) -> None:
        super().save(key, (key, data))

    def load(self, key: Any) -> Any:
        found = super().load(key)
        return found[1] if found is not None and found[0] == key else None


class DiskCache(FunctionCache):
    """numba's cache of one function, where a bad file or a full disk only costs a compilation."""

    _impl_class = CacheFiles
    _of = "_cache"
    """Where a compiled function has its own cache of this form."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        locator = self._impl.locator
        self._cache_file = _KeyedFiles(
            locator.get_cache_path(), self._impl.filename_base, locator.get_source_stamp()
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was kept, or None if there is nothing, or it cannot be read."""
        try:
            # numba's own first learns of all types and operations, for a third of a second, as it does before
            # it compiles. What is kept needs its runtime alone.
            rtsys.initialize(target_context)
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)
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
            _fault(f"cannot write to {self.cache_path} ({error.strerror})")

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        # numba's own leaves out constants and names, in which functions on one line may differ, and gives a
        # compiled function in the closure another name in every process.
        code = self._py_func.__code__
        closed = [self._named(cell.cell_contents, codegen) for cell in self._py_func.__closure__ or ()]
        content = repr((code.co_code, code.co_consts, code.co_names)).encode()
        content += dumps(closed) if closed else b""
        return sig, codegen.magic_tuple(), hashlib.sha256(content).hexdigest()

    def _named(self, value: Any, codegen: Any) -> Any:
        kept = getattr(value, self._of, None)
        if not isinstance(kept, DiskCache):
            return value
        return "itself" if value.py_func is self._py_func else kept.place(value.declared, codegen)

    def place(self, sig: Any, codegen: Any) -> str:
        """Return where code is kept: another place wherever it may be other code."""
        return f"{self.cache_path} {self._impl.filename_base} {self._index_key(sig, codegen)}"


def cache_note() -> str:
    """Return what is wrong with keeping compiled code, in whole sentences, or an empty string."""
    return " ".join([*_notes, *(f"compiled code is not kept: {fault}; {REMEDY}." for fault in _faults)])


def cache_fault() -> str:
    """Return why compiled code is not kept in `cache_root`, or an empty string: so far all of it is."""
    _usable_root(cache_root())  # known even where nothing has asked for a directory yet
    return _faults[0] if _faults else ""


def cache_root() -> Path:
    """Return `$TALLYIO_CACHE`, else `$XDG_CACHE_HOME/tallyio`, else `~/.cache/tallyio`."""
    if own := os.environ.get("TALLYIO_CACHE"):
        return Path(own).expanduser().absolute()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "tallyio"
    with contextlib.suppress(RuntimeError):
        return Path.home() / ".cache" / "tallyio"
    return Path("/nonexistent")  # no home: the caller falls back and says so


@functools.cache
def _toolchain() -> str:
    features = llvmlite.binding.get_host_cpu_features().flatten()
    cpu = llvmlite.binding.get_host_cpu_name()
    versions = (platform.python_version(), numba.__version__, llvmlite.__version__)
    return " ".join([*versions, platform.machine(), cpu, features])


@functools.cache
def _usable_root(root: Path) -> Path:
    """Return `root`, or a temporary directory where it cannot be used, and say so."""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        return _instead_of(root, error)
    _remove_unused(root)
    return root


def _usable(directory: Path) -> Path:
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        _check_owner(directory)
        os.utime(directory)
    except OSError as error:
        return _instead_of(directory, error)
    return directory


def _instead_of(directory: Path, error: OSError) -> Path:
    _fault(f"cannot use {directory} ({error.strerror or error})")
    return _temporary()


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


def _fault(reason: str) -> None:
    if not _faults:
        _faults.append(reason)


def _remove_unused(root: Path) -> None:
    oldest = time.time() - _UNUSED_AFTER_S
    for other in root.iterdir():
        # Only names that we give: a user may point TALLYIO_CACHE at a directory with other things.
        ours = len(other.name) == _NAME_LENGTH and set(other.name) <= set("0123456789abcdef")
        with contextlib.suppress(OSError):
            if ours and other.stat().st_mtime < oldest:
                shutil.rmtree(other, ignore_errors=True)
