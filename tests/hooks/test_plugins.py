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
from tests.hooks.conftest import GOOD_CONTRACT

MakePlugin = Callable[..., Path]

LONG_SCRIPT = GOOD_CONTRACT.format(kind="notifier", name="odd").replace("bench.py", "x" * 300)
"""The name of its script is longer than a file's may be."""

GOOD = """
from tallyio.hooks.specs import hookimpl
class Notifier:
    def __init__(self, told):
        self.told = told
    async def notify(self, notice):
        pass
@hookimpl
def tallyio_notifier(settings):
    return Notifier(dict(settings))
"""

BUILDS = """
import sys
from tallyio.hooks.specs import hookimpl
@hookimpl
def tallyio_notifier(settings):
    return {}
"""


def told(host: PluginHost, name: str, settings: dict[str, object]) -> object:
    """Build notifier `name` and return what its plugin made of `settings`."""
    return vars(host.notifier(name, settings))["told"]


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
    assert told(PluginHost(Catalog.scan()), "good", {"a": 1}) == {"a": 1}


def test_two_plugins_of_a_kind_are_called_by_name(make_plugin: MakePlugin) -> None:
    make_plugin("one", GOOD.replace("dict(settings)", "'one'"))
    make_plugin("two", GOOD.replace("dict(settings)", "'two'"))
    host = PluginHost(Catalog.scan())
    assert [told(host, name, {}) for name in ("one", "two", "one")] == ["one", "two", "one"]


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
        (BUILDS.format("None"), r"plugin 'bad' built nothing"),
        (
            "import sys; sys.exit(0)",
            r"plugin 'bad' failed to import toy_bad.plugin: SystemExit: 0; reinstall",
        ),
        (BUILDS.format("sys.exit(0)"), r"plugin 'bad' failed to start: SystemExit: 0"),
        (
            BUILDS.format("1"),
            r"plugin 'bad' built an object of type int, which lacks notify; .*\.Notifier says",
        ),
        (
            BUILDS.format("type('N', (), {'notify': 1})()"),
            r"plugin 'bad' built an object of type N, which lacks notify",
        ),
        (GOOD.replace("@hookimpl", ""), r"plugin 'bad' has no hook tallyio_notifier .*@hookimpl"),
        (GOOD.replace("@hookimpl", "@hookimpl(wrapper=True)").replace("return", "yield"), "has no hook"),
        (BUILDS.replace("(settings)", "()").format("1"), r"hook tallyio_notifier that takes no settings"),
        (BUILDS.replace("def", "async def").format("1"), r"hook tallyio_notifier that is asynchronous"),
    ],
)
def test_a_broken_plugin_is_refused_with_its_name_and_fault(
    make_plugin: MakePlugin, code: str, says: str
) -> None:
    make_plugin("bad", code)
    with pytest.raises(PluginError, match=says):
        PluginHost(Catalog.scan()).notifier("bad", {})


def test_a_hook_may_have_another_name_and_build_what_answers_to_any(make_plugin: MakePlugin) -> None:
    code = GOOD.replace("@hookimpl", "@hookimpl(specname='tallyio_notifier')").replace(
        "def tallyio_notifier", "def make"
    )
    make_plugin("aliased", code)
    assert told(PluginHost(Catalog.scan()), "aliased", {}) == {}
    forwards = "type('Forward', (), {'__getattr__': lambda self, name: print})()"
    make_plugin("forward", BUILDS.format(forwards))
    built: object = PluginHost(Catalog.scan()).notifier("forward", {})
    assert type(built).__name__ == "Forward"


def test_a_check_builds_from_an_empty_table_which_a_plugin_may_refuse(make_plugin: MakePlugin) -> None:
    refuses = "from tallyio.model.errors import ConfigError\n" + BUILDS
    make_plugin("picky", refuses.replace("return", "raise").format("ConfigError('[notifiers] no url')"))
    make_plugin("wrong", BUILDS.format("1"))
    host = PluginHost(Catalog.scan())
    assert host.check("notifier", "picky") == "tallyio_notifier"
    with pytest.raises(PluginError, match="built an object of type int"):
        host.check("notifier", "wrong")


def test_what_a_plugin_prints_leaves_standard_output_to_the_command(
    make_plugin: MakePlugin, capsys: pytest.CaptureFixture[str]
) -> None:
    make_plugin("loud", "print('imported')\n" + GOOD.replace("return", "print('built'); return"))
    PluginHost(Catalog.scan()).notifier("loud", {})
    assert capsys.readouterr() == ("", "imported\nbuilt\n")


def test_a_broken_plugin_does_not_stop_another(make_plugin: MakePlugin) -> None:
    make_plugin("bad", "1 / 0")
    make_plugin("good", GOOD)
    host = PluginHost(Catalog.scan())
    with pytest.raises(PluginError):
        host.notifier("bad", {})
    assert told(host, "good", {"b": 2}) == {"b": 2}


def test_a_plugins_own_configuration_error_stays_its_own(make_plugin: MakePlugin) -> None:
    raising = "from tallyio.model.errors import ConfigError\n" + GOOD.replace(
        "return Notifier(dict(settings))", "raise ConfigError('[notifiers.x] no')"
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


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("toy-odd.plugin", "has an entry point 'toy-odd.plugin', which is no module; correct it"),
        ("toy_odd plugin", "has an entry point 'toy_odd plugin', which is no module; correct it"),
        (".plugin", "has an entry point '.plugin', which is no module"),
        ("__main__.plugin", "has a package '__main__' that cannot be found: __main__"),
        ("toy_gone.plugin", "has no package 'toy_gone'; reinstall toy_odd"),
        ("string.plugin", "has no package 'string'; reinstall toy_odd"),
    ],
)
def test_a_broken_entry_point_is_its_own_plugins_fault(
    make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch, entry: str, says: str
) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)  # as in a console script
    make_plugin("odd", GOOD, entry=entry)
    make_plugin("good", GOOD)
    listed = {plugin.name: plugin for plugin in Catalog.scan().all()}
    assert says in (listed["odd"].fault or "")
    assert listed["odd"].module == entry
    assert listed["good"].fault is None


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda package: (package / "contract.toml").mkdir(), "has an unreadable contract.toml: "),
        (
            lambda package: (package / "contract.toml").write_bytes(b"\xff"),
            "has an unreadable contract.toml: ",
        ),
        (
            lambda package: (package / "contract.toml").write_text(LONG_SCRIPT),
            f"declares benchmark 'b', but {'x' * 300} is missing",
        ),
    ],
    ids=["folder", "bytes", "script"],
)
def test_a_contract_that_cannot_be_read_is_its_own_plugins_fault(
    make_plugin: MakePlugin, spoil: Callable[[Path], object], says: str
) -> None:
    package = make_plugin("odd", GOOD)
    (package / "contract.toml").unlink()
    spoil(package)
    listed = next(plugin for plugin in Catalog.scan().all() if plugin.name == "odd")
    assert says in (listed.fault or "")


@pytest.mark.parametrize("promised", ["inf", "nan", "0.0", "-1.0"])
def test_a_promise_that_any_or_no_speed_keeps_is_refused(make_plugin: MakePlugin, promised: str) -> None:
    contract = GOOD_CONTRACT.format(kind="notifier", name="odd").replace("1.0", promised)
    make_plugin("odd", GOOD, contract=contract)
    with pytest.raises(
        PluginError, match=r"promises that 'b' takes at most .* of 'r'; promise a finite ratio"
    ):
        Catalog.scan().sound("notifier", "odd")


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
