"""`tallyio new plugin`: what it writes, what it refuses, and how it brings a package up to date."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tallyio.authoring import template
from tallyio.authoring.template import STATE_FILE, Answers, State, read_state
from tallyio.authoring.update import Texts, decide
from tallyio.cli import main
from tallyio.hooks.contract import KINDS, read_contract
from tallyio.kernel.resources import data_path
from tests.policy.modules import ROOT
from tests.strict_types import found_by_mypy

EVERY = [*(Answers(kind=kind, name="sample") for kind in KINDS)]
EVERY += [
    Answers(kind="strategy", name="slow_sample", slow=True),
    Answers(kind="protocol", name="lending_sample", lending=True),
]
NOTIFIER = Answers(kind="notifier", name="toy")


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    """Run `tallyio new plugin WORDS --json`."""
    code = main(["new", "plugin", *words, "--json"])
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, answer


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Answers, Path]]:
    """Write a package of every kind."""
    folder = tmp_path_factory.mktemp("packages")
    made = []
    for answers in EVERY:
        target = folder / template.distribution_of(answers)
        template.write_new(answers, target)
        made.append((answers, target))
    return made


def test_every_kind_gets_a_sound_contract_and_everything_a_distribution_needs(
    packages: list[tuple[Answers, Path]],
) -> None:
    for answers, folder in packages:
        package = f"tallyio_{answers.kind}_{answers.name}"
        contract = read_contract(folder / package, kind=answers.kind, name=answers.name)
        assert contract.owners == ("you",)
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        assert project["name"] == package.replace("_", "-")
        assert project["entry-points"] == {f"tallyio.{answers.kind}": {answers.name: f"{package}.plugin"}}
        for file in (
            "README.md",
            ".gitignore",
            ".github/workflows/check.yml",
            f"{package}/py.typed",
            "tests/test_conformance.py",
            f"tests/test_{answers.name}.py",
        ):
            assert (folder / file).is_file(), f"{answers.kind} lacks {file}"


def test_an_owner_may_have_any_name() -> None:
    owner = 'Ann "Ace" O\\Neil <ann@example.org>, \t Zoë 🦀'
    files = template.render(msgspec.structs.replace(NOTIFIER, owner=owner))
    assert tomllib.loads(files["tallyio_notifier_toy/contract.toml"])["owners"] == [owner]
    contracts = (data_path("examples") / "plugin").glob("*/*/contract.toml.jinja")
    said = [re.findall("^owners.*$", path.read_text(), re.MULTILINE) for path in contracts]
    assert len(said) == len(EVERY)
    assert all(each == said[0] for each in said), "one kind is as good as another"


def test_what_is_written_is_in_our_own_style(packages: list[tuple[Answers, Path]]) -> None:
    """As projects of their own: there, TallyIO is one library among others."""
    ruff, config = str(Path(sys.executable).with_name("ruff")), ROOT / "pyproject.toml"
    lenient = tomllib.loads(config.read_text())["tool"]["ruff"]["lint"]["per-file-ignores"]["tests/**"]
    for _, folder in packages:
        (folder / "ruff.toml").write_text(
            f'extend = "{config}"\n'
            f'[lint.extend-per-file-ignores]\n"tests/**" = {json.dumps(lenient)}\n'
            '[lint.isort]\nknown-first-party = ["book_world", "pool_world"]\n'
        )
    folders = [str(folder) for _, folder in packages]
    for words in (["check"], ["format", "--check", "--diff"]):
        command = [ruff, *words, "--quiet", "--no-cache", *folders]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_what_is_written_is_strictly_typed(packages: list[tuple[Answers, Path]], tmp_path: Path) -> None:
    """All side by side, as no project has them: so mypy looks at TallyIO once."""
    side_by_side = tmp_path / "packages"
    side_by_side.mkdir()
    for answers, folder in packages:
        package = f"tallyio_{answers.kind}_{answers.name}"
        shutil.copytree(folder / package, side_by_side / package)
        for path in (folder / "tests").glob("*.py"):
            is_imported = not path.name.startswith("test_")
            shutil.copy(path, side_by_side / (path.name if is_imported else f"{path.stem}_of_{package}.py"))
    assert not found_by_mypy([side_by_side], tmp_path)


def test_no_mark_of_the_template_is_left(packages: list[tuple[Answers, Path]]) -> None:
    for _, folder in packages:
        for path in folder.rglob("*"):
            if path.is_file() and path.name not in {STATE_FILE, "check.yml"}:
                text = path.read_text()
                assert not any(mark in text for mark in ("{{", "{%", "tallyio-new-")), path


def test_every_file_of_the_template_is_used(packages: list[tuple[Answers, Path]]) -> None:
    folders = {each.name for each in (data_path("examples") / "plugin").iterdir() if each.is_dir()}
    assert folders == {*KINDS, "slow_strategy", "lending_protocol", "common"}


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("ConstantSum", "constant_sum"),
        ("constant-sum", "constant_sum"),
        ("2pools", "pools"),
        ("class", "another"),
    ],
)
def test_a_name_that_no_package_may_have_is_refused(
    name: str, way_out: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, answer = told(capsys, "protocol", name, "--folder", str(tmp_path / "new"))
    assert code == 3
    assert "cannot be a plugin's name" in answer["error"]["message"]
    assert way_out in answer["error"]["way_out"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["protocl", "toy"], 3, "'protocl' is no kind of plugin (did you mean \"protocol\"?)"),
        (["protocol", "a" * 41], 3, "has 41 characters"),
        (["signer", "toy", "--slow"], 3, "--slow is for a strategy, not for a signer"),
        (["strategy", "toy", "--lending"], 3, "--lending is for a protocol, not for a strategy"),
        (["protocol"], 2, "name a kind and a name"),
    ],
)
def test_what_cannot_be_written_is_refused(
    words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused, answer = told(capsys, *words)
    assert refused == code
    assert message in answer["error"]["message"]


def test_the_name_of_an_installed_plugin_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = told(capsys, "notifier", "console")
    assert code == 3
    assert "installed by tallyio-notifier-console" in answer["error"]["message"]


def test_a_folder_with_something_in_it_is_left_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    code, answer = told(capsys, "notifier", "toy", "--folder", str(tmp_path))
    assert code == 5
    assert "is not an empty folder" in answer["error"]["message"]
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]


def test_without_copier_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "copier", None)
    code, answer = told(capsys, "notifier", "toy", "--folder", str(tmp_path / "toy"))
    assert code == 4
    assert "needs tallyio[new]" in answer["error"]["message"]
    assert "pip install 'tallyio[new]'" in answer["error"]["way_out"]


# --- updates ---------------------------------------------------------------------------------


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Return a notifier as an older template wrote it: its README was shorter, and it had a file more."""
    template.write_new(NOTIFIER, tmp_path)
    state = read_state(tmp_path)
    readme, bench = state.files["README.md"], "tallyio_notifier_toy/bench.py"
    older = {
        **state.files,
        "README.md": readme.partition("## Work on it")[0],
        "OLD.md": "no longer written\n",
        bench: state.files[bench].replace("def main() -> None:", "def run() -> None:"),
    }
    del older["tests/test_toy.py"]
    (tmp_path / "tests" / "test_toy.py").unlink()
    template.write(tmp_path, older)
    remember(tmp_path, State(tallyio="0.0.1", answers=NOTIFIER, files=older))
    return tmp_path


