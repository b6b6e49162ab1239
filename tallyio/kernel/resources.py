"""Find the data folders that travel with TallyIO: `hardware_profiles`, `examples`.

Layer: kernel. In a checkout they lie beside the package; a wheel carries them inside it,
under `tallyio/_data`.
"""

from __future__ import annotations

from pathlib import Path

from tallyio.model.errors import EnvironmentFault

_PACKAGE = Path(__file__).resolve().parent.parent


def data_path(name: str, *, package: Path = _PACKAGE) -> Path:
    """Return the folder `name` of the checkout or of the installed wheel.

    The wheel's own copy is looked for first: beside an *installed* package lie other
    people's folders, and one of them may well be called `examples`.
    Raises: EnvironmentFault: this installation has no such folder.
    """
    inside = package / "_data" / name
    beside = package.parent / name
    if inside.is_dir():
        return inside
    if (package.parent / "pyproject.toml").is_file() and beside.is_dir():
        return beside
    raise EnvironmentFault(
        f"this installation of tallyio has no {name!r} folder (looked at {inside} and {beside})",
        way_out="reinstall tallyio",
    )
