"""The two forms of a compiled function: what callers link in, and machine code that Python calls.

Layer: native. numba makes machine code and a wrapper for Python of every function that it compiles. Here
six of seven functions are called by compiled ones alone, which link the optimised function in and make
machine code of the whole: making it of each part as well was a third of a cold start. So a function is
compiled to `Linkable` code, and only the first call from Python makes `MachineCode` of it. The machine code
is the same as numba's: the wrapper never had the body inlined, so nothing is optimised across the two.
"""

# mypy: disable-error-code="no-untyped-call,misc"
from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import llvmlite.binding as llvm
from numba.core.bytecode import FunctionIdentity
from numba.core.codegen import CPUCodeLibrary, JITCodeLibrary
from numba.core.compiler import Compiler, CompileResult, compile_result

from tallyio.native.cache import CacheFiles, DiskCache

_MERGED: Final = "linkonce_odr"
"""The linkage of what several modules define equally: linked once, and dropped where nothing uses it."""

_ONLY_TO_INLINE: Final = "available_externally"
"""The linkage of what is defined elsewhere: LLVM may inline it, and drops it after that."""

import os
_LARGEST_INLINED: Final = int(os.environ.get("N", "10000000"))

_ENVIRONMENT: Final = "_ZN08NumbaEnv"

# numba numbers functions from 1 in every process and names their symbols by module, name and number.
# Machine code that was kept has the names of the process that made it: two versions of a function, made by
# two processes and loaded by a third, would share one, and a call could end in the other's code. Counting
# from a random place gives every function a name of its own.
FunctionIdentity._unique_ids = itertools.count(secrets.randbits(48))  # noqa: SLF001 - numba has no other place


class Part(NamedTuple):
    """One function's own code, optimised, with what was inlined into it."""

    symbol: str
    calls: tuple[str, ...]
    """The symbols of the other parts that it calls."""
    may_be_inlined: bool
    bitcode: bytes
    """A module that defines it."""
    declaration: str
    """As text, with all that LLVM found out about it, such as which memory it reads."""


class Linkable(CPUCodeLibrary):
    """A function and all that it calls, as LLVM's bitcode."""

    # numba links the bodies of all that a function calls, directly or not, and optimises the lot again for
    # every caller: what was inlined nowhere is optimised once for every function above it, to no effect.
    # Here a body is there to be inlined, unless it is too large for that, and is dropped afterwards.

    parts: dict[str, Part]
    """By symbol, what is called before who calls it; the last is the function itself."""

    def finalize(self) -> None:
        """Optimise this function; numba asks for it before the first caller links it."""
        called: dict[str, Part] = {}
        for library in dict.fromkeys(self._linking_libraries):
            if isinstance(library, Linkable):
                called.update(library.parts)
            else:  # numba's own
                self._final_module.link_in(library._get_module_for_linking(), preserve=True)  # noqa: SLF001 - as numba
        (symbol,) = [each.name for each in self._final_module.functions if each.linkage is llvm.Linkage.external and not each.is_declaration]
        self._surround(called)
        self._optimize_final_module()
        own = self._final_module
        own.verify()
        self._finalize_dynamic_globals()
        function = own.get_function(symbol)
        declaration, function.linkage = _declaration(own, symbol), _MERGED
        calls = _declared(own, called)
        self.parts = {each: called[each] for each in _reached(called, calls)}
        self.parts[symbol] = Part(symbol, calls, _may_be_inlined(function), own.as_bitcode(), declaration)
        self._finalized = True

    def _surround(self, called: dict[str, Part]) -> None:
        """Let the optimiser see what this function calls."""
        own = self._final_module
        direct = _declared(own, called)
        bodies = _reached({name: part for name, part in called.items() if part.may_be_inlined}, direct)
        self._final_module = self._empty([called[name].declaration for name in direct if name not in bodies])
        for name in bodies:
            body = llvm.parse_bitcode(called[name].bitcode)
            body.get_function(name).linkage = "external"  # or the linker leaves it out until somebody calls it
            self._final_module.link_in(body)
        self._final_module.link_in(own)  # last: the linker keeps the declarations that were there first
        for name in bodies:
            self._final_module.get_function(name).linkage = _ONLY_TO_INLINE
        # A place for each Python object that a function needs: hot ones need none, so that all of them
        # go, instead of coming along with every function into every caller.
        for variable in self._final_module.global_variables:
            if variable.name.startswith(_ENVIRONMENT):
                variable.linkage = _MERGED

    def merged(self) -> Any:
        """Return a module of this function and all that it calls."""
        module = self._empty()
        for part in reversed(self.parts.values()):
            body = llvm.parse_bitcode(part.bitcode)
            if not list(module.functions):
                body.get_function(part.symbol).linkage = "external"
            module.link_in(body)
        return module

    def _empty(self, declarations: Iterable[str] = ()) -> Any:
        head = str(self._codegen._create_empty_module(self.name))  # noqa: SLF001 - as numba
        return llvm.parse_assembly("\n".join([head, *declarations]))

    def _get_module_for_linking(self) -> Any:
        return self.merged()

    @classmethod
    def of_parts(cls, codegen: Any, name: str, parts: Iterable[Part]) -> Linkable:
        """Return what `parts` were kept of."""
        made = cls(codegen, name)
        made.parts = {part.symbol: part for part in parts}
        made._finalized = True
        return made


def _reached(parts: dict[str, Part], start: Iterable[str]) -> list[str]:
    """Return which of `parts` are called from `start`, itself included, in the order of `parts`."""
    reached, todo = set(), list(start)
    while todo:
        name = todo.pop()
        if name in parts and name not in reached:
            reached.add(name)
            todo += parts[name].calls
    return [name for name in parts if name in reached]


