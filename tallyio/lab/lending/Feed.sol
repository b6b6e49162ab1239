// SPDX-License-Identifier: MIT
pragma solidity ^0.8.10;

/// A price feed for the lab, where anybody may say what the price is: the events and views of a Chainlink
/// aggregator. A sequencer's uptime feed is one too, with 0 for "up".
contract Feed {
    int256 public latestAnswer;
    uint80 private round;
    uint256 private startedAt;
    uint256 private updatedAt;

    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    constructor(int256 answer) {
        post(answer);
    }

    function decimals() external pure returns (uint8) {
        return 8;
    }

    function post(int256 answer) public {
        postAt(answer, block.timestamp);
    }

    function postAt(int256 answer, uint256 time) public {
        latestAnswer = answer;
        round += 1;
        startedAt = updatedAt = time;
        emit AnswerUpdated(answer, round, time);
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return (round, latestAnswer, startedAt, updatedAt, round);
    }
}

/// What oracles name: it keeps its address while the aggregator behind it may be replaced.
contract FeedProxy {
    Feed public aggregator;

    constructor(Feed feed) {
        aggregator = feed;
    }

    function latestAnswer() external view returns (int256) {
        return aggregator.latestAnswer();
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return aggregator.latestRoundData();
    }
}
