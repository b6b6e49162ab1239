"""A person who has never seen the code writes a plugin of each kind, ships it, breaks it, and is told how.

All in an environment where TallyIO is a wheel among others, and with the commands that the tutorial names.
"""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tallyio.hooks.contract import KINDS
from tests.docs.pages import DOCS, steps
from tests.docs.shown import agrees
from tests.e2e.newcomer import Newcomer, Said, arrive, build_wheels
from tests.policy.modules import ROOT

EVM: Final = ROOT / "plugins" / "chains" / "evm"
"""What the template of a chain stands on."""


class Start(NamedTuple):
    """One package that the newcomer begins with, and how its example is made to lie."""

    kind: str
    name: str
    lie: tuple[str, str, str] | None
    """File, text, and what is put in its place; None: planted faults of the cards are tested elsewhere."""
    card: str = ""
    """The card that finds it."""
    options: tuple[str, ...] = ()

    @property
    def package(self) -> str:
        """The import name."""
        return f"tallyio_{self.kind}_{self.name}"

    def folder(self, newcomer: Newcomer) -> Path:
        """Where `tallyio new plugin` wrote it."""
        return newcomer.folder / self.package.replace("_", "-")


STARTS: Final = (
    Start(
        "chain",
        "tipping",
        ("chain.py", "(Settings, settings, where", '(Settings, {**settings, "check_bloom": False}, where'),
        "B06 A log list that does not add up is asked for again",
    ),
    Start(
        "protocol",
        "constant_sum",
        ("hot.py", "return amount_out if amount_out", "return amount_out + u256(1) if amount_out"),
        "P06 `quote` is what the contract pays, to the last unit",
    ),
    Start(
        "strategy",
        "two_pools",
        ("strategy.py", "if one != other:", "if one == other:"),
        "S04 In a market with a pool that is off, a proposal that gains is found",
    ),
    Start("protocol", "pawnshop", None, options=("--lending",)),
    Start("strategy", "slowly", None, options=("--slow",)),
    Start(
        "signer",
        "in_the_clear",
        ("signer.py", "if reason is not None:", 'if reason == "the moon is full":'),
        "K05 Each transaction beyond the limits raises SignerRefused",
    ),
    Start(
        "notifier",
        "json_lines",
        ("notifier.py", '"body": redact(notice.body)', '"body": notice.body'),
        "N02 What looks like a credential, in title or body, is not delivered",
    ),
)
ONE_OF_EACH_KIND: Final = tuple(start for start in STARTS if start.lie is not None)
AT_ONCE: Final = 2
"""How many checks run side by side: most of the time of the longest ones is waiting."""
TUTORIAL: Final = DOCS / "tutorial" / "first-plugin.md"


class Breach(NamedTuple):
    """One way to break a contract, and what the refusal says of the fault and of the way out."""

    name: str
    file: str
    before: str
    after: str
    """In its place; empty: the rest of the file goes too."""
    fault: str
    way_out: str


CONTRACT, HOOK, PYPROJECT = "{package}/contract.toml", "{package}/plugin.py", "pyproject.toml"
BREACHES: Final = (
    Breach(
        "a misspelt group of entry points",
        PYPROJECT,
        'entry-points."tallyio.{kind}"',
        'entry-points."tallyio.{kind}s"',
        "announces a plugin of an unknown kind",
        "use one of: tallyio.chain",
    ),
    Breach(
        "an unknown kind",
        CONTRACT,
        'kind = "{kind}"',
        'kind = "{kind}s"',
        "has an unknown value '{kind}s' (did you mean \"{kind}\"?)",
        "mend the file",
    ),
    Breach(
        "an unknown key",
        CONTRACT,
        "summary = ",
        "sumary = ",
        "has an unknown key 'sumary' (did you mean \"summary\"?)",
        "mend the file",
    ),
    Breach("no benchmark", CONTRACT, "[[bench]]", "", "declares no benchmark", "add a [[bench]] table"),
    Breach(
        "a benchmark that is not there",
        CONTRACT,
        'script = "bench.py"',
        'script = "benchmark.py"',
        "but benchmark.py is missing",
        "add the script",
    ),
    Breach(
        "an interface of another age",
        CONTRACT,
        "hook_api = 1",
        "hook_api = 99",
        "speaks hook_api 99, this TallyIO speaks 1",
        "upgrade the TallyIO",
    ),
    Breach(
        "two names",
        CONTRACT,
        'name = "{name}"\nhook',
        'name = "another"\nhook',
        "but its contract says {kind} 'another'",
        "make the entry point and contract.toml agree",
    ),
    Breach(
        "a hook with an argument of its own",
        HOOK,
        "(settings: Settings)",
        "(settings: Settings, market: object)",
        "does not fit the hook specification",
        "mend the hook",
    ),
    Breach(
        "an import of what is not there",
        HOOK,
        "from tallyio.hooks.specs",
        "import no_such_library\nfrom tallyio.hooks.specs",
        "cannot be imported: ModuleNotFoundError: No module named 'no_such_library'",
        "mend that line, or add what it needs to dependencies",
    ),
)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    """Return a newcomer who began a plugin of every kind and installed the wheels of all."""
    made = arrive(tmp_path_factory.mktemp("newcomer"), EVM)
    lines = [(made.folder, ["new", "plugin", each.kind, each.name, *each.options]) for each in STARTS]
    assert [said.code for said in made.tallyio(lines)] == [0] * len(STARTS)
    made.unpack(build_wheels((each.folder(made) for each in STARTS), made.folder / "shipped"))
    return made


def test_every_kind_is_broken() -> None:
    assert {start.kind for start in ONE_OF_EACH_KIND} == {*KINDS}


