"""A plugin's contract: what it is and what it promises, readable without importing it.

Layer: hooks. The file is `contract.toml` in the plugin's top-level package.
"""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Final, Literal

import msgspec

from tallyio.hooks.settings import parse_settings
from tallyio.model.errors import ConfigError, PluginError

CONTRACT_FILE: Final = "contract.toml"

Kind = Literal["chain", "protocol", "strategy", "signer", "notifier"]
KINDS: Final[tuple[Kind, ...]] = ("chain", "protocol", "strategy", "signer", "notifier")

LENDING: Final = "lending"
"""The hook and the capability of a protocol that defines `tallyio_lending`, not `tallyio_protocol`."""
SLOW_LANE: Final = "slow_lane"
"""The capability of a strategy that defines `tallyio_slow_strategy` instead of `tallyio_strategy`."""
SLOW_STRATEGY: Final = "slow_strategy"
"""Its hook."""

SUPPORTED_HOOK_API: Final = range(1, 2)
"""Values of `hook_api` that this TallyIO can host."""


class Bench(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One promise of speed: a ratio to a reference measured in the same run."""

    name: str
    """Stable, for results are compared by it: the plugin's name, a dot, and what is measured."""
    script: str
    """A pyperf script, relative to the package folder."""
    reference: str
    """Name of the benchmark in the same script that it is compared with."""
    max_ratio: float
    """The promise holds while time / time of the reference is at most this: finite and above 0."""
    lane: Literal["hot", "control", "feeds", "risk", "network", "simulation", "analytics", "background"] = (
        "hot"
    )
    """The role of the lane that does this in a run: it is measured on the PUs that the placement gives it."""


class Contract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of `contract.toml`."""

    kind: Kind
    """The kind of the entry point's group."""
    name: str
    """The name of the entry point, as configurations write it."""
    hook_api: int
    """The number of the interface that it was written for."""
    state: Literal["stable", "beta", "experimental", "suspended"]
    """How far it is; a suspended plugin is refused."""
    owners: tuple[str, ...]
    """Who answers for it."""
    summary: str
    """One sentence, which `tallyio plugins list` shows."""
    capabilities: tuple[str, ...] = ()
    """Words for people and tests; a few say which hook it defines."""
    settings: str = ""
    """The `msgspec.Struct` that the plugin reads its table as, `package.module:Name`: for editors."""
    bench: tuple[Bench, ...] = ()
    """The `[[bench]]` tables, at least one."""

    @property
    def hook(self) -> str:
        """The part of the hook's name after `tallyio_`."""
        if self.kind == "protocol" and LENDING in self.capabilities:
            return LENDING
        if self.kind == "strategy" and SLOW_LANE in self.capabilities:
            return SLOW_STRATEGY
        return self.kind


def read_contract(folder: Path, *, kind: Kind, name: str) -> Contract:
    """Return the contract in `folder`, which the entry point says is plugin `name` of `kind`.

    Raises: PluginError: no contract, unreadable, about another plugin, for another `hook_api`,
    without a benchmark, naming a script that is not there, or promising what any or no speed keeps.
    """
    path = folder / CONTRACT_FILE
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        contract = parse_settings(Contract, table, where=CONTRACT_FILE)
    except FileNotFoundError:
        raise _broken(name, f"has no {CONTRACT_FILE}", "add it to the package folder") from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, ConfigError) as error:
        raise _broken(name, f"has an unreadable {CONTRACT_FILE}: {error}", "mend the file") from None
    _check(contract, folder, kind=kind, name=name)
    return contract


def _check(contract: Contract, folder: Path, *, kind: Kind, name: str) -> None:
    if (contract.kind, contract.name) != (kind, name):
        raise _broken(
            name,
            f"is registered as {kind} {name!r} but its contract says {contract.kind} {contract.name!r}",
            f"make the entry point and {CONTRACT_FILE} agree",
        )
    if contract.hook_api not in SUPPORTED_HOOK_API:
        older = "plugin" if contract.hook_api < SUPPORTED_HOOK_API.start else "TallyIO"
        raise _broken(
            name,
            f"speaks hook_api {contract.hook_api}, this TallyIO speaks {SUPPORTED_HOOK_API[-1]}"
            " (interface numbers, not versions)",
            f"upgrade the {older}, which is the older side",
        )
    if contract.state == "suspended":
        raise _broken(name, "is suspended by its owners", "ask them, or configure another plugin")
    if not contract.bench:
        raise _broken(name, "declares no benchmark", f"add a [[bench]] table to {CONTRACT_FILE}")
    for bench in contract.bench:
        if not 0.0 < bench.max_ratio < math.inf:
            raise _broken(
                name,
                f"promises that {bench.name!r} takes at most {bench.max_ratio:g} of {bench.reference!r}",
                "promise a finite ratio above 0",
            )
        if not _is_file(folder / bench.script):
            raise _broken(
                name, f"declares benchmark {bench.name!r}, but {bench.script} is missing", "add the script"
            )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have, such as one that is too long
        return False


def _broken(name: str, fault: str, way_out: str) -> PluginError:
    return PluginError(name, fault, way_out=way_out)
