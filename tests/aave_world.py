"""A market of the lab's recipe whose state is ours to choose, and what its contracts make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from tallyio_protocol_aave_v3.layout import AS_COLLATERAL, Reserve, Rules, Sentinel
from tallyio_protocol_aave_v3.reference import Pool

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.lending.aave import (
    LARGEST_CODE,
    AaveMarket,
    AaveVersion,
    Listing,
    deploy_aave,
    deploy_sentinel,
)
from tallyio.lab.revm import RevmBackend
from tallyio.lab.steps import Reverted, deploy
from tallyio.lab.world import OPERATOR, account
from tallyio.lending import abi
from tallyio.model.hashing import event_topic, keccak256, selector
from tallyio.model.lending import Balance, Position
from tallyio.model.units import Address, hex_text
from tallyio.model.words import address_word, word

BORROWER: Final = account("borrower")
LIQUIDATOR: Final = account("liquidator")
PLENTY: Final = 10**40
DOLLAR: Final = 10**8
LISTINGS: Final = (
    ("USDX", 6, DOLLAR),
    ("WETH", 18, 2_500 * DOLLAR),
    ("WBTC", 8, 60_000 * DOLLAR),
    ("GUSD", 2, DOLLAR),
    ("LINK", 18, 15 * DOLLAR),
    ("NEAR", 24, 5 * DOLLAR),
)
"""Symbol, decimals and price."""

LIQUIDATION: Final = event_topic("LiquidationCall(address,address,address,uint256,uint256,address,bool)")
DEFICIT: Final = event_topic("DeficitCreated(address,address,uint256)")
BALANCE_TRANSFER: Final = event_topic("BalanceTransfer(address,address,uint256,uint256)")

# What reverts say: numbers in 3.0 (`Errors`), and the first four bytes of the error since 3.4.
REASONS: Final = {
    abi.INACTIVE: ("27", "ReserveInactive()"),
    abi.PAUSED: ("29", "ReservePaused()"),
    abi.SENTINEL: ("59", "PriceOracleSentinelCheckFailed()"),
    abi.GRACE_PERIOD: ("", "LiquidationGraceSentinelCheckFailed()"),
    abi.HEALTH_IS_SOUND: ("45", "HealthFactorNotBelowThreshold()"),
    abi.NOT_COLLATERAL: ("46", "CollateralCannotBeLiquidated()"),
    abi.NOTHING_OWED: ("47", "SpecifiedCurrencyNotBorrowedByUser()"),
    abi.LEAVES_DUST: ("", "MustNotLeaveDust()"),
}

# Of `Pool`: mappings after the gap of `VersionedInitializable`; the same in both ages.
_RESERVES: Final = 52
_USERS: Final = 53
_CATEGORIES: Final = 55
_USER_CATEGORIES: Final = 56
_FEED_ANSWER: Final = 0
_TOKEN_BALANCES: Final = 1
_HALF: Final = 128


def reason(version: AaveVersion, verdict: int) -> str:
    """Return what a revert with that verdict contains in hex; empty where there are several ways."""
    old, new = REASONS.get(verdict, ("", ""))
    if version is AaveVersion.V3_0:
        return old.encode().hex()
    return selector(new).hex() if new else ""


class Asset(NamedTuple):
    """A listed asset's contracts."""

    token: Contract
    a_token: Address
    debt_token: Address
    feed: Address


class Taken(NamedTuple):
    """What the events of one liquidation say."""

    repay: int
    seize: int
    written_off: int
    scaled_fee: int


class Attempt(NamedTuple):
    """A liquidation that somebody sends: two reserves by number, and what is offered."""

    borrower: Address
    collateral: int
    debt: int
    offer: int


