"""The two forms of a compiled function: what callers link in, and machine code that Python calls.

Layer: native. numba makes machine code and a wrapper for Python of every function that it compiles, and
optimises all that a function calls once more for every function above it. Here six of seven functions are
called by compiled ones alone, and most are too large to be inlined. So a function is optimised once, to
`Linkable` code, and the first call from Python makes `MachineCode` of it and what it calls. Nobody else can
call the parts there, so LLVM inlines what has one caller, and drops what is passed in vain: optimising the
whole once more takes a tenth of the time of a compilation, and makes kernels faster. The wrapper stays apart:
it calls the function and never inlines it.

A *late* function is left out of linkable code: what calls it holds its name, and is the same whatever stands
behind the name. Machine code is made with the function that has the name by then.
"""

# mypy: disable-error-code="no-untyped-call,misc"
from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, Self

import llvmlite.binding as llvm
from numba.core.bytecode import FunctionIdentity
from numba.core.codegen import CPUCodeLibrary, JITCodeLibrary
from numba.core.compiler import CompilerBase, compile_result

from tallyio.native.cache import CacheFiles, DiskCache, WholeLocator
from tallyio.native.passes import pipeline

Compiled = Any
"""numba's `CompileResult`, whose fields its types leave out."""

_MERGED: Final = llvm.Linkage.linkonce_odr
"""The linkage of what several modules define equally: linked once, and dropped where nothing uses it."""

_LARGEST_INLINED: Final = 200
"""In LLVM instructions. LLVM inlines what costs up to 250, at five and more an instruction; a body four times
as large is left where constant arguments may fold most of it away."""

_ENVIRONMENT: Final = "_ZN08NumbaEnv"
_ATTRIBUTES: Final = re.compile(r"attributes (#\d+) = \{(.*)\}")
_GROUP: Final = re.compile(r"#\d+\b")

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
    """As text, with all that LLVM found out about it, such as which memory it writes."""

    @classmethod
    def late(cls, symbol: str) -> Self:
        """Return what stands for a late function among the parts of its callers."""
        return cls(symbol, calls=(), may_be_inlined=False, bitcode=b"", declaration="")

    @property
    def is_late(self) -> bool:
        """Whether it only stands for a function."""
        return not self.bitcode


