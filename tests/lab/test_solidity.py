"""The lab's Solidity compiler: real bytecode, a cache, and a refusal that says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallyio.lab import solidity
from tallyio.lab.artifact import Contract
from tallyio.lab.revm import RevmBackend
from tallyio.lab.solidity import compile_solidity, package_sources
from tallyio.lab.steps import Reverted
from tallyio.model.errors import EnvironmentFault

ADDER = """// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

contract Adder {
    function add(uint256 a, uint256 b) external pure returns (uint256) {
        return a + b;
    }
}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep answers in an empty folder; the packages stay where they were fetched."""
    monkeypatch.setattr(solidity, "cache_home", lambda: tmp_path)
    return tmp_path


def test_what_is_compiled_runs_and_checks_its_arithmetic() -> None:
    made = compile_solidity({"Adder.sol": ADDER}, ["Adder.sol"])["Adder.sol:Adder"]
    backend = RevmBackend()
    adder = Contract(made, backend.deploy(made.encode_constructor()))
    assert backend.read(adder, "add", 2, 3) == (5,)
    with pytest.raises(Reverted):
        backend.read(adder, "add", 2**256 - 1, 1)


def test_the_second_time_the_compiler_does_not_run(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    first = compile_solidity({"Adder.sol": ADDER}, ["Adder.sol"])
    monkeypatch.setattr(solidity, "_node", lambda: "/nonexistent")
    assert compile_solidity({"Adder.sol": ADDER}, ["Adder.sol"]) == first
    assert [path.suffix for path in (cache / "solidity").iterdir()] == [".json"]
    with pytest.raises(OSError, match="nonexistent"):
        compile_solidity({"Adder.sol": ADDER.replace("a + b", "b + a")}, ["Adder.sol"])


def test_a_source_that_does_not_compile_is_refused_with_the_reason() -> None:
    with pytest.raises(EnvironmentFault, match="Undeclared identifier"):
        compile_solidity({"Adder.sol": ADDER.replace("a + b", "a + c")}, ["Adder.sol"])


def test_the_packages_bring_their_sources_under_the_path_that_imports_them() -> None:
    sources = package_sources("@openzeppelin/contracts")
    assert "@openzeppelin/contracts/utils/math/Math.sol" in sources
    assert all(path.startswith("@openzeppelin/contracts/") for path in sources)
    assert all(text.startswith("// SPDX-License-Identifier:") for text in sources.values())
