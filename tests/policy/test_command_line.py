"""Help is quick: it loads no compiler, no event loop and no plugin. So is listing plugins."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

import pytest

from tallyio.cli import COMMANDS, GROUPS, main
from tests.policy.modules import ROOT

HEAVY: Final = ("coincurve", "llvmlite", "numba", "numpy", "pluggy", "pyhwloc", "pyrevm", "trio")
"""Libraries that take longer to import than help may take to appear."""

RUN: Final = """
import contextlib, io, json, sys
from tallyio.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    codes = [main(words) for words in json.loads(sys.argv[1])]
print(json.dumps([codes, sorted(sys.modules)]))
"""


def modules_after(*commands: list[str]) -> set[str]:
    """Return what a fresh interpreter has imported after running these command lines."""
    ran = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(commands)], capture_output=True, check=True, text=True
    )
    codes, modules = json.loads(ran.stdout)
    assert set(codes) == {0}, f"exit codes {codes}: {ran.stderr}"
    return set(modules)


def too_heavy(modules: set[str]) -> list[str]:
    """Return what help should not have imported."""
    return sorted(each for each in modules if each in HEAVY or each.startswith("tallyio_"))


@pytest.mark.parametrize("word", [None, *sorted({*COMMANDS, *GROUPS})])
def test_help_names_every_command(word: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word, "--help"] if word else ["--help"]) == 0
    said = capsys.readouterr().out
    assert "Usage: tallyio" in said
    assert word is not None or all(name in said for name in (*COMMANDS, *GROUPS))


def test_help_imports_nothing_heavy() -> None:
    every = [[], *([name] for name in (*COMMANDS, *GROUPS))]
    found = too_heavy(modules_after(*([*words, "--help"] for words in every)))
    assert not found, f"help imports {found}; import them inside the function that needs them"


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_the_list_of_commands_waits_for_no_library(words: list[str]) -> None:
    assert not {"cyclopts", "rich"} & modules_after(words)


def test_importing_tallyio_imports_nothing_else() -> None:
    """The package is its version and its documentation; what it is made of loads when it is used."""
    code = "import sys; before = set(sys.modules); import tallyio; print(*set(sys.modules) - before)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ran.stdout.split() == ["tallyio"]


def test_the_list_of_commands_loads_little_of_the_standard_library() -> None:
    """Each of these takes as long to import as everything that the list needs."""
    slow = {
        "argparse",
        "ast",
        "dataclasses",
        "difflib",
        "inspect",
        "msgspec",
        "tomllib",
        "typing_extensions",
    }
    code = "import sys; from tallyio.cli import overview; overview(); print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, check=True, text=True, cwd=ROOT
    )
    assert not slow & set(ran.stdout.split())


def test_plugins_are_listed_without_importing_one() -> None:
    modules = modules_after(["plugins", "list", "--json"])
    found = sorted(each for each in modules if each.startswith("tallyio_"))
    assert not found, f"`tallyio plugins list` imports {found}; a contract is read as data"


def test_a_heavy_import_is_found() -> None:
    assert too_heavy({"os", "numba", "tallyio.cli", "tallyio_chain_toy.plugin"}) == [
        "numba",
        "tallyio_chain_toy.plugin",
    ]
    assert too_heavy(modules_after(["doctor", "--json"]))
