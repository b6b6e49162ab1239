"""Pools of our own after the public formulas, compiled once and kept between runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest
import vyper
from tallyio_protocol_curve_crypto.templates import TEMPLATES
from vyper.compiler.settings import OptimizationLevel, Settings

from tallyio.lab.artifact import Artifact

HERE = Path(__file__).parent
CodeOf = Callable[[str], Artifact]

MATH: Final = {
    "twocrypto": ("NewtonMath", "TwoMath", "OldMath"),
    "tricrypto": ("NewtonMath", "ThreeMath", "ThreeOldMath", "OldMath"),
    "twocrypto_ng": ("NewtonMath", "TwoMath", "CubicMath", "TwoCubicMath"),
    "tricrypto_ng": ("NewtonMath", "ThreeMath", "CubicMath", "ThreeCubicMath"),
}


@pytest.fixture(scope="session")
def code_of(request: pytest.FixtureRequest) -> CodeOf:
    """Return what compiles a pool of a kind, or the factory."""
    folder = request.config.cache.mkdir("curve_crypto") if request.config.cache else None
    made: dict[str, Artifact] = {}

    def code(kind: str) -> Artifact:
        source = source_of(kind)
        key = hashlib.sha256(f"{vyper.__version__} {source}".encode()).hexdigest()
        if key not in made:
            made[key] = _compiled(kind, source, folder / f"{key}.json" if folder else None)
        return made[key]

    return code


def source_of(kind: str) -> str:
    """Return the Vyper source of a pool, or of the factory."""
    if kind == "factory":
        return (HERE / "Factory.vy").read_text()
    template = TEMPLATES[kind]
    facts: dict[str, object] = {
        "MATH": "\n\n".join((HERE / f"{name}.vy").read_text() for name in MATH[kind]),
        "N": template.coins,
        "NG": template.ng,
        "MAX_GAMMA": template.max_gamma,
        "TIGHT_GAMMA": template.tight_gamma,
        "MIN_A": template.min_a,
        "MAX_A": template.max_a,
        "EXCHANGE_FIELDS": "fee: uint256\n    packed_price_scale: uint256" if template.ng else "",
        "EXCHANGE_VALUES": ", fee=0, packed_price_scale=0" if template.ng else "",
        "PRICE_ARGUMENT": "k: uint256" if template.coins > len("ab") else "",
        "PRICE_INDEX": "k" if template.coins > len("ab") else "0",
    }
    source = (HERE / "CryptoSwap.vy").read_text()
    for name, value in facts.items():
        source = source.replace(f"${name}$", str(value))
    return source


def _compiled(name: str, source: str, kept: Path | None) -> Artifact:
    if kept is not None and kept.exists():
        return Artifact.from_json(name, kept.read_bytes())
    # Not optimised: it means the same and takes a third of the time.
    output = vyper.compile_code(
        source,
        output_formats=["abi", "bytecode"],
        settings=Settings(optimize=OptimizationLevel.NONE),
    )
    artifact = Artifact(name, tuple(output["abi"]), bytes.fromhex(output["bytecode"][2:]))
    if kept is not None:
        kept.write_bytes(msgspec.json.encode({"abi": artifact.abi, "bytecode": artifact.bytecode.hex()}))
    return artifact
