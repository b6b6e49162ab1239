"""Compiled contracts: their ABI, their creation code, and how to talk to them.

Layer: lab. Source of the encoding: https://docs.soliditylang.org/en/latest/abi-spec.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from tallyio.lab.abi import decode, encode
from tallyio.model.errors import EnvironmentFault
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.units import ADDRESS_BYTES, Address, Wei

References = Mapping[str, Mapping[str, Sequence[Mapping[str, int]]]]
"""By file and library the places in the code, each with its `start`: `linkReferences` of solc."""


class _Function(msgspec.Struct, frozen=True):
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Link(msgspec.Struct, frozen=True):
    """A place in creation code where the address of a library belongs."""

    library: str
    start: int
    """In bytes."""


class Artifact(msgspec.Struct, frozen=True, dict=True):
    """A compiled contract. `bytecode` is creation code without constructor arguments."""

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    links: tuple[Link, ...] = ()
    """Libraries that `linked` has not filled in; zeros stand in their places."""

    @classmethod
    def from_json(cls, name: str, text: bytes) -> Artifact:
        """Read the artifact of any compiler: creation code with or without "0x", flat or nested."""
        raw = msgspec.json.decode(text)
        code = raw["bytecode"]
        is_nested = isinstance(code, dict)
        references = (code if is_nested else raw).get("linkReferences", {})
        return cls.from_code(name, raw["abi"], code["object"] if is_nested else code, references)

    @classmethod
    def from_code(
        cls, name: str, abi: Iterable[dict[str, Any]], code: str, references: References
    ) -> Artifact:
        """Read what solc says of a contract: creation code in hex, and where libraries belong in it."""
        links = tuple(_links(references))
        digits = code.removeprefix("0x")
        for link in links:
            digits = _written(digits, 2 * link.start, "00" * ADDRESS_BYTES)
        return cls(name, tuple(abi), bytes.fromhex(digits), links)

    def linked(self, libraries: Mapping[str, Address]) -> Artifact:
        """Return the contract with the addresses of those of its libraries that are named."""
        code, left = self.bytecode, []
        for link in self.links:
            if link.library in libraries:
                code = _written(code, link.start, libraries[link.library])
            else:
                left.append(link)
        return Artifact(self.name, self.abi, code, tuple(left))

    def encode_constructor(self, *args: object) -> bytes:
        """Return the creation code that deploys the contract with `args`.

        Raises: EnvironmentFault: it lacks the address of a library.
        """
        if self.links:
            raise EnvironmentFault(f"contract {self.name} is not linked with {self.links[0].library}")
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


def _links(references: References) -> Iterator[Link]:
    for libraries in references.values():
        for library, places in libraries.items():
            for place in places:
                yield Link(library, place["start"])


def _written[Text: (str, bytes)](text: Text, start: int, part: Text) -> Text:
    return text[:start] + part + text[start + len(part) :]
