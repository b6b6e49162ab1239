"""Find out what a comptroller's markets are, and where the events come from that change them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tallyio.hooks.feeds import aggregators
from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, ReserveSpec
from tallyio.model.market import LogSource
from tallyio.model.units import ADDRESS_BYTES, ZERO_ADDRESS, Address, checksum
from tallyio.model.words import WORD, address_at, unsigned
from tallyio_protocol_venus import abi, rates

NATIVE_TOKEN: Final = Address(bytes.fromhex("bb" * ADDRESS_BYTES))
"""What Venus's oracles call the chain's native currency."""

VAI_SYMBOL: Final = "VAI"
COUNTS_CASH: Final = "counts_cash"
"""A market's parameter, where it has one: cash is what the vToken counted, not what lies in its account."""
_ORACLES: Final = 3
_FEED: Final = 1
_MARKET_QUESTIONS: Final = 4


def fact(parameters: tuple[tuple[str, int], ...], name: str) -> int:
    """Return the parameter `name` of a book or reserve; 0: it has none."""
    return dict(parameters).get(name, 0)


def address_of(parameters: tuple[tuple[str, int], ...], name: str) -> Address:
    """Return the address that parameter `name` of a book or reserve is."""
    return Address(fact(parameters, name).to_bytes(ADDRESS_BYTES))


def reserve_numbers(book: BookSpec) -> dict[Address, int]:
    """Return the reserve numbers by vToken, and the VAI controller's."""
    return {address_of(each.parameters, "vtoken"): k for k, each in enumerate(book.reserves)}


def vai_number(book: BookSpec) -> int:
    """Return the reserve number of the debt in VAI; -1: there is none."""
    return len(book.reserves) - 1 if fact(book.parameters, "vai_controller") else -1


async def find_book(
    chain: ChainReader, comptroller: Address, venue: str, from_block: int, *, block: Head
) -> BookSpec:
    """Return the book of a comptroller.

    Raises: ChainError: something does not answer as Venus's contracts do, or has another storage layout.
    """
    which = (
        *(abi.ALL_MARKETS, abi.LIQUIDATOR, abi.VAI_CONTROLLER, abi.ORACLE),
        *(abi.LAST_POOL, abi.TREASURY_PERCENT),
    )
    answers = await chain.call([abi.ask(comptroller, each) for each in which], block=block.hash)
    vtokens = _addresses(answers[0], comptroller)
    liquidator, vai_controller, oracle = (
        address_at(abi.words(each, 1, comptroller), 0) for each in answers[1:4]
    )
    facts = {
        "from_block": from_block,
        "liquidator": int.from_bytes(liquidator),
        "oracle": int.from_bytes(oracle),
        "pools": abi.optional(answers[4]) + 1,
        "redeem_fee": abi.optional(answers[5]),
        "vai_controller": int.from_bytes(vai_controller),
    }
    await _check_layout(chain, vtokens, block)
    reserves = await _reserves(chain, vtokens, block)
    if vai_controller != ZERO_ADDRESS:
        reserves.append(await _vai(chain, vai_controller, block))
    assets = [each.debt or NATIVE_TOKEN for each in reserves]
    feeds = await _feeds(chain, oracle, assets, block)
    emitters = dict.fromkeys(emitter for pairs in feeds for _, emitter in pairs)
    reserves = [
        msgspec.structs.replace(
            each, feeds=tuple(dict.fromkeys(contract for pair in pairs for contract in pair))
        )
        for each, pairs in zip(reserves, feeds, strict=True)
    ]
    others = (comptroller, liquidator, vai_controller, oracle)
    sources = dict.fromkeys((*vtokens, *(each for each in others if each != ZERO_ADDRESS), *emitters))
    return BookSpec(
        address=comptroller,
        venue=venue,
        reserves=tuple(reserves),
        log_sources=tuple(LogSource(each) for each in sources),
        parameters=tuple(sorted(facts.items())),
    )


def _addresses(answer: bytes | None, contract: Address) -> list[Address]:
    """Return the array of addresses that a contract answered."""
    data = abi.words(answer, 2, contract)
    count = unsigned(data, 1)
    data = abi.words(data, 2 + count, contract)
    return [address_at(data, 2 + k) for k in range(count)]


