"""Calls and events of a market's contracts.

Sources: `IPool`, `IPoolConfigurator`, `IPoolAddressesProvider`, `IAaveOracle`, `IScaledBalanceToken`,
`IAToken` and `IPriceOracleSentinel` of @aave/core-v3 and @aave-dao/aave-v3-origin; where they differ, both
are here.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic, selector
from tallyio.model.units import Address
from tallyio.model.words import address_at, address_word, unsigned, word
from tallyio_protocol_aave_v3.layout import ACTIVE, FLASH, FROZEN, PAUSED

GET_POOL: Final = selector("getPool()")
GET_ORACLE: Final = selector("getPriceOracle()")
GET_CONFIGURATOR: Final = selector("getPoolConfigurator()")
GET_SENTINEL: Final = selector("getPriceOracleSentinel()")
POOL_REVISION: Final = selector("POOL_REVISION()")
GET_RESERVES: Final = selector("getReservesList()")
PREMIUM: Final = selector("FLASHLOAN_PREMIUM_TOTAL()")
SYMBOL: Final = selector("symbol()")
TOTAL_SUPPLY: Final = selector("totalSupply()")
GET_SEQUENCER: Final = selector("getSequencerOracle()")
GET_GRACE: Final = selector("getGracePeriod()")
LATEST_ROUND: Final = selector("latestRoundData()")
_RESERVE_DATA: Final = selector("getReserveData(address)")
_VIRTUAL_BALANCE: Final = selector("getVirtualUnderlyingBalance(address)")
_GRACE_UNTIL: Final = selector("getLiquidationGracePeriod(address)")
_CATEGORY: Final = selector("getEModeCategoryData(uint8)")
_CATEGORY_BITMAP: Final = selector("getEModeCategoryCollateralBitmap(uint8)")
_USER_CATEGORY: Final = selector("getUserEMode(address)")
_USER_CONFIGURATION: Final = selector("getUserConfiguration(address)")
_PRICE: Final = selector("getAssetPrice(address)")
_SOURCE: Final = selector("getSourceOfAsset(address)")
_SCALED_BALANCE: Final = selector("scaledBalanceOf(address)")
_LIQUIDATION_CALL: Final = selector("liquidationCall(address,address,address,uint256,bool)")
_FLASH_LOAN_SIMPLE: Final = selector("flashLoanSimple(address,address,uint256,bytes,uint16)")

RESERVE_WORDS: Final = 15
CATEGORY_WORDS: Final = 5

SUPPLY: Final = event_topic("Supply(address,address,address,uint256,uint16)")
WITHDRAW: Final = event_topic("Withdraw(address,address,address,uint256)")
BORROW: Final = event_topic("Borrow(address,address,address,uint256,uint8,uint256,uint16)")
REPAY: Final = event_topic("Repay(address,address,address,uint256,bool)")
LIQUIDATION: Final = event_topic("LiquidationCall(address,address,address,uint256,uint256,address,bool)")
FLASH_LOAN: Final = event_topic("FlashLoan(address,address,address,uint256,uint8,uint256,uint16)")
RESERVE_UPDATED: Final = event_topic("ReserveDataUpdated(address,uint256,uint256,uint256,uint256,uint256)")
COLLATERAL_ON: Final = event_topic("ReserveUsedAsCollateralEnabled(address,address)")
COLLATERAL_OFF: Final = event_topic("ReserveUsedAsCollateralDisabled(address,address)")
CATEGORY_SET: Final = event_topic("UserEModeSet(address,uint8)")
MINT: Final = event_topic("Mint(address,address,uint256,uint256,uint256)")
BURN: Final = event_topic("Burn(address,address,uint256,uint256,uint256)")
BALANCE_TRANSFER: Final = event_topic("BalanceTransfer(address,address,uint256,uint256)")

RELOADING: Final = tuple(
    event_topic(signature)
    for signature in (
        "MintUnbacked(address,address,address,uint256,uint16)",
        "BackUnbacked(address,address,uint256,uint256)",
        "SwapBorrowRateMode(address,address,uint8)",
        "RebalanceStableBorrowRate(address,address)",
        "CollateralConfigurationChanged(address,uint256,uint256,uint256)",
        "ReserveActive(address,bool)",
        "ReserveFrozen(address,bool)",
        "ReservePaused(address,bool)",
        "ReserveFactorChanged(address,uint256,uint256)",
        "ReserveInterestRateDataChanged(address,address,bytes)",
        "ReserveInterestRateStrategyChanged(address,address,address)",
        "LiquidationProtocolFeeChanged(address,uint256,uint256)",
        "LiquidationGracePeriodChanged(address,uint40)",
        "LiquidationGracePeriodDisabled(address)",
        "ReserveFlashLoaning(address,bool)",
        "AssetCollateralInEModeChanged(address,uint8,bool)",
        "EModeAssetCategoryChanged(address,uint8,uint8)",
        "GracePeriodUpdated(uint256)",
        "FallbackOracleUpdated(address)",
    )
)
"""What makes the rows wrong in a way that the event does not tell in full."""

REBUILDING: Final = tuple(
    event_topic(signature)
    for signature in (
        "ReserveInitialized(address,address,address,address,address)",
        "ReserveDropped(address)",
        "EModeCategoryAdded(uint8,uint256,uint256,uint256,address,string)",
        "AssetSourceUpdated(address,address)",
        "SequencerOracleUpdated(address)",
        "PriceOracleUpdated(address,address)",
        "PriceOracleSentinelUpdated(address,address)",
        "PoolUpdated(address,address)",
        "PoolConfiguratorUpdated(address,address)",
    )
)
"""What adds or replaces a contract that the book reads."""


class ReserveData(msgspec.Struct, frozen=True, kw_only=True):
    """What `getReserveData` says, as far as it matters here; `configuration` is the contract's bit map."""

    configuration: int
    liquidity_index: int
    liquidity_rate: int
    debt_index: int
    debt_rate: int
    updated_at: int
    id: int
    collateral_token: Address
    stable_token: Address
    debt_token: Address

    @property
    def threshold(self) -> int:
        """The liquidation threshold in 1e-4."""
        return self.configuration >> 16 & 0xFFFF

    @property
    def bonus(self) -> int:
        """The liquidation bonus in 1e-4; 10_500 gives 5 %."""
        return self.configuration >> 32 & 0xFFFF

    @property
    def decimals(self) -> int:
        """The token's."""
        return self.configuration >> 48 & 0xFF

    @property
    def flags(self) -> int:
        """The flags of a reserve's row."""
        bits = ((56, ACTIVE), (57, FROZEN), (60, PAUSED), (63, FLASH))
        return sum(flag for bit, flag in bits if self.configuration >> bit & 1)

    @property
    def is_borrowable(self) -> bool:
        """Whether anybody may borrow it."""
        return bool(self.configuration >> 58 & 1)

    @property
    def fee(self) -> int:
        """The protocol's share of the bonus, in 1e-4."""
        return self.configuration >> 152 & 0xFFFF

    @property
    def category(self) -> int:
        """The e-mode category (before 3.2)."""
        return self.configuration >> 168 & 0xFF

    @property
    def counts_cash(self) -> bool:
        """Whether the pool keeps its own count of cash ("virtual accounting", 3.1 to 3.3)."""
        return bool(self.configuration >> 252 & 1)