class AaveWorld:
    """A market on an EVM of its own. Rows and positions are written into storage, as no history would."""

    def __init__(
        self,
        version: AaveVersion,
        listings: Sequence[tuple[str, int, int]],
        *,
        artifacts: Mapping[str, Artifact] | None = None,
    ) -> None:
        """Deploy a market that lists (symbol, decimals, price)."""
        self.version = version
        self.backend = RevmBackend(largest_code=LARGEST_CODE)
        self._pyrevm = self.backend._pyrevm
        made = [self._listing(*each) for each in listings]
        self.market: AaveMarket = self.backend.run(deploy_aave(version, made, artifacts=artifacts))
        self.assets = [self._asset(listing) for listing in made]
        self.a_slot, self.debt_slot = self._slots()
        for asset in self.assets:
            self._hold(asset.token.address, LIQUIDATOR, PLENTY)
            approval = asset.token.call("approve", self.market.pool.address, PLENTY)
            self.backend.transact(approval, sender=LIQUIDATOR)

    def set_sentinel(self, sentinel: Sentinel) -> None:
        """Let a sentinel watch a sequencer that says so, from now on."""
        feed = self.backend.run(deploy_sentinel(self.market, grace_seconds=sentinel.grace_seconds))
        self.backend.transact(feed.aggregator.call("postAt", sentinel.answer, sentinel.since))

    # --- state

    def at(self, time: int) -> None:
        """Make `time` that of the block which calls see."""
        environment = self._pyrevm.BlockEnv(number=1, timestamp=time, gas_limit=10**12, basefee=0)
        self.backend.evm.set_block_env(environment)

    def put_pool(self, pool: Pool) -> None:
        """Write reserves, prices, cash and e-mode categories."""
        for number, reserve in enumerate(pool.reserves):
            self._put_reserve(number, reserve, pool.own.rules)
        for number, category in pool.own.categories.items():
            base = self._mapped(_CATEGORIES, word(number))
            terms = category.threshold | category.threshold << 16 | category.bonus << 32
            if pool.own.rules & Rules.BITMAPS:
                self._store(self.market.pool.address, base, terms | category.bitmap << 48)
            else:
                self._store(self.market.pool.address, base, terms)

    def put_position(self, position: Position) -> None:
        """Write its owner's bits, balances and category."""
        owner, pool, bits = position.key.account, self.market.pool.address, 0
        held = {balance.reserve: balance for balance in position.balances}
        for number, asset in enumerate(self.assets):
            balance = held.get(number, Balance(reserve=number))
            bits |= (balance.debt != 0) << 2 * number
            bits |= (balance.flags & AS_COLLATERAL != 0) << 2 * number + 1
            self._scaled(asset.a_token, self.a_slot, owner, balance.collateral)
            self._scaled(asset.debt_token, self.debt_slot, owner, balance.debt)
        self._store(pool, self._mapped(_USERS, address_word(owner)), bits)
        self._store(pool, self._mapped(_USER_CATEGORIES, address_word(owner)), position.flags)

    # --- what the contracts say

    def account_data(self) -> tuple[int, int, int, int]:
        """Return collateral, debt, average threshold and health factor."""
        call = self.market.pool.call("getUserAccountData", BORROWER)
        answer = self.market.pool.artifact.decode("getUserAccountData", self._call(call, OPERATOR))
        return answer[0], answer[1], answer[3], answer[5]

    def liquidate(self, collateral: int, debt: int, offer: int) -> Taken | str:
        """Return what a liquidation does, or why it reverts; nothing stays."""
        return self.liquidate_in_turn([Attempt(BORROWER, collateral, debt, offer)])[0]

    def liquidate_in_turn(self, attempts: Sequence[Attempt]) -> list[Taken | str]:
        """Return what each does in one transaction with those before it, or why it reverts; nothing stays."""
        checkpoint = self.backend.evm.snapshot()
        try:
            return [self._attempt(*each) for each in attempts]
        finally:
            self.backend.evm.revert(checkpoint)

    # --- within

    def _attempt(self, borrower: Address, collateral: int, debt: int, offer: int) -> Taken | str:
        assets = (self.assets[collateral].token.address, self.assets[debt].token.address)
        call = self.market.pool.call("liquidationCall", *assets, borrower, offer, False)
        try:
            self._call(call, LIQUIDATOR)
        except Reverted as error:
            return str(error)
        return self._taken(debt)

    def _call(self, call: Any, sender: Address) -> bytes:
        try:
            answer = self.backend.evm.message_call(hex_text(sender), hex_text(call.to), calldata=call.data)
        except RuntimeError as error:
            raise Reverted(str(error)) from None
        return bytes(answer)

    def _taken(self, debt: int) -> Taken:
        repay = seize = written_off = scaled_fee = 0
        for log in self.backend.evm.result.logs:
            topics, data = log.data
            words = [int.from_bytes(data[k : k + 32]) for k in range(0, len(data), 32)]
            kind = bytes(topics[0])
            if kind == LIQUIDATION:
                repay, seize = words[0], words[1]
            elif kind == DEFICIT and bytes(topics[2])[12:] == self.assets[debt].token.address:
                written_off = words[0]
            elif kind == BALANCE_TRANSFER:
                scaled_fee = words[0]
        return Taken(repay, seize, written_off, scaled_fee)

    def _listing(self, symbol: str, decimals: int, price: int) -> Listing:
        # 3.6 lists nothing with fewer decimals than 6; `put_pool` writes others.
        listed = max(decimals, 6)
        token = self.backend.run(deploy(artifact("Token"), symbol, symbol, listed))
        return Listing(symbol=symbol, token=token.address, decimals=listed, price=price)

    def _asset(self, listing: Listing) -> Asset:
        (data,) = self.backend.read(self.market.pool, "getReserveData", listing.token)
        a_token, debt_token = (Address(bytes.fromhex(data[k][2:])) for k in (8, 10))
        feed = self.market.feeds[listing.symbol].aggregator.address
        return Asset(Contract(artifact("Token"), listing.token), a_token, debt_token, feed)

    def _put_reserve(self, number: int, reserve: Reserve, rules: Rules) -> None:
        asset, pool = self.assets[number], self.market.pool.address
        base = self._mapped(_RESERVES, address_word(asset.token.address))
        self._store(pool, base, self._configuration(number, reserve, rules))
        self._store(pool, base + 1, reserve.liquidity_index | reserve.liquidity_rate << _HALF)
        self._store(pool, base + 2, reserve.debt_index | reserve.debt_rate << _HALF)
        self._store(pool, base + 3, reserve.updated_at << 128 | number << 168 | reserve.grace_until << 184)
        if rules & Rules.DIRECTED:
            self._store(pool, base + 8, reserve.cash << _HALF)
        self._hold(asset.token.address, asset.a_token, reserve.cash)
        self._store(asset.feed, _FEED_ANSWER, reserve.price)

    def _configuration(self, number: int, reserve: Reserve, rules: Rules) -> int:
        """Return the contract's bit map; a ceiling of debt and siloed borrowing change no liquidation."""
        bits = min(reserve.threshold, 1) | reserve.threshold << 16 | reserve.bonus << 32
        bits |= reserve.decimals << 48 | 1 << 58 | reserve.fee << 152
        bits |= (reserve.flags & 1) << 56 | (reserve.flags >> 2 & 1) << 57 | (reserve.flags >> 1 & 1) << 60
        if number == 0:
            bits |= 1 << 61 | 10**9 << 212  # borrowable in isolation, and collateral in isolation
        if number == 1:
            bits |= 1 << 62  # siloed
        return bits if rules & Rules.BITMAPS else bits | reserve.category << 168

    def _scaled(self, token: Address, slot: int, owner: Address, amount: int) -> None:
        # The rest of the word is the index at which the balance was last written; it only shapes events.
        state = self._mapped(slot, address_word(owner))
        self._store(token, state, amount | 10**27 << _HALF)
        self._store(token, slot + 2, 10**36)  # the supply, more than anybody has

    def _hold(self, token: Address, owner: Address, amount: int) -> None:
        self._store(token, self._mapped(_TOKEN_BALANCES, address_word(owner), is_vyper=True), amount)

    def _slots(self) -> tuple[int, int]:
        """Return where the tokens keep their users' states, found by a real deposit and a real loan."""
        asset, pool = self.assets[0], self.market.pool
        amount = 10**6
        self._hold(asset.token.address, OPERATOR, 10 * amount)
        approve = asset.token.call("approve", pool.address, 10 * amount)
        supply = pool.call("supply", asset.token.address, 10 * amount, OPERATOR, 0)
        borrow = pool.call("borrow", asset.token.address, amount, 2, 0, OPERATOR)
        with self.backend.undone():
            for call in (approve, supply, borrow):
                self.backend.transact(call)
            return self._find(asset.a_token, 10 * amount), self._find(asset.debt_token, amount)

    def _find(self, token: Address, amount: int) -> int:
        evm = self.backend.evm
        for slot in range(128):
            state = evm.storage(hex_text(token), self._mapped(slot, address_word(OPERATOR)))
            if state & (1 << 120) - 1 in {amount, amount + 1}:
                return slot
        raise AssertionError("the token keeps its balances somewhere else")

    def _store(self, contract: Address, slot: int, value: int) -> None:
        self.backend.evm.insert_account_storage(hex_text(contract), slot, value)

    @staticmethod
    def _mapped(slot: int, key: bytes, *, is_vyper: bool = False) -> int:
        parts = (word(slot), key) if is_vyper else (key, word(slot))
        return int.from_bytes(keccak256(b"".join(parts)))


@cache
def world_of(version: AaveVersion) -> AaveWorld:
    """Return the world of that age that tests share: each writes all the state that it looks at."""
    return AaveWorld(version, LISTINGS)
