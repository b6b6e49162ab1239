"""`tallyio plugins check FOLDER`: what it reads, what it refuses, and with which words."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tallyio.authoring import cards
from tallyio.authoring.cards import Case, read_cases, run_cards
from tallyio.authoring.project import as_installed, read_project
from tallyio.authoring.report import Checked, Fault, Outcome, Report
from tallyio.cli import main
from tallyio.hooks.catalog import Catalog
from tallyio.model.errors import MissingExtraError, PluginError

PYPROJECT = """
[project]
name = "some-distribution"
version = "7"
[project.entry-points."tallyio.notifier"]
papers = "papers.plugin"
"""
CONTRACT = """
kind = "notifier"
name = "papers"
hook_api = 1
state = "beta"
owners = ["me"]
summary = "None."
[[bench]]
name = "papers.print"
script = "bench.py"
reference = "papers.nothing"
max_ratio = 2.0
"""
PLUGIN = """
from tallyio.hooks.specs import hookimpl

class Papers:
    async def notify(self, notice):
        pass

@hookimpl
def tallyio_notifier(settings):
    return Papers()
"""
CARD = "def test_x01_a_card() -> None:\n    pass\n"


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """Return the source of a small notifier, whose only card passes."""
    files = {
        "pyproject.toml": PYPROJECT,
        "papers/__init__.py": "",
        "papers/contract.toml": CONTRACT,
        "papers/plugin.py": PLUGIN,
        "papers/bench.py": "raise SystemExit('nothing to measure')",
        "tests/test_papers.py": CARD,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def checked(capsys: pytest.CaptureFixture[str], folder: Path) -> tuple[int, dict[str, Any]]:
    """Run `tallyio plugins check FOLDER --quick --json`."""
    code = main(["plugins", "check", str(folder), "--quick", "--json"])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, answer


def last_fault(answer: dict[str, Any]) -> tuple[str, str, str]:
    """Return step, message and way out of the last outcome."""
    outcome = answer["plugins"][0]["outcomes"][-1]
    return outcome["step"], outcome["faults"][0]["message"], outcome["faults"][0]["way_out"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "has no pyproject.toml"),
        ("[project", "has an unreadable pyproject.toml"),
        (
            "[project]\nversion = '1'",
            "has an unreadable pyproject.toml: Object missing required field `name`",
        ),
        ("[project]\nname = 'x'", "announces no plugin: pyproject.toml has no entry point of TallyIO's"),
        (
            PYPROJECT.replace("some-distribution", "a/b"),
            "has the name 'a/b' in pyproject.toml, which no distribution can have",
        ),
        (
            PYPROJECT.replace('"7"', '"../7"'),
            "has the version '../7' in pyproject.toml, which no distribution can have",
        ),
        (
            PYPROJECT.replace("tallyio.notifier", "tallyio.notifer"),
            "an unknown kind, [project.entry-points.'tallyio.notifer'] (did you mean \"tallyio.notifier\"?)",
        ),
    ],
)
def test_a_folder_that_is_no_plugins_source_is_refused(
    text: str | None, fault: str, papers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (papers / "pyproject.toml").unlink()
    if text is not None:
        (papers / "pyproject.toml").write_text(text)
    code, answer = checked(capsys, papers)
    assert code == 3
    assert fault in answer["error"]["message"]
    assert answer["error"]["way_out"]


def test_a_name_that_is_neither_installed_nor_a_folder_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = checked(capsys, Path("consle"))
    assert code == 3
    assert 'did you mean "console"' in answer["error"]["message"]


def test_an_installed_plugin_is_checked_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "check", "console"]) == 0
    assert capsys.readouterr().out == "console: sound\n"


def test_what_is_checked_need_not_be_installed_and_leaves_no_trace(papers: Path) -> None:
    before = list(sys.path), dict(os.environ)
    with as_installed(read_project(papers)):
        plugin = Catalog.scan().sound("notifier", "papers")
        assert (plugin.distribution, plugin.version, plugin.folder) == (
            "some-distribution",
            "7",
            str(papers / "papers"),
        )
        assert str(papers) in os.environ["PYTHONPATH"]
    assert (list(sys.path), dict(os.environ)) == before


def test_packages_in_a_folder_of_their_own_are_found(papers: Path) -> None:
    (papers / "src").mkdir()
    (papers / "papers").rename(papers / "src" / "papers")
    with as_installed(read_project(papers)):
        assert Catalog.scan().sound("notifier", "papers").fault is None


def test_an_entry_point_without_a_package_is_refused(
    papers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (papers / "papers").rename(papers / "paper")
    code, answer = checked(capsys, papers)
    assert code == 3
    step, message, way_out = last_fault(answer)
    assert step == "contract"
    assert "names the module papers.plugin as its entry point, but its source has no such package" in message
    assert "correct the entry point" in way_out


def test_the_line_that_cannot_be_imported_is_named(papers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (papers / "papers" / "plugin.py").write_text("import os\n\ndef f(:\n")
    code, answer = checked(capsys, papers)
    assert code == 3
    step, message, _ = last_fault(answer)
    assert step == "hooks"
    assert "cannot be imported: SyntaxError" in message
    assert f"({papers / 'papers' / 'plugin.py'}:3)" in message


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("import sys\n\nsys.exit(0)\n", "cannot be imported: SystemExit: 0 ({}:3)"),
        (PLUGIN.replace("return Papers()", "raise SystemExit(0)"), "failed to start: SystemExit: 0"),
        (PLUGIN.replace("return Papers()", "return 1"), "built an object of type int, which lacks notify"),
    ],
)
def test_a_plugin_that_ends_the_process_or_builds_the_wrong_thing_is_broken(
    code: str, fault: str, papers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (papers / "papers" / "plugin.py").write_text(code)
    code_of_exit, answer = checked(capsys, papers)
    assert code_of_exit == 3
    step, message, _ = last_fault(answer)
    assert step == "hooks"
    assert fault.format(papers / "papers" / "plugin.py") in message


def test_what_a_plugin_prints_stays_out_of_the_json(papers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (papers / "papers" / "plugin.py").write_text("print('hello')\n1 / 0\n")
    code, answer = checked(capsys, papers)
    assert code == 3
    assert "ZeroDivisionError" in last_fault(answer)[1]


def test_settings_whose_module_ends_the_process_are_refused(
    papers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract = CONTRACT.replace("[[bench]]", "settings = 'papers.table:Settings'\n[[bench]]")
    (papers / "papers" / "contract.toml").write_text(contract)
    (papers / "papers" / "table.py").write_text("print('hello')\nraise SystemExit(0)\n")
    code, answer = checked(capsys, papers)
    assert code == 3
    assert "which cannot be imported (SystemExit: 0)" in last_fault(answer)[1]


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ("papers.plugin:Settings", "cannot be imported (AttributeError: module 'papers.plugin' has no"),
        ("papers.plugin:tallyio_notifier", "is no msgspec.Struct"),
        ("tallyio.model.chain:Head", "lies outside papers"),
    ],
)
def test_settings_that_are_no_record_are_refused(
    settings: str, fault: str, papers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contract = CONTRACT.replace("[[bench]]", f"settings = {settings!r}\n[[bench]]")
    (papers / "papers" / "contract.toml").write_text(contract)
    code, answer = checked(capsys, papers)
    assert code == 3
    step, message, way_out = last_fault(answer)
    assert step == "hooks"
    assert f"names its settings {settings!r} in contract.toml, which {fault}" in message
    assert 'settings = "package.module:Name"' in way_out


def test_a_benchmark_that_measures_nothing_is_told_with_its_last_words(
    papers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answer = checked(capsys, papers)
    assert code == 1
    outcomes = answer["plugins"][0]["outcomes"]
    assert [each["step"] for each in outcomes] == ["contract", "hooks", "cards", "bench"]
    assert outcomes[2]["facts"] == "1 cards and 0 other tests, 0 failed, 0 skipped"
    assert (
        "cannot be measured: papers.print: benchmark bench.py failed: nothing to measure"
        in last_fault(answer)[1]
    )


@pytest.mark.parametrize(
    ("tests", "fault"),
    [
        (None, "takes no conformance cards"),
        ("def test_mine() -> None:\n    pass\n", "takes no conformance cards"),
        ("", "takes no conformance cards"),
    ],
)
def test_a_plugin_that_takes_no_cards_is_refused(tests: str | None, fault: str, papers: Path) -> None:
    (papers / "tests" / "test_papers.py").unlink()
    if tests is None:
        (papers / "tests").rmdir()
    else:
        (papers / "tests" / "test_papers.py").write_text(tests)
    for hook, wanted in (("notifier", "NotifierCards"), ("slow_strategy", "SlowStrategyCards")):
        with pytest.raises(PluginError, match=fault) as refused:
            run_cards(hook, "papers", papers)
        assert f"class TestConformance({wanted}) with plugin = 'papers'" in refused.value.way_out


def test_a_failed_card_says_the_rule_the_fact_and_the_fix(papers: Path) -> None:
    said = "X01 Nothing is lost: 3 of 5 came. Fix: send them"
    (papers / "tests" / "test_papers.py").write_text(
        f"import pytest\n\ndef test_x01_a_card() -> None:\n    pytest.fail({said!r}, pytrace=False)\n\n"
        "def test_mine() -> None:\n    assert 1 + 1 == 3\n"
    )
    outcome = run_cards("notifier", "papers", papers)
    assert outcome.faults == (
        Fault(message="plugin 'papers' fails card X01 Nothing is lost: 3 of 5 came", way_out="send them"),
        Fault(
            message="plugin 'papers' fails test_mine: assert (1 + 1) == 3",
            way_out=f"run it by hand: cd {papers} && python -m pytest -k test_mine",
        ),
    )
    assert outcome.facts == "1 cards and 1 other tests, 2 failed, 0 skipped"


def test_tests_that_do_not_run_or_do_not_end_are_refused(papers: Path) -> None:
    (papers / "tests" / "test_papers.py").write_text("import no_such_library\n")
    (fault,) = run_cards("notifier", "papers", papers).faults
    assert "No module named 'no_such_library'" in fault.message
    (papers / "tests" / "conftest.py").write_text("raise SystemExit(9)\n")
    with pytest.raises(PluginError, match="has tests that do not run"):
        run_cards("notifier", "papers", papers)
    (papers / "tests" / "conftest.py").write_text("import time\ntime.sleep(60)\n")
    with pytest.raises(PluginError, match=r"has tests that are not done after 0\.5 s"):
        run_cards("notifier", "papers", papers, timeout_s=0.5)


def test_without_pytest_it_says_what_to_install(papers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"needs tallyio\[testing\]"):
        run_cards("notifier", "papers", papers)


def test_a_skipped_card_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "cards.xml"
    file.write_text(
        '<testsuites><testsuite><testcase name="test_k01_a"><skipped message="no"/></testcase>'
        '<testcase name="test_b"><failure message="short"/></testcase></testsuite></testsuites>'
    )
    assert list(read_cases(file)) == [Case("test_k01_a", None, True), Case("test_b", "short", False)]
    assert [case.is_card for case in read_cases(file)] == [True, False]


@pytest.mark.parametrize(
    ("steps", "code"),
    [((), 0), (("bench",), 1), (("cards",), 3), (("contract",), 3), (("bench", "cards"), 3)],
)
def test_the_worst_plugin_decides_the_exit_code(steps: tuple[Any, ...], code: int) -> None:
    fault = Fault(message="m", way_out="w")
    broken = [
        Checked(kind="signer", name=step, outcomes=(Outcome(step=step, faults=(fault,)),)) for step in steps
    ]
    sound = Checked(kind="signer", name="fine", outcomes=(Outcome(step="bench"),))
    assert Report(folder="", sound=not steps, plugins=(sound, *broken)).exit_code == code


def test_for_people_every_fault_stands_below_its_step(
    papers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (papers / "papers" / "contract.toml").write_text(CONTRACT.replace("hook_api = 1", "hook_api = 0"))
    assert main(["plugins", "check", str(papers)]) == 3
    assert capsys.readouterr().out.splitlines() == [
        "notifier papers: contract failed",
        "  plugin 'papers' speaks hook_api 0, this TallyIO speaks 1 (interface numbers, not versions)",
        "  way out: upgrade the plugin, which is the older side",
        "papers: broken",
    ]
