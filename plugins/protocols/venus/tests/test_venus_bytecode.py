"""Health, and what a liquidation takes and gives, equal the published bytecode to the unit.

Random states are written into the storage of real contracts: markets, accounts, VAI, e-mode pools. Then the
comptroller is asked, and real liquidations run through the Liquidator contract, and the vTokens are redeemed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random
from typing import Final

import msgspec
import pytest
from tallyio_protocol_venus import reference, state
from tallyio_protocol_venus.layout import LEAST_TOKENS
from tallyio_protocol_venus.reference import EVERY, Book
from tallyio_protocol_venus.state import MANTISSA, UINT256_MAX, Account, Comptroller, Debt, Market, Pool

from tallyio.lab import Contract, Reverted, RevmBackend, Transaction
from tallyio.lab.fetch import artifact
from tallyio.lab.lending.venus import EMode, Listing, VenusWorld, deploy_venus
from tallyio.lab.steps import deploy
from tallyio.lab.world import OPERATOR
from tallyio.lending import abi
from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic, keccak256
from tallyio.model.units import ADDRESS_BYTES, Address, hex_text
from tallyio.model.words import unsigned
from tests.venus_book import Held

CASES: Final = int(os.environ.get("TALLYIO_LENDING_CASES", "500"))
BORROWER: Final = Address(b"borrower".rjust(ADDRESS_BYTES, b"\1"))

# Slots of VToken, from the storage layout that the package publishes.
RESERVE_FACTOR, ACCRUED_AT, INDEX, BORROWS, RESERVES, SUPPLY = 8, 9, 10, 11, 12, 13
TOKENS, DEBTS, REDUCE_AFTER, REDUCED_AT, CASH = 14, 16, 19, 20, 26
# ... of the comptroller
CLOSE_FACTOR, ASSETS, MARKETS, MINTED, REDEEM_FEE, USER_POOL = 5, 8, 9, 22, 34, 53
FORCED, FORCED_FOR, ACTION_PAUSED, PAUSED_BITS = 45, 50, 41, 24
# ... of the VAI controller
VAI_INDEX, VAI_ACCRUED_AT, VAI_USER_INDEX, VAI_PAST = 15, 16, 17, 18
# ... of the Liquidator
SHARE, RESTRICTED, LEAST_VAI, FORCE_VAI, PENDING = 201, 203, 204, 205, 206

LIQUIDATED: Final = event_topic("LiquidateBorrow(address,address,uint256,address,uint256)")
LIQUIDATED_VAI: Final = event_topic("LiquidateVAI(address,address,uint256,address,uint256)")
REDEEMED: Final = event_topic("Redeem(address,uint256,uint256,uint256)")
SPLIT: Final = event_topic("LiquidateBorrowedTokens(address,address,uint256,address,address,uint256,uint256)")

TOKENS_LISTED: Final = (
    ("USDT", 18, 1.0, "JumpRateModel"),
    ("BTC", 8, 60_000.0, "TwoKinksInterestRateModel"),
    ("DOGE", 8, 0.2, "WhitePaperInterestRateModel"),
    ("TRX", 6, 0.3, "JumpRateModel"),
)
NATIVE: Final = 4
VAI: Final = 5


def slot(key: int | Address, at: int) -> int:
    """Return the slot of a mapping's entry."""
    word = key.to_bytes(32) if isinstance(key, int) else key.rjust(32, b"\0")
    return int.from_bytes(keccak256(word + at.to_bytes(32)))


