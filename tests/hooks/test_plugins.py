"""Plugins are listed without importing, loaded when enabled, refused with a name and a way out."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tallyio.hooks import specs
from tallyio.hooks.catalog import Catalog
from tallyio.hooks.contract import KINDS
from tallyio.hooks.host import PluginHost
from tallyio.model.errors import ConfigError, PluginError

MakePlugin = Callable[..., Path]

GOOD = """
from tallyio.hooks.specs import hookimpl
@hookimpl
def tallyio_notifier(settings):
    return dict(settings)
"""


def test_listing_imports_no_plugin(make_plugin: MakePlugin) -> None:
    make_plugin("boom", "raise SystemExit('imported')")
    listed = {plugin.name: plugin for plugin in Catalog.scan().all()}
    assert listed["boom"].fault is None
    assert listed["boom"].version == "1.2"
    assert not any(module.startswith("toy_boom.") for module in sys.modules)


def test_listing_the_shipped_plugins_imports_none_of_them() -> None:
    code = (
        "import sys; from tallyio.hooks.catalog import Catalog; Catalog.scan();"
        "print([m for m in sys.modules if m.startswith('tallyio_') or m in ('numba', 'trio_websocket')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_good_plugin_builds_with_its_settings(make_plugin: MakePlugin) -> None:
    make_plugin("good", GOOD)
    built: object = PluginHost(Catalog.scan()).notifier("good", {"a": 1})
    assert built == {"a": 1}


def test_two_plugins_of_a_kind_are_called_by_name(make_plugin: MakePlugin) -> None:
    make_plugin("one", GOOD.replace("dict(settings)", "'one'"))
    make_plugin("two", GOOD.replace("dict(settings)", "'two'"))
    host = PluginHost(Catalog.scan())
    built: list[object] = [host.notifier(name, {}) for name in ("one", "two", "one")]
    assert built == ["one", "two", "one"]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            "import nothing_of_that_name",
            r"plugin 'bad' failed to import .*No module named.*; reinstall toy.bad",
        ),
        ("x = 1", r"plugin 'bad' has no hook tallyio_notifier"),
        (GOOD.replace("settings", "setings"), r"plugin 'bad' does not fit the hook specification"),
        (
            GOOD + "@hookimpl\ndef tallyio_notifer(): ...\n",
            r"does not fit the hook specification.*unknown hook",
        ),
        (GOOD.replace("dict(settings)", "1 / 0"), r"plugin 'bad' failed to start: ZeroDivisionError"),
        (GOOD.replace("dict(settings)", "None"), r"plugin 'bad' built nothing"),
    ],
)
def test_a_broken_plugin_is_refused_with_its_name_and_fault(
    make_plugin: MakePlugin, code: str, says: str
) -> None:
    make_plugin("bad", code)
    with pytest.raises(PluginError, match=says):
        PluginHost(Catalog.scan()).notifier("bad", {})


def test_a_broken_plugin_does_not_stop_another(make_plugin: MakePlugin) -> None:
    make_plugin("bad", "1 / 0")
    make_plugin("good", GOOD)
    host = PluginHost(Catalog.scan())
    with pytest.raises(PluginError):
        host.notifier("bad", {})
    built: object = host.notifier("good", {"b": 2})
    assert built == {"b": 2}


def test_a_plugins_own_configuration_error_stays_its_own(make_plugin: MakePlugin) -> None:
    raising = "from tallyio.model.errors import ConfigError\n" + GOOD.replace(
        "return dict(settings)", "raise ConfigError('[notifiers.x] no')"
    )
    make_plugin("picky", raising)
    with pytest.raises(ConfigError, match=r"^\[notifiers.x\] no$"):
        PluginHost(Catalog.scan()).notifier("picky", {})


@pytest.mark.parametrize(
    ("contract", "says"),
    [
        ("", "missing required field"),
        ("kind = ", "unreadable contract.toml"),
        (
            'kind = "chain"\nname = "odd"\nhook_api = 1\nstate = "beta"\nowners = []\nsummary = ""',
            "says chain",
        ),
        (
            'kind = "notifier"\nname = "odd"\nhook_api = 9\nstate = "beta"\nowners = []\nsummary = ""',
            "older side",
        ),
        (
            'kind = "notifier"\nname = "odd"\nhook_api = 1\nstate = "beta"\nowners = []\nsummary = ""',
            "no benchmark",
        ),
        (
            'kind = "notifier"\nname = "odd"\nhook_api = 1\nstate = "suspended"\nowners = []\nsummary = ""',
            "suspended",
        ),
    ],
)
def test_a_bad_contract_is_listed_with_its_fault_and_refused(
    make_plugin: MakePlugin, contract: str, says: str
) -> None:
    make_plugin("odd", GOOD, contract=contract)
    catalog = Catalog.scan()
    listed = next(plugin for plugin in catalog.all() if plugin.name == "odd")
    assert listed.fault is not None
    assert says in listed.fault
    with pytest.raises(PluginError, match="plugin 'odd'"):
        PluginHost(catalog).notifier("odd", {})


def test_a_benchmark_that_is_not_there_is_refused(make_plugin: MakePlugin) -> None:
    make_plugin("slow", GOOD, bench=False)
    with pytest.raises(PluginError, match=r"benchmark 'b', but bench.py is missing"):
        PluginHost(Catalog.scan()).notifier("slow", {})


def test_an_unknown_plugin_comes_with_a_suggestion(make_plugin: MakePlugin) -> None:
    make_plugin("good", GOOD)
    with pytest.raises(
        PluginError, match=r"'goood' is not an installed notifier \(did you mean \"good\"\?\)"
    ):
        PluginHost(Catalog.scan()).notifier("goood", {})


def test_every_kind_has_a_hook_and_a_typed_call_with_the_same_arguments() -> None:
    for kind in KINDS:
        spec = inspect.signature(getattr(specs, f"tallyio_{kind}"))
        call = inspect.signature(getattr(PluginHost, kind))
        assert [*spec.parameters] == [name for name in call.parameters if name not in ("self", "name")]
        assert str(call.return_annotation) in str(spec.return_annotation)
