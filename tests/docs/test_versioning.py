"""What the page on versions shows of deprecation is what happens."""

from __future__ import annotations

import runpy
from pathlib import Path

import pluggy
import pytest

from tallyio.model.deprecation import TallyioDeprecationWarning
from tests.docs.pages import DOCS, project


def test_the_page_marks_what_goes(tmp_path: Path) -> None:
    project(DOCS / "explanation" / "versioning.md", tmp_path)
    square = runpy.run_path(str(tmp_path / "retire" / "area.py"), run_name="retire.area")["square"]
    with pytest.warns(TallyioDeprecationWarning, match="retire.area.square is deprecated since 2026-11-28"):
        assert square(3) == 9

    specs = runpy.run_path(str(tmp_path / "retire" / "specs.py"), run_name="retire.specs")
    manager = pluggy.PluginManager("retire")
    manager.add_hookspecs(type("Specs", (), {"retire_old": staticmethod(specs["retire_old"])}))
    plugin = type("Plugin", (), {"retire_old": staticmethod(pluggy.HookimplMarker("retire")(lambda: 1))})
    with pytest.warns(TallyioDeprecationWarning, match="the hook retire_old .* use retire_new"):
        manager.register(plugin)
