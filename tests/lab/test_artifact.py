"""Artifacts encode what compilers made and decode what contracts return."""

from pathlib import Path

import msgspec
import pytest
from vyper.compiler import compile_code

from tallyio.lab import Artifact
from tallyio.lab.fetch import HERE, artifact, artifact_path
from tallyio.model.hashing import selector
from tallyio.model.units import Address

ALICE = Address(bytes(19) + b"\x0a")


def build(code: object) -> Artifact:
    function = {
        "type": "function",
        "name": "f",
        "inputs": [{"type": "tuple[]", "components": [{"type": "address"}, {"type": "uint256"}]}],
        "outputs": [{"type": "address"}, {"type": "uint8"}],
    }
    return Artifact.from_json("X", msgspec.json.encode({"abi": [function], "bytecode": code}))


@pytest.mark.parametrize("code", ["0x6001", "6001", {"object": "0x6001"}, {"object": "6001"}])
def test_bytecode_of_every_compiler_is_read(code: object) -> None:
    assert build(code).bytecode == b"\x60\x01"


def test_a_tuple_type_is_written_out_in_the_selector() -> None:
    data = build("").encode("f", [(ALICE, 5)])
    assert data[:4] == selector("f((address,uint256)[])")
    assert data[-32:] == (5).to_bytes(32)


def test_a_decoded_address_is_twenty_raw_bytes() -> None:
    assert build("").decode("f", bytes(12) + ALICE + bytes(31) + b"\x03") == (ALICE, 3)


def test_an_overload_is_chosen_by_its_number_of_arguments() -> None:
    positions = artifact("NonfungiblePositionManager")
    three = positions.encode("safeTransferFrom", ALICE, ALICE, 1)
    four = positions.encode("safeTransferFrom", ALICE, ALICE, 1, b"")
    assert three[:4] == selector("safeTransferFrom(address,address,uint256)")
    assert four[:4] == selector("safeTransferFrom(address,address,uint256,bytes)")


def test_an_unknown_function_is_named_in_the_error() -> None:
    with pytest.raises(LookupError, match=r"contract X has no function 'g'"):
        build("").encode("g")


def test_an_unknown_contract_is_told_with_the_known_ones() -> None:
    with pytest.raises(LookupError, match=r"no contract 'Pair'; it has .*UniswapV2Pair"):
        artifact("Pair")


def test_the_committed_token_is_what_its_source_compiles_to() -> None:
    source = Path(HERE / "Token.vy").read_text()
    compiled = compile_code(source, output_formats=["abi", "bytecode"])
    committed = msgspec.json.decode((HERE / "Token.json").read_bytes())
    assert committed == {"abi": compiled["abi"], "bytecode": compiled["bytecode"]}


def test_artifacts_of_one_name_are_told_apart_by_a_folder() -> None:
    with pytest.raises(LookupError, match="several contracts 'WeightedPoolFactory'; add a folder: @"):
        artifact_path("WeightedPoolFactory")
    _, path = artifact_path("20220908-weighted-pool-v2/WeightedPoolFactory")
    assert path.endswith("tasks/20220908-weighted-pool-v2/artifact/WeightedPoolFactory.json")
    with pytest.raises(LookupError, match=r"has no contract 'nowhere/Vault'; it has .*Vault"):
        artifact_path("nowhere/Vault")
