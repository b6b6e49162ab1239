"""The digest of a module covers what its compiled code depends on, and nothing else."""

import sys
from importlib import import_module
from pathlib import Path

import pytest

from tallyio.market import abi
from tallyio.native import divide
from tallyio.native.sources import Source, closure, digest, edited

FILES = {
    "firm/__init__.py": "",
    "firm/fast.py": """
        from firm.shape import (
            WIDTH as width,
            HEIGHT,
        )
        from . import units
        import lib.math, json
        import plain
        def later():
            from firm import apart
        @hot("void()")
        def f(): pass
    """,
    "firm/shape.py": "from .units import WEI\nWIDTH = HEIGHT = WEI\n",
    "firm/units.py": "import struct\nWEI = 1\n",
    "firm/apart.py": "import firm.fast\n",
    "lib/__init__.py": "",
    "lib/math.py": "from lib import tables\n@hot('void()')\ndef g(): pass\n",
    "lib/tables.py": "ROWS = 3\n",
    "plain.py": "VALUE = 1  # nothing compiled\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files, importable and imported; `hot` does nothing here."""
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        lines = [line.removeprefix(" " * 8) for line in text.splitlines()]
        file.write_text("hot = lambda _: lambda f: f\n" + "\n".join(lines))
    monkeypatch.syspath_prepend(str(tmp_path))
    imported = {name for name in sys.modules if name.partition(".")[0] in ("firm", "lib", "plain")}
    for name in imported:
        monkeypatch.delitem(sys.modules, name)
    import_module("firm.fast")
    return tmp_path


def of_fast(folder: Path) -> str:
    return digest("firm.fast", folder / "firm" / "fast.py")


def test_it_follows_imports_within_the_package_and_to_compiled_modules(folder: Path) -> None:
    found = {source.name for source in closure(Source("firm.fast", folder / "firm" / "fast.py"))}
    assert found == {"firm", "firm.fast", "firm.shape", "firm.units", "lib.math", "lib", "lib.tables"}


@pytest.mark.parametrize("changed", ["firm/fast.py", "firm/shape.py", "firm/units.py", "lib/tables.py"])
def test_an_edit_in_any_of_them_changes_it_for_who_imports_it_anew(folder: Path, changed: str) -> None:
    before = of_fast(folder)
    assert edited({"firm", "lib"}) == {}
    (folder / changed).write_text((folder / changed).read_text() + "# edited\n")
    assert of_fast(folder) == before, "what is in memory came from the old text"
    old = edited({"firm", "lib"})
    assert {"firm.fast", changed.removesuffix(".py").replace("/", ".")} <= set(old)
    assert edited({"nobody"}) == {}
    for name in old:
        del sys.modules[name]
    import_module("firm.fast")
    assert of_fast(folder) != before
    assert edited({"firm", "lib"}) == {}


def test_what_is_between_an_edit_and_compiled_code_is_imported_anew_too(folder: Path) -> None:
    of_fast(folder)
    (folder / "firm/units.py").write_text("WEI = 2\n")
    assert set(edited({"firm"})) == {"firm.fast", "firm.shape", "firm.units"}


def test_a_file_that_is_gone_has_changed(folder: Path) -> None:
    of_fast(folder)
    (folder / "firm/shape.py").unlink()
    assert "firm.fast" in edited({"firm"})


def test_it_follows_imports_into_the_core_where_nothing_is_compiled(folder: Path) -> None:
    """A plugin compiles in the layout of a pool: an edit of that must not meet the plugin's old code."""
    file = folder / "firm" / "priced.py"
    file.write_text("from tallyio.market.abi import POOL\n@hot('void()')\ndef f(): pass\n")
    assert "@hot" not in Path(abi.__file__).read_text()
    assert abi.__name__ in {source.name for source in closure(Source("firm.priced", file))}


@pytest.mark.parametrize("changed", ["firm/apart.py", "plain.py"])
def test_an_edit_elsewhere_keeps_it(folder: Path, changed: str) -> None:
    before = of_fast(folder)
    (folder / changed).write_text("# edited\n")
    assert of_fast(folder) == before


def test_of_late_functions_the_names_count_unless_it_is_for_the_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "firm" / "fast.py"
    monkeypatch.setattr(sys.modules["lib.math"], "__late__", "g void()", raising=False)
    before = digest("firm.fast", file), digest("firm.fast", file, whole=True)
    assert "lib.tables" not in {each.name for each in closure(Source("firm.fast", file), whole=False)}
    monkeypatch.delitem(sys.modules, "lib.tables")
    (folder / "lib" / "tables.py").write_text("ROWS = 4\n")
    assert digest("firm.fast", file) == before[0]
    assert digest("firm.fast", file, whole=True) != before[1]
    monkeypatch.setattr(sys.modules["lib.math"], "__late__", "g void(int64)")
    assert digest("firm.fast", file) != before[0]


def test_the_same_files_in_another_place_have_the_same(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "moved"
    elsewhere.mkdir()
    file = elsewhere / "alone.py"
    original = folder / "plain.py"
    file.write_text(original.read_text())
    assert digest("plain", file) == digest("plain", original)
    assert digest("other", file) != digest("plain", original)


def test_the_core_s_own_modules_are_found_by_their_imports() -> None:
    names = {source.name for source in closure(Source(divide.__name__, Path(divide.__file__)))}
    assert {
        "tallyio.native.divide",
        "tallyio.native.jit",
        "tallyio.native.cache",
        "tallyio.native.wide",
    } <= names
    assert not any(name.startswith(("numba", "numpy", "tallyio.market")) for name in names)