class Practice:
    """The deployed protocol, and how to write a state into it."""

    def __init__(self) -> None:
        """Deploy everything, and let the operator be able to pay anything."""
        self.backend = RevmBackend()
        listings = []
        self.tokens: list[Contract] = []
        for symbol, decimals, dollars, model in TOKENS_LISTED:
            token: Contract = self.backend.run(deploy(artifact("Token"), symbol, symbol, decimals))
            price = int(dollars * 10**6) * 10 ** (30 - decimals)
            self.tokens.append(token)
            listings.append(
                Listing(symbol=symbol, token=token.address, decimals=decimals, price=price, model=model)
            )
        listings.append(Listing(symbol="BNB", token=None, price=MANTISSA))
        groups = (
            EMode(label="dollars", symbols=("USDT", "TRX")),
            EMode(label="alone", symbols=("BTC",), falls_back=False),
        )
        self.world: VenusWorld = self.backend.run(deploy_venus(listings, groups))
        self.vtokens = [market.vtoken for market in self.world.markets]
        self.tokens.append(self.world.vai)
        for token, vtoken in zip(self.tokens, self.vtokens, strict=False):
            if token is not self.world.vai:
                self.backend.transact(token.call("mint", hex_text(vtoken.address), 2**127))
                self.backend.transact(token.call("mint", hex_text(OPERATOR), 2**127))
        self.put(self.world.vai, slot(OPERATOR, 2), 2**127)
        self.put(self.world.vai, 1, 2**128)

    def put(self, contract: Contract | Address, at: int, value: int) -> None:
        """Write a slot."""
        address = contract.address if isinstance(contract, Contract) else contract
        self.backend.evm.insert_account_storage(hex_text(address), at, value)

    def read(self, contract: Contract, name: str, *args: object) -> int:
        """Return the one number that a function returns."""
        return int(self.backend.read(contract, name, *args)[0])

    def write(self, book: Book, account: Account) -> Book:
        """Write a state into the contracts; return it with the rates that the models say."""
        self._write_own(book.own)
        markets = [self._write_market(k, market) for k, market in enumerate(book.markets[:VAI])]
        self._write_vai(book.markets[VAI])
        self._write_account(account)
        return Book(own=book.own, markets=(*markets, book.markets[VAI]))

    def _write_own(self, own: Comptroller) -> None:
        comptroller, liquidator = self.world.comptroller, self.world.liquidator
        self.put(comptroller, CLOSE_FACTOR, own.close_factor)
        self.put(comptroller, REDEEM_FEE, own.redeem_fee)
        self.put(comptroller, 33, int.from_bytes(self.world.income))
        self.put(liquidator, SHARE, own.liquidator_share)
        self.put(liquidator, LEAST_VAI, own.least_vai)
        self.put(liquidator, FORCE_VAI, int(bool(own.flags & state.FORCE_VAI)))

    def _write_market(self, k: int, market: Market) -> Market:
        vtoken = self.vtokens[k]
        facts = {
            RESERVE_FACTOR: market.reserve_factor,
            ACCRUED_AT: market.accrued_at,
            INDEX: market.index,
            BORROWS: market.borrows,
            RESERVES: market.reserves,
            SUPPLY: market.supply,
            REDUCE_AFTER: market.reduce_after,
            REDUCED_AT: market.reduced_at,
            slot(self.world.liquidator.address, TOKENS): market.liquidator_tokens,
        }
        for at, value in facts.items():
            self.put(vtoken, at, value)
        if k == NATIVE:
            self.backend.fund(vtoken.address, market.cash)
        else:
            self.put(vtoken, CASH, market.cash)
            self.put(self.world.oracle, slot(self.tokens[k].address, 0), market.price)
        for number, pool in enumerate(market.pools):
            at = slot(number << 160 | int.from_bytes(vtoken.address), MARKETS)
            if self.is_in_pool(number, k):
                self.put(self.world.comptroller, at + 4, pool.threshold)
                self.put(self.world.comptroller, at + 5, pool.incentive)
        return msgspec.structs.replace(market, rate=self.read(vtoken, "borrowRatePerBlock"))

    @staticmethod
    def is_in_pool(number: int, k: int) -> bool:
        """Return whether a market has its own terms in a pool."""
        return number == 0 or k in {1: (0, 3), 2: (1,)}[number]

    def _write_vai(self, market: Market) -> None:
        self.put(self.world.vai_controller, VAI_INDEX, market.index)
        self.put(self.world.vai_controller, VAI_ACCRUED_AT, market.accrued_at)
        # The rate a year that is so much per block.
        self.put(self.world.vai_controller, 12, market.rate * 70_080_000)

    def _write_account(self, account: Account) -> None:
        comptroller = self.world.comptroller
        entered = [each.market for each in account.debts if each.entered and each.market != VAI]
        self.put(comptroller, slot(BORROWER, ASSETS), len(entered))
        start = int.from_bytes(keccak256(slot(BORROWER, ASSETS).to_bytes(32)))
        for place, k in enumerate(entered):
            self.put(comptroller, start + place, int.from_bytes(self.vtokens[k].address))
        self.put(comptroller, slot(BORROWER, USER_POOL), account.pool)
        for each in account.debts:
            if each.market == VAI:
                self.put(comptroller, slot(BORROWER, MINTED), each.principal + each.past)
                self.put(self.world.vai_controller, slot(BORROWER, VAI_USER_INDEX), each.index)
                self.put(self.world.vai_controller, slot(BORROWER, VAI_PAST), each.past)
                continue
            vtoken = self.vtokens[each.market]
            self.put(vtoken, slot(BORROWER, TOKENS), each.tokens)
            self.put(vtoken, slot(BORROWER, DEBTS), each.principal)
            self.put(vtoken, slot(BORROWER, DEBTS) + 1, each.index)
            at = slot(int.from_bytes(vtoken.address), MARKETS) + 2
            self.put(comptroller, slot(BORROWER, at), int(each.entered))
            at = int.from_bytes(
                keccak256(vtoken.address.rjust(32, b"\0") + slot(BORROWER, FORCED_FOR).to_bytes(32))
            )
            self.put(comptroller, at, int(each.forced))

    def liquidity(self) -> int:
        """Return collateral less debt of the borrower as the comptroller says it."""
        error, above, below = self.backend.read(
            self.world.policy_facet, "getAccountLiquidity", hex_text(BORROWER)
        )
        if error:
            raise Reverted(f"error {error}")
        return int(above) - int(below)

    def accrue_all(self) -> None:
        """Accrue interest everywhere, in one new block."""
        calls = [vtoken.call("accrueInterest") for vtoken in self.vtokens]
        calls.append(self.world.vai_controller.call("accrueVAIInterest"))
        self.run(calls)

    def run(self, calls: list[Call]) -> None:
        """Let the operator make calls in one new block. Raises: Reverted: one of them."""
        self.backend.block(tuple(Transaction(sender=OPERATOR, call=call) for call in calls))

    def calls(self, collateral: int, debt: int, repay: int) -> list[Call]:
        """Return the calls up to where the operator has the seized vTokens."""
        liquidator = self.world.liquidator
        borrowed = self.world.vai_controller if debt == VAI else self.vtokens[debt]
        arguments = (hex_text(borrowed.address), hex_text(BORROWER), repay)
        approve = self.tokens[NATIVE if debt == VAI else debt].call(
            "approve", hex_text(liquidator.address), repay
        )
        return [
            approve,
            liquidator.call("liquidateBorrow", *arguments, hex_text(self.vtokens[collateral].address)),
        ]

    def logs(self, topic: bytes) -> list[tuple[Address, bytes]]:
        """Return the newest block's events of a kind: whose, and their data."""
        return [
            (Address(bytes.fromhex(log.address[2:])), bytes(log.data[1]))
            for log in self.backend.logs
            if bytes(log.data[0][0]) == topic
        ]


