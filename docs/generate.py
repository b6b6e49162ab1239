"""Write the parts of the documentation that come from code: `make docs`, or with `--check` only compare.

A page asks for a part between two comments, and keeps its own words around them:

    <!-- generated: settings tallyio.engine.config:RunTable -->
    <!-- end -->

The first word names a function of `PARTS`, the others are its arguments.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import json
import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any, Final
from unittest import mock

import msgspec

from docs.cards import author, cards
from docs.interfaces import attribute_docs, hooks, interfaces, module

ROOT: Final = Path(__file__).resolve().parents[1]
HELP_COLUMNS: Final = 96
_REGION: Final = re.compile(r"<!-- generated: (?P<ask>[^\n]*?) -->\n.*?<!-- end -->", re.DOTALL)

Rows = Iterable[Sequence[str]]


def pages() -> list[Path]:
    """Return every page that may hold generated parts."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def render(text: str) -> str:
    """Return the page `text` with its generated parts written anew."""

    def fill(region: re.Match[str]) -> str:
        name, *arguments = region["ask"].split()
        return f"<!-- generated: {region['ask']} -->\n\n{PARTS[name](*arguments)}\n\n<!-- end -->"

    return _REGION.sub(fill, text)


def stale() -> list[Path]:
    """Return the pages whose generated parts differ from what the code says now."""
    return [page for page in pages() if render(_read(page)) != _read(page)]


def main() -> int:
    """Write, or with `--check` list, the pages that are not up to date."""
    check = "--check" in sys.argv[1:]
    found = stale()
    for page in found:
        sys.stdout.write(f"{page.relative_to(ROOT)} {'is stale: run make docs' if check else 'written'}\n")
        if not check:
            page.write_text(render(_read(page)), encoding="utf-8")
    return int(check and bool(found))


# --- commands


def command(*words: str) -> str:
    """Return what a command does and its real help text."""
    said = _help(words)
    about = dedent(inspect.getdoc(_function(words)) or "").split("\nArgs:")[0].strip()
    return f"{about}\n\n```text\n{said}\n```"


def _help(words: Sequence[str]) -> str:
    from tallyio.cli import main as tallyio  # noqa: PLC0415 - only this part needs it

    output = io.StringIO()
    plain = {"COLUMNS": str(HELP_COLUMNS), "FORCE_COLOR": ""}
    with mock.patch.dict(os.environ, plain), contextlib.redirect_stdout(output):
        tallyio([*words, "--help"])
    return "\n".join(line.rstrip() for line in output.getvalue().strip().splitlines())


def _function(words: Sequence[str]) -> object:
    module = importlib.import_module(f"tallyio.cli.{words[0]}")
    name = words[-1]
    return getattr(module, name, None) or getattr(module, f"{name}_")


# --- records: settings, ABI, enumerations


def settings(place: str) -> str:
    """Return the keys of a configuration table as a table: key, type, default, meaning."""
    module, kind = _find(place)
    said = attribute_docs(module, kind.__name__)
    fields = msgspec.inspect.type_info(kind).fields  # type: ignore[attr-defined]  # a Struct's has fields
    rows = [
        (f"`{field.encode_name}`", _words(field.type), _default(field), said.get(field.name, ""))
        for field in fields
    ]
    return _table(("key", "type", "default", "meaning"), rows)


def members(place: str) -> str:
    """Return an enumeration as a table: value and meaning."""
    module, kind = _find(place)
    said = attribute_docs(module, kind.__name__)
    return _table(("value", "meaning"), [(f"`{each.value}`", said.get(each.name, "")) for each in kind])


def record(place: str) -> str:
    """Return a numpy record of the ABI as a table: offset, field, type, meaning."""
    module, kind = _find(place)
    comments = dict(re.findall(r'\("(\w+)", [^#\n]*\),  # (.*)', inspect.getsource(module)))
    rows = [
        (str(offset), f"`{name}`", f"`{_element(dtype)}`", comments.get(name, ""))
        for name, (dtype, offset, *_) in kind.fields.items()
    ]
    return _table(("byte", "field", "type", "meaning"), rows) + f"\n\n{kind.itemsize} bytes in all."


def signatures(place: str) -> str:
    """Return the constants of a module whose names end in `_SIGNATURE`."""
    module = importlib.import_module(place)
    found = {name: value for name, value in vars(module).items() if name.endswith("_SIGNATURE")}
    rows = [
        (f"`{name.removesuffix('_SIGNATURE').lower()}`", f"`{name}`", f"`{value}`")
        for name, value in found.items()
    ]
    return _table(("function", "constant", "signature"), rows)


def docstring(place: str) -> str:
    """Return a module's own description."""
    return f"```text\n{inspect.getdoc(importlib.import_module(place))}\n```"


def constant(place: str, language: str) -> str:
    """Return a text constant of a module."""
    _, value = _find(place)
    return f"```{language}\n{value.strip()}\n```"


def _element(dtype: Any) -> str:
    shape = " x ".join(map(str, dtype.shape))
    return f"{dtype.base.name} x {shape}" if shape else dtype.name


_PLAIN: Final = {"Str": "text", "Bool": "true or false", "Struct": "table"}
_BOUNDS: Final = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))