class Linkable(CPUCodeLibrary):
    """A function and all that it calls, as LLVM's bitcode."""

    parts: dict[str, Part]
    """By symbol, what is called before who calls it; the last is the function itself."""
    late: str = ""
    """What callers know it by, if it is late."""

    def offered(self) -> dict[str, Part]:
        """Return what becomes part of a caller."""
        return {self.late: Part.late(self.late)} if self.late else self.parts

    def finalize(self) -> None:
        """Optimise this function."""
        called = self._link()
        own = self._final_module
        # Loops are left as they are until the whole is known. numba would do all of this twice, for the sake
        # of counts of references, which hot code has none of.
        self._optimize(own, loop_vectorize=False)
        own.verify()
        self._finalize_dynamic_globals()
        (function,) = filter(_is_entry, own.functions)
        declaration, function.linkage = _declaration(own, function.name), _MERGED
        calls = _declared(own, called)
        self.parts = {name: called[name] for name in _reached(called, calls)}
        self.parts[function.name] = Part(
            function.name, calls, _may_be_inlined(function), own.as_bitcode(), declaration
        )
        self._finalized = True

    def _link(self) -> dict[str, Part]:
        """Let the optimiser see what this function calls; return all that is called, directly or not."""
        own, called = self._final_module, dict[str, Part]()
        for library in dict.fromkeys(self._linking_libraries):
            if isinstance(library, Linkable):
                called.update(library.offered())
            else:  # numba's own
                own.link_in(library._get_module_for_linking(), preserve=True)  # noqa: SLF001 - as numba
        direct = _declared(own, called)
        small = {name: part for name, part in called.items() if part.may_be_inlined}
        bodies = _reached(small, direct)
        # First what LLVM knows about the others: numba declares them again, and the first declaration stays.
        module = self._empty(called[name].declaration for name in direct if name not in bodies)
        for name in bodies:
            body = llvm.parse_bitcode(called[name].bitcode)
            # Or the linker leaves it out, as nobody calls it yet.
            body.get_function(name).linkage = llvm.Linkage.external
            module.link_in(body)
        module.link_in(own)
        for name in bodies:
            module.get_function(name).linkage = llvm.Linkage.available_externally
        # A place for each Python object that a function needs: hot ones need none, so that all of them
        # go, instead of coming along with every function into every caller.
        for variable in module.global_variables:
            if variable.name.startswith(_ENVIRONMENT):
                variable.linkage = _MERGED
        self._final_module = module
        return called

    def _optimize_functions(self, ll_module: Any) -> None:
        # numba runs over each function alone, so that it has less to keep; `finalize` runs the same passes,
        # and more, over all of them.
        ll_module.data_layout = self._codegen._data_layout  # noqa: SLF001 - as numba

    def merged(self, late: Callable[[str], Self]) -> Any:
        """Return a module of this function and all that it calls, optimised as a whole.

        `late` returns the function that has the name of a late one.
        """
        module = self._empty()
        # Callers first: the linker takes only what is called by then, and drops what was inlined everywhere.
        for place, (name, part) in enumerate(reversed(self.resolved(late).items())):
            body = llvm.parse_bitcode(part.bitcode)
            function = body.get_function(part.symbol)
            function.name = name
            if place == 0:
                function.linkage = llvm.Linkage.external
            module.link_in(body)
        for function in module.functions:
            if not function.is_declaration and function.linkage is not llvm.Linkage.external:
                function.linkage = llvm.Linkage.internal
        self._optimize(module)
        return module

    def resolved(self, late: Callable[[str], Self]) -> dict[str, Part]:
        """Return the parts by the names that they are called by, late ones filled in; the order stays."""
        parts: dict[str, Part] = {}
        for part in self.parts.values():
            if part.is_late:
                *called, (_, own) = late(part.symbol).resolved(late).items()
                for name, each in [*called, (part.symbol, own)]:
                    parts.setdefault(name, each)
            else:
                parts.setdefault(part.symbol, part)
        return parts

    def _optimize(self, module: Any, **options: bool) -> None:
        passes, builder = self._codegen._module_pass_manager(**options)  # noqa: SLF001 - as numba
        passes.run(module, builder)

    def _empty(self, declarations: Iterable[str] = ()) -> Any:
        head = str(self._codegen._create_empty_module(self.name))  # noqa: SLF001 - as numba
        return llvm.parse_assembly("\n".join([head, *declarations]))

    @classmethod
    def of_parts(cls, codegen: Any, name: str, parts: Iterable[Part]) -> Self:
        """Return what `parts` were kept of."""
        made = cls(codegen, name)
        made.parts = {part.symbol: part for part in parts}
        made._finalized = True
        return made


def _reached(parts: Mapping[str, Part], start: Iterable[str]) -> list[str]:
    """Return which of `parts` are called from `start`, itself included, in the order of `parts`."""
    reached, todo = set[str](), list(start)
    while todo:
        name = todo.pop()
        if name in parts and name not in reached:
            reached.add(name)
            todo += parts[name].calls
    return [name for name in parts if name in reached]


def _declared(module: Any, parts: Mapping[str, Part]) -> tuple[str, ...]:
    """Return which of `parts` a module calls."""
    return tuple(each.name for each in module.functions if each.is_declaration and each.name in parts)


def _is_entry(function: Any) -> bool:
    return not function.is_declaration and function.linkage is llvm.Linkage.external


def _may_be_inlined(body: Any) -> bool:
    if any(b"alwaysinline" in each for each in body.attributes):
        return True
    return sum(1 for block in body.blocks for _ in block.instructions) <= _LARGEST_INLINED


def _declaration(module: Any, symbol: str) -> str:
    """Return the declaration of what `module` defines as `symbol`, with its attributes written out."""
    lines = str(module).splitlines()
    (head,) = [line for line in lines if line.startswith("define ") and f"@{symbol}(" in line]
    groups = {found[1]: found[2] for line in lines if (found := _ATTRIBUTES.match(line))}
    return _GROUP.sub(lambda group: groups[group[0]], head).replace("define", "declare", 1).removesuffix("{")


