"""The configuration file of a run.

Layer: engine. One TOML file names what runs; a table per plugin instance holds the plugin's own
settings, which only the plugin reads:

    [run]                 where data goes, which hardware profile
    [chains.NAME]         plugin = "…" (default: NAME) and the chain's settings; exactly one
    [protocols.NAME]      plugin, settings; at least one
    [strategies.NAME]     plugin, settings, limits of its own; at least one
    [execution]           executor contract and account
    [feeds]               prices: which are sold, whether updates in the mempool count
    [limits]              what live trading may do at most
    [signers.NAME]        plugin, settings; one, needed with --live
    [notifiers.NAME]      plugin, settings

An environment variable `TALLYIO__TABLE__KEY` goes before the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec

from tallyio.engine.auctions import AuctionedFeed, listed_auctions
from tallyio.engine.config_source import Shape, Source, parse_source, read_source
from tallyio.hooks.contract import Kind
from tallyio.hooks.settings import parse_address, parse_settings
from tallyio.model.errors import ConfigError
from tallyio.model.units import Address, Wei

Table = dict[str, object]

Count = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Blocks = Annotated[int, msgspec.Meta(ge=1, le=128)]
"""A transaction is followed for some hundreds of blocks (`outcomes.HEADS_KEPT`), so neither is more."""
Percent = Annotated[int, msgspec.Meta(ge=0, le=1_000)]
Gwei = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
"""The highest is a whole unit of the native currency per gas."""
Gas = Annotated[int, msgspec.Meta(ge=1, le=10**12)]
"""The highest is far above any block, and far within the 64 bits that compiled code has for it."""


class RunTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[run]`."""

    data_dir: str = "tallyio-data"
    """Relative to the configuration file."""
    profile: str = "auto"
    """Hardware profile; the command line's `--profile` wins."""
    watch_loop: bool = False
    """Say which task keeps the Trio loop for a quarter of a second. It costs microseconds per step."""


class ExecutionTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[execution]`."""

    native_token: str
    """The wrapped native token, e.g. WETH; gas is priced in it."""
    executor: str = ""
    """Our executor contract. On paper it may be left out."""
    account: str = ""
    """Owner of the executor: signs, pays gas, receives profit. On paper it may be left out."""
    inclusion_blocks: Blocks = 2
    """A transaction may land in this many blocks after the state it was found in, then it reverts."""
    gas_margin_percent: Percent = 25
    """How much more gas to allow than the simulation used, refunds left out."""
    settle_blocks: Blocks = 8
    """After this many blocks without a receipt the transaction is sent again, byte for byte."""


class LimitsTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[limits]`. Defaults are small on purpose."""

    max_fee_gwei: Gwei = 50.0
    """Highest max-fee per gas."""
    max_gas: Gas = 1_500_000
    """Highest gas limit of one transaction."""
    max_value_wei: NotNegative = 0
    """Native currency that one transaction may carry."""
    max_pending: Count = 16
    """Transactions under way at once."""
    max_gas_spend_wei: NotNegative = 10**17
    """Gas that one run may burn in transactions that reverted."""
    max_reverts: Count = 5
    """After this many reverts on the chain in a row, trading stops."""
    min_net_wei: NotNegative = 0
    """Smallest estimated profit after gas."""


class FeedsTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[feeds]`."""

    pending: bool = False
    """Whether updates that wait in the mempool count: what they will make liquidatable is taken right behind
    them. The chain's plugin must be able to follow the mempool, and so must the node."""
    auctioned: tuple[AuctionedFeed, ...] = ()
    """Feeds whose updates are sold, as tables with `address` and `kind`."""


