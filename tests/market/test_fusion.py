"""Fusing plugins: what is refused, what is written, and that code is never stale."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Final

import pytest

from tallyio.market import generated
from tallyio.market.exports import Exported
from tallyio.market.fusion import PROTOCOL_EXPORTS, detectors_source, fuse, fused_source
from tallyio.market.generated import OutdatedFusionError
from tallyio.market.market import Market
from tallyio.model.errors import ConfigError, EnvironmentFault, PluginError
from tallyio.native.jit import check_compiles
from tests.market import toys

ROOT: Final = Path(__file__).parents[2]
AMOUNT: Final = 10**9

ALL = tuple(export.name for export in PROTOCOL_EXPORTS)


def refused(folder: Path, old: str, new: str) -> str:
    """Return the message that refuses the toy with `old` replaced by `new`."""
    assert old in toys.SOURCE
    module = toys.write_module(folder, toys.SOURCE.replace("{bonus}", "0").replace(old, new))
    with pytest.raises(PluginError) as caught:
        fuse([("mine", toys.Compiled(module))])
    assert caught.value.plugin == "mine"
    assert caught.value.way_out
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_function_is_refused_by_name(tmp_path: Path) -> None:
    assert "does not define" in refused(tmp_path, "def gas(", "def gasoline(")


def test_a_function_that_holds_the_interpreter_lock_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, "@hot(GAS_SIGNATURE)", "")
    assert "without @hot" in message
    assert "decorate it with @hot('int64(int64, int64, int64, u256)')" in message


def test_another_signature_is_refused_with_the_right_one(tmp_path: Path) -> None:
    message = refused(tmp_path, "@hot(GAS_SIGNATURE)", '@hot("float64(int64, int64, int64, u256)")')
    assert "as float64(int64, int64, int64, u256)" in message
    assert "it must be int64(int64, int64, int64, u256)" in message


def test_a_function_that_does_not_compile_is_refused_with_the_compilers_reason(tmp_path: Path) -> None:
    message = refused(tmp_path, "    return load(row, 5)", "    return load(row, missing)")
    assert "does not compile" in message
    assert "missing" in message


def test_a_module_that_does_not_import_is_refused_with_its_reason(tmp_path: Path) -> None:
    message = refused(tmp_path, "THOUSAND = const(1000)", "THOUSAND = const(1000)\nimport no_such_library")
    assert "No module named 'no_such_library'" in message


def test_a_module_that_is_not_there_is_refused() -> None:
    with pytest.raises(PluginError, match="there is no nowhere_at_all"):
        fuse([("mine", toys.Compiled("nowhere_at_all.hot"))])


def test_a_text_that_cannot_be_written_is_a_fault_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as on a full disk; nothing half-written is found there later."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(generated, "usable_directory", lambda _: tmp_path)
    with monkeypatch.context() as now:
        now.setattr(Path, "replace", full)
        with pytest.raises(
            EnvironmentFault, match=r"generated\.py cannot be written: No space left.*; set TALLYIO"
        ):
            generated.place("text")
    assert not list(tmp_path.iterdir())
    assert generated.place("text").read_text() == "text"


def test_the_generated_text_is_readable_and_complete() -> None:
    text = fused_source([Exported("first.hot", ALL), Exported("second.hot", ALL[:4])])
    compile(text, "fused", "exec")
    assert "from second.hot import quote as quote_1" in text
    assert "if key == 1:\n        return quote_1(load(pool, ROW), i, j, amount_in)" in text
    assert "from first.hot import quote as quote_0, curve as curve_0" in text
    assert "quote_exact_out_0(load(pool, ROW), i, j, amount_out)" in text
    assert "quote_exact_out_1" not in text
    compile(detectors_source([]), "detectors", "exec")


def test_two_protocols_answer_each_for_their_own_pools(tmp_path: Path) -> None:
    first, second = toys.toy(tmp_path), toys.toy(tmp_path, bonus=7)
    fused = fuse([("first", first), ("second", second)])
    row = toys.row(10**12, 10**12)
    held = [
        toys.holding(first, [toys.pool(0, 1, 2)], [row], "first"),
        toys.holding(second, [toys.pool(1, 1, 2)], [row], "second"),
    ]
    with Market(fused, held, toys.GENESIS) as market:
        plain = AMOUNT * 997 * 10**12 // (10**12 * 1000 + AMOUNT * 997)
        assert market.quote(0, 0, 1, AMOUNT) == plain
        assert market.quote(1, 0, 1, AMOUNT) == plain + 7


def test_what_is_built_on_a_fusion_never_meets_the_code_of_another(tmp_path: Path) -> None:
    """The same sources in other numbers and orders: kinds change their meaning."""
    first, second = toys.toy(tmp_path), toys.toy(tmp_path, bonus=7)
    row = toys.row(10**12, 10**12)
    for order in ((first, second), (second,), (second, first), (first, second, first)):
        fused = fuse([(compiled.module, compiled) for compiled in order])
        held = [
            toys.holding(compiled, [toys.pool(kind, 1, 2)], [row], compiled.module)
            for kind, compiled in enumerate(order)
        ]
        with Market(fused, held, toys.GENESIS) as market:
            changes = [toys.event_log(toys.pool(kind, 1, 2), 0, 10**9, 10**9) for kind in range(len(order))]
            market.apply(toys.block(toys.GENESIS, changes))
            assert not market.waiting
            quotes = [market.quote(kind, 0, 1, 1000) for kind in range(len(order))]
            assert quotes == [996 + (7 if compiled == second else 0) for compiled in order]


def test_a_market_goes_on_with_its_own_code_when_others_are_fused(tmp_path: Path) -> None:
    plain, generous = toys.toy(tmp_path), toys.toy(tmp_path, bonus=7)
    held = [toys.holding(plain, [toys.pool(0, 1, 2)], [toys.row(10**12, 10**12)], "plain")]
    fused = fuse([("plain", plain)])
    with Market(fused, held, toys.GENESIS) as market:
        fuse([("generous", generous)])
        market.refresh_prices()
        assert market.quote(0, 0, 1, 1000) == 996


def test_nothing_is_built_on_a_fusion_that_another_has_replaced(tmp_path: Path) -> None:
    plain, generous = toys.toy(tmp_path), toys.toy(tmp_path, bonus=7)
    fused = fuse([("plain", plain)])
    fuse([("generous", generous)])
    assert not fused.is_current()
    with pytest.raises(OutdatedFusionError, match=r"the fusion of plain is no longer .* a process for each"):
        fused.load("tallyio.market.routing")
    with pytest.raises(OutdatedFusionError):
        Market(fused, [toys.holding(plain, [], [], "plain")], toys.GENESIS)
    fuse([("plain", plain)])
    assert fused.is_current(), "an equal one has taken its place"
    assert fused.load("tallyio.market.routing")


def test_protocols_in_another_order_are_refused(tmp_path: Path) -> None:
    first = toys.toy(tmp_path)
    fused = fuse([("first", first)])
    with pytest.raises(PluginError, match="fuse the same protocols in the same order"):
        Market(fused, [toys.holding(first, [], [], "second")], toys.GENESIS)


def test_progress_is_reported_for_each_function(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    fuse([("mine", toys.toy(tmp_path))], progress=lambda *step: seen.append(step))
    assert seen[-1] == (6, 6, "mine.advance")


PROGRAM: Final = """
    from tests.market import toys
    from tallyio.market.fusion import fuse

    compiled = toys.Compiled("stranger.hot")
    fused = fuse([("stranger", compiled)])
    with toys.Market(
        fused,
        [toys.holding(compiled, [toys.pool(0, 1, 2)], [toys.row(10**12, 10**12)], "stranger")],
        toys.GENESIS,
    ) as market:
        print(market.quote(0, 0, 1, 1000))
