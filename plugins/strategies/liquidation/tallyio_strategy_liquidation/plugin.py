"""The hook of this plugin and nothing else; the strategy loads when a configuration asks for it."""

from __future__ import annotations

from tallyio.hooks.interfaces import Settings
from tallyio.hooks.search import SlowStrategy
from tallyio.hooks.specs import hookimpl


@hookimpl
def tallyio_slow_strategy(settings: Settings) -> SlowStrategy:
    """Build the search that `settings` describe."""
    from tallyio_strategy_liquidation.strategy import Liquidations  # noqa: PLC0415 - only when it is used

    return Liquidations(settings)
