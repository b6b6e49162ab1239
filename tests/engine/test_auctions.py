"""Which prices are sold: as the configuration lists, and as an aggregator of two proxies says by its code."""

from __future__ import annotations

import msgspec
import pytest

from tallyio.engine.auctions import AuctionedFeed, listed_auctions, mark_auctions
from tallyio.lab.revm import build_revm_world
from tallyio.lab.solidity import compile_solidity
from tallyio.lab.steps import Recipe, deploy
from tallyio.model.errors import ConfigError
from tallyio.model.lending import BookSpec, ReserveSpec
from tallyio.model.units import Address, checksum
from tallyio.testing import RevmChain

SOLD, OPEN, LISTED = (Address(bytes([n]) * 20) for n in (1, 2, 3))
TOKEN = Address(b"\x09" * 20)

DUAL = """
// SPDX-License-Identifier: MIT
pragma solidity ^0.8.10;

contract Dual {
    string public typeAndVersion;
    address internal immutable secondaryProxy;

    constructor(address proxy, string memory called) {
        secondaryProxy = proxy;
        typeAndVersion = called;
    }

    function latestAnswer() external view returns (int256) {
        return msg.sender == secondaryProxy ? int256(1) : int256(2);
    }
}
"""


@pytest.fixture(scope="module")
def chain() -> RevmChain:
    return RevmChain(build_revm_world())


def aggregator(chain: RevmChain, called: str) -> Address:
    """Return an aggregator that answers to `SOLD` otherwise than to others."""
    (artifact,) = compile_solidity({"Dual.sol": DUAL}, ["Dual.sol"]).values()

    def recipe() -> Recipe[Address]:
        return (yield from deploy(artifact, SOLD, called)).address

    return chain.backend.run(recipe())


def book(*feeds: tuple[Address, ...]) -> BookSpec:
    """Return a book with a reserve for each group of feeds."""
    reserves = [ReserveSpec(symbol="X", collateral=TOKEN, debt=None, feeds=each) for each in feeds]
    return BookSpec(address=TOKEN, venue="v", reserves=tuple(reserves), log_sources=())


async def test_the_proxy_that_an_aggregator_of_two_was_built_with_is_sold_and_others_are_not(
    chain: RevmChain,
) -> None:
    dual, plain = aggregator(chain, "DualAggregator 1.0.0"), aggregator(chain, "OCR2Aggregator 1.0.0")
    asked = book((SOLD, dual), (OPEN, dual), (SOLD, plain), (dual,), ())
    marked = await mark_auctions(chain, asked, {}, block=await chain.head())
    assert [each.auction for each in marked.reserves] == ["svr", "", "", "", ""]
    assert msgspec.structs.replace(marked, reserves=asked.reserves) == asked


async def test_a_list_goes_before_what_contracts_say(chain: RevmChain) -> None:
    dual = aggregator(chain, "DualAggregator 1.1.0")
    listed = listed_auctions([AuctionedFeed(address=checksum(each), kind="atom") for each in (LISTED, dual)])
    marked = await mark_auctions(
        chain, book((OPEN, LISTED), (SOLD, dual), (OPEN,)), listed, block=await chain.head()
    )
    assert [each.auction for each in marked.reserves] == ["atom", "atom", ""]


async def test_a_book_that_knows_no_feeds_asks_nothing(chain: RevmChain) -> None:
    chain.asked_at.clear()
    assert await mark_auctions(chain, book(()), {}, block=await chain.head()) == book(())
    assert chain.asked_at == []


def test_a_listed_feed_must_be_an_address() -> None:
    with pytest.raises(ConfigError, match=r"feeds\.auctioned"):
        listed_auctions([AuctionedFeed(address="0x12", kind="svr")])
