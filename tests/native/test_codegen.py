"""A compiled function has two forms, and the one that is not asked for is not made."""

# mypy: disable-error-code="no-untyped-call,attr-defined"

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tallyio.native import cache
from tallyio.native.jit import HotFunction, check_compiles, entry, hot
from tallyio.native.u256 import muldiv, u256


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYIO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_of_modules", {})


def kept(folder: Path) -> tuple[int, int]:
    """Return of how many functions linkable code and machine code is kept."""
    names = [file.name for file in folder.rglob("*.nbc")]
    with_machine_code = sum(name.startswith("code-") for name in names)
    return len(names) - with_machine_code, with_machine_code


def test_machine_code_is_made_only_of_what_python_calls(tmp_path: Path) -> None:
    @hot("int64(int64)")
    def part(x: int) -> int:
        return x * 3

    @hot("int64(int64)")
    def whole(x: int) -> int:
        return part(x) + 1

    assert whole(9) == 28
    assert kept(tmp_path) == (2, 1)
    assert part(6) == 18
    assert kept(tmp_path) == (2, 2)


def test_checking_that_a_function_compiles_makes_no_machine_code(tmp_path: Path) -> None:
    @hot("int64(int64)")
    def plain(x: int) -> int:
        return x + 1

    check_compiles(plain)
    assert kept(tmp_path) == (1, 0)
    assert entry(plain)(1) == 2


def test_machine_code_is_made_of_linkable_code_that_was_kept(tmp_path: Path) -> None:
    def seven_times(x: int) -> int:
        return muldiv(x, u256(7), u256(1))

    check_compiles(hot("u256(u256)")(seven_times))
    before = kept(tmp_path)
    assert hot("u256(u256)")(seven_times)(6) == 42
    assert kept(tmp_path) == (before[0], 1)


def test_what_is_too_large_to_be_inlined_is_optimised_once_for_all_its_callers() -> None:
    @hot("u256(u256)")
    def double(x: int) -> int:
        return muldiv(x, u256(2), u256(1))

    shared = muldiv.linkable().library.parts
    large = next(reversed(shared))
    assert not shared[large].may_be_inlined
    *called, own = double.linkable().library.parts.values()
    assert shared[large] in called
    assert own.calls == (large,)
    assert double(2**255 - 1) == 2**256 - 2


def test_what_is_small_or_always_inlined_leaves_no_call() -> None:
    @hot("int64(int64)")
    def small(x: int) -> int:
        return x + 1

    @hot("u256(u256, u256)", inline=True)
    def always(x: int, y: int) -> int:
        return muldiv(x, y, y) + muldiv(y, x, x) + muldiv(x, x, x) + muldiv(y, y, y)

    @hot("u256(u256, int64)")
    def caller(x: int, y: int) -> int:
        return always(x, u256(small(y)))

    (own,) = [part for part in caller.linkable().library.parts.values() if "caller" in part.symbol]
    assert all("small" not in symbol and "always" not in symbol for symbol in own.calls)
    assert caller(5, 2) == 2 * 5 + 2 * 3


def late(factor: int) -> HotFunction[[int], int]:
    @hot("int64(int64)", late=True)
    def scaled(x: int) -> int:
        return x * factor

    return scaled


def on_two_late_ones(factor: int) -> HotFunction[[int], int]:
    """Return a function on one late function that is on another one."""
    scaled = late(factor)

    @hot("int64(int64)", late=True)
    def more(x: int) -> int:
        return scaled(x) + 1

    @hot("int64(int64)")
    def top(x: int) -> int:
        return more(x) + scaled(x)

    return top


def test_a_caller_holds_the_name_of_a_late_function_and_nothing_of_it() -> None:
    top = on_two_late_ones(3)
    parts = list(top.linkable().library.parts.values())
    assert [part.is_late for part in parts] == [True, True, False]
    assert set(parts[-1].calls) == {part.symbol for part in parts[:-1]}
    assert top(10) == 61


def test_each_caller_calls_the_late_function_that_was_there_when_it_was_declared() -> None:
    first, second = on_two_late_ones(3), on_two_late_ones(5)
    third = on_two_late_ones(7)
    assert (second(10), third(10), first(10)) == (101, 141, 61)


def test_a_late_function_is_called_from_python_as_any_other() -> None:
    one, other = late(2), late(9)
    assert (one(10), other(10), one(10)) == (20, 90, 20)


def times(factor: int) -> HotFunction[[int], int]:
    @hot("int64(int64)")
    def product(x: int) -> int:
        return x * factor

    return product


def repeated(step: HotFunction[[int], int]) -> HotFunction[[int, int], int]:
    @hot("int64(int64, int64)")
    def power(x: int, times: int) -> int:
        return x if times == 0 else power(step(x), times - 1)

    return power


def hits(function: HotFunction[..., object]) -> int:
    return sum(function.stats.cache_hits.values())


def test_a_function_never_gets_what_was_kept_of_another_one(tmp_path: Path) -> None:
    """The index may name the wrong file: others write, too, and what it names may never have been written."""
    assert (times(3)(10), times(5)(10)) == (30, 50)
    for first in tmp_path.rglob("*product*.1.nbc"):
        second = first.with_name(first.name.replace(".1.nbc", ".2.nbc"))
        kept_first, kept_second = first.read_bytes(), second.read_bytes()
        first.write_bytes(kept_second)
        second.write_bytes(kept_first)
    third, fifth = times(3), times(5)
    assert (third(10), fifth(10)) == (30, 50)
    assert (hits(third), hits(fifth)) == (0, 0)
    again = times(3)
    assert (again(10), hits(again)) == (30, 1)


def test_functions_on_one_line_are_kept_apart() -> None:
    one, two = (hot("int64(int64)")(lambda x: x + 1), hot("int64(int64)")(lambda x: x + 2))
    assert (one(0), two(0)) == (1, 2)


def test_a_function_that_was_handed_another_one_is_kept_with_it() -> None:
    assert repeated(times(3))(2, 2) == 18
    again, other = repeated(times(3)), repeated(times(5))
    assert (again(2, 2), hits(again)) == (18, 1)
    assert (other(2, 2), hits(other)) == (50, 0)


FACTORY = """
    import sys
    from tallyio.native.jit import hot

    def times(factor):
        @hot("int64(int64)")
        def product(x):
            return x * factor
        return product

    def total(first, second):
        @hot("int64(int64)")
        def both(x):
            return first(x) + second(x)
        return both

    made = [times(int(word)) for word in sys.argv[1:]]
    print(*[each(10) for each in made], total(*made)(10) if len(made) == 2 else "")
"""


def test_functions_of_one_name_that_other_processes_compiled_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "factory.py").write_text(dedent(FACTORY))

    def run(*factors: int) -> list[int]:
        command = [sys.executable, "factory.py", *map(str, factors)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return [int(word) for word in done.stdout.split()]

    assert run(3) == [30]
    # What is compiled here and what was kept there were each the first function of their process.
    assert run(5, 3) == [50, 30, 80]