def reserve_data(answer: bytes) -> ReserveData:
    """Return what `getReserveData` answered; its struct is the same in all versions."""
    return ReserveData(
        configuration=unsigned(answer, 0),
        liquidity_index=unsigned(answer, 1),
        liquidity_rate=unsigned(answer, 2),
        debt_index=unsigned(answer, 3),
        debt_rate=unsigned(answer, 4),
        updated_at=unsigned(answer, 6),
        id=unsigned(answer, 7),
        collateral_token=address_at(answer, 8),
        stable_token=address_at(answer, 9),
        debt_token=address_at(answer, 10),
    )


def get_reserve_data(pool: Address, asset: Address) -> Call:
    """Ask for a reserve."""
    return Call(to=pool, data=_RESERVE_DATA + address_word(asset))


def virtual_balance(pool: Address, asset: Address) -> Call:
    """Ask for the pool's own count of a reserve's cash."""
    return Call(to=pool, data=_VIRTUAL_BALANCE + address_word(asset))


def grace_until(pool: Address, asset: Address) -> Call:
    """Ask until when a reserve's grace period lasts."""
    return Call(to=pool, data=_GRACE_UNTIL + address_word(asset))


def category_data(pool: Address, number: int) -> Call:
    """Ask for an e-mode category: behind an offset, ltv, threshold, bonus, price source, label."""
    return Call(to=pool, data=_CATEGORY + word(number))


def category_bitmap(pool: Address, number: int) -> Call:
    """Ask which reserves are collateral of an e-mode category."""
    return Call(to=pool, data=_CATEGORY_BITMAP + word(number))


def user_category(pool: Address, user: Address) -> Call:
    """Ask for a user's e-mode category."""
    return Call(to=pool, data=_USER_CATEGORY + address_word(user))


def user_configuration(pool: Address, user: Address) -> Call:
    """Ask for a user's bit map: two bits for each reserve, borrowing and, above it, used as collateral."""
    return Call(to=pool, data=_USER_CONFIGURATION + address_word(user))


def asset_price(oracle: Address, asset: Address) -> Call:
    """Ask for a price."""
    return Call(to=oracle, data=_PRICE + address_word(asset))


def source_of(oracle: Address, asset: Address) -> Call:
    """Ask for the contract that a price comes from."""
    return Call(to=oracle, data=_SOURCE + address_word(asset))


def scaled_balance(token: Address, user: Address) -> Call:
    """Ask for a scaled balance."""
    return Call(to=token, data=_SCALED_BALANCE + address_word(user))


def liquidation_call(pool: Address, collateral: Address, debt: Address, user: Address, offer: int) -> Call:
    """Liquidate, and take the collateral itself rather than its aTokens."""
    head = address_word(collateral) + address_word(debt) + address_word(user)
    return Call(to=pool, data=_LIQUIDATION_CALL + head + word(offer) + word(0))


def flash_loan_simple(pool: Address, receiver: Address, asset: Address, amount: int, data: bytes) -> Call:
    """Borrow for the length of a call; five head words, then the bytes."""
    head = address_word(receiver) + address_word(asset) + word(amount) + word(5 * 32) + word(0)
    padded = word(len(data)) + data + bytes(-len(data) % 32)
    return Call(to=pool, data=_FLASH_LOAN_SIMPLE + head + padded)
