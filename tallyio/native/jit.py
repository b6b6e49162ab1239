"""`hot`: the one decorator of all compiled code.

Layer: native. A hot function has one declared signature and no other specialisation. Importing its
module costs nothing: it is compiled, or loaded from the cache on disk, when it is first called,
from Python or while a function that calls it is compiled, or when `warm` asks for it.

Rules for what is inside: int64 addresses instead of arrays, no Python object, no allocation, no
trap, and no function, `with` or `literal_unroll` (see `tallyio.native.passes`). Arguments are
converted to the declared types: between integers bit by bit, from integers to floats by value. What
would lose meaning in silence is a compile error instead: a float where an integer is declared, or a
plain integer where a wide one is (write `u256(x)`).

Integers: keep one signedness in an expression. numba makes an int64 of `uint64 + 1` and of any other
arithmetic of the two, so dividing or comparing what was 2**63 and more goes wrong, and a float64 of
`min(int64, uint64)` and where an int64 and a uint64 meet after a branch. `u64(x)`, `i64(x)` and
`const(value, 64)` of `tallyio.native.u256` keep them apart. Division by zero gives 0,
as does -2**63 // -1; neither traps.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from copy import copy
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeGuard, cast

import llvmlite.binding
from numba.core.caching import NullCache
from numba.core.compiler_lock import global_compiler_lock
from numba.core.errors import TypingError
from numba.core.event import trigger_event
from numba.core.registry import CPUDispatcher
from numba.core.sigutils import normalize_signature

from tallyio.native.cache import cache_note
from tallyio.native.codegen import Compiled, LinkableCache, MachineCodeCache, ToLinkable, machine_code_of
from tallyio.native.signature import SignatureError, conversion_fault, parse, render

__all__ = [
    "HotFunction",
    "SignatureError",
    "cache_note",
    "check_compiles",
    "entry",
    "hot",
    "is_hot",
    "own_functions",
    "signature_of",
    "warm",
    "warm_all",
]

# Inline assembly (division, pause) aborts the process unless LLVM's assembler is ready.
llvmlite.binding.initialize_native_asmparser()

_OPTIONS: Final = {
    "nopython": True,
    "error_model": "numpy",
    "boundscheck": False,
    "no_cfunc_wrapper": True,
    "no_cpython_wrapper": True,  # `machine_code_of` makes it of what Python calls
}


class HotFunction[**P, R](CPUDispatcher):
    """A compiled function of one declared signature; made by `hot`.

    `py_func` is the function as written; a call from Python checks the number of arguments and
    converts them. Threads may call and compile at the same time.
    """

    # Guarantees
    # - `overloads` holds nothing, or exactly the declared signature, as linkable code: every way in from
    #   compiled code ends in `compile`, which ignores the types that it is asked for.
    # - Nothing is compiled, read or written before the first use, and no machine code is made before the
    #   first use from Python.

    # numba's, which its types leave out
    _compiler: Any
    _cache_hits: Any
    _cache_misses: Any

    def __init__(self, py_func: Any, locals: Any = None, targetoptions: Any = None) -> None:  # noqa: A002 - numba's own names
        options = dict(targetoptions)
        self.declared = parse(options.pop("declared"))
        self.late = _late_name(py_func, self.declared) if options.pop("late") else ""
        super().__init__(py_func, locals, options, pipeline_class=ToLinkable)
        _check_parameters(py_func, self.declared)
        self._code: Any = None
        self._entry: Any = None
        self._code_cache: Any = NullCache()
        if Path(py_func.__code__.co_filename).is_file():  # not typed at a prompt
            self._cache = LinkableCache(py_func)
            self._code_cache = MachineCodeCache(py_func)
        if self.late:
            _late_functions[self.late] = self
        self._late_functions = _late_functions.copy()

    def compile(self, sig: Any = None) -> Any:  # noqa: ARG002 - only the declared signature exists
        """Compile or load the declared signature for compiled callers, whatever `sig` is."""
        return self.linkable().entry_point

    def linkable(self) -> Compiled:
        """Return the code that callers link in; compile or load it if need be."""
        with global_compiler_lock, self._compiling_counter:
            if not self.overloads:
                made = self._from(self._cache)
                if made is None:
                    with trigger_event("numba:compile", data={"dispatcher": self}):
                        made = self._compiler.compile(*normalize_signature(self.declared))
                    self._cache.save_overload(self.declared, made)
                made.library.late = self.late
                described = copy(made.fndesc)
                described.mangled_name = self.late or made.fndesc.mangled_name
                self.targetctx.insert_user_function(made.entry_point, described, [made.library])
                self.overloads[self.declared.args] = made
            return self.overloads[self.declared.args]

    def machine_code(self) -> Compiled:
        """Return the code that Python calls; make or load it if need be."""
        with global_compiler_lock:
            if self._code is None:
                made = self._from(self._code_cache)
                if made is None:
                    made = machine_code_of(
                        self.linkable(), self.merged(), release_gil=self.targetoptions["nogil"]
                    )
                    self._code_cache.save_overload(self.declared, made)
                self._code, self._entry = made, made.entry_point
            return self._code

    def merged(self) -> Any:
        """Return LLVM's module of this function and all that it calls, optimised as a whole."""
        return self.linkable().library.merged(lambda name: self._late_functions[name].linkable().library)

    def _from(self, kept: Any) -> Compiled | None:
        found = kept.load_overload(self.declared, self.targetctx)
        counter = self._cache_misses if found is None else self._cache_hits
        counter[self.declared] += 1
        return found

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Type a call from another compiled function."""
        if self.is_compiling:
            raise TypingError(f"{self.py_func.__name__} calls itself with other types than it declares")
        _, given = self.fold_argument_types(args, kws)
        if fault := conversion_fault(self.py_func.__name__, self.declared, given):
            raise TypingError(fault)
        return super().get_call_template(args, kws)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call from Python; wide integers go in and come out as `int`."""
        if kwargs:
            raise TypeError(f"{self.py_func.__name__} takes no keywords from Python")
        return cast("R", (self._entry or entry(self))(*args))

    def _reduce_states(self) -> dict[str, Any]:
        states = super()._reduce_states()  # type: ignore[misc]  # numba's types leave it out
        options = {**states["targetoptions"], "declared": render(self.declared), "late": bool(self.late)}
        return {**states, "targetoptions": options, "sigs": []}


