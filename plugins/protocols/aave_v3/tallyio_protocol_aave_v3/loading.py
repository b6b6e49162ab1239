"""Read rows and positions with calls at one block hash, so that they agree with each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.hooks.lending import BookRows
from tallyio.model.chain import Head
from tallyio.model.erc20 import balance_of
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.lending import Balance, BookSpec, Position, PositionKey, ReserveSpec
from tallyio.model.units import ZERO_ADDRESS, Address, checksum
from tallyio.model.words import require_words, signed, unsigned
from tallyio_protocol_aave_v3 import abi
from tallyio_protocol_aave_v3.discovery import Market, as_address, market_of
from tallyio_protocol_aave_v3.layout import (
    ACTIVE,
    AS_COLLATERAL,
    CATEGORY_COUNT,
    FLASH,
    PAUSED,
    RESERVE_BYTES,
    STABLE_DEBT,
    Category,
    Own,
    Reserve,
    Rules,
    Sentinel,
    pack_own,
    pack_reserve,
)
from tallyio_protocol_aave_v3.revisions import FIRST_WITH_GRACE, rules_of
from tallyio_protocol_aave_v3.venues import WHERE

_ROUND_WORDS: Final = 5
_STARTED: Final = 2
_UPDATED: Final = 3
_FIRST_WITH_STARTED: Final = 9
_SECONDS_LIMIT: Final = 1 << 62


async def load_rows(chain: ChainReader, book: BookSpec, block: Head) -> BookRows:
    """Return the rows at `block`. Raises: ChainError: a contract does not answer, or impossibly."""
    market = market_of(book)
    rules = rules_of(market.revision, market.pool)
    own = Own(
        rules=rules,
        sentinel=await _sentinel(chain, market, block),
        categories=await _categories(chain, market, rules, block),
    )
    return BookRows(own=pack_own(own), reserves=await _reserve_rows(chain, book, market, block))


async def load_positions(
    chain: ChainReader, book: BookSpec, keys: Sequence[PositionKey], block: Head
) -> list[Position]:
    """Return the positions at `block`: what secures debt, and the debt."""
    pool = book.address
    calls = [abi.user_configuration(pool, key.account) for key in keys]
    calls += [abi.user_category(pool, key.account) for key in keys]
    answers = [unsigned(_words(answer, 1, pool), 0) for answer in await chain.call(calls, block=block.hash)]
    wanted = [list(_used(book, key, bits)) for key, bits in zip(keys, answers[: len(keys)], strict=True)]
    flat = [call for each in wanted for _, calls in each for call in calls]
    amounts = iter(await chain.call(flat, block=block.hash))
    return [
        Position(key=key, balances=tuple(_balances(each, amounts)), flags=category)
        for key, each, category in zip(keys, wanted, answers[len(keys) :], strict=True)
    ]


_Use = tuple[int, bool]


def _used(book: BookSpec, key: PositionKey, bits: int) -> Iterator[tuple[_Use, list[Call]]]:
    """Yield the reserves that a user's bit map names, whether each is collateral, and what to ask."""
    for number, reserve in enumerate(book.reserves):
        is_borrowed, is_collateral = bits >> 2 * number & 1, bits >> 2 * number + 1 & 1
        if reserve.debt is not None and (is_borrowed or is_collateral):
            yield (number, bool(is_collateral)), _amounts(reserve, key.account)


def _amounts(reserve: ReserveSpec, user: Address) -> list[Call]:
    facts = dict(reserve.parameters)
    calls = [abi.scaled_balance(as_address(facts[name]), user) for name in ("a_token", "debt_token")]
    stable = as_address(facts["stable_token"])
    return calls if stable == ZERO_ADDRESS else [*calls, balance_of(stable, user)]


def _balances(wanted: list[tuple[_Use, list[Call]]], amounts: Iterator[bytes | None]) -> Iterator[Balance]:
    for (number, is_collateral), calls in wanted:
        said = [unsigned(_words(next(amounts), 1, call.to), 0) for call in calls]
        flags = AS_COLLATERAL if is_collateral and said[0] else 0
        balance = Balance(
            reserve=number,
            collateral=said[0] if flags else 0,
            debt=said[1],
            flags=flags | (STABLE_DEBT if any(said[2:]) else 0),
        )
        if balance.collateral or balance.debt or balance.flags:
            yield balance


async def _sentinel(chain: ChainReader, market: Market, block: Head) -> Sentinel | None:
    if market.sentinel == ZERO_ADDRESS:
        return None
    calls = [
        Call(to=market.sentinel, data=abi.GET_GRACE),
        Call(to=market.sequencer, data=abi.LATEST_ROUND),
    ]
    grace, said = await chain.call(calls, block=block.hash)
    answers = _words(said, _ROUND_WORDS, market.sequencer)
    # `PriceOracleSentinel` counts from `updatedAt` in 3.0 and from `startedAt` later.
    since = unsigned(answers, _STARTED if market.revision >= _FIRST_WITH_STARTED else _UPDATED)
    return Sentinel(
        answer=int(signed(answers, 1) != 0),
        since=min(since, _SECONDS_LIMIT),
        grace_seconds=min(unsigned(_words(grace, 1, market.sentinel), 0), _SECONDS_LIMIT),
    )


