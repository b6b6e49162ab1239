"""Say in words why a contract reverted.

Layer: engine. Source: https://docs.soliditylang.org/en/latest/control-structures.html (Error, Panic).
"""

from __future__ import annotations

from typing import Final

from tallyio.model.hashing import selector

_ERROR: Final = selector("Error(string)")
_PANIC: Final = selector("Panic(uint256)")
_LONGEST: Final = 200
"""Characters of a foreign message that we repeat."""

_EXECUTOR: Final = {
    "executor: owner": "the executor obeys another account",
    "executor: deadline": "the plan's last block has passed",
    "executor: profit": "the calls gained less than the plan demands",
    "executor: promise": "a pool did not call back as it should",
    "executor: stranger": "somebody called back who was not asked",
    "executor: payload": "a pool called back with other data than it was given",
    "executor: transfer": "a token refused to go to the owner",
    "executor: calls": "the executor cannot read its calls",
}

_PANICS: Final = {
    0x01: "a failed assertion",
    0x11: "an arithmetic overflow",
    0x12: "a division by zero",
    0x32: "an index out of bounds",
    0x41: "too much memory",
}


def explain(data: bytes) -> str:
    """Return what revert `data` says; empty where it says nothing."""
    if not data:
        return ""
    if data[:4] == _ERROR:
        return _words(_text(data[4:]))
    if data[:4] == _PANIC:
        code = int.from_bytes(data[4:36], "big")
        return f"a contract panicked: {_PANICS.get(code, f'code {code:#x}')}"
    return f"a contract reverted with data 0x{data[: _LONGEST // 4].hex()}"


def _words(message: str) -> str:
    return _EXECUTOR.get(message, f"a contract reverted: {message!r}")


def _text(body: bytes) -> str:
    """Return the string of an ABI-encoded `Error(string)`; hostile lengths just cut it short."""
    size = int.from_bytes(body[32:64], "big")
    return body[64 : 64 + min(size, _LONGEST)].decode("utf-8", "replace")