class MachineCode(JITCodeLibrary):
    """A function for Python to call: its machine code and the wrapper that converts."""

    def __init__(self, codegen: Any, name: str) -> None:
        super().__init__(codegen, name)
        self._body: Any = None
        self._entries: tuple[str, ...] = ()
        self.enable_object_caching()

    def set_body(self, body: Any, entries: tuple[str, ...]) -> None:
        """Give it the module `body`, which is optimised; others find what is called `entries`."""
        self._body, self._entries = body, entries

    def _finalize_final_module(self) -> None:
        # What was added before is the wrapper, by now optimised too.
        if self._body is not None:
            self._final_module.link_in(self._body)
            self._body = None
            for function in self._final_module.functions:
                if not function.is_declaration:
                    is_entry = function.name in self._entries
                    function.linkage = llvm.Linkage.external if is_entry else llvm.Linkage.internal
            self._final_module.verify()
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
    def of_object(cls, codegen: Any, name: str, code: bytes) -> Self:
        """Return what the object file `code` was kept of."""
        made = cls(codegen, name)
        made._set_compiled_object(code)
        made._finalize_final_module()  # there is nothing to optimise
        return made


class ToLinkable(CompilerBase):
    """numba's compiler, up to linkable code."""

    def compile_extra(self, func: Any) -> Compiled:
        """Compile `func`; what stands for the result among its callers is its `entry_point`."""
        self.state.flags.no_compile = True
        self.state.library = Linkable(self.state.targetctx.codegen(), func.__qualname__)
        result = super().compile_extra(func)
        result.library.finalize()
        return result._replace(entry_point=object(), referenced_envs=_environments(result))

    def define_pipelines(self) -> list[Any]:
        """Return what numba runs."""
        return [pipeline()]


def _environments(result: Compiled) -> list[Any]:
    environments: list[Any] = result._find_referenced_environments()  # noqa: SLF001 - as numba
    return environments


def machine_code_of(linkable: Compiled, body: Any, *, release_gil: bool) -> Compiled:
    """Make machine code of linkable code, `body` being all of it; its `entry_point` is a Python callable."""
    context, described = linkable.target_context, linkable.fndesc
    context.refresh()  # the wrapper converts all types
    entries = (described.llvm_func_name, described.llvm_cpython_wrapper_name)
    library = MachineCode(context.codegen(), described.qualname)
    library.set_body(body, entries)
    with context.push_code_library(library):
        context.create_cpython_wrapper(
            library, described, linkable.environment, call_helper=None, release_gil=release_gil
        )
    return _executable(linkable, library)


def _executable(result: Compiled, library: MachineCode) -> Compiled:
    entry = result.target_context.get_executable(library, result.fndesc, result.environment)
    for environment in result.referenced_envs:
        library.codegen.set_env(environment.env_name, environment)
    return result._replace(entry_point=entry, library=library)


class _LinkableFiles(CacheFiles):
    """Linkable code in files."""

    def reduce(self, cres: Compiled) -> Any:
        """Return what is kept."""
        return cres.library.name, tuple(cres.library.parts.values()), *_facts(cres)

    def rebuild(self, target_context: Any, payload: Any) -> Compiled:
        """Return what was kept."""
        name, parts, *facts = payload
        library = Linkable.of_parts(target_context.codegen(), name, parts)
        return _result(target_context, library, *facts)._replace(entry_point=object())


class _MachineCodeFiles(CacheFiles):
    """Machine code in files."""

    _locator_classes = [WholeLocator]  # noqa: RUF012 - a list to numba
    _prefix = "code-"

    def reduce(self, cres: Compiled) -> Any:
        """Return what is kept."""
        return cres.library.name, cres.library.object_file(), *_facts(cres)

    def rebuild(self, target_context: Any, payload: Any) -> Compiled:
        """Return what was kept, ready to be called."""
        name, code, *facts = payload
        library = MachineCode.of_object(target_context.codegen(), name, code)
        return _executable(_result(target_context, library, *facts), library)


def _facts(result: Compiled) -> tuple[Any, ...]:
    described = result.fndesc
    described.typemap = described.calltypes = None  # as numba: they may not be picklable
    return described, result.environment, result.signature, tuple(result.referenced_envs)


def _result(context: Any, library: Any, *facts: Any) -> Compiled:
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
    _of = "_code_cache"
