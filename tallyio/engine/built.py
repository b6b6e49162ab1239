"""The plugins of a configuration, built.

Layer: engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tallyio.engine.config import Config, Instance
from tallyio.hooks.host import PluginHost
from tallyio.hooks.interfaces import Chain, ExchangeProtocol, Notifier, Signer, Strategy
from tallyio.hooks.lending import LendingProtocol
from tallyio.hooks.search import SlowStrategy
from tallyio.model.errors import ConfigError, PluginError, UnsafeRefused


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """One object per configured plugin, not yet started."""

    chain: Chain
    protocols: tuple[tuple[Instance, ExchangeProtocol], ...]
    lending: tuple[tuple[Instance, LendingProtocol], ...]
    strategies: tuple[tuple[Instance, Strategy], ...]
    slow: tuple[tuple[Instance, SlowStrategy], ...]
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
    lending, exchanges = _divided(config.protocols, host.lends)
    slow, compiled = _divided(config.strategies, host.is_slow)
    return Built(
        chain=host.chain(config.chain.plugin, config.chain.settings),
        protocols=tuple((each, host.protocol(each.plugin, each.settings)) for each in exchanges),
        lending=tuple((each, host.lending(each.plugin, each.settings)) for each in lending),
        strategies=tuple((each, host.strategy(each.plugin, each.settings)) for each in compiled),
        slow=tuple((each, host.slow_strategy(each.plugin, each.settings)) for each in slow),
        signer=host.signer(signer.plugin, signer.settings) if signer else None,
        notifiers=tuple(host.notifier(each.plugin, each.settings) for each in config.notifiers),
    )


def _divided(
    instances: Sequence[Instance], is_first: Callable[[str], bool]
) -> tuple[list[Instance], list[Instance]]:
    """Return those whose plugin `is_first`, and the others."""
    answers = [is_first(each.plugin) for each in instances]
    first = [each for each, answer in zip(instances, answers, strict=True) if answer]
    others = [each for each, answer in zip(instances, answers, strict=True) if not answer]
    return first, others


def _check_live(config: Config) -> None:
    for missing, table in ((config.signer is None, "[signers.NAME]"), (not config.limits_given, "[limits]")):
        if missing:
            raise UnsafeRefused(
                f"{config.source}: --live needs a table {table}",
                way_out="add it, or leave out --live to run on paper",
            )