_late_functions: Final[dict[str, HotFunction[..., Any]]] = {}
"""By the name that callers know it by, the last one that was declared."""


def hot[**P, R](
    signature: str, *, inline: bool = False, brief: bool = False, late: bool = False
) -> Callable[[Callable[P, R]], HotFunction[P, R]]:
    """Declare a compiled function of one signature, such as `"u256(int64, u256)"`.

    Types: int64, uint64, float64, boolean, void, u128, u256, u320, u512, u576, `UniTuple(x, n)` and
    `Tuple(...)`. With `inline` the body is always inlined into its callers; otherwise LLVM decides.
    A call from Python lets other threads run meanwhile; `brief` is for what ends within microseconds, so
    that letting go of the GIL and taking it again would be a quarter of the call.

    `late` is for what is generated: callers are compiled against its module, name and signature alone, and so
    need not be compiled anew for another body. Their machine code calls the one that was the last to be
    declared when the function that Python calls was declared.

    Annotate parameters and result with the types that Python sees: int, float, bool.

    Raises: SignatureError: for an unknown type, or if the parameters do not fit.
    """

    def declare(function: Callable[P, R]) -> HotFunction[P, R]:
        options = {**_OPTIONS, "nogil": not brief, "forceinline": inline, "declared": signature, "late": late}
        return HotFunction(function, targetoptions=options)

    return declare


def is_hot(function: object) -> TypeGuard[HotFunction[..., Any]]:
    """Return whether `function` was made by `hot`."""
    return isinstance(function, HotFunction)


def signature_of(function: HotFunction[..., Any]) -> str:
    """Return the declared signature; equal signatures have equal texts, whatever their spacing was."""
    return render(function.declared)


def entry[**P, R](function: HotFunction[P, R]) -> Callable[P, R]:
    """Return the machine code of `function` as a Python callable: the fastest way in.

    It skips everything that a call of `function` does, so it is *unchecked*: whatever converts is
    taken (a float is cut to an integer, text is read as a number), and an address is believed. Only
    a wrong number of arguments, or an integer that does not fit, raises. Bind it once, behind a
    typed Python function, and keep the memory that its addresses point to alive.
    """
    return cast("Callable[P, R]", function.machine_code().entry_point)


def warm(function: HotFunction[..., Any]) -> None:
    """Compile `function` now, or load it from the cache, so that its first call does not wait."""
    function.machine_code()


def check_compiles(function: HotFunction[..., Any]) -> None:
    """Compile `function` for compiled callers, or load it from the cache: what of it may fail, fails here."""
    function.linkable()


def warm_all(
    functions: Iterable[HotFunction[..., Any]], progress: Callable[[int, int, str], None] | None = None
) -> None:
    """Warm every function; `progress(done, total, name)` is called after each."""
    todo = list(functions)
    for done, function in enumerate(todo, 1):
        warm(function)
        if progress:
            progress(done, len(todo), function.py_func.__qualname__)


def own_functions(modules: Iterable[ModuleType]) -> list[HotFunction[..., Any]]:
    """Return what Python calls of compiled `modules`: the public functions that they define themselves."""
    return [
        value
        for module in modules
        for name, value in vars(module).items()
        if not name.startswith("_") and is_hot(value) and value.__module__ == module.__name__
    ]


def _late_name(function: Callable[..., Any], declared: Any) -> str:
    whole = f"{function.__module__}.{function.__qualname__} {render(declared)}"
    readable = re.sub(r"\W+", "_", whole)
    # As numba's names are made, so that it can derive others from it.
    return f"_ZN4late{len(readable)}{readable}E"


def _check_parameters(function: Callable[..., Any], declared: Any) -> None:
    parameters = inspect.signature(function).parameters.values()
    plain = all(p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in parameters)
    if not plain or len(parameters) != len(declared.args):
        raise SignatureError(
            f"{function.__qualname__} takes ({', '.join(map(str, parameters))}), "
            f"but {render(declared)!r} declares {len(declared.args)} plain arguments"
        )
