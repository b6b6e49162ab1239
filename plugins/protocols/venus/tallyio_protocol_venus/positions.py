"""Read accounts: what they have in each market, from storage, and what the comptroller knows of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head, LogFilter
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, Position, PositionKey
from tallyio.model.units import ADDRESS_BYTES, Address, checksum
from tallyio.model.words import WORD, address_at, unsigned
from tallyio_protocol_venus import abi
from tallyio_protocol_venus.discovery import address_of, fact, reserve_numbers, vai_number
from tallyio_protocol_venus.layout import pack_account
from tallyio_protocol_venus.state import MANTISSA, Account, Debt

CHUNK: Final = 200
"""Accounts that are asked for in one call of each vToken."""
_QUESTIONS: Final = 6


async def find_accounts(chain: ChainReader, book: BookSpec, *, block: Head) -> Collection[PositionKey]:
    """Return everybody who borrowed, or minted VAI, up to `block`."""
    numbers = reserve_numbers(book)
    query = LogFilter(
        from_block=fact(book.parameters, "from_block"),
        to_block=block.number,
        addresses=tuple(numbers),
        topics=((abi.BORROWED, abi.VAI_MINTED),),
    )
    logs = await chain.logs(query)
    return dict.fromkeys(PositionKey(address_at(log.data, 0)) for log in logs if len(log.data) >= WORD)


async def load_positions(
    chain: ChainReader, book: BookSpec, keys: Sequence[PositionKey], *, block: Head
) -> list[Position]:
    """Return the positions of `keys` as of `block`. Raises: ChainError: an answer is missing."""
    found: list[Position] = []
    for start in range(0, len(keys), CHUNK):
        found += await _load(chain, book, keys[start : start + CHUNK], block)
    return found


async def _load(
    chain: ChainReader, book: BookSpec, keys: Sequence[PositionKey], block: Head
) -> list[Position]:
    numbers, vai = reserve_numbers(book), vai_number(book)
    vtokens = [vtoken for vtoken, number in numbers.items() if number != vai]
    slots = b"".join(abi.slots_of(key.account) for key in keys)
    held = await chain.call(
        [Call(to=vtoken, data=slots) for vtoken in vtokens],
        block=block.hash,
        pretend=dict.fromkeys(vtokens, abi.READS_SLOTS),
    )
    told = await chain.call(
        [call for key in keys for call in _questions(book, key.account)], block=block.hash
    )
    accounts = []
    for k in range(len(keys)):
        at = abi.SLOTS * WORD * k
        answers = told[_QUESTIONS * k : _QUESTIONS * (k + 1)]
        pieces = [
            abi.words(data, abi.SLOTS * len(keys), vtoken)[at : at + abi.SLOTS * WORD]
            for vtoken, data in zip(vtokens, held, strict=True)
        ]
        accounts.append(_account(book, [numbers[vtoken] for vtoken in vtokens], pieces, answers))
    accounts = await _with_forced(chain, book, keys, accounts, block)
    return [pack_account(key, account, vai=vai) for key, account in zip(keys, accounts, strict=True)]


def _questions(book: BookSpec, account: Address) -> tuple[Call, ...]:
    controller = address_of(book.parameters, "vai_controller")
    return (
        abi.ask(book.address, abi.ASSETS_IN, account),
        abi.ask(book.address, abi.USER_POOL, account),
        abi.ask(book.address, abi.MINTED_VAI, account),
        abi.ask(controller, abi.VAI_PAST, account),
        abi.ask(controller, abi.VAI_USER_INDEX, account),
        abi.ask(address_of(book.parameters, "liquidator"), abi.IS_RESTRICTED, account),
    )


def _account(
    book: BookSpec, numbers: Sequence[int], pieces: Sequence[bytes], answers: Sequence[bytes | None]
) -> Account:
    assets, pool, minted, past, vai_index, restricted = answers
    entered = _entered(book, assets)
    debts = [
        Debt(
            market=number,
            tokens=unsigned(piece, 0),
            principal=unsigned(piece, 1),
            index=unsigned(piece, 2) or MANTISSA,
            entered=number in entered,
        )
        for number, piece in zip(numbers, pieces, strict=True)
    ]
    if vai_number(book) >= 0 and abi.optional(minted):
        interest = abi.optional(past)
        principal = abi.optional(minted) - interest
        index = abi.optional(vai_index, MANTISSA)
        debts.append(Debt(market=vai_number(book), principal=principal, index=index, past=interest))
    if abi.optional(pool) >= fact(book.parameters, "pools"):
        raise ChainError(
            f"comptroller {checksum(book.address)} has a pool {abi.optional(pool)}, which is new",
            way_out="discover it again",
        )
    return Account(
        debts=tuple(each for each in debts if each.tokens or each.principal or each.past),
        pool=abi.optional(pool),
        restricted=bool(abi.optional(restricted)),
    )


def _entered(book: BookSpec, answer: bytes | None) -> set[int]:
    data = abi.words(answer, 2, book.address)
    numbers = reserve_numbers(book)
    assets = (Address(data[(2 + k) * WORD :][WORD - ADDRESS_BYTES : WORD]) for k in range(unsigned(data, 1)))
    return {numbers[asset] for asset in assets if asset in numbers}


async def _with_forced(
    chain: ChainReader, book: BookSpec, keys: Sequence[PositionKey], accounts: list[Account], block: Head
) -> list[Account]:
    """Return the accounts with what is forced for them: asked only where there is something."""
    vtokens = {number: vtoken for vtoken, number in reserve_numbers(book).items()}
    calls = [
        abi.ask(book.address, abi.IS_FORCED_FOR, key.account, vtokens[debt.market])
        for key, account in zip(keys, accounts, strict=True)
        for debt in account.debts
    ]
    answers = iter(await chain.call(calls, block=block.hash) if calls else [])
    return [
        Account(
            debts=tuple(_forced(debt, is_forced=bool(abi.optional(next(answers)))) for debt in account.debts),
            pool=account.pool,
            restricted=account.restricted,
        )
        for account in accounts
    ]


def _forced(debt: Debt, *, is_forced: bool) -> Debt:
    return Debt(
        market=debt.market,
        tokens=debt.tokens,
        principal=debt.principal,
        index=debt.index,
        past=debt.past,
        entered=debt.entered,
        forced=is_forced,
    )
