"""Compiled code is kept under a name that changes with everything it came from."""

import os
import re
from pathlib import Path

import numba
import pytest

from tallyio.native import cache


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYIO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", numba.config.CACHE_DIR)  # type: ignore[attr-defined]
    monkeypatch.setattr(cache, "_notes", [])


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with a compiled module, one that it imports, one deeper, and one apart."""
    root = tmp_path / "lib" / "tallyio"
    for part in ("native", "market", "model"):
        (root / part).mkdir(parents=True)
    (root / "market" / "fast.py").write_text(
        "from tallyio.native import shape\n@hot('void()')\ndef f(): pass\n"
    )
    (root / "native" / "shape.py").write_text("import tallyio.model.units\n")
    (root / "model" / "units.py").write_text("WEI = 1\n")
    (root / "market" / "slow.py").write_text("import trio\n")
    return root


def test_the_hash_covers_compiled_modules_and_all_they_import_from_us(package: Path) -> None:
    assert [path.name for path in cache.core_sources(package)] == ["fast.py", "units.py", "shape.py"]


@pytest.mark.parametrize("changed", ["market/fast.py", "native/shape.py", "model/units.py"])
def test_an_edit_in_any_of_them_changes_the_name(package: Path, changed: str) -> None:
    before = cache.source_hash(package=package)
    (package / changed).write_text((package / changed).read_text() + "# edited\n")
    assert cache.source_hash(package=package) != before


def test_an_edit_elsewhere_keeps_the_name(package: Path) -> None:
    before = cache.source_hash(package=package)
    (package / "market" / "slow.py").write_text("import trio, sys\n")
    assert cache.source_hash(package=package) == before


def test_plugin_sources_change_the_name_and_their_order_does_not(package: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("1")
    other.write_text("2")
    both = cache.source_hash([one, other], package)
    assert both == cache.source_hash([other, one], package)
    assert len({both, cache.source_hash([one], package), cache.source_hash([], package)}) == 3


def test_the_core_s_own_compiled_modules_are_found() -> None:
    names = {path.name for path in cache.core_sources()}
    assert {"divide.py", "wide.py", "atomics.py", "primitive.py", "jit.py"} <= names


def test_the_directory_is_ours_alone_and_selected(tmp_path: Path) -> None:
    directory = cache.use_cache()
    assert directory.parent == tmp_path / "cache"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert str(directory) == numba.config.CACHE_DIR  # type: ignore[attr-defined]
    assert cache.cache_note() == ""


def test_the_root_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALLYIO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_root() == tmp_path / "xdg" / "tallyio"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_root() == tmp_path / ".cache" / "tallyio"


def test_a_directory_that_cannot_be_used_gives_way_to_a_temporary_one_and_a_note(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    directory = cache.use_cache()
    assert directory.is_dir()
    assert not directory.is_relative_to(tmp_path / "cache")
    assert re.search(r"cannot use .*cache.*Not a directory.*set TALLYIO_CACHE", cache.cache_note())
    cache.use_cache()
    assert cache.cache_note().count("cannot use") == 1


def test_a_directory_that_others_may_write_to_is_not_used() -> None:
    directory = cache.use_cache()
    directory.chmod(0o770)
    assert cache.use_cache() != directory
    assert "others may write to it" in cache.cache_note()


def test_directories_unused_for_a_month_are_removed_and_foreign_ones_kept(tmp_path: Path) -> None:
    old, foreign, recent = (tmp_path / "cache" / name for name in ("a" * 32, "photographs", "b" * 32))
    for directory in (old, foreign, recent):
        directory.mkdir(parents=True)
    for directory in (old, foreign):
        os.utime(directory, (0, 0))
    cache.use_cache()
    assert (old.exists(), foreign.exists(), recent.exists()) == (False, True, True)
