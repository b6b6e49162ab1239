"""Compiled contracts: their ABI, their creation code, and how to talk to them.

Layer: lab. Source of the encoding: https://docs.soliditylang.org/en/latest/abi-spec.html.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec
from eth_abi.abi import decode, encode

from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.units import Address, Wei


class _Function(msgspec.Struct, frozen=True):
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Artifact(msgspec.Struct, frozen=True, dict=True):
    """A compiled contract. `bytecode` is creation code without constructor arguments."""

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes

    @classmethod
    def from_json(cls, name: str, text: bytes) -> Artifact:
        """Read the artifact of any compiler: creation code with or without "0x", flat or nested."""
        raw = msgspec.json.decode(text)
        code = raw["bytecode"]
        code = code["object"] if isinstance(code, dict) else code
        return cls(name, tuple(raw["abi"]), bytes.fromhex(code.removeprefix("0x")))

    def encode_constructor(self, *args: object) -> bytes:
        """Return the creation code that deploys the contract with `args`."""
        inputs = next((item["inputs"] for item in self.abi if item["type"] == "constructor"), ())
        return self.bytecode + encode(_types(inputs), args)

    def encode(self, name: str, *args: object) -> bytes:
        """Return the call data of function `name`; an overload is chosen by the number of `args`."""
        function = self._function(name, len(args))
        return function.selector + encode(function.inputs, args)

    def decode(self, name: str, data: bytes) -> tuple[Any, ...]:
        """Return the values that function `name` returned as `data`; an address is an `Address`."""
        outputs = self._function(name).outputs
        values = decode(outputs, data)
        return tuple(_address(kind, value) for kind, value in zip(outputs, values, strict=True))

    def _function(self, name: str, arity: int | None = None) -> _Function:
        overloads = self._functions.get(name, [])
        for function in overloads:
            if arity in (None, len(function.inputs)):
                return function
        raise LookupError(f"contract {self.name} has no function {name!r} with {arity} arguments")

    @cached_property
    def _functions(self) -> dict[str, list[_Function]]:
        found: dict[str, list[_Function]] = {}
        for item in self.abi:
            if item["type"] == "function":
                inputs = _types(item["inputs"])
                function = _Function(
                    selector(f"{item['name']}({','.join(inputs)})"), inputs, _types(item["outputs"])
                )
                found.setdefault(item["name"], []).append(function)
        return found


class Contract(msgspec.Struct, frozen=True):
    """A deployed contract."""

    artifact: Artifact
    address: Address

    def call(self, name: str, *args: object, value_wei: int = 0) -> Call:
        """Return the call of function `name`."""
        return Call(to=self.address, data=self.artifact.encode(name, *args), value_wei=Wei(value_wei))


def _types(items: list[dict[str, Any]] | tuple[()]) -> tuple[str, ...]:
    return tuple(_type(item) for item in items)


def _type(item: dict[str, Any]) -> str:
    kind: str = item["type"]
    if kind.startswith("tuple"):
        return f"({','.join(_types(item['components']))}){kind.removeprefix('tuple')}"
    return kind


def _address(kind: str, value: Any) -> Any:
    return Address(bytes.fromhex(value[2:])) if kind == "address" else value