def remember(folder: Path, state: State) -> None:
    (folder / STATE_FILE).write_bytes(msgspec.json.encode(state))


def test_an_untouched_package_becomes_what_the_template_writes_today(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answer = told(capsys, "--update", str(toy))
    assert code == 0
    assert answer["from_version"] == "0.0.1"
    assert answer["changes"] == {
        "OLD.md": "removed",
        "README.md": "updated",
        "tallyio_notifier_toy/bench.py": "updated",
        "tests/test_toy.py": "added",
    }
    files = template.render(NOTIFIER)
    assert {path: (toy / path).read_text() for path in files} == files
    assert not (toy / "OLD.md").exists()
    assert told(capsys, "--update", str(toy))[1]["changes"] == {}


def test_what_the_author_did_stays(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench, mine = toy / "tallyio_notifier_toy" / "bench.py", toy / "tallyio_notifier_toy" / "mine.py"
    bench.write_text(f"# mine\n{bench.read_text()}")
    mine.write_text("MINE = 1\n")
    (toy / "OLD.md").write_text("I use this\n")
    (toy / "README.md").unlink()
    code, answer = told(capsys, "--update", str(toy))
    assert code == 0
    assert answer["changes"] == {
        "OLD.md": "left",
        "README.md": "left",
        "tallyio_notifier_toy/bench.py": "merged",
        "tests/test_toy.py": "added",
    }
    assert bench.read_text().startswith("# mine\n")
    assert "def main() -> None:" in bench.read_text()
    assert mine.read_text() == "MINE = 1\n"
    assert not (toy / "README.md").exists()


def test_a_contradiction_is_marked_and_told(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = toy / "tallyio_notifier_toy" / "bench.py"
    bench.write_text(bench.read_text().replace("def run() -> None:", "def measure() -> None:"))
    assert main(["new", "plugin", "--update", str(toy)]) == 1
    said = capsys.readouterr().out
    assert "mend what is between the conflict marks in tallyio_notifier_toy/bench.py" in said
    assert "<<<<<<< yours" in bench.read_text()


def test_without_git_a_merge_changes_nothing(
    toy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = toy / "tallyio_notifier_toy" / "bench.py"
    bench.write_text(f"# mine\n{bench.read_text()}")
    before = {path: path.read_bytes() for path in toy.rglob("*") if path.is_file()}
    monkeypatch.setattr("shutil.which", lambda _: None)
    code, answer = told(capsys, "--update", str(toy))
    assert code == 4
    assert "needs git; nothing was changed" in answer["error"]["message"]
    assert {path: path.read_bytes() for path in toy.rglob("*") if path.is_file()} == before


def test_a_folder_that_the_template_never_wrote_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, answer = told(capsys, "--update", str(tmp_path))
    assert code == 3
    assert f"it has no {STATE_FILE}" in answer["error"]["message"]
    (tmp_path / STATE_FILE).write_text("{")
    assert "cannot be read" in told(capsys, "--update", str(tmp_path))[1]["error"]["message"]


def no_merge(_: Texts) -> tuple[str, bool]:
    raise AssertionError("nothing to merge here")


@pytest.mark.parametrize(
    ("was", "here", "new", "becomes"),
    [
        ("a", "a", "a", ("a", None)),
        ("a", "b", "a", ("b", None)),
        ("a", "b", "b", ("b", None)),
        ("a", "a", "b", ("b", "updated")),
        (None, None, "a", ("a", "added")),
        ("a", None, "b", (None, "left")),
        ("a", "a", None, (None, "removed")),
        ("a", "b", None, ("b", "left")),
        ("a", None, None, (None, None)),
    ],
)
def test_where_one_side_changed_that_side_counts(
    was: str | None, here: str | None, new: str | None, becomes: tuple[str | None, str | None]
) -> None:
    assert decide(Texts(was, here, new), no_merge) == becomes


@pytest.mark.parametrize("was", ["a", None])
def test_where_both_did_they_are_merged(was: str | None) -> None:
    texts = Texts(was, "b", "c")
    assert decide(texts, lambda _: ("both", True)) == ("both", "merged")
    assert decide(texts, lambda _: ("both", False)) == ("both", "conflict")
