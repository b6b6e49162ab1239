"""The plugins of a configuration, built.

Layer: engine.
"""

from __future__ import annotations

import msgspec

from tallyio.engine.config import Config, Instance
from tallyio.hooks.host import PluginHost
from tallyio.hooks.interfaces import Chain, ExchangeProtocol, Notifier, Signer, Strategy
from tallyio.model.errors import ConfigError, PluginError, UnsafeRefused


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """One object per configured plugin, not yet started."""

    chain: Chain
    protocols: tuple[tuple[Instance, ExchangeProtocol], ...]
    strategies: tuple[tuple[Instance, Strategy], ...]
    signer: Signer | None
    """None in paper mode, whatever the configuration names."""
    notifiers: tuple[Notifier, ...]


def build(config: Config, host: PluginHost, *, live: bool) -> Built:
    """Build what `config` names.

    Raises: PluginError, ConfigError. UnsafeRefused: live without a signer or without limits.
    """
    if live:
        _check_live(config)
    try:
        return _build(config, host, live=live)
    except PluginError:
        raise
    except ConfigError as error:
        raise ConfigError(f"{config.source}: {error.message}", way_out=error.way_out) from None


def _build(config: Config, host: PluginHost, *, live: bool) -> Built:
    signer = config.signer if live else None
    return Built(
        chain=host.chain(config.chain.plugin, config.chain.settings),
        protocols=tuple((each, host.protocol(each.plugin, each.settings)) for each in config.protocols),
        strategies=tuple((each, host.strategy(each.plugin, each.settings)) for each in config.strategies),
        signer=host.signer(signer.plugin, signer.settings) if signer else None,
        notifiers=tuple(host.notifier(each.plugin, each.settings) for each in config.notifiers),
    )


def _check_live(config: Config) -> None:
    for missing, table in ((config.signer is None, "[signers.NAME]"), (not config.limits_given, "[limits]")):
        if missing:
            raise UnsafeRefused(
                f"{config.source}: --live needs a table {table}",
                way_out="add it, or leave out --live to run on paper",
            )
