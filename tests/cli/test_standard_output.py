"""What is printed arrives, whatever standard output is; or one message says why it does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tallyio.cli.output import print_json

TALLYIO = (sys.executable, "-c", "import sys; from tallyio.cli import main; sys.exit(main())")
ASCII = {**os.environ, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TICK = """
import sys
from tallyio import cli
cli._run = lambda words: print("\\u2714 done")
sys.exit(cli.main())
"""


def test_what_cannot_be_encoded_is_a_question_mark() -> None:
    ran = subprocess.run([sys.executable, "-c", TICK], env=ASCII, capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"? done\n", b"")


def test_a_drawing_does_not_depend_on_the_locale(tmp_path: Path) -> None:
    words = ("topology", "--profile", "ci", "--svg", str(tmp_path / "drawn.svg"))
    ran = subprocess.run([*TALLYIO, *words], env=ASCII, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert (tmp_path / "drawn.svg").read_text(encoding="utf-8").startswith("<svg")


def test_json_is_ascii_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"µ": "✔ 🜚", "path": "a\\b"}
    print_json(value)
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed) == value


@pytest.mark.parametrize("words", ["--help", "topology", "topology --json", "plugins list", "demo --help"])
@pytest.mark.parametrize(
    ("sent", "why"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")]
)
def test_who_cannot_print_says_so_once(sent: str, why: str, words: str) -> None:
    shell = ("/bin/sh", "-c", f'exec "$0" "$@" {sent}')
    ran = subprocess.run([*shell, *TALLYIO, *words.split()], stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 4
    first, second = ran.stderr.splitlines()
    assert first == f"tallyio: standard output cannot be written: {why}"
    assert second.startswith("  way out: ")
