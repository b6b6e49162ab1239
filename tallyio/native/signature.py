"""Signatures of compiled functions, written as text and read safely.

Layer: native. `"u256(int64, UniTuple(float64, 2))"` reads as in numba: the result, then the
arguments in parentheses. Only the names below are known; nothing is evaluated.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import ast
import difflib
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from numba import types
from numba.core.typing.templates import signature as _numba_signature

from tallyio.native.wide import U128, U256, U320, U512, U576, WideInt

SCALARS: Final[dict[str, Any]] = {
    "int64": types.int64,
    "uint64": types.uint64,
    "float64": types.float64,
    "boolean": types.boolean,
    "void": types.void,
    "u128": U128,
    "u256": U256,
    "u320": U320,
    "u512": U512,
    "u576": U576,
}
_NAMES: Final = (*SCALARS, "UniTuple", "Tuple")


class SignatureError(ValueError):
    """A signature's text is not one; the message says which part and what would be right."""


def parse(text: str) -> Any:
    """Return the numba signature that `text` declares.

    Raises: SignatureError: for a wrong name or shape.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        _refuse(text, f"is not readable ({error.msg})")
    if not isinstance(tree, ast.Call) or (isinstance(tree.func, ast.Name) and tree.func.id in _NAMES[-2:]):
        _refuse(text, "lacks its arguments: write result(argument, ...), such as u256(int64, u256)")
    _only_positional(tree, text)
    arguments = [_type(node, text) for node in tree.args]
    if types.void in arguments:
        _refuse(text, "has a void argument")
    return _numba_signature(_type(tree.func, text), *arguments)


def render(signature: Any) -> str:
    """Return a signature as text; two signatures are equal exactly if their texts are."""
    arguments = ", ".join(_render(argument) for argument in signature.args)
    return f"{_render(signature.return_type)}({arguments})"


def conversion_fault(name: str, signature: Any, given: Sequence[Any]) -> str:
    """Return why the `given` types must not be passed to `name`, or an empty string.

    numba itself would cut a float to an integer in silence; that is nearly always a mistake, often an
    int64 and a uint64 that met in `min` or after a branch, which makes a float.
    """
    for place, (declared, actual) in enumerate(zip(signature.args, given, strict=True), 1):
        if advice := _loss(declared, actual):
            return f"argument {place} of {name} is {actual}, declared {declared}: {advice}"
    return ""


def _loss(declared: Any, actual: Any) -> str:
    if isinstance(declared, types.BaseTuple) and isinstance(actual, types.BaseTuple):
        return next((loss for pair in zip(declared, actual, strict=False) if (loss := _loss(*pair))), "")  # type: ignore[call-overload]  # tuples of types iterate
    if isinstance(declared, WideInt) or isinstance(actual, WideInt):
        return "" if declared == actual else "convert it explicitly, such as u256(x) or lo64(x)"
    if isinstance(declared, types.Integer) and isinstance(actual, types.Float):
        return "a float is cut in silence; write int64(x), or keep one signedness in the expression"
    return ""


def _render(wanted: Any) -> str:
    if isinstance(wanted, types.UniTuple):
        return f"UniTuple({_render(wanted.dtype)}, {wanted.count})"
    if isinstance(wanted, types.BaseTuple):
        members: tuple[Any, ...] = wanted.types  # type: ignore[attr-defined]  # Tuple's own
        return f"Tuple({', '.join(map(_render, members))})"
    return next(name for name, scalar in SCALARS.items() if scalar == wanted)


def _type(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Name):
        return _scalar(node.id, text)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        _refuse(text, f"has {ast.unparse(node)!r} where a type belongs")
    _only_positional(node, text)
    if node.func.id == "UniTuple":
        return _uniform_tuple(node, text)
    if node.func.id == "Tuple":
        return types.Tuple([_type(member, text) for member in node.args])
    return _refuse_name(node.func.id, text)


def _scalar(name: str, text: str) -> Any:
    return SCALARS[name] if name in SCALARS else _refuse_name(name, text)


def _uniform_tuple(node: ast.Call, text: str) -> Any:
    match node.args:
        case [member, ast.Constant(value=int(count))] if count > 0:
            return types.UniTuple(_type(member, text), count)
        case _:
            return _refuse(text, "has a UniTuple that is not UniTuple(type, count) with count at least 1")


def _only_positional(node: ast.Call, text: str) -> None:
    if node.keywords:
        _refuse(text, "has keywords")


def _refuse_name(name: str, text: str) -> NoReturn:
    close = difflib.get_close_matches(name, _NAMES, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(_NAMES)}"
    _refuse(text, f"has the unknown type {name!r}{hint}")


def _refuse(text: str, fault: str) -> NoReturn:
    raise SignatureError(f"signature {text!r} {fault}") from None
