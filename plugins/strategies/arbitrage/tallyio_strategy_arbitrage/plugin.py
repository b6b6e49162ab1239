"""The hook of this plugin and nothing else; the strategy loads when a configuration asks for it."""

from __future__ import annotations

from tallyio.hooks.interfaces import Settings, Strategy
from tallyio.hooks.specs import hookimpl


@hookimpl
def tallyio_strategy(settings: Settings) -> Strategy:
    """Build the cycle search that `settings` describe."""
    from tallyio_strategy_arbitrage.strategy import Arbitrage  # noqa: PLC0415 - only when it is used

    return Arbitrage(settings)
