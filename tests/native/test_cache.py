"""Compiled code is kept under a name that changes with everything it came from."""

import os
import re
import sys
from collections.abc import Callable
from importlib import import_module, reload
from pathlib import Path
from types import ModuleType

import pytest

from tallyio.native import cache


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYIO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_notes", [])
    monkeypatch.setattr(cache, "_faults", [])
    cache._usable_root.cache_clear()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module with a function, and nothing imported."""
    (tmp_path / "alone.py").write_text("def function() -> int:\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "alone", raising=False)
    return import_module("alone")


def place(module: ModuleType) -> Path:
    function: Callable[[], int] = module.function
    return cache.directory_of(function)


def test_the_directory_is_ours_alone(module: ModuleType, tmp_path: Path) -> None:
    directory = place(module)
    assert directory.parent == tmp_path / "cache"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert cache.cache_note() == cache.cache_fault() == ""


def test_an_edit_after_the_import_names_no_old_code(module: ModuleType) -> None:
    before = place(module)
    file = Path(str(module.__file__))
    file.write_text(file.read_text().replace("1", "22"))
    assert place(module) == before  # what is in memory came from the old text
    assert place(reload(module)) != before


def test_the_root_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALLYIO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_root() == tmp_path / "xdg" / "tallyio"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_root() == tmp_path / ".cache" / "tallyio"


def test_a_root_that_cannot_be_used_gives_way_to_a_temporary_one_and_a_note(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    first, second = cache.usable_directory("one"), cache.usable_directory("other")
    assert first.is_dir()
    assert first != second
    assert not first.is_relative_to(tmp_path / "cache")
    assert re.search(r"cannot use .*cache.*exists.*set TALLYIO_CACHE", cache.cache_note())
    assert cache.cache_note().count("cannot use") == 1


def test_a_root_that_cannot_be_used_is_known_before_anything_is_kept(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert re.fullmatch(r"cannot use .*cache \(.*exists\)", cache.cache_fault())


def test_a_directory_that_others_may_write_to_is_not_used() -> None:
    directory = cache.usable_directory("content")
    assert cache.usable_directory("content") == directory
    directory.chmod(0o770)
    assert cache.usable_directory("content") != directory
    assert "others may write to it" in cache.cache_note()


def test_directories_unused_for_a_month_are_removed_and_foreign_ones_kept(tmp_path: Path) -> None:
    old, foreign, recent = (tmp_path / "cache" / name for name in ("a" * 32, "photographs", "b" * 32))
    for directory in (old, foreign, recent):
        directory.mkdir(parents=True)
    for directory in (old, foreign):
        os.utime(directory, (0, 0))
    cache.usable_directory("content")
    assert (old.exists(), foreign.exists(), recent.exists()) == (False, True, True)
