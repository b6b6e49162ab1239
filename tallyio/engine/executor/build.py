"""Compile the executor: `python -m tallyio.engine.executor.build`.

Layer: engine. The compiler's metadata stays out of the code, so the same source gives the same
bytes wherever it lies.
"""

from __future__ import annotations

import hashlib

import msgspec

from tallyio.engine.executor.artifact import ARTIFACT, SOURCE, ExecutorArtifact
from tallyio.model.errors import MissingExtraError


def build() -> ExecutorArtifact:
    """Compile the source. Raises: MissingExtraError: the compiler is not installed."""
    try:
        import vyper  # noqa: PLC0415 - an optional dependency, and half a second
    except ImportError:
        raise MissingExtraError("contracts", "compiling the executor contract") from None
    source = SOURCE.read_bytes()
    output = vyper.compile_code(
        source.decode(), output_formats=["abi", "bytecode"], no_bytecode_metadata=True
    )
    return ExecutorArtifact(
        compiler=f"vyper {vyper.__version__}",
        source_sha256=hashlib.sha256(source).hexdigest(),
        abi=tuple(output["abi"]),
        bytecode=output["bytecode"].removeprefix("0x"),
    )


def write() -> None:
    """Compile the source and replace the committed artifact."""
    ARTIFACT.write_bytes(msgspec.json.format(msgspec.json.encode(build()), indent=1) + b"\n")


if __name__ == "__main__":
    write()
