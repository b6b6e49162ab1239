"""Data folders of a checkout and of an installed wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallyio.kernel.resources import data_path
from tallyio.model.errors import EnvironmentFault


def test_a_checkout_has_its_profiles_beside_the_package() -> None:
    assert (data_path("hardware_profiles") / "epyc_9454p" / "profile.toml").is_file()


def test_a_wheel_has_its_data_inside_the_package(tmp_path: Path) -> None:
    package = tmp_path / "tallyio"
    (package / "_data" / "examples").mkdir(parents=True)
    (tmp_path / "examples").mkdir()
    (tmp_path / "pyproject.toml").touch()
    assert data_path("examples", package=package) == package / "_data" / "examples"


def test_folders_of_others_beside_an_installed_package_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "tallyio").mkdir()
    (tmp_path / "examples").mkdir()
    with pytest.raises(EnvironmentFault, match=r"has no 'examples' folder.*reinstall"):
        data_path("examples", package=tmp_path / "tallyio")
