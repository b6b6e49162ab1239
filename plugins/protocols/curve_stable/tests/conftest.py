"""Pools of our own after the public formulas, compiled once and kept between runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import vyper
from tallyio_protocol_curve_stable.templates import TEMPLATES, DRule, Flag
from vyper.compiler.settings import OptimizationLevel, Settings

from tallyio.lab.artifact import Artifact

HERE = Path(__file__).parent
CodeOf = Callable[[str, int], Artifact]


@pytest.fixture(scope="session")
def code_of(request: pytest.FixtureRequest) -> CodeOf:
    """Return what compiles a pool of a kind with a number of coins (NG takes any)."""
    folder = request.config.cache.mkdir("curve_stable") if request.config.cache else None
    made: dict[str, Artifact] = {}

    def code(kind: str, coins: int) -> Artifact:
        source = source_of(kind, coins)
        key = hashlib.sha256(f"{vyper.__version__} {source}".encode()).hexdigest()
        if key not in made:
            made[key] = _compiled(kind, source, folder / f"{key}.json" if folder else None)
        return made[key]

    return code


def source_of(kind: str, coins: int) -> str:
    """Return the Vyper source of a pool, or of the factory."""
    if kind == "factory":
        return (HERE / "Factory.vy").read_text()
    template = TEMPLATES[kind]
    flags = template.flags
    if Flag.DYNAMIC_ARRAYS in flags:
        return (HERE / "StableSwapNG.vy").read_text()
    facts: dict[str, object] = {
        "N": coins,
        "A_PRECISION": template.a_precision,
        "PLUS_ONE": template.d_rule is DRule.PLUS_ONE,
        "POWERS": template.d_rule is DRule.POWERS,
        "INDEX": "int128" if template.d_rule is DRule.PLUS_ONE else "uint256",
        "K": "convert(k, uint256)" if template.d_rule is DRule.PLUS_ONE else "k",
    }
    names = ("FALLS_THROUGH", "NO_MARGIN", "BALANCES_FROM_XP", "FEE_AFTER_RATE", "SAVES_PRICE")
    facts |= {name: Flag[name] in flags for name in (*names, "BASE_RATE", "CACHES_BASE_RATE")}
    source = (HERE / "StableSwap.vy").read_text()
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
        kept.write_bytes(_as_json(artifact))
    return artifact


def _as_json(artifact: Artifact) -> bytes:

    return msgspec.json.encode({"abi": artifact.abi, "bytecode": artifact.bytecode.hex()})
