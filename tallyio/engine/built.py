"""The plugins of a configuration, built.

Layer: engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from tallyio.engine.config import KIND_OF, Config, Instance
from tallyio.hooks.contract import Kind
from tallyio.hooks.host import PluginHost
from tallyio.hooks.interfaces import Chain, ExchangeProtocol, Notifier, Settings, Signer, Strategy
from tallyio.hooks.lending import LendingProtocol
from tallyio.hooks.search import SlowStrategy
from tallyio.model.errors import ConfigError, PluginError, UnsafeRefused

_TABLE_OF: Final = {kind: table for table, kind in KIND_OF.items()}


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
    signer = config.signer if live else None
    lending, exchanges = _divided(config.protocols, host.lends)
    slow, compiled = _divided(config.strategies, host.is_slow)

    def made[T](hook: Callable[[str, Settings], T], kind: Kind, instance: Instance) -> T:
        return build_instance(hook, kind, instance, source=config.source)

    return Built(
        chain=made(host.chain, "chain", config.chain),
        protocols=tuple((each, made(host.protocol, "protocol", each)) for each in exchanges),
        lending=tuple((each, made(host.lending, "protocol", each)) for each in lending),
        strategies=tuple((each, made(host.strategy, "strategy", each)) for each in compiled),
        slow=tuple((each, made(host.slow_strategy, "strategy", each)) for each in slow),
        signer=made(host.signer, "signer", signer) if signer else None,
        notifiers=tuple(made(host.notifier, "notifier", each) for each in config.notifiers),
    )


def build_instance[T](
    hook: Callable[[str, Settings], T], kind: Kind, instance: Instance, *, source: str
) -> T:
    """Return what `hook`, a method of a `PluginHost`, makes of `instance`, which stands in file `source`.

    Raises: PluginError. ConfigError: it names the file and the table in it.
    """
    try:
        return hook(instance.plugin, instance.settings)
    except PluginError:
        raise
    except ConfigError as error:
        # A plugin knows neither its file nor its table's name: it says `[protocols.PLUGIN.KEY]`, or leaves
        # out PLUGIN.
        own = f"[{_TABLE_OF[kind]}.{instance.name}"
        said = re.compile(rf"\[{_TABLE_OF[kind]}(\.{re.escape(instance.plugin)})?(?=[.\]])")
        message, way_out = (said.sub(lambda _: own, text) for text in (error.message, error.way_out))
        place = source if own in message else f"{source}: {own}]"
        raise ConfigError(f"{place}: {message}", way_out=way_out) from None


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
