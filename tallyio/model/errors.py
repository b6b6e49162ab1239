"""The errors that users meet, each with the way out and its exit code.

Layer: model. A message says what failed, where, the rule, and what to do.
"""

from __future__ import annotations

from typing import ClassVar


class TallyError(Exception):
    """Base of every expected failure: the command line prints it without a traceback."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"
    """Stable name in `--json` output."""

    def __init__(self, message: str, *, way_out: str = "") -> None:
        super().__init__(f"{message}; {way_out}" if way_out else message)
        self.message = message
        self.way_out = way_out


class ConfigError(TallyError):
    """The configuration, a profile or a plugin contract is wrong. Exit code 3."""

    exit_code = 3
    code = "config"


class EnvironmentFault(TallyError):
    """Something outside is missing or failed: a tool, a port, a node, the network. Exit code 4."""

    exit_code = 4
    code = "environment"


class UnsafeRefused(TallyError):
    """What was asked could lose money or keys, and is refused. Exit code 5."""

    exit_code = 5
    code = "unsafe"


class ChainError(EnvironmentFault):
    """The node behind a chain plugin failed or lied."""

    code = "chain"


class SignerError(EnvironmentFault):
    """The signer process is gone or did not answer."""

    code = "signer"


class SignerRefused(UnsafeRefused):
    """The signer's policy forbids the transaction."""

    code = "signer_policy"


class PluginError(ConfigError):
    """A plugin cannot be used: it names the plugin, the fault and the way out."""

    code = "plugin"

    def __init__(self, plugin: str, fault: str, *, way_out: str) -> None:
        super().__init__(f"plugin {plugin!r} {fault}", way_out=way_out)
        self.plugin = plugin
        self.fault = fault


class MissingExtraError(EnvironmentFault):
    """An optional dependency is not installed."""

    code = "missing_extra"

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs tallyio[{extra}]", way_out=f"run: pip install 'tallyio[{extra}]'")


def root_of[E: BaseException](error: BaseException, kind: type[E]) -> E | None:
    """Return the first `kind` inside `error`, looking into exception groups, or None."""
    if isinstance(error, kind):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = (root_of(each, kind) for each in error.exceptions)
        return next((each for each in found if each is not None), None)
    return None
