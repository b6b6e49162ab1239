"""`tallyio init`: a configuration to start from.

Layer: cli.
"""

from __future__ import annotations

from pathlib import Path

from tallyio.cli.output import console, print_json

IGNORED = "keys/\ntallyio-data/\n"


def init(folder: Path, *, template: str = "arbitrage", json: bool = False) -> None:
    """Write a commented configuration into FOLDER; nothing that exists is overwritten.

    Beside it goes the JSON Schema by which an editor completes and checks it.

    Args:
        folder: Made if it is missing.
        template: A folder of `examples/` with a tallyio.toml.
        json: Print {folder, files: [path]}.
    """
    import msgspec  # noqa: PLC0415 - help needs none of it

    from tallyio.cli.config import installed_schema  # noqa: PLC0415 - the same
    from tallyio.engine.config_schema import REFERENCE, SCHEMA_FILE  # noqa: PLC0415 - the same
    from tallyio.hooks.settings import unknown_name  # noqa: PLC0415 - the same
    from tallyio.kernel.resources import data_path  # noqa: PLC0415 - the same
    from tallyio.model.errors import EnvironmentFault, UnsafeRefused  # noqa: PLC0415 - the same

    examples = data_path("examples")
    templates = {each.parent.name: each for each in examples.glob("*/tallyio.toml")}
    if template not in templates:
        raise unknown_name("template", template, templates, where="init --template")
    wanted = {
        folder / "tallyio.toml": f"{REFERENCE}\n{templates[template].read_text(encoding='utf-8')}",
        folder / SCHEMA_FILE: msgspec.json.format(msgspec.json.encode(installed_schema())).decode() + "\n",
        folder / ".gitignore": IGNORED,
    }
    for path in wanted:
        if path.exists():
            raise UnsafeRefused(f"{path} exists", way_out="name another folder; nothing was written")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in wanted.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write into {folder}: {error.strerror}", way_out="name a folder of your own"
        ) from error
    if json:
        print_json({"folder": str(folder), "files": [str(path) for path in wanted]})
        return
    out = console()
    for path in wanted:
        out.print(f"wrote {path}")
    out.print(f"next: edit {folder / 'tallyio.toml'}, then: tallyio run {folder / 'tallyio.toml'}")
