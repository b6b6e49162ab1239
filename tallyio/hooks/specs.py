"""Every hook of TallyIO, on one screen.

Layer: hooks. Hooks are synchronous, build one object each, and are called once per configured
plugin, at start, on the main thread, before any task or lane runs. Arguments are only ever added.
`HOOK_API` is the number a plugin's contract names; it changes only when something is removed.
"""

from __future__ import annotations

import pluggy

from tallyio.hooks.interfaces import (
    Chain,
    ExchangeProtocol,
    Notifier,
    Settings,
    Signer,
    Strategy,
)
from tallyio.hooks.lending import LendingProtocol
from tallyio.hooks.search import SlowStrategy

HOOK_API = 1
PROJECT = "tallyio"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def tallyio_chain(settings: Settings) -> Chain | None:
    """Build the chain that `[chains.<name>]` configures. Since hook_api 1."""


@hookspec(firstresult=True)
def tallyio_protocol(settings: Settings) -> ExchangeProtocol | None:
    """Build the protocol that `[protocols.<name>]` configures. Since hook_api 1."""


@hookspec(firstresult=True)
def tallyio_lending(settings: Settings) -> LendingProtocol | None:
    """Build the lending protocol that `[protocols.<name>]` configures. Since hook_api 1.

    Instead of `tallyio_protocol`, where the contract names the capability "lending".
    """


@hookspec(firstresult=True)
def tallyio_strategy(settings: Settings) -> Strategy | None:
    """Build the strategy that `[strategies.<name>]` configures. Since hook_api 1."""


@hookspec(firstresult=True)
def tallyio_slow_strategy(settings: Settings) -> SlowStrategy | None:
    """Build the strategy in Python that `[strategies.<name>]` configures. Since hook_api 1.

    Instead of `tallyio_strategy`, where the contract names the capability "slow_lane".
    """


@hookspec(firstresult=True)
def tallyio_signer(settings: Settings) -> Signer | None:
    """Build the signer that `[signers.<name>]` configures; start nothing yet. Since hook_api 1."""


@hookspec(firstresult=True)
def tallyio_notifier(settings: Settings) -> Notifier | None:
    """Build the notifier that `[notifiers.<name>]` configures. Since hook_api 1."""