def _declared(module: Any, parts: dict[str, Part]) -> tuple[str, ...]:
    """Return which of `parts` a module calls."""
    return tuple(each.name for each in module.functions if each.is_declaration and each.name in parts)


def _declaration(module: Any, symbol: str) -> str:
    """Return the declaration of the function `symbol` of `module`, with its attributes."""
    lines = str(module).splitlines()
    (head,) = [line for line in lines if line.startswith("define ") and f"@{symbol}(" in line]
    groups = {line.split()[1]: line[line.index("{") + 1 : line.rindex("}")] for line in lines if line.startswith("attributes ")}
    written_out = re.sub(r"#\d+", lambda group: groups[group[0]], head)
    return written_out.replace("define", "declare", 1).removesuffix("{")


def _may_be_inlined(body: Any) -> bool:
    if any(b"alwaysinline" in each for each in body.attributes):
        return True
    return sum(1 for block in body.blocks for _ in block.instructions) <= _LARGEST_INLINED


class MachineCode(JITCodeLibrary):
    """A function for Python to call: its machine code and the wrapper that converts."""

    def __init__(self, codegen: Any, name: str, body: Linkable | None = None, entries: tuple[str, ...] = ()) -> None:
        super().__init__(codegen, name)
        self._body, self._entries = body, entries
        self.enable_object_caching()

    def _finalize_final_module(self) -> None:
        # What was added before this is the wrapper, and is optimised; so is the body.
        if self._body is not None:
            self._final_module.link_in(self._body.merged())
            for function in self._final_module.functions:
                if not function.is_declaration:
                    function.linkage = "external" if function.name in self._entries else "internal"
            self._final_module.verify()
            self._body = None
        super()._finalize_final_module()

    def get_pointer_to_function(self, name: str) -> int:
        """Return the address of what was compiled as `name`."""
        self._ensure_finalized()
        # numba looks first among the names of modules that were compiled in this process, and knows of no
        # others; this library does define its function.
        return int(self._codegen._engine.get_function_address(name))  # noqa: SLF001 - as numba

    def object_file(self) -> bytes:
        """Return what `of_object` takes."""
        return bytes(self._get_compiled_object())

    @classmethod
    def of_object(cls, codegen: Any, name: str, code: bytes) -> MachineCode:
        """Return what the object file `code` was kept of."""
        made = cls(codegen, name)
        made._set_compiled_object(code)
        made._finalize_final_module()  # there is nothing to optimise
        return made


class ToLinkable(Compiler):
    """numba's compiler, up to linkable code."""

    def compile_extra(self, func: Any) -> CompileResult:
        """Compile `func`; what stands for the result among its callers is its `entry_point`."""
        self.state.flags.no_compile = True
        self.state.library = Linkable(self.state.targetctx.codegen(), func.__qualname__)
        result = super().compile_extra(func)
        result.library.finalize()
        return result._replace(entry_point=object(), referenced_envs=result._find_referenced_environments())


def machine_code_of(linkable: CompileResult, *, release_gil: bool) -> CompileResult:
    """Make machine code of linkable code; its `entry_point` is a Python callable."""
    context, described = linkable.target_context, linkable.fndesc
    entries = (described.llvm_func_name, described.llvm_cpython_wrapper_name)
    library = MachineCode(context.codegen(), described.qualname, linkable.library, entries)
    with context.push_code_library(library):
        context.create_cpython_wrapper(
            library, described, linkable.environment, call_helper=None, release_gil=release_gil
        )
    return _executable(linkable, library)


def _executable(result: CompileResult, library: MachineCode) -> CompileResult:
    entry = result.target_context.get_executable(library, result.fndesc, result.environment)
    for environment in result.referenced_envs:
        library.codegen.set_env(environment.env_name, environment)
    return result._replace(entry_point=entry, library=library)


class _LinkableFiles(CacheFiles):
    """Linkable code in files."""

    def reduce(self, cres: CompileResult) -> Any:
        """Return what is kept."""
        return cres.library.name, tuple(cres.library.parts.values()), *_facts(cres)

    def rebuild(self, target_context: Any, payload: Any) -> CompileResult:
        """Return what was kept."""
        name, parts, *facts = payload
        library = Linkable.of_parts(target_context.codegen(), name, parts)
        return _result(target_context, library, *facts)._replace(entry_point=object())


class _MachineCodeFiles(CacheFiles):
    """Machine code in files."""

    _prefix = "code-"

    def reduce(self, cres: CompileResult) -> Any:
        """Return what is kept."""
        return cres.library.name, cres.library.object_file(), *_facts(cres)

    def rebuild(self, target_context: Any, payload: Any) -> CompileResult:
        """Return what was kept, ready to be called."""
        name, code, *facts = payload
        library = MachineCode.of_object(target_context.codegen(), name, code)
        return _executable(_result(target_context, library, *facts), library)


def _facts(result: CompileResult) -> tuple[Any, ...]:
    described = result.fndesc
    described.typemap = described.calltypes = None  # as numba: they may not be picklable
    return described, result.environment, result.signature, tuple(result.referenced_envs)


def _result(context: Any, library: Any, *facts: Any) -> CompileResult:
    described, environment, signature, referenced = facts
    return compile_result(
        typing_context=context.typing_context,
        target_context=context,
        library=library,
        fndesc=described,
        environment=environment,
        signature=signature,
        objectmode=False,
        lifted=(),
        reload_init=[],
        referenced_envs=referenced,
    )


class LinkableCache(DiskCache):
    """Linkable code of one function, kept."""

    _impl_class = _LinkableFiles


class MachineCodeCache(DiskCache):
    """Machine code of one function, kept."""

    _impl_class = _MachineCodeFiles