@pytest.fixture(scope="module")
def held() -> Iterator[Held]:
    """Return memory for one account and its book."""
    memory = Held()
    yield memory
    memory.close()


@pytest.fixture(scope="module")
def practice() -> Practice:
    """Return the protocol on an EVM in this process."""
    return Practice()


def random_market(rng: Random, k: int, number: int) -> Market:
    """Return a market as they are."""
    decimals = 18 if k == NATIVE else TOKENS_LISTED[k][1]
    borrows = int(10 ** rng.uniform(2, 7) * 10**decimals)
    cash = int(10 ** rng.uniform(0, 7) * 10**decimals)
    supply = int((cash + borrows) * 50 * 10**8 // 10**decimals * rng.uniform(0.5, 1)) or 1
    if rng.random() < 0.2:
        # So little that each redemption moves the exchange rate.
        cash, borrows, supply = (int(10 ** rng.uniform(1, 7)) for _ in range(3))
    return Market(
        cash=cash,
        borrows=borrows,
        reserves=rng.randrange(1 + (cash + borrows) // 50),
        supply=supply,
        index=rng.randrange(10**18, 2 * 10**18),
        reserve_factor=rng.choice((0, 10**17)),
        price=MANTISSA if k == NATIVE else int(10 ** rng.uniform(-2, 4.8) * 10**6) * 10 ** (30 - decimals),
        accrued_at=number - rng.choice((0, 1, 7, 50)),
        reduced_at=number - rng.randrange(50),
        reduce_after=rng.choice((1, 40, 28_800)),
        liquidator_tokens=rng.randrange(10**6) if rng.random() < 0.3 else 0,
        pools=random_pools(rng, k),
    )


def random_pools(rng: Random, k: int) -> tuple[Pool, ...]:
    """Return a market's terms: of the core pool, of one that falls back to it, and of one that does not."""
    own = [Pool(rng.randrange(4 * 10**17, MANTISSA), rng.randrange(MANTISSA, 12 * 10**17)) for _ in range(3)]
    first = own[1] if Practice.is_in_pool(1, k) else own[0]
    return own[0], first, own[2] if Practice.is_in_pool(2, k) else Pool(0, 0)


def random_case(rng: Random, number: int) -> tuple[Book, Account]:
    """Return a state of the contracts before block `number`."""
    markets = [random_market(rng, k, number) for k in range(VAI)]
    vai = Market(
        flags=state.VAI,
        index=rng.randrange(10**18, 2 * 10**18),
        rate=rng.randrange(10**9),
        accrued_at=number - rng.randrange(40),
        pools=(Pool(0, 0),) * 3,
    )
    own = Comptroller(
        flags=state.VIA_LIQUIDATOR | (state.FORCE_VAI if rng.random() < 0.5 else 0),
        close_factor=rng.choice((MANTISSA // 2, 9 * 10**17)),
        redeem_fee=rng.choice((0, 0, 10**14, 3 * 10**17)),
        liquidator_share=rng.choice((MANTISSA // 2, 0, rng.randrange(MANTISSA))),
        least_vai=rng.choice((MANTISSA, 1_000 * MANTISSA)),
        vai=VAI,
    )
    return Book(own=own, markets=(*markets, vai)), random_account(rng, markets, vai)


def random_account(rng: Random, markets: list[Market], vai: Market) -> Account:
    """Return an account whose debts are of the order of its collateral."""
    debts, scale = [], 10 ** rng.uniform(-4, 5)
    for k, market in enumerate(markets):
        worth = int(scale * 10 ** rng.uniform(-1, 0.4) * 10**36)
        owes = worth // market.price if rng.random() < 0.5 else 0
        rate = (market.cash + market.borrows - market.reserves) * MANTISSA // market.supply
        tokens = worth * MANTISSA // market.price // rate if rng.random() < 0.7 else 0
        if owes or tokens:
            debts.append(
                Debt(
                    market=k,
                    tokens=min(tokens, market.supply),
                    principal=owes,
                    index=rng.randrange(10**18, market.index + 1),
                    entered=owes > 0 or rng.random() < 0.9,
                    forced=owes > 0 and rng.random() < 0.05,
                )
            )
    pool = rng.randrange(3)
    if pool == 0 and rng.random() < 0.5:
        minted = int(scale * 10 ** rng.uniform(-2, 0.4) * 10**18) or 1
        index = rng.randrange(10**18, vai.index + 1)
        debts.append(Debt(market=VAI, principal=minted, index=index, past=rng.choice((0, minted // 7))))
    return Account(debts=tuple(debts), pool=pool)


def test_random_positions_are_as_the_contracts_say(practice: Practice, held: Held) -> None:
    rng = Random(20)
    seen: dict[int, int] = {}
    for case in range(CASES):
        number = practice.backend.number + 1
        book, account = random_case(rng, number)
        if not account.debts:
            continue
        with practice.backend.undone():
            book = practice.write(book, account)
            held.hold(book, account)
            check_health(practice, held, book, account, number)
            pairs = [
                (c, d)
                for c, secured in enumerate(account.debts)
                for d, owing in enumerate(account.debts)
                if NATIVE not in {secured.market, owing.market} and secured.tokens and owing.principal
            ]
            if pairs:
                verdict = check_liquidation(practice, held, (book, account), rng.choice(pairs), number, case)
                seen[verdict] = seen.get(verdict, 0) + 1
    assert seen[abi.LAWFUL] > CASES // 10
    assert {abi.HEALTH_IS_SOUND, abi.PAUSED, abi.NO_CASH, abi.NOT_COLLATERAL} <= set(seen)


def test_the_last_vtoken_bounds_the_repayment(practice: Practice, held: Held) -> None:
    """One unit takes one vToken here, so that the bound is met exactly."""
    number = practice.backend.number + 1
    equal = Market(
        cash=10**20,
        supply=10**20,
        price=MANTISSA,
        accrued_at=number,
        reduced_at=number,
        reduce_after=100,
        pools=(Pool(MANTISSA // 2, MANTISSA),) * 3,
    )
    lent = msgspec.structs.replace(equal, borrows=10**19)
    vai = Market(flags=state.VAI, accrued_at=number, pools=(Pool(0, 0),) * 3)
    own = Comptroller(flags=state.VIA_LIQUIDATOR, close_factor=9 * 10**17, vai=VAI)
    secured = Debt(market=0, tokens=10**12 + 7, entered=True)
    account = Account(debts=(secured, Debt(market=2, principal=10**15, entered=True)))
    with practice.backend.undone():
        book = practice.write(Book(own=own, markets=(equal, equal, lent, equal, equal, vai)), account)
        held.hold(book, account)
        _, repay, seize, *_, most = held.liquidate(0, 1, UINT256_MAX, 0, number)
        assert repay == seize == most == secured.tokens
        with practice.backend.undone():
            redeem = practice.vtokens[0].call("redeem", seize)
            practice.run([*practice.calls(0, 2, repay), redeem])
        assert_reverts(practice, (0, 2, repay + 1))


def test_the_liquidators_own_redemption_moves_the_rate_of_ours(practice: Practice, held: Held) -> None:
    rng, lawful = Random(30), 0
    for case in range(40):
        number = practice.backend.number + 1
        book, _ = random_case(rng, number)
        # The account has many of the vTokens of a small market without borrowers.
        small = msgspec.structs.replace(
            book.markets[0],
            cash=rng.randrange(100, 10**5),
            borrows=0,
            reserves=0,
            supply=rng.randrange(100, 10**5),
            liquidator_tokens=0,
            price=10**22,
        )
        cheap = msgspec.structs.replace(book.markets[2], price=10**19)
        book = Book(own=book.own, markets=(small, book.markets[1], cheap, *book.markets[3:]))
        secured = Debt(market=0, tokens=rng.randrange(small.supply // 3, small.supply), entered=True)
        account = Account(debts=(secured, Debt(market=2, principal=10**15, entered=True, forced=True)))
        with practice.backend.undone():
            book = practice.write(book, account)
            held.hold(book, account)
            if check_liquidation(practice, held, (book, account), (0, 1), number, 3 * case + 1) == abi.LAWFUL:
                lawful += 1
    assert lawful > 20


def check_health(practice: Practice, held: Held, book: Book, account: Account, number: int) -> None:
    """Compare health with the comptroller's view, before interest accrues in a block and after."""
    with practice.backend.undone():
        practice.backend.block(())
        assert practice.backend.number == number
        collateral, debt = reference.sums(book, account, accrued=(), time=0, number=number)
        assert practice.liquidity() == collateral - debt
    with practice.backend.undone():
        practice.accrue_all()
        collateral, debt = reference.sums(book, account, accrued=EVERY, time=0, number=number)
        assert practice.liquidity() == collateral - debt
    status, *numbers = held.health(0, number)
    is_due = collateral < debt or reference.is_forced(book, account)
    assert status == (abi.LIQUIDATABLE if is_due else abi.HEALTHY)
    assert numbers[:2] == [collateral, debt]


def check_liquidation(
    practice: Practice,
    held: Held,
    state_: tuple[Book, Account],
    pair: tuple[int, int],
    number: int,
    case: int,
) -> int:
    """Compare a liquidation as large as is lawful, or a refused one, with what the contracts do."""
    book, account = state_
    c, d = pair
    offer = UINT256_MAX if case % 3 else 1 + case % 97
    told = held.liquidate(c, d, offer, 0, number)
    verdict, terms = reference.liquidate(
        book, account, collateral=c, debt=d, repay=offer, time=0, number=number
    )
    assert told[0] == verdict
    collateral, debt = account.debts[c].market, account.debts[d].market
    if verdict != abi.LAWFUL:
        if verdict != abi.NOTHING_GAINED:
            repay = offer if offer < UINT256_MAX else terms.most or max(1, account.debts[d].principal // 4)
            assert_reverts(practice, (collateral, debt, repay))
        return verdict
    with practice.backend.undone():
        # What arrives is the same whether one redeems all the vTokens, or asks for their worth.
        kept = terms.seized_tokens - terms.kept_tokens
        redeem = practice.vtokens[collateral].call("redeem", kept)
        asked = redeem_call(practice, book, collateral, told[2])
        practice.run([*practice.calls(collateral, debt, told[1]), redeem if case % 2 else asked])
        check_events(practice, terms, (collateral, debt))
    if told[5] < 2**120:
        assert_reverts(practice, (collateral, debt, told[5] + 1))
    return verdict


def redeem_call(practice: Practice, book: Book, collateral: int, seize: int) -> Call:
    """Return the call that redeems what pays `seize` after the fee."""
    gross = (seize - 1) * MANTISSA // (MANTISSA - book.own.redeem_fee) + 1
    return practice.vtokens[collateral].call("redeemUnderlying", gross)


def check_events(practice: Practice, terms: state.Liquidation, markets: tuple[int, int]) -> None:
    """Compare what was predicted with what the contracts tell."""
    collateral, debt = markets
    (_, liquidated), *_ = practice.logs(LIQUIDATED_VAI if debt == VAI else LIQUIDATED)
    assert (unsigned(liquidated, 2), unsigned(liquidated, 4)) == (terms.actual_repay, terms.seized_tokens)
    redeemed = [data for at, data in practice.logs(REDEEMED) if at == practice.vtokens[collateral].address]
    assert unsigned(redeemed[-1], 1) == terms.seize
    (_, split), *_ = practice.logs(SPLIT)
    ours, theirs = unsigned(split, 2), unsigned(split, 3)
    assert (ours, ours + theirs) == (terms.kept_tokens, terms.seized_tokens)
    # What is left of them is less than three, or worth less than four units.
    left = practice.read(practice.vtokens[collateral], "balanceOf", hex_text(OPERATOR))
    assert left == theirs - unsigned(redeemed[-1], 2)
    rate = practice.read(practice.vtokens[collateral], "exchangeRateStored")
    assert left < LEAST_TOKENS or left * rate < 4 * MANTISSA


def assert_reverts(practice: Practice, offer: tuple[int, int, int]) -> None:
    """Fail unless liquidating, or redeeming all that it gave, reverts."""
    collateral, debt, repay = offer
    with practice.backend.undone():
        try:
            practice.run(practice.calls(collateral, debt, repay))
        except Reverted:
            return
        tokens = practice.read(practice.vtokens[collateral], "balanceOf", hex_text(OPERATOR))
        with pytest.raises(Reverted):
            practice.run([practice.vtokens[collateral].call("redeem", tokens)])