async def _check_layout(chain: ChainReader, vtokens: Sequence[Address], block: Head) -> None:
    told = await chain.call(
        [abi.ask(each, which) for each in vtokens for which in (abi.BORROW_INDEX, abi.TOTAL_SUPPLY)],
        block=block.hash,
    )
    slots = abi.INDEX_SLOT.to_bytes(WORD) + abi.SUPPLY_SLOT.to_bytes(WORD)
    held = await chain.call(
        [Call(to=each, data=slots) for each in vtokens],
        block=block.hash,
        pretend=dict.fromkeys(vtokens, abi.READS_SLOTS),
    )
    for k, vtoken in enumerate(vtokens):
        expected = [abi.number(each, vtoken) for each in told[2 * k : 2 * k + 2]]
        slot_words = abi.words(held[k], 2, vtoken)
        if [unsigned(slot_words, 0), unsigned(slot_words, 1)] != expected:
            raise ChainError(
                f"vToken {checksum(vtoken)} keeps its numbers in other slots than Venus's vTokens do",
                way_out="leave this comptroller out",
            )


async def _reserves(chain: ChainReader, vtokens: Sequence[Address], block: Head) -> list[ReserveSpec]:
    which = (abi.UNDERLYING, abi.SYMBOL, abi.RATE_MODEL, abi.INTERNAL_CASH)
    answers = await chain.call(
        [abi.ask(vtoken, each) for vtoken in vtokens for each in which], block=block.hash
    )
    rows = [answers[_MARKET_QUESTIONS * k : _MARKET_QUESTIONS * (k + 1)] for k in range(len(vtokens))]
    models = [address_at(abi.words(row[2], 1, vtoken), 0) for row, vtoken in zip(rows, vtokens, strict=True)]
    size = len(rates.QUESTIONS)
    told = await chain.call(
        [abi.ask(model, each) for model in models for each in rates.QUESTIONS], block=block.hash
    )
    return [
        _reserve(vtoken, rows[k], rates.parameters(told[size * k : size * (k + 1)]))
        for k, vtoken in enumerate(vtokens)
    ]


def _reserve(vtoken: Address, answers: Sequence[bytes | None], model: dict[str, int]) -> ReserveSpec:
    underlying, symbol, _, counted = answers
    # The native market knows no underlying, or says zero. It is paid in what no token call can pay.
    token = address_at(underlying, 0) if underlying and len(underlying) >= WORD else ZERO_ADDRESS
    paid = None if token == ZERO_ADDRESS else token
    facts = {**model, "vtoken": int.from_bytes(vtoken)}
    if counted is not None and len(counted) >= WORD:
        facts[COUNTS_CASH] = 1
    return ReserveSpec(
        symbol=_text(symbol).removeprefix("v"),
        collateral=paid,
        debt=paid,
        parameters=tuple(sorted(facts.items())),
    )


def _text(answer: bytes | None) -> str:
    if answer is None or len(answer) < 2 * WORD:
        return "?"
    return answer[2 * WORD : 2 * WORD + unsigned(answer, 1)].decode(errors="replace")


async def _vai(chain: ChainReader, controller: Address, block: Head) -> ReserveSpec:
    (answer,) = await chain.call([abi.ask(controller, abi.VAI_TOKEN)], block=block.hash)
    token = address_at(abi.words(answer, 1, controller), 0)
    return ReserveSpec(
        symbol=VAI_SYMBOL,
        collateral=None,
        debt=token,
        parameters=(("vtoken", int.from_bytes(controller)),),
    )


async def _feeds(
    chain: ChainReader, oracle: Address, assets: Sequence[Address], block: Head
) -> list[list[tuple[Address, Address]]]:
    """Return by asset the feeds that its price comes from, each with the contract that tells its answers.

    None where the oracle is none of Venus's own.
    """
    configs = await chain.call([abi.ask(oracle, abi.TOKEN_CONFIG, each) for each in assets], block=block.hash)
    asked = [
        (address_at(config, 1 + k), asset)
        for asset, config in zip(assets, configs, strict=True)
        if config is not None and len(config) >= 2 * _ORACLES * WORD + WORD
        for k in range(_ORACLES)
        if unsigned(config, 1 + _ORACLES + k) and address_at(config, 1 + k) != ZERO_ADDRESS
    ]
    answers = await chain.call(
        [abi.ask(source, abi.FEED_CONFIG, asset) for source, asset in asked], block=block.hash
    )
    named = [
        (asset, address_at(answer, _FEED))
        for (_, asset), answer in zip(asked, answers, strict=True)
        if answer is not None and len(answer) >= 3 * WORD
    ]
    feeds = list(dict.fromkeys(feed for _, feed in named if feed != ZERO_ADDRESS))
    behind = dict(zip(feeds, await aggregators(chain, feeds, block=block) if feeds else (), strict=True))
    return [
        [(feed, behind[feed]) for named_for, feed in named if named_for == asset and feed in behind]
        for asset in assets
    ]
