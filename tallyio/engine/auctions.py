"""Which prices are sold: feeds whose updates somebody buys, to land his own transaction right behind.

Layer: engine. Who only watches the chain or the mempool comes second on such a feed, for the update and the
winner's transaction arrive together. The configuration names them; one kind says it itself: Chainlink's
`DualAggregator` (Smart Value Recapture) reports to everybody, and early, through `transmitSecondary`, to the
one proxy that it was built with. It has no getter for that proxy: an immutable, whose 20 bytes stand in the
code. A feed that reads the same aggregator through another proxy is not sold.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from tallyio.hooks.interfaces import ChainReader
from tallyio.hooks.settings import parse_address
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.lending import BookSpec, ReserveSpec
from tallyio.model.units import Address, hex_text
from tallyio.model.words import WORD, address_word, unsigned

SVR: Final = "svr"
WHERE: Final = "feeds.auctioned"

_TYPE: Final = selector("typeAndVersion()")
_DUAL: Final = b"DualAggregator"
# Stands in the place of an account's code and returns that of the account in the first word of calldata:
# EXTCODECOPY(account, 0, 0, EXTCODESIZE(account)); RETURN(0, EXTCODESIZE(account)).
_READS_CODE: Final = bytes.fromhex("5f353b" + "805f5f" + "5f353c" + "5ff3")


class AuctionedFeed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A feed whose updates are sold, `[[feeds.auctioned]]`."""

    address: str
    """The feed that an oracle names, or the aggregator behind it."""
    kind: str
    """By which scheme, in a word, such as "svr", "api3_oev", "express_relay" or "atom"; it is shown."""


def listed_auctions(feeds: Sequence[AuctionedFeed]) -> dict[Address, str]:
    """Return the schemes by feed. Raises: ConfigError: no address."""
    return {parse_address(each.address, where=f"{WHERE}.address"): each.kind for each in feeds}


async def mark_auctions(
    chain: ChainReader, book: BookSpec, listed: Mapping[Address, str], *, block: Head
) -> BookSpec:
    """Return `book` with the reserves marked whose price is sold: as `listed`, or as the contracts say."""
    feeds = list(dict.fromkeys(feed for reserve in book.reserves for feed in reserve.feeds))
    duals = await _dual_aggregators(chain, feeds, block) if feeds else {}
    reserves = tuple(
        msgspec.structs.replace(reserve, auction=_auction(reserve, listed, duals))
        for reserve in book.reserves
    )
    return msgspec.structs.replace(book, reserves=reserves)


def _auction(reserve: ReserveSpec, listed: Mapping[Address, str], duals: Mapping[Address, bytes]) -> str:
    for feed in reserve.feeds:
        if feed in listed:
            return listed[feed]
    is_sold = any(
        address_word(proxy) in duals[aggregator]
        for aggregator in reserve.feeds
        for proxy in reserve.feeds
        if aggregator in duals and proxy != aggregator
    )
    return SVR if is_sold else ""


async def _dual_aggregators(
    chain: ChainReader, feeds: Collection[Address], block: Head
) -> dict[Address, bytes]:
    """Return the code of those of `feeds` that report to two proxies."""
    answers = await chain.call([Call(to=feed, data=_TYPE) for feed in feeds], block=block.hash)
    duals = [feed for feed, answer in zip(feeds, answers, strict=True) if answer and _text(answer) == _DUAL]
    if not duals:
        return {}
    # Whoever's place it is to answer, the code that stands there is not asked.
    reader = Address(bytes(len(duals[0]) - 1) + b"\xff")
    asked = [Call(to=reader, data=address_word(each)) for each in duals]
    codes = await chain.call(asked, block=block.hash, pretend={reader: _READS_CODE})
    found = {dual: code for dual, code in zip(duals, codes, strict=True) if code}
    for dual in duals:
        if dual not in found:
            raise ChainError(f"the node does not tell the code of aggregator {hex_text(dual)}")
    return found


def _text(answer: bytes) -> bytes:
    """Return the first word of the text that a call answered: its name, no version."""
    if len(answer) < 2 * WORD:
        return b""
    words = answer[2 * WORD :][: unsigned(answer, 1)].split()
    return words[0] if words else b""
