"""Price feeds as Chainlink publishes them: where an answer is, and the event that tells a new one.

Layer: hooks. An oracle names a *feed*, which most often is a proxy that keeps its address while the
*aggregator* behind it, which emits the events, may be replaced. Source: `AggregatorV3Interface`,
`AggregatorProxyInterface` and `OffchainAggregator` of @chainlink/contracts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head, Log
from tallyio.model.execution import Call
from tallyio.model.hashing import keccak256, selector
from tallyio.model.units import ZERO_ADDRESS, Address
from tallyio.model.words import WORD, address_at, signed, unsigned

ANSWER_UPDATED: Final = keccak256(b"AnswerUpdated(int256,uint256,uint256)")
"""Topic 0; topic 1 is the answer, topic 2 the round, the data the time."""

_AGGREGATOR: Final = selector("aggregator()")
_LATEST_ROUND: Final = selector("latestRoundData()")
_ROUND_WORDS: Final = 5
_TOPICS: Final = 3


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a feed says: an integer in the feed's own decimals, and since when, in chain time."""

    value: int
    updated_at: int


async def aggregators(chain: ChainReader, feeds: Sequence[Address], *, block: Head) -> list[Address]:
    """Return the contract that emits the events of each of `feeds`: the feed itself if it is no proxy."""
    answers = await chain.call([Call(to=feed, data=_AGGREGATOR) for feed in feeds], block=block.hash)
    return [_emitter(feed, answer) for feed, answer in zip(feeds, answers, strict=True)]


async def latest_answers(chain: ChainReader, feeds: Sequence[Address], *, block: Head) -> list[Answer | None]:
    """Return what each feed says as of `block`; None where it does not answer as a feed does."""
    answers = await chain.call([Call(to=feed, data=_LATEST_ROUND) for feed in feeds], block=block.hash)
    return [_round(answer) for answer in answers]


def updated_answer(log: Log) -> Answer | None:
    """Return the answer that an `AnswerUpdated` event tells, or None: it is not such an event."""
    if len(log.topics) != _TOPICS or log.topics[0] != ANSWER_UPDATED or len(log.data) < WORD:
        return None
    return Answer(value=signed(log.topics[1], 0), updated_at=unsigned(log.data, 0))


def _emitter(feed: Address, answer: bytes | None) -> Address:
    if answer is None or len(answer) < WORD:
        return feed
    behind = address_at(answer, 0)
    return feed if behind == ZERO_ADDRESS else behind


def _round(answer: bytes | None) -> Answer | None:
    if answer is None or len(answer) < _ROUND_WORDS * WORD:
        return None
    return Answer(value=signed(answer, 1), updated_at=unsigned(answer, 3))
