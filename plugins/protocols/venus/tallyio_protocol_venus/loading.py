"""Read a book's rows: one round of calls at one block hash, and a second for what the first named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tallyio.hooks.interfaces import ChainReader
from tallyio.hooks.lending import BookRows
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, ReserveSpec
from tallyio.model.units import ZERO_ADDRESS, Address, checksum
from tallyio.model.words import WORD, address_at, unsigned, word
from tallyio_protocol_venus import abi, state
from tallyio_protocol_venus.discovery import address_of, fact, vai_number
from tallyio_protocol_venus.layout import pack_market, pack_own
from tallyio_protocol_venus.state import NEVER, Comptroller, Market, Pool

Answers = Iterator[bytes | None]

_OWN = (abi.CLOSE_FACTOR, abi.TREASURY_PERCENT, abi.IS_PAUSED, abi.OLD_INCENTIVE)
_LIQUIDATOR = (abi.LIQUIDATOR_SHARE, abi.LEAST_VAI, abi.FORCE_VAI)
_VTOKEN = (
    *(abi.CASH, abi.TOTAL_BORROWS, abi.TOTAL_RESERVES, abi.TOTAL_SUPPLY, abi.BORROW_INDEX),
    *(abi.BORROW_RATE, abi.RESERVE_FACTOR, abi.ACCRUED_AT, abi.REDUCED_AT, abi.REDUCE_AFTER),
    *(abi.EXCHANGE_RATE, abi.IS_TIMED),
)
_ACTIONS = {
    abi.LIQUIDATE: state.LIQUIDATE_PAUSED,
    abi.SEIZE: state.SEIZE_PAUSED,
    abi.REPAY: state.REPAY_PAUSED,
    abi.REDEEM: state.REDEEM_PAUSED,
    abi.MOVE: state.TRANSFER_PAUSED,
}
ACTION_FLAGS = _ACTIONS
"""A market's flag by number of `Action`."""
_NEW_MARKET_WORDS = 7
_POOL_WORDS = 3


async def load_rows(chain: ChainReader, book: BookSpec, *, block: Head) -> BookRows:
    """Return the rows of a book at `block`. Raises: ChainError: an answer is missing or beyond the domain."""
    calls = [*_own_calls(book), *(call for each in book.reserves for call in _calls(book, each))]
    answers = iter(await chain.call(calls, block=block.hash))
    own, incentive = _own(book, answers)
    pools = _pools(book, answers)
    pending = await _pending(chain, book, own.liquidator_share, block)
    vai_accrued_at = await _vai_accrued_at(chain, book, block)
    markets = [
        _reserve(book, each, answers, pools, incentive, pending, vai_accrued_at) for each in book.reserves
    ]
    return BookRows(
        own=_packed(book.address, pack_own, own),
        reserves=tuple(
            _packed(address_of(spec.parameters, "vtoken"), pack_market, market)
            for spec, market in zip(book.reserves, markets, strict=True)
        ),
    )


def _packed[T](contract: Address, pack: object, what: T) -> bytes:
    try:
        row: bytes = pack(what)  # type: ignore[operator]
    except ValueError as error:
        raise ChainError(f"contract {checksum(contract)} has an impossible state: {error}") from None
    return row


def _own_calls(book: BookSpec) -> list[Call]:
    liquidator = address_of(book.parameters, "liquidator")
    return [
        *(abi.ask(book.address, each) for each in _OWN),
        *(abi.ask(liquidator, each) for each in _LIQUIDATOR),
        *(abi.ask(book.address, abi.POOL, number) for number in range(1, fact(book.parameters, "pools"))),
    ]


def _own(book: BookSpec, answers: Answers) -> tuple[Comptroller, int]:
    close_factor, fee, is_paused, incentive = (next(answers) for _ in _OWN)
    share, least_vai, force_vai = (next(answers) for _ in _LIQUIDATOR)
    is_via = address_of(book.parameters, "liquidator") != ZERO_ADDRESS
    flags = state.VIA_LIQUIDATOR if is_via else 0
    flags |= state.PAUSED if abi.optional(is_paused) else 0
    flags |= state.FORCE_VAI if is_via and abi.optional(force_vai) else 0
    own = Comptroller(
        flags=flags,
        close_factor=abi.number(close_factor, book.address),
        redeem_fee=abi.optional(fee),
        liquidator_share=abi.number(share, address_of(book.parameters, "liquidator")) if is_via else 0,
        least_vai=abi.optional(least_vai) if is_via else 0,
        vai=vai_number(book),
    )
    return own, abi.optional(incentive)


def _pools(book: BookSpec, answers: Answers) -> list[tuple[bool, bool]]:
    """Return for each pool above the core pool whether it is active, and whether it falls back."""
    told = [
        abi.words(next(answers), _POOL_WORDS, book.address) for _ in range(1, fact(book.parameters, "pools"))
    ]
    return [(bool(unsigned(each, 1)), bool(unsigned(each, 2))) for each in told]


async def _pending(chain: ChainReader, book: BookSpec, share: int, block: Head) -> set[Address]:
    """Return the vTokens that the Liquidator redeems at the end of a liquidation."""
    liquidator = address_of(book.parameters, "liquidator")
    if liquidator == ZERO_ADDRESS:
        return set()
    count = len(book.reserves)
    slots = abi.PENDING_SLOTS + b"".join(word(abi.PENDING_SLOT + k) for k in range(count))
    held = await _slots(chain, liquidator, slots, block)
    if unsigned(held, 0) != share:
        raise _moved("Liquidator", liquidator)
    waiting = min(unsigned(held, 1), unsigned(held, 2), count)
    return {address_at(held, 3 + k) for k in range(waiting)}


