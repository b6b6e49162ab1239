"""Parts of the reference about interfaces: read from sources, so that nothing is compiled for them.

`docs/generate.py` has the parts about everything else.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import itertools
import re
from collections.abc import Callable, Container, Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Final, cast

COLUMNS: Final = 96
Function = ast.FunctionDef | ast.AsyncFunctionDef


def hooks(place: str) -> str:
    """Return every hook of a module of specifications, with a heading each."""
    specifications = import_module(place)
    return "\n\n".join(
        f"### `{name}`\n\n```python\n{_header(_parsed(function))}\n```\n\n{inspect.getdoc(function)}"
        for name, function in vars(specifications).items()
        if inspect.isfunction(function) and hasattr(function, f"{specifications.PROJECT}_spec")
    )


def interfaces(place: str, *names: str) -> str:
    """Return the named classes of a module: description, attributes and methods."""
    tree = _tree(place)
    known = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    return "\n\n".join(_class(known[name], known) for name in names)


def module(place: str, *names: str) -> str:
    """Return a module's description and its public names, or only those that are given."""
    tree = _tree(place)
    known = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef | Function)}
    chosen = names or tuple(name for name in known if not name.startswith("_"))
    about = (ast.get_docstring(tree) or "").partition("\n\n")[0]
    parts = [f"## `{place}`", about]
    for name in chosen:
        node = known[name]
        parts.append(_class(node, known) if isinstance(node, ast.ClassDef) else _function(node))
    return "\n\n".join(parts)


def attribute_docs(container: ModuleType, name: str) -> dict[str, str]:
    """Return the texts that stand below the attributes of a class; Python itself forgets them."""
    tree = ast.parse(inspect.getsource(container))
    return _texts(next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name))


@cache
def _tree(place: str) -> ast.Module:
    spec = importlib.util.find_spec(place)
    assert spec is not None  # noqa: S101 - a page that names no module is a mistake of its writer
    assert spec.origin is not None  # noqa: S101 - the same
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def _parsed(function: Callable[..., object]) -> ast.FunctionDef:
    return cast("ast.FunctionDef", ast.parse(inspect.getsource(function)).body[0])


def _texts(node: ast.ClassDef) -> dict[str, str]:
    said = {}
    for each, after in itertools.pairwise(node.body):
        target = each.target if isinstance(each, ast.AnnAssign) else getattr(each, "targets", [None])[0]
        if isinstance(target, ast.Name) and isinstance(after, ast.Expr):
            said[target.id] = " ".join(ast.literal_eval(after.value).split())
    return said


def _class(node: ast.ClassDef, known: Container[str]) -> str:
    bases = [ast.unparse(base) for base in node.bases if ast.unparse(base) in known]
    also = f" Everything of `{bases[0]}`, and:" if bases else ""
    said = _texts(node)
    parts = [f"### `{node.name}`", *_constructor(node), f"{ast.get_docstring(node)}{also}"]
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and not ast.unparse(each.target).startswith("_"):
            field = ast.unparse(each.target)
            parts.append(f"- `{field}: {ast.unparse(each.annotation)}` {said.get(field, '')}".rstrip())
        elif isinstance(each, Function) and not each.name.startswith("_"):
            parts.append(_method(each))
    return "\n\n".join(parts)


def _constructor(node: ast.ClassDef) -> Iterator[str]:
    """Yield how a class is called that says so itself."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            yield f"```python\n{_header(each)}\n```"


def _function(node: Function) -> str:
    """Return a function under a heading; a compiled one with the signature that it declares."""
    declared = [text for each in node.decorator_list for text in _declared(each)]
    also = f"\n\nCompiled: `{declared[0]}`." if declared else ""
    return f"### `{node.name}`\n\n```python\n{_header(node)}\n```\n\n{_prose(node)}{also}"


def _declared(decorator: ast.expr) -> Iterator[str]:
    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "hot":
        yield ast.unparse(decorator.args[0]).strip("'\"")


def _method(node: Function) -> str:
    is_property = any(ast.unparse(each).endswith("property") for each in node.decorator_list)
    head = f"{node.name}: {ast.unparse(node.returns)}" if is_property and node.returns else _header(node)
    return f"```python\n{head}\n```\n\n{_prose(node)}"


def _prose(node: Function) -> str:
    """Return a docstring as paragraphs of one line each."""
    return "\n\n".join(" ".join(part.split()) for part in (ast.get_docstring(node) or "").split("\n\n"))


def _header(node: Function) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    arguments = ast.unparse(node.args).removeprefix("self").removeprefix("cls").removeprefix(", ")
    arguments = re.sub(r"(?<=\S)=(?=\S)", " = ", arguments).replace("''", '""')
    line = f"{word} {node.name}({arguments}){returns}: ..."
    return line if len(line) <= COLUMNS else _broken(f"{word} {node.name}", _split(arguments), returns)


def _split(arguments: str) -> list[str]:
    return re.split(r", (?=\w+:|\*,)", arguments)


def _broken(head: str, arguments: Sequence[str], returns: str) -> str:
    inside = "\n".join(f"    {argument}," for argument in arguments)
    return f"{head}(\n{inside.replace('    *,,', '    *,')}\n){returns}: ..."
