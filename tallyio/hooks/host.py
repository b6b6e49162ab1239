"""Load the plugins that a configuration names, and call their hooks with types.

Layer: hooks. `PluginHost` is the only caller of pluggy: one broken plugin is refused by name and
never stops the others from loading.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from types import ModuleType
from typing import cast, get_args, get_type_hints

import pluggy

from tallyio.hooks import specs
from tallyio.hooks.catalog import Catalog, Installed
from tallyio.hooks.contract import LENDING, SLOW_STRATEGY, Kind
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
from tallyio.model.errors import PluginError, TallyError


class PluginHost:
    """Loads plugins on demand and builds their objects. Main thread, at start."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._manager = pluggy.PluginManager(specs.PROJECT)
        self._manager.add_hookspecs(specs)
        self._loaded: dict[tuple[Kind, str], Installed] = {}

    @property
    def loaded(self) -> tuple[Installed, ...]:
        """What has been loaded so far, for the run's record."""
        return tuple(self._loaded.values())

    def chain(self, name: str, settings: Settings) -> Chain:
        """Build a chain with plugin `name`. Raises: PluginError, ConfigError."""
        return cast("Chain", self._build("chain", name, settings))

    def protocol(self, name: str, settings: Settings) -> ExchangeProtocol:
        """Build a protocol with plugin `name`. Raises: PluginError, ConfigError."""
        return cast("ExchangeProtocol", self._build("protocol", name, settings))

    def lending(self, name: str, settings: Settings) -> LendingProtocol:
        """Build a lending protocol with plugin `name`. Raises: PluginError, ConfigError."""
        return cast("LendingProtocol", self._build("protocol", name, settings))

    def lends(self, name: str) -> bool:
        """Return whether protocol plugin `name` is one of lending. Raises: PluginError."""
        return self._hook("protocol", name) == LENDING

    def is_slow(self, name: str) -> bool:
        """Return whether strategy plugin `name` runs in the slow lane. Raises: PluginError."""
        return self._hook("strategy", name) == SLOW_STRATEGY

    def slow_strategy(self, name: str, settings: Settings) -> SlowStrategy:
        """Build a strategy of the slow lane with plugin `name`. Raises: PluginError, ConfigError."""
        return cast("SlowStrategy", self._build("strategy", name, settings))

    def _hook(self, kind: Kind, name: str) -> str:
        contract = self._catalog.sound(kind, name).contract
        return contract.hook if contract else kind

    def strategy(self, name: str, settings: Settings) -> Strategy:
        """Build a strategy with plugin `name`. Raises: PluginError, ConfigError."""
        return cast("Strategy", self._build("strategy", name, settings))

    def signer(self, name: str, settings: Settings) -> Signer:
        """Build a signer with plugin `name`; nothing starts yet. Raises: PluginError, ConfigError."""
        return cast("Signer", self._build("signer", name, settings))

    def notifier(self, name: str, settings: Settings) -> Notifier:
        """Build a notifier with plugin `name`. Raises: PluginError, ConfigError."""
        return cast("Notifier", self._build("notifier", name, settings))

    def build(self, kind: Kind, name: str, settings: Settings) -> object:
        """Build what plugin `name` of `kind` is for, to see that it can. Raises: PluginError, ConfigError."""
        return self._build(kind, name, settings)

    def check(self, kind: Kind, name: str) -> str:
        """Load plugin `name`, let it build from an empty table, which it may refuse; return its hook's name.

        Raises: PluginError.
        """
        hook = self.load(kind, name)
        try:
            self._build(kind, name, {})
        except PluginError:
            raise
        except TallyError:
            pass  # it asks for its settings, as it should
        return hook

    def _build(self, kind: Kind, name: str, settings: Settings) -> object:
        hook = self.load(kind, name)
        others = [
            plugin for key, plugin in self._manager.list_name_plugin() if key != _register_name(kind, name)
        ]
        call = cast("Callable[..., object]", self._manager.subset_hook_caller(hook, others))
        interface = _interface(hook)
        try:
            with redirect_stdout(sys.stderr):
                built = call(settings=settings)
                missing = _missing(built, interface)
        except TallyError:
            raise
        except (Exception, SystemExit) as error:
            raise PluginError(
                name, f"failed to start: {_one_line(error)}", way_out="report it to the plugin's owners"
            ) from error
        if built is None:
            raise PluginError(name, "built nothing", way_out="report it to the plugin's owners")
        if missing:
            raise PluginError(
                name,
                f"built an object of type {type(built).__name__}, which lacks {', '.join(missing)}",
                way_out=f"report it to the plugin's owners: {hook} builds what"
                f" {interface.__module__}.{interface.__name__} says",
            )
        return built

    def load(self, kind: Kind, name: str) -> str:
        """Import plugin `name`, check its hooks, and return the name of the one that builds it.

        Building is a separate step. Raises: PluginError.
        """
        plugin = self._catalog.sound(kind, name)
        hook = f"{specs.PROJECT}_{self._hook(kind, name)}"
        if (kind, name) in self._loaded:
            return hook
        module = _import(plugin)
        try:
            self._register(plugin, module, hook)
        except PluginError:
            self._manager.unregister(name=_register_name(kind, name))
            raise
        self._loaded[kind, name] = plugin
        return hook

    def _register(self, plugin: Installed, module: ModuleType, hook: str) -> None:
        name = plugin.name
        try:
            self._manager.register(module, _register_name(plugin.kind, name))
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(
                name, f"does not fit the hook specification: {_one_line(error)}", way_out="mend the hook"
            ) from error
        all_of = self._manager.subset_hook_caller(hook, []).get_hookimpls()
        own = next(
            (each for each in all_of if each.plugin is module and not (each.wrapper or each.hookwrapper)),
            None,
        )
        if own is None:
            raise PluginError(
                name, f"has no hook {hook} in {plugin.module}", way_out="add it, decorated with @hookimpl"
            )
        if "settings" not in own.argnames:
            raise PluginError(
                name, f"has a hook {hook} that takes no settings", way_out="let it read its table: `settings`"
            )
        if inspect.iscoroutinefunction(own.function):
            raise PluginError(
                name,
                f"has a hook {hook} that is asynchronous",
                way_out="make it a plain function; what it builds may have asynchronous methods",
            )


def import_module(name: str) -> ModuleType:
    """Import a module of a plugin; what it prints goes to standard error, for the other is the command's."""
    with redirect_stdout(sys.stderr):
        return importlib.import_module(name)


def _interface(hook: str) -> type:
    """Return what the specification of `hook` says that it builds, which is that or nothing."""
    built, _ = get_args(get_type_hints(getattr(specs, hook))["return"])
    return cast("type", built)


def _missing(built: object, interface: type) -> list[str]:
    """Return the public names of `interface` that `built` has not, or not as a method."""
    names = [name for name in dir(interface) if not name.startswith("_")]
    return [
        name
        for name in names
        if not hasattr(built, name)
        or (callable(getattr(interface, name)) and not callable(getattr(built, name)))
    ]


def _import(plugin: Installed) -> ModuleType:
    try:
        return import_module(plugin.module)
    except (Exception, SystemExit) as error:
        raise PluginError(
            plugin.name,
            f"failed to import {plugin.module}: {_one_line(error)}",
            way_out=f"reinstall {plugin.distribution}, or remove it from the configuration",
        ) from error


def _register_name(kind: Kind, name: str) -> str:
    return f"{kind}:{name}"


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