async def _slots(chain: ChainReader, contract: Address, slots: bytes, block: Head) -> bytes:
    call = Call(to=contract, data=slots)
    (held,) = await chain.call([call], block=block.hash, pretend={contract: abi.READS_SLOTS})
    return abi.words(held, len(slots) // WORD, contract)


def _moved(kind: str, contract: Address) -> ChainError:
    return ChainError(
        f"{kind} {checksum(contract)} keeps its numbers in other slots than Venus's does",
        way_out="leave this comptroller out",
    )


async def _vai_accrued_at(chain: ChainReader, book: BookSpec, block: Head) -> int:
    """Return the number of the block in which VAI's index last grew; 0: there is no VAI."""
    controller = address_of(book.parameters, "vai_controller")
    if controller == ZERO_ADDRESS:
        return 0
    told = await chain.call([abi.ask(controller, abi.VAI_INDEX)], block=block.hash)
    slots = await _slots(chain, controller, abi.VAI_SLOTS, block)
    if unsigned(slots, 0) != abi.number(told[0], controller):
        raise _moved("VAI controller", controller)
    return unsigned(slots, 1)


def _calls(book: BookSpec, spec: ReserveSpec) -> list[Call]:
    vtoken, comptroller = address_of(spec.parameters, "vtoken"), book.address
    shared = [
        *(abi.ask(comptroller, abi.IS_ACTION_PAUSED, vtoken, each) for each in _ACTIONS),
        abi.ask(comptroller, abi.IS_FORCED, vtoken),
    ]
    if vtoken == address_of(book.parameters, "vai_controller"):
        return [*shared, *(abi.ask(vtoken, each) for each in (abi.VAI_INDEX, abi.VAI_RATE))]
    return [
        *shared,
        *(abi.ask(vtoken, each) for each in _VTOKEN),
        abi.ask(vtoken, abi.BALANCE_OF, address_of(book.parameters, "liquidator")),
        abi.ask(address_of(book.parameters, "oracle"), abi.PRICE, vtoken),
        abi.ask(comptroller, abi.MARKET, vtoken),
        *(
            abi.ask(comptroller, abi.POOL_MARKET, number, vtoken)
            for number in range(1, fact(book.parameters, "pools"))
        ),
    ]


def _reserve(  # noqa: PLR0913, PLR0917 - what rows of all markets are made of
    book: BookSpec,
    spec: ReserveSpec,
    answers: Answers,
    pools: Sequence[tuple[bool, bool]],
    incentive: int,
    pending: set[Address],
    vai_accrued_at: int,
) -> Market:
    vtoken = address_of(spec.parameters, "vtoken")
    flags = sum(flag for flag in _ACTIONS.values() if abi.optional(next(answers)))
    flags |= state.FORCED if abi.optional(next(answers)) else 0
    if vtoken == address_of(book.parameters, "vai_controller"):
        index, rate = (abi.number(next(answers), vtoken) for _ in range(2))
        nothing = (Pool(0, 0),) * (1 + len(pools))
        return Market(
            flags=flags | state.VAI, index=index, rate=rate, accrued_at=vai_accrued_at, pools=nothing
        )
    flags |= state.NATIVE if spec.debt is None else 0
    flags |= state.PENDING if vtoken in pending else 0
    return _market(vtoken, flags, answers, pools, incentive)


def _market(
    vtoken: Address, flags: int, answers: Answers, pools: Sequence[tuple[bool, bool]], incentive: int
) -> Market:
    told = [next(answers) for _ in _VTOKEN]
    cash, borrows, reserves, supply, index, rate, factor, accrued_at = (
        abi.number(each, vtoken) for each in told[:8]
    )
    reduced_at, reduce_after, exchange, is_timed = told[8:]
    held, price, terms = (next(answers) for _ in range(3))
    is_listed, core = _terms(abi.words(terms, _POOL_WORDS, vtoken), incentive)
    groups = [_group(abi.words(next(answers), _NEW_MARKET_WORDS, vtoken), core, each) for each in pools]
    return Market(
        cash=cash,
        borrows=borrows,
        reserves=reserves,
        supply=supply,
        index=index,
        rate=rate,
        reserve_factor=factor,
        price=abi.optional(price),
        initial_rate=0 if supply else abi.optional(exchange),
        accrued_at=accrued_at,
        reduced_at=abi.optional(reduced_at),
        # A vToken that does not know the question keeps its reserves.
        reduce_after=abi.optional(reduce_after, NEVER),
        liquidator_tokens=abi.optional(held),
        flags=flags | (state.LISTED if is_listed else 0) | (state.TIMED if abi.optional(is_timed) else 0),
        pools=(core, *groups),
    )


def _terms(data: bytes, incentive: int) -> tuple[bool, Pool]:
    """Return whether a market is listed, and its terms: before e-mode, factor and one incentive for all."""
    is_listed = bool(unsigned(data, 0))
    if len(data) < _NEW_MARKET_WORDS * WORD:
        return is_listed, Pool(unsigned(data, 1), incentive)
    return is_listed, Pool(unsigned(data, 3), unsigned(data, 4))


def _group(data: bytes, core: Pool, pool: tuple[bool, bool]) -> Pool:
    """Return a market's terms in an e-mode pool (`MarketFacet.getLiquidationParams`)."""
    is_listed, own = _terms(data, 0)
    is_active, falls_back = pool
    return core if not is_active or (not is_listed and falls_back) else own
