"""Hot functions have one signature, are compiled late, and come back from the cache."""

# mypy: disable-error-code="no-untyped-call,attr-defined"

import errno
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent

import pytest
from numba.core.errors import TypingError
from numba.core.serialize import dumps, loads

from tallyio.native import cache
from tallyio.native.atomics import load_acquire, store_release
from tallyio.native.jit import (
    HotFunction,
    SignatureError,
    entry,
    hot,
    is_hot,
    signature_of,
    warm,
    warm_all,
)
from tallyio.native.memory import Region
from tallyio.native.u256 import u256


@hot("int64(int64, uint64)")
def add(a: int, b: int) -> int:
    return a + 1 if b > 0 else a


@hot("int64(uint64)")
def add_from_hot(x: int) -> int:
    return add(3, 4) + add(x, 0) + add(b=1, a=2)  # literals, an unsigned for a signed, by name


@hot("Tuple(int64, int64, uint64, uint64)(int64, int64, uint64, uint64)")
def divide(a: int, b: int, c: int, d: int) -> tuple[int, int, int, int]:
    return a // b, a % b, c // d, c % d


@hot("u256(u256, int64)")
def descend(x: int, depth: int) -> int:
    return x if depth == 0 else descend(x, depth - 1)


@hot("boolean(int64, int64)")
def wait_for(address: int, rounds: int) -> bool:
    store_release(address, 1, 1)
    while rounds > 0 and load_acquire(address, 0) == 0:
        rounds -= 1
    return rounds > 0


@hot("boolean(int64, int64)", brief=True)
def wait_briefly_for(address: int, rounds: int) -> bool:
    while rounds > 0 and load_acquire(address, 0) == 0:
        rounds -= 1
    return rounds > 0


def add_one(x: int) -> int:
    return x + 1


def forms(function: HotFunction[..., object]) -> set[str]:
    """Return the signatures of all code: linkable, and of machine code, which may be kept alone."""
    code = [] if function._code is None else [function._code]
    return {str(result.signature) for result in (*function.overloads.values(), *code)}


def test_declaring_compiles_nothing_and_the_first_call_compiles_the_declared_signature() -> None:
    @hot("float64(int64)")
    def half(x: int) -> float:
        return x / 2

    assert forms(half) == set()
    assert half(3) == 1.5
    assert forms(half) == {"(int64,) -> float64"}


def test_no_other_specialisation_is_ever_made() -> None:
    assert add(1, 2) == 2
    assert add_from_hot(7) == 4 + 7 + 3
    assert forms(add) == {"(int64, uint64) -> int64"}
    assert forms(add_from_hot) == {"(uint64,) -> int64"}


def test_asking_for_other_types_gives_the_declared_ones() -> None:
    add.compile("float64(float64, float64)")
    assert forms(add) == {"(int64, uint64) -> int64"}


def test_a_hot_function_may_call_itself() -> None:
    assert descend(2**255, 5) == 2**255


def test_a_call_of_itself_with_wrong_types_is_refused() -> None:
    @hot("u256(u256, int64)")
    def confused(x: int, depth: int) -> int:
        return x if depth == 0 else confused(depth, depth)

    with pytest.raises(TypingError, match="calls itself with other types"):
        warm(confused)


def test_a_float_for_an_integer_is_refused_in_compiled_code() -> None:
    @hot("int64(int64, uint64)")
    def mixed(a: int, b: int) -> int:
        return add(min(a, b), b)  # signed with unsigned makes a float

    with pytest.raises(TypingError, match="argument 1 of add is float64, declared int64"):
        warm(mixed)


def test_a_plain_integer_for_a_wide_one_is_refused_in_compiled_code() -> None:
    @hot("u256()")
    def plain() -> int:
        return descend(5, 1)

    with pytest.raises(TypingError, match=r"argument 1 of descend is .*5.*, declared u256: convert"):
        warm(plain)