"""


def in_fresh_process(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}:{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def test_an_edit_inside_a_strangers_package_is_never_answered_by_old_code(tmp_path: Path) -> None:
    """The edit is in a helper that the compiled module imports, which the compiler's own cache misses."""
    package = tmp_path / "stranger"
    package.mkdir()
    (package / "__init__.py").touch()
    source = toys.SOURCE.replace("BONUS = const({bonus})", "from stranger.helper import extra")
    (package / "hot.py").write_text(source.replace("+ BONUS", "+ extra()"))
    helper = "from tallyio.native.jit import hot\nfrom tallyio.native.u256 import const\nB = const({})\n"
    helper += '@hot("u256()")\ndef extra():\n    return B\n'
    answers = []
    for bonus in (5, 6, 5):
        (package / "helper.py").write_text(helper.replace("{}", str(bonus)))
        done = in_fresh_process(PROGRAM, tmp_path)
        assert done.returncode == 0, done.stderr
        answers.append(int(done.stdout))
    assert answers == [996 + 5, 996 + 6, 996 + 5]


def test_an_edit_is_seen_by_the_next_fusion_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a second, so that Python takes the bytecode of the earlier text for that of the later."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    name = toys.write_module(tmp_path, toys.SOURCE.replace("{bonus}", "1"))
    second = 1_700_000_000_000_000_000
    quotes = []
    for bonus in (1, 2):
        toys.write_module(tmp_path, toys.SOURCE.replace("{bonus}", str(bonus)), name)
        os.utime(tmp_path / f"{name}.py", ns=(second, second + bonus))
        quotes.append(quoted(toys.Compiled(name)))
        # What was compiled may have been found in the cache, where it is right.
        assert bonus == sys.modules[name].BONUS
    assert quotes == [997, 998]