def test_tallyio_is_a_wheel_and_nothing_of_the_checkout_is_near(newcomer: Newcomer) -> None:
    said = newcomer.run("python", "-c", "import sys, tallyio; print(tallyio.__file__, *sys.path)")
    assert said.startswith(str(newcomer.folder / "env"))
    assert str(ROOT / "tallyio") not in said
    assert f"{ROOT} " not in f"{said} ".replace("\n", " ")
    listed = newcomer.tallyio([(newcomer.folder, ["plugins", "list", "--json"])])[0].json["plugins"]
    assert {(each["kind"], each["name"]) for each in listed} == {
        ("chain", "evm"),
        *((each.kind, each.name) for each in STARTS),
    }
    assert {each["fault"] for each in listed} == {None}


def test_the_wheels_pass_the_cards_and_tests_as_they_were_generated(newcomer: Newcomer) -> None:
    # In one process, under the configuration that all of them have. -P keeps the source off the path, so that
    # the wheels are what is tested.
    folders = [each.folder(newcomer) for each in STARTS]
    own = [tomllib.loads((each / "pyproject.toml").read_text())["tool"]["pytest"] for each in folders]
    assert all(each == own[0] for each in own)
    said = newcomer.run(
        *("python", "-P", "-m", "pytest", "-q", "-c", str(folders[0] / "pyproject.toml")),
        *("-o", f"pythonpath={' '.join(str(each / 'tests') for each in folders)}"),
        *map(str, (each / "tests" for each in folders)),
    )
    assert " passed" in said
    assert "failed" not in said


class Refusal(NamedTuple):
    """A breach, and what the check of a copy with it said."""

    breach: Breach
    said: Said

    @property
    def fault(self) -> dict[str, str]:
        """The first fault: its message and the way out."""
        if "error" in self.said.json:
            return dict(self.said.json["error"])
        return dict(self.said.json["plugins"][0]["outcomes"][-1]["faults"][0])


def breaches(start: Start) -> list[Breach]:
    """Return ten ways to break one plugin's contract, the last of which its cards find."""
    facts = {"kind": start.kind, "name": start.name, "package": start.package}
    assert start.lie is not None
    file, before, after = start.lie
    return [
        *(Breach(*(part.format_map(facts) for part in each)) for each in BREACHES),
        Breach("a lie", f"{start.package}/{file}", before, after, f"fails card {start.card}", ""),
    ]


def copy_with(newcomer: Newcomer, start: Start, breach: Breach) -> Path:
    """Return a copy of the source that breaks the contract."""
    folder = newcomer.folder / "broken" / start.name / breach.name.replace(" ", "-")
    shutil.copytree(start.folder(newcomer), folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / breach.file
    text = path.read_text()
    assert breach.before in text, (path, breach.before)
    cut = text.partition(breach.before)[0]
    path.write_text(text.replace(breach.before, breach.after) if breach.after else cut)
    return folder


@pytest.fixture(scope="module")
def refusals(newcomer: Newcomer) -> dict[str, list[Refusal]]:
    """Return what the check says of ten broken copies of each plugin."""
    planted = [(start, breach) for start in ONE_OF_EACH_KIND for breach in breaches(start)]
    check = ["plugins", "check", ".", "--quick", "--json"]
    said = newcomer.tallyio([(copy_with(newcomer, *each), check) for each in planted], at_once=AT_ONCE)
    found: dict[str, list[Refusal]] = {start.name: [] for start in ONE_OF_EACH_KIND}
    for (start, breach), each in zip(planted, said, strict=True):
        found[start.name].append(Refusal(breach, each))
    return found


@pytest.mark.parametrize("start", ONE_OF_EACH_KIND, ids=lambda start: start.name)
def test_ten_breaches_are_refused_in_ten_helpful_ways(
    refusals: dict[str, list[Refusal]], start: Start
) -> None:
    for refusal in refusals[start.name]:
        assert refusal.said.code == 3, refusal
        assert refusal.breach.fault in refusal.fault["message"], refusal
        assert refusal.breach.way_out in refusal.fault["way_out"], refusal
        assert refusal.fault["message"].startswith("plugin "), refusal
        assert refusal.fault["way_out"], refusal
    assert len({refusal.fault["message"] for refusal in refusals[start.name]}) == 10


def test_the_tutorial_shows_what_is_printed(newcomer: Newcomer, refusals: dict[str, list[Refusal]]) -> None:
    start = next(each for each in STARTS if each.name == "constant_sum")
    sound, broken = (each for each in steps(TUTORIAL) if each.command == "tallyio plugins check . --quick")
    printed = newcomer.run(*sound.command.split(), cwd=start.folder(newcomer))
    assert agrees(sound.shown, printed), printed
    fault = refusals[start.name][-1].fault
    shown = [line for line in broken.shown.splitlines() if line.startswith("  ")]
    assert agrees("\n".join(shown), f"  {fault['message']}\n  way out: {fault['way_out']}"), fault


def test_a_promise_that_is_not_kept_is_told_with_its_figures(newcomer: Newcomer) -> None:
    start = next(each for each in STARTS if each.name == "json_lines")
    contract = f"{start.package}/contract.toml"
    promise = Breach("promise", contract, "max_ratio = 5.0", "max_ratio = 0.01", "", "")
    broken = copy_with(newcomer, start, promise)
    (said,) = newcomer.tallyio([(broken, ["plugins", "check", ".", "--quick", "--json"])])
    assert said.code == 1, said
    (plugin,) = said.json["plugins"]
    assert [each["step"] for each in plugin["outcomes"]] == ["contract", "hooks", "cards", "bench"]
    (fault,) = plugin["outcomes"][-1]["faults"]
    assert "breaks its promise json_lines.encode: it takes" in fault["message"]
    assert "at most 0.01 is promised" in fault["message"]
    assert "make it faster, or promise" in fault["way_out"]