def test_python_integers_that_do_not_fit_raise() -> None:
    for wrong in (-1, 2**256):
        with pytest.raises(OverflowError):
            descend(wrong, 0)
    with pytest.raises(OverflowError):
        add(2**63, 0)
    with pytest.raises(TypeError):
        descend(1.5, 0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        add(1)  # type: ignore[call-arg]


def test_keywords_from_python_are_refused() -> None:
    with pytest.raises(TypeError, match="add takes no keywords"):
        add(1, b=2)


def test_plain_division_without_an_answer_gives_zero_and_goes_on() -> None:
    assert divide(-7, 2, 7, 2) == (-4, 1, 3, 1)
    assert divide(5, 0, 5, 0) == (0, 0, 0, 0)
    assert divide(-(2**63), -1, 0, 1) == (0, 0, 0, 0)


def test_an_entry_point_outlives_its_function() -> None:
    @hot("int64(int64)")
    def local(x: int) -> int:
        return x + 2

    point = entry(local)
    del local
    gc.collect()
    assert point(3) == 5


def test_an_entry_point_answers_like_the_function() -> None:
    point = entry(descend)
    assert point(2**256 - 1, 1) == descend(2**256 - 1, 1) == 2**256 - 1
    with pytest.raises(OverflowError):
        point(-1, 1)


def test_hot_functions_can_be_told_apart_and_say_their_signature() -> None:
    assert is_hot(add)
    assert not is_hot(add.py_func)
    assert signature_of(descend) == "u256(u256, int64)"
    assert add.py_func(1, 2) == 2


@pytest.mark.parametrize("inline", [True, False])
def test_an_inlined_function_answers_the_same(inline: bool) -> None:  # noqa: FBT001 - a parameter of the test
    @hot("u256(u256)", inline=inline)
    def triple(x: int) -> int:
        return x * u256(3)

    assert triple(2**255) == 3 * 2**255 % 2**256


def test_parameters_that_do_not_fit_the_signature_are_refused() -> None:
    with pytest.raises(SignatureError, match="declares 1 plain arguments"):
        hot("int64(int64)")(lambda a, b: a + b)
    with pytest.raises(SignatureError, match="plain arguments"):
        hot("int64(int64)")(lambda a=1: a)


def test_warming_reports_each_function() -> None:
    seen: list[tuple[int, int, str]] = []
    warm_all([add, descend], progress=lambda *step: seen.append(step))
    assert seen == [(1, 2, "add"), (2, 2, "descend")]


def test_a_waiting_hot_function_leaves_the_gil_to_others() -> None:
    warm(wait_for)
    with Region(64) as region:
        words = region.view("i8", 2)
        found: list[bool] = []
        lane = threading.Thread(target=lambda: found.append(wait_for(region.address, 1 << 40)))
        lane.start()
        while not words[1]:
            pass
        words[0] = 1
        lane.join()
        assert found == [True]


def test_a_brief_hot_function_keeps_the_gil() -> None:
    warm(wait_briefly_for)
    interval = sys.getswitchinterval()
    with Region(64) as region:
        words, go = region.view("i8", 2), threading.Event()

        def answer() -> None:
            go.wait()
            words[0] = 1

        other = threading.Thread(target=answer)
        other.start()
        sys.setswitchinterval(60)  # nobody takes the GIL from who holds it
        try:
            go.set()
            assert not wait_briefly_for(region.address, 10**7), "the other thread answered: it got the GIL"
        finally:
            sys.setswitchinterval(interval)
        other.join()
        assert words[0] == 1


def test_threads_may_meet_at_the_first_call() -> None:
    @hot("int64(int64)")
    def twice(x: int) -> int:
        return 2 * x

    answers: list[int] = []
    threads = [threading.Thread(target=lambda k=k: answers.append(twice(k))) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [0, 2, 4, 6]
    assert forms(twice) == {"(int64,) -> int64"}


def test_a_pickled_hot_function_keeps_its_signature() -> None:
    pickled = dumps(add)
    assert loads(pickled) is add
    del HotFunction._memo[add._uuid]
    HotFunction._recent.clear()
    copy = loads(pickled)
    assert copy is not add
    assert copy(1, 2) == 2
    assert signature_of(copy) == signature_of(add)


@pytest.mark.parametrize("damaged", ["*.nbc", "*.nbi"])
def test_a_damaged_cache_file_only_costs_a_compilation(
    damaged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLYIO_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "_of_modules", {})
    monkeypatch.setattr(cache, "_notes", [])
    warm(hot("int64(int64)")(add_one))
    for file in tmp_path.rglob(damaged):
        file.write_bytes(file.read_bytes()[:40])
    second, third = hot("int64(int64)")(add_one), hot("int64(int64)")(add_one)
    assert second(1) == 2
    assert "damaged" in cache.cache_note()
    assert third(1) == 2
    assert (sum(second.stats.cache_hits.values()), sum(third.stats.cache_hits.values())) == (0, 1)


def test_a_full_disk_only_costs_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("TALLYIO_CACHE", str(tmp_path))
    monkeypatch.setattr(cache, "_of_modules", {})
    monkeypatch.setattr(cache, "_faults", [])
    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", full)
    assert hot("int64(int64)")(add_one)(1) == 2
    assert "cannot write" in cache.cache_note()
    assert "No space left" in cache.cache_note()


CALLER = """
    from callee import price
    from tallyio.native.jit import hot
    from tallyio.native.u256 import const, muldiv
    Q96 = const(2**96)

    @hot("u256(u256)")
    def quote(x):
        return muldiv(price(x), Q96, Q96)

    print(quote(10), sum(quote.stats.cache_hits.values()), len(price.overloads))
"""
CALLEE = """
    from tallyio.native.jit import hot
    from tallyio.native.u256 import u256

    @hot("u256(u256)")
    def price(x):
        return x * u256({factor})
"""


def run_caller(folder: Path, factor: int) -> list[int]:
    (folder / "callee.py").write_text(dedent(CALLEE.format(factor=factor)))
    (folder / "caller.py").write_text(dedent(CALLER))
    environment = {**os.environ, "TALLYIO_CACHE": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "caller.py"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


def test_another_process_loads_from_the_cache_unless_a_source_elsewhere_changed(tmp_path: Path) -> None:
    assert run_caller(tmp_path, factor=3) == [30, 0, 1]
    # A hit, and its callee is neither compiled nor loaded: its code is inside.
    assert run_caller(tmp_path, factor=3) == [30, 1, 0]
    assert run_caller(tmp_path, factor=5) == [50, 0, 1]


def test_importing_the_package_does_not_import_numba() -> None:
    code = "import sys, tallyio.native; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