def _words(kind: Any) -> str:
    """Return in words what a value of a TOML file must be."""
    name = type(kind).__name__.removesuffix("Type")
    match name:
        case "Int" | "Float":
            limits = ((sign, getattr(kind, key)) for key, sign in _BOUNDS)
            bounds = ", ".join(f"{sign} {_number(limit)}" for sign, limit in limits if limit is not None)
            said = f"{'integer' if name == 'Int' else 'number'} {bounds}".strip()
        case "Literal":
            said = " \\| ".join(f'`"{value}"`' for value in kind.values)
        case "VarTuple":
            said = f"list of {_words(kind.item_type)}s"
        case "Union":
            said = _words(next(each for each in kind.types if type(each).__name__ != "NoneType"))
        case _:
            said = _PLAIN[name]
    return said


def _number(value: float) -> str:
    return f"{value:_}" if isinstance(value, int) else f"{value:g}"


def _default(field: Any) -> str:
    if field.default is msgspec.NODEFAULT:
        made = field.default_factory
        return "required" if made is msgspec.NODEFAULT else f"`{json.dumps(made())}`"
    if field.default is None:
        return "none"
    return f"`{_number(field.default) if type(field.default) is int else json.dumps(field.default)}`"


# --- lists over the repository


def plugins() -> str:
    """Return the plugins of the repository as a table."""
    rows = [
        (each["kind"], f"`{each['name']}`", each["state"], each["summary"].replace("|", "\\|"))
        for each in _contracts()
    ]
    return _table(("kind", "name", "state", "what it is"), rows)


def peers() -> str:
    """Return the table of peers as `make peers ARGS=--write` measured it last."""
    lines = importlib.import_module("perf.peers.lines")
    return str(lines.markdown(lines.read()))


def promises() -> str:
    """Return the benchmark contracts of all plugins as a table."""
    rows = [
        (f"`{bench['name']}`", f"`{bench['reference']}`", f"{bench['max_ratio']:g}", bench.get("lane", "hot"))
        for each in _contracts()
        for bench in each["bench"]
    ]
    return _table(("benchmark", "reference in the same run", "time ratio at most", "lane"), rows)


def presets(path: str) -> str:
    """Return a table of well-known deployments: name, facts, chains."""
    table = tomllib.loads(_read(ROOT / path))
    rows = [
        (f"`{name}`", _fee(facts), facts.get("callback", ""), ", ".join(sorted(facts["factories"], key=int)))
        for name, facts in table.items()
    ]
    return _table(("preset", "fee", "flash callback", "chain ids with a known factory"), rows)


def profiles() -> str:
    """Return the shipped hardware profiles as a table."""
    rows = []
    for path in sorted((ROOT / "hardware_profiles").glob("*/profile.toml")):
        table = tomllib.loads(_read(path))
        least = ", ".join(f"{key} {value}" for key, value in table["fits"].items())
        rows.append((f"`{path.parent.name}`", least, table["summary"]))
    return _table(("profile", "least machine", "what it is for"), rows)


def errors() -> str:
    """Return every expected error with its exit code, from the sources."""
    found = sorted(set(_errors()))
    rows = [(str(code), f"`{name}`", meaning) for code, name, meaning in found if name != "error"]
    return _table(("exit code", "name in `--json`", "meaning"), rows)


def _errors() -> Iterator[tuple[int, str, str]]:
    classes = {node.name: node for path in (ROOT / "tallyio").rglob("*.py") for node in _classes(path)}

    def look_up(name: str, key: str) -> Any:
        node = classes.get(name)
        if node is None:
            return None
        own = [ast.literal_eval(value) for target, value in _assignments(node) if target == key]
        return own[0] if own else next((look_up(ast.unparse(base), key) for base in node.bases), None)

    for name, node in classes.items():
        code = look_up(name, "exit_code")
        if code is not None and any(target == "code" for target, _ in _assignments(node)):
            yield (
                code,
                look_up(name, "code"),
                " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split()),
            )


def _classes(path: Path) -> list[ast.ClassDef]:
    return [node for node in ast.parse(_read(path)).body if isinstance(node, ast.ClassDef)]


def _assignments(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and each.value:
            yield ast.unparse(each.target), each.value
        elif isinstance(each, ast.Assign):
            yield ast.unparse(each.targets[0]), each.value


def _contracts() -> list[dict[str, Any]]:
    from tallyio.hooks.contract import KINDS  # noqa: PLC0415 - only this part needs it

    found = [tomllib.loads(_read(path)) for path in ROOT.glob("plugins/*/*/*/contract.toml")]
    return sorted(found, key=lambda each: (KINDS.index(each["kind"]), each["name"]))


def _fee(facts: dict[str, Any]) -> str:
    if "fee_numerator" not in facts:
        return "of each pool"
    share = 1 - facts["fee_numerator"] / facts["fee_denominator"]
    return f"{100 * share:.2f} %"


def _find(place: str) -> tuple[ModuleType, Any]:
    module, _, name = place.partition(":")
    loaded = importlib.import_module(module)
    return loaded, getattr(loaded, name)


def _table(head: Sequence[str], rows: Rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


PARTS: Final[dict[str, Callable[..., str]]] = {
    part.__name__: part
    for part in (
        author,
        cards,
        command,
        constant,
        docstring,
        errors,
        hooks,
        interfaces,
        members,
        module,
        peers,
        plugins,
        presets,
        profiles,
        promises,
        record,
        settings,
        signatures,
    )
}

if __name__ == "__main__":
    raise SystemExit(main())