async def _categories(chain: ChainReader, market: Market, rules: Rules, block: Head) -> dict[int, Category]:
    numbers = [number for number in range(CATEGORY_COUNT) if market.categories >> number & 1]
    calls = [abi.category_data(market.pool, number) for number in numbers]
    if rules & Rules.BITMAPS:
        calls += [abi.category_bitmap(market.pool, number) for number in numbers]
    answers = await chain.call(calls, block=block.hash)
    bitmaps = answers[len(numbers) :] or [bytes(32)] * len(numbers)
    return {
        number: _category(_words(answer, abi.CATEGORY_WORDS, market.pool), _words(bitmap, 1, market.pool))
        for number, answer, bitmap in zip(numbers, answers, bitmaps, strict=False)
    }


def _category(data: bytes, bitmap: bytes) -> Category:
    return Category(threshold=unsigned(data, 2), bonus=unsigned(data, 3), bitmap=unsigned(bitmap, 0))


async def _reserve_rows(chain: ChainReader, book: BookSpec, market: Market, block: Head) -> tuple[bytes, ...]:
    there = [(number, each) for number, each in enumerate(book.reserves) if each.debt is not None]
    calls = [_questions(market, reserve) for _, reserve in there]
    answers = iter(await chain.call([call for each in calls for call in each], block=block.hash))
    rows = [bytes(RESERVE_BYTES)] * len(book.reserves)
    for (number, _), asked in zip(there, calls, strict=True):
        rows[number] = _row(market.pool, number, [next(answers) for _ in asked])
    return tuple(rows)


def _questions(market: Market, reserve: ReserveSpec) -> list[Call]:
    asset = reserve.debt or ZERO_ADDRESS
    calls = [
        abi.get_reserve_data(market.pool, asset),
        abi.asset_price(market.oracle, asset),
        _cash(market, reserve, asset),
    ]
    return [*calls, abi.grace_until(market.pool, asset)] if market.revision >= FIRST_WITH_GRACE else calls


def _cash(market: Market, reserve: ReserveSpec, asset: Address) -> Call:
    if market.revision >= FIRST_WITH_GRACE:
        return abi.virtual_balance(market.pool, asset)
    return balance_of(asset, as_address(dict(reserve.parameters)["a_token"]))


async def load_lent(
    chain: ChainReader, book: BookSpec, tokens: Collection[Address], block: Head
) -> tuple[dict[Address, int], int]:
    """Return what a pool lends of `tokens` by flash, and its premium in 1e-4. Raises: ChainError."""
    market = market_of(book)
    there = {each.debt: each for each in book.reserves if each.debt is not None and each.debt in tokens}
    calls = [Call(to=market.pool, data=abi.PREMIUM)]
    for token, reserve in there.items():
        total = Call(to=as_address(dict(reserve.parameters)["a_token"]), data=abi.TOTAL_SUPPLY)
        calls += [abi.get_reserve_data(market.pool, token), _cash(market, reserve, token), total]
    premium, *answers = await chain.call(calls, block=block.hash)
    lent: dict[Address, int] = {}
    for token, said, cash, supply in zip(there, answers[::3], answers[1::3], answers[2::3], strict=True):
        flags = abi.reserve_data(_words(said, abi.RESERVE_WORDS, market.pool)).flags
        if flags & (ACTIVE | PAUSED | FLASH) == ACTIVE | FLASH:
            lent[token] = min(unsigned(_words(cash, 1, market.pool), 0), unsigned(supply or b"", 0))
    return lent, unsigned(premium or b"", 0)


def _row(pool: Address, number: int, answers: list[bytes | None]) -> bytes:
    said, price, cash, *grace = answers
    data = abi.reserve_data(_words(said, abi.RESERVE_WORDS, pool))
    try:
        return pack_reserve(
            Reserve(
                liquidity_index=data.liquidity_index,
                liquidity_rate=data.liquidity_rate,
                debt_index=data.debt_index,
                debt_rate=data.debt_rate,
                price=unsigned(price, 0) if price else 0,
                decimals=data.decimals,
                cash=unsigned(_words(cash, 1, pool), 0),
                updated_at=data.updated_at,
                flags=data.flags,
                threshold=data.threshold,
                bonus=data.bonus,
                fee=data.fee,
                category=data.category,
                grace_until=unsigned(_words(grace[0], 1, pool), 0) if grace else 0,
            )
        )
    except ValueError as error:
        raise ChainError(f"reserve {number} of Aave pool {checksum(pool)} is impossible: {error}") from None


def _words(answer: bytes | None, count: int, contract: Address) -> bytes:
    return require_words(
        answer,
        count,
        contract=contract,
        kind="an Aave V3 contract",
        way_out=f"check the addresses in [{WHERE}]",
    )
