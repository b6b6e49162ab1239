"""Reports of Chainlink's oracles, encoded by eth-abi, and contracts of ours that take them as libocr's do.

No registry carries the aggregators' bytecode, so these stand in: what their source does with calldata and
report is here, written anew and compiled by solc; who signed is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from eth_abi.abi import encode

from tallyio.lab.artifact import Artifact
from tallyio.lab.solidity import compile_solidity
from tallyio.model.hashing import selector
from tallyio.model.units import Address, hex_text

SIGNERS: Final = 3
SOURCE: Final = """
// SPDX-License-Identifier: MIT
pragma solidity ^0.8.10;

contract Aggregator {
    int192 public latestAnswer;
    uint80 public round;
    uint256 private updatedAt;

    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    constructor(int192 answer) {
        latestAnswer = answer;
    }

    function decimals() external pure returns (uint8) {
        return 8;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return (round, latestAnswer, updatedAt, updatedAt, round);
    }

    function transmit(
        bytes32[3] calldata, bytes calldata report, bytes32[] calldata rs, bytes32[] calldata ss, bytes32
    ) external {
        require(msg.data.length == 4 + 32 * 10 + report.length + 32 * (rs.length + ss.length), "data");
        (, , int192[] memory observations, ) = abi.decode(report, (uint32, bytes32, int192[], int192));
        require(report.length == 32 * (5 + observations.length), "report length mismatch");
        require(observations.length <= 31, "num observations out of bounds");
        take(observations[observations.length / 2]);
    }

    function transmit(
        bytes calldata report, bytes32[] calldata rs, bytes32[] calldata ss, bytes32
    ) external {
        require(msg.data.length == 4 + 32 * 7 + report.length + 32 * (rs.length + ss.length), "data");
        (, , int192[] memory observations) = abi.decode(report, (bytes32, bytes32, int192[]));
        require(observations.length <= 31, "num observations out of bounds");
        for (uint256 i = 0; i + 1 < observations.length; i++) {
            require(observations[i] <= observations[i + 1], "observations not sorted");
        }
        take(observations[observations.length / 2]);
    }

    function take(int192 median) private {
        latestAnswer = median;
        updatedAt = block.timestamp;
        emit AnswerUpdated(median, ++round, block.timestamp);
    }
}

contract Forwarder {
    function forward(address to, bytes calldata data) external {
        run(to, data);
    }

    function ownerForward(address to, bytes calldata data) external {
        run(to, data);
    }

    function multiForward(address[] calldata tos, bytes[] calldata datas) external {
        require(tos.length == datas.length, "lengths");
        for (uint256 i = 0; i < tos.length; i++) {
            run(tos[i], datas[i]);
        }
    }

    function run(address to, bytes calldata data) private {
        (bool success, ) = to.call(data);
        require(success, "forwarded call reverted");
    }
}
"""


@cache
def ocr_artifacts() -> dict[str, Artifact]:
    """Return "Aggregator" and "Forwarder"."""
    made = compile_solidity({"Reports.sol": SOURCE}, ["Reports.sol"])
    return {name.rpartition(":")[2]: artifact for name, artifact in made.items()}


def ocr2(observations: Sequence[int], *, signers: int = SIGNERS) -> bytes:
    """Return the calldata of a transmission as OCR2 sends them."""
    kinds = ["uint32", "bytes32", "int192[]", "int192"]
    report = encode(kinds, [1_700_000_000, bytes(range(32)), list(observations), 10**16])
    words = [bytes([k]) * 32 for k in range(signers)]
    signature = "transmit(bytes32[3],bytes,bytes32[],bytes32[],bytes32)"
    context = [b"\xc0" * 32, bytes(31) + b"\x07", bytes(32)]
    return selector(signature) + encode(
        ["bytes32[3]", "bytes", "bytes32[]", "bytes32[]", "bytes32"],
        [context, report, words, words, bytes(32)],
    )


def ocr1(observations: Sequence[int], *, signers: int = SIGNERS) -> bytes:
    """Return the calldata of a transmission as OCR1 sends them."""
    report = encode(["bytes32", "bytes32", "int192[]"], [b"\xc0" * 32, bytes(range(32)), list(observations)])
    words = [bytes([k]) * 32 for k in range(signers)]
    return selector("transmit(bytes,bytes32[],bytes32[],bytes32)") + encode(
        ["bytes", "bytes32[]", "bytes32[]", "bytes32"], [report, words, words, bytes(32)]
    )


def forward(to: Address, data: bytes, name: str = "forward") -> bytes:
    """Return the calldata with which a forwarder calls `to` with `data`."""
    return selector(f"{name}(address,bytes)") + encode(["address", "bytes"], [hex_text(to), data])


def forward_many(calls: Sequence[tuple[Address, bytes]]) -> bytes:
    """Return the calldata with which a forwarder makes `calls`."""
    targets, datas = [hex_text(to) for to, _ in calls], [data for _, data in calls]
    return selector("multiForward(address[],bytes[])") + encode(["address[]", "bytes[]"], [targets, datas])
