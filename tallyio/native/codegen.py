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
import secrets
from typing import Any, Final

import llvmlite.binding as llvm
from numba.core.bytecode import FunctionIdentity
from numba.core.codegen import CPUCodeLibrary, JITCodeLibrary
from numba.core.compiler import Compiler, CompileResult, compile_result

from tallyio.native.cache import CacheFiles, DiskCache

_MERGED: Final = "linkonce_odr"
"""The linkage of what several modules define equally: linked once, and dropped where nothing uses it."""

_ENVIRONMENT: Final = "_ZN08NumbaEnv"

# numba numbers functions from 1 in every process and names their symbols by module, name and number.
# Machine code that was kept has the names of the process that made it: two versions of a function, made by
# two processes and loaded by a third, would share one, and a call could end in the other's code. Counting
# from a random place gives every function a name of its own.
FunctionIdentity._unique_ids = itertools.count(secrets.randbits(48))  # noqa: SLF001 - numba has no other place


class Linkable(CPUCodeLibrary):
    """A function as LLVM's bitcode, optimised together with all that it calls."""

    def finalize(self) -> None:
        """Link what it calls and optimise; numba asks for it before the first caller links it."""
        # A place for each Python object that a function needs: hot ones need none, so that all of them
        # go, instead of coming along with every function into every caller.
        for variable in self._final_module.global_variables:
            if variable.name.startswith(_ENVIRONMENT):
                variable.linkage = _MERGED
        super().finalize()

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._take(self._final_module)

    def _take(self, module: Any) -> None:
        for function in module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.external:
                function.linkage = _MERGED
        self._final_module = self._shared_module = module
        self._finalized = True

    def bitcode(self) -> bytes:
        """Return what `of_bitcode` takes."""
        return bytes(self._final_module.as_bitcode())

    @classmethod
    def of_bitcode(cls, codegen: Any, name: str, bitcode: bytes) -> Linkable:
        """Return what `bitcode` was kept of."""
        made = cls(codegen, name)
        made._take(llvm.parse_bitcode(bitcode))
        return made


class MachineCode(JITCodeLibrary):
    """A function for Python to call: its machine code and the wrapper that converts."""

    def __init__(self, codegen: Any, name: str, body: Linkable | None = None, entries: tuple[str, ...] = ()) -> None:
        super().__init__(codegen, name)
        self._body, self._entries = body, entries
        self.enable_object_caching()

    def _finalize_final_module(self) -> None:
        # What was added before this is the wrapper, and is optimised; so is the body.
        if self._body is not None:
            self._final_module.link_in(self._body._get_module_for_linking(), preserve=True)  # noqa: SLF001 - as numba
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
        return cres.library.name, cres.library.bitcode(), *_facts(cres)

    def rebuild(self, target_context: Any, payload: Any) -> CompileResult:
        """Return what was kept."""
        name, bitcode, *facts = payload
        library = Linkable.of_bitcode(target_context.codegen(), name, bitcode)
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
