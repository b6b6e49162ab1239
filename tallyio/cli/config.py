"""`tallyio config`: what a configuration may say, what one says, and whether it is sound.

Layer: cli.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from tallyio.cli.output import console, print_json

if TYPE_CHECKING:
    from tallyio.engine.config import Config
    from tallyio.engine.config_source import Source
    from tallyio.hooks.host import PluginHost

WIDEST = 72
"""Origins stand in one column behind values up to here."""

app = App(name="config", help="Explain and check a configuration.", help_format="plaintext")


@app.command
def schema(config: Path | None = None, *, json: bool = False) -> None:
    """Print the JSON Schema by which editors complete and check a configuration.

    `tallyio init` writes it beside the configuration; print it anew when plugins have changed.

    Args:
        config: A TOML file: only the plugins that it enables. All installed ones by default.
        json: Print it on one line.
    """
    import msgspec  # noqa: PLC0415 - help needs none of it

    made = installed_schema() if config is None else _enabled_schema(config)
    if json:
        print_json(made)
    else:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(made)).decode() + "\n")


@app.command
def show(config: Path, *, origin: bool = False, json: bool = False) -> None:
    """Print every value of CONFIG that is in effect. Secrets are `***`.

    Args:
        config: A TOML file; environment variables `TALLYIO__TABLE__KEY` go before it.
        origin: Say where each value came from: the file and its line, a variable, or a default.
        json: Print {config, settings: [{key, value, origin}]}.
    """
    import msgspec  # noqa: PLC0415 - help needs none of it

    from tallyio.engine.effective import effective  # noqa: PLC0415 - the same
    from tallyio.hooks.catalog import Catalog  # noqa: PLC0415 - the same

    source, _ = _read(config)
    settings = effective(source, Catalog.scan())
    if json:
        print_json({"config": str(config), "settings": settings})
        return
    lines = [f"{each.key} = {msgspec.json.encode(each.value).decode()}" for each in settings]
    width = min(WIDEST, max(map(len, lines)))
    for line, setting in zip(lines, settings, strict=True):
        sys.stdout.write(f"{line:<{width}}   # {setting.origin}\n" if origin else f"{line}\n")


@app.command
def check(config: Path, *, json: bool = False) -> None:
    """Check CONFIG: every key, every plugin that it names, and the table of each. Connects to nothing.

    Args:
        config: A TOML file.
        json: Print {config, chain, protocols, strategies, signer, notifiers}.
    """
    from tallyio.hooks.catalog import Catalog  # noqa: PLC0415 - help needs none of it
    from tallyio.hooks.host import PluginHost  # noqa: PLC0415 - the same

    _, parsed = _read(config)
    _build(parsed, PluginHost(Catalog.scan()))
    facts = {
        "config": str(config),
        "chain": parsed.chain.name,
        "protocols": [each.name for each in parsed.protocols],
        "strategies": [each.name for each in parsed.strategies],
        "signer": parsed.signer.name if parsed.signer else None,
        "notifiers": [each.name for each in parsed.notifiers],
    }
    if json:
        print_json(facts)
    else:
        plugins = len(parsed.instances)
        console().print(f"{config}: sound; {plugins} plugins read their tables")


def installed_schema() -> dict[str, Any]:
    """Return the schema of configurations with every sound installed plugin."""
    from tallyio.engine.config_schema import config_schema  # noqa: PLC0415 - help needs none of it
    from tallyio.hooks.catalog import Catalog  # noqa: PLC0415 - the same

    return config_schema(plugin for plugin in Catalog.scan().all() if plugin.fault is None)


def _enabled_schema(config: Path) -> dict[str, Any]:
    from tallyio.engine.config_schema import config_schema  # noqa: PLC0415 - help needs none of it
    from tallyio.hooks.catalog import Catalog  # noqa: PLC0415 - the same

    _, parsed = _read(config)
    catalog = Catalog.scan()
    enabled = dict.fromkeys((kind, each.plugin) for kind, each in parsed.instances)
    return config_schema(catalog.sound(kind, plugin) for kind, plugin in enabled)


def _read(config: Path) -> tuple[Source, Config]:
    from tallyio.engine.config import SHAPE, check_source  # noqa: PLC0415 - help needs none of it
    from tallyio.engine.config_source import read_source  # noqa: PLC0415 - the same

    source = read_source(config, SHAPE)
    return source, check_source(source)


def _build(config: Config, host: PluginHost) -> None:
    """Let every plugin read its table, as a run would."""
    from tallyio.engine.built import build_instance  # noqa: PLC0415 - help needs none of it

    for kind, each in config.instances:
        build_instance(partial(host.build, kind), kind, each, source=config.source)