class StrategyTable(msgspec.Struct, frozen=True, kw_only=True):
    """What every `[strategies.NAME]` may say besides the plugin's own settings."""

    max_pending: NotNegative | None = None
    """Transactions of this strategy under way at once, of those that `[limits]` allows."""
    max_gas: Gas | None = None
    """Highest gas limit of one transaction of this strategy, where it is below that of `[limits]`."""


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One configured plugin."""

    name: str
    """The table's name: what messages and reports call it."""
    plugin: str
    settings: Table
    limits: StrategyTable = StrategyTable()
    """What a strategy may use; without meaning for other plugins."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A whole configuration, checked as far as the core can."""

    source: str
    data_dir: Path
    profile: str
    watch_loop: bool
    chain: Instance
    protocols: tuple[Instance, ...]
    strategies: tuple[Instance, ...]
    signer: Instance | None
    notifiers: tuple[Instance, ...]
    native_token: Address
    executor: Address | None
    account: Address | None
    execution: ExecutionTable
    limits: LimitsTable
    auctioned: Mapping[Address, str]
    """By feed how its updates are sold."""
    pending_updates: bool
    """Whether price updates that wait in the mempool count."""
    limits_given: bool
    """Whether the file has `[limits]`: live trading wants them said, not assumed."""

    @property
    def instances(self) -> list[tuple[Kind, Instance]]:
        """Every configured plugin with its kind, in the order of the kinds."""
        found: list[tuple[Kind, Instance]] = [("chain", self.chain)]
        found += [("protocol", each) for each in self.protocols]
        found += [("strategy", each) for each in self.strategies]
        found += [("signer", self.signer)] if self.signer else []
        return [*found, *(("notifier", each) for each in self.notifiers)]

    @property
    def max_fee_wei(self) -> Wei:
        """Highest max-fee per gas, in wei."""
        return Wei(int(self.limits.max_fee_gwei * 10**9))

    @property
    def max_pending(self) -> dict[str, int]:
        """By strategy how many transactions may be under way at once."""
        most = self.limits.max_pending
        return {each.name: _least(each.limits.max_pending, most) for each in self.strategies}

    @property
    def max_gas(self) -> dict[str, int]:
        """By strategy the highest gas limit of one transaction."""
        most = self.limits.max_gas
        return {each.name: _least(each.limits.max_gas, most) for each in self.strategies}

    @property
    def usable_gas(self) -> dict[str, int]:
        """By strategy what a transaction may use for its gas limit, which has a margin, to be allowed."""
        margin = 100 + self.execution.gas_margin_percent
        return {name: most * 4 // 5 * 100 // margin for name, most in self.max_gas.items()}


class ConfigFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tables of the file."""

    execution: ExecutionTable
    chains: dict[str, Table]
    protocols: dict[str, Table]
    strategies: dict[str, Table]
    run: RunTable = RunTable()
    feeds: FeedsTable = FeedsTable()
    limits: LimitsTable | None = None
    signers: dict[str, Table] = {}
    notifiers: dict[str, Table] = {}


KIND_OF: Final[dict[str, Kind]] = {
    "chains": "chain",
    "protocols": "protocol",
    "strategies": "strategy",
    "signers": "signer",
    "notifiers": "notifier",
}
"""The kind of the plugins that each table of tables configures."""
CORE_TABLES: Final[dict[str, type[msgspec.Struct]]] = {
    "run": RunTable,
    "execution": ExecutionTable,
    "feeds": FeedsTable,
    "limits": LimitsTable,
}
"""The tables that the core reads itself."""
SHARED: Final[dict[Kind, type[msgspec.Struct]]] = {"strategy": StrategyTable}
"""What the core reads of every table of a kind; the rest is the plugin's own."""
SHAPE: Final = Shape(
    core={name: frozenset(kind.__struct_fields__) for name, kind in CORE_TABLES.items()},
    plugins=frozenset(KIND_OF),
)


def load_config(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Read the configuration file at `path`, and `environment` (the process's by default).

    Raises: ConfigError: file, table, key, rule, way out.
    """
    return check_source(read_source(path, SHAPE, environment))


def parse_config(text: str, *, source: str, folder: Path) -> Config:
    """Return the configuration in `text`. `source` names it in messages; paths are relative to `folder`."""
    return check_source(parse_source(text, SHAPE, {}, name=source, folder=folder))


def check_source(source: Source) -> Config:
    """Return what `source` says, checked as far as the core can. Raises: ConfigError."""
    try:
        return _checked(source.table, source.name, source.folder)
    except ConfigError as error:
        raise ConfigError(f"{source.name}: {error}") from None


def _checked(table: Mapping[str, object], source: str, folder: Path) -> Config:
    file = parse_settings(ConfigFile, table, where="")
    chain = _exactly_one("chains", file.chains)
    signers = _instances("signers", file.signers)
    if len(signers) > 1:
        raise ConfigError("[signers] names more than one signer; keep the one that owns the executor")
    return Config(
        source=source,
        data_dir=_folder(folder, file.run.data_dir),
        profile=file.run.profile,
        watch_loop=file.run.watch_loop,
        chain=chain,
        protocols=_at_least_one("protocols", file.protocols),
        strategies=tuple(map(_limited, _at_least_one("strategies", file.strategies))),
        signer=signers[0] if signers else None,
        notifiers=_instances("notifiers", file.notifiers),
        native_token=parse_address(file.execution.native_token, where="execution.native_token"),
        executor=_address_or_none(file.execution.executor, where="execution.executor"),
        account=_address_or_none(file.execution.account, where="execution.account"),
        execution=file.execution,
        limits=file.limits or LimitsTable(),
        auctioned=listed_auctions(file.feeds.auctioned),
        pending_updates=file.feeds.pending,
        limits_given=file.limits is not None,
    )


def _least(own: int | None, most: int) -> int:
    return most if own is None else min(own, most)


def divide_table(kind: Kind, table: Mapping[str, object]) -> tuple[Table, Table]:
    """Return what the core reads of a plugin's table (see `SHARED`), and what the plugin does."""
    shared = SHARED[kind].__struct_fields__ if kind in SHARED else ()
    core = {key: value for key, value in table.items() if key in shared}
    return core, {key: value for key, value in table.items() if key != "plugin" and key not in shared}


def _limited(strategy: Instance) -> Instance:
    """Return a strategy with its limits apart from its plugin's settings. Raises: ConfigError."""
    own, rest = divide_table("strategy", strategy.settings)
    limits = parse_settings(StrategyTable, own, where=f"strategies.{strategy.name}")
    return Instance(name=strategy.name, plugin=strategy.plugin, settings=rest, limits=limits)


def _folder(base: Path, text: str) -> Path:
    try:
        return (base / text).resolve()
    except (OSError, ValueError) as error:
        raise ConfigError(f"[run.data_dir] {text!r} is no path: {error}") from None


def _address_or_none(text: str, *, where: str) -> Address | None:
    return parse_address(text, where=where) if text else None


def _exactly_one(kind: str, tables: dict[str, Table]) -> Instance:
    found = _at_least_one(kind, tables)
    if len(found) > 1:
        names = ", ".join(instance.name for instance in found)
        raise ConfigError(f"[{kind}] names {names}; one process watches one chain, start one per chain")
    return found[0]


def _at_least_one(kind: str, tables: dict[str, Table]) -> tuple[Instance, ...]:
    found = _instances(kind, tables)
    if not found:
        raise ConfigError(f"[{kind}] is empty; add a table [{kind}.NAME]")
    return found


def _instances(kind: str, tables: dict[str, Table]) -> tuple[Instance, ...]:
    return tuple(_instance(kind, name, table) for name, table in tables.items())


def _instance(kind: str, name: str, table: Table) -> Instance:
    plugin = table.get("plugin", name)
    if not isinstance(plugin, str):
        raise ConfigError(f"[{kind}.{name}.plugin] expected the name of a plugin, not {plugin!r}")
    settings = {key: value for key, value in table.items() if key != "plugin"}
    return Instance(name=name, plugin=plugin, settings=settings)