def test_an_edit_of_what_is_not_compiled_itself_is_seen_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The constant comes through a module that stays as it is, into a package of its own."""
    package = tmp_path / "edited_constants"
    package.mkdir()
    (package / "__init__.py").touch()
    source = toys.SOURCE.replace("BONUS = const({bonus})", "from edited_constants.between import BONUS")
    (package / "hot.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    (package / "between.py").write_text("from edited_constants.plain import BONUS as BONUS\n")
    quotes = []
    for bonus in (1, 12):
        constant = f"from tallyio.native.u256 import const\nBONUS = const({bonus})\n"
        (package / "plain.py").write_text(constant)
        quotes.append(quoted(toys.Compiled("edited_constants.hot")))
    assert quotes == [997, 1008]


def quoted(compiled: toys.Compiled) -> int:
    with toys.market(
        fuse([("toy", compiled)]), compiled, [toys.pool(0, 1, 2)], [toys.row(10**12, 10**12)]
    ) as market:
        return market.quote(0, 0, 1, 1000)


@pytest.mark.parametrize("module", ["fused", "detectors"])
def test_importing_the_fused_functions_before_fusion_says_what_to_do(tmp_path: Path, module: str) -> None:
    done = in_fresh_process(f"import tallyio.market.{module}", tmp_path)
    assert done.returncode == 1
    assert f"tallyio.market.{module} does not exist before the enabled plugins are fused" in done.stderr
    assert ConfigError.__name__ in done.stderr


def test_what_is_built_on_a_fusion_is_compiled_once_for_all_of_them(tmp_path: Path) -> None:
    quotes = []
    for bonus in (3, 4):
        quotes.append(quoted(compiled := toys.toy(tmp_path, bonus=bonus)))
        loops = fuse([("toy", compiled)]).load("tallyio.market.quotes")
        check_compiles(loops.quote_amounts)
    assert quotes == [999, 1000]
    assert sum(loops.quote_amounts.stats.cache_hits.values()) == 1
    assert not loops.quote_amounts.stats.cache_misses


def test_a_fusion_keeps_its_functions_when_another_one_follows(tmp_path: Path) -> None:
    first, second = toys.toy(tmp_path), toys.toy(tmp_path, bonus=7)
    row = toys.row(10**12, 10**12)
    earlier = fuse([("first", first)])
    with Market(earlier, [toys.holding(first, [toys.pool(0, 1, 2)], [row], "first")], toys.GENESIS) as market:
        before = market.quote(0, 0, 1, 1000)
        fuse([("second", second)])
        assert market.quote(0, 0, 1, 1000) == before
