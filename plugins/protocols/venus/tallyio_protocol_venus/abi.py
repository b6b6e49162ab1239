"""The calls, events and storage slots of a comptroller, its vTokens, VAI and the Liquidator, as bytes.

Source: @venusprotocol/venus-protocol 10.3.0; the slots are those of its published storage layout, which
vTokens of all ages share (`VTokenStorageBase`).
"""

from __future__ import annotations

from typing import Final

from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic, keccak256, selector
from tallyio.model.units import Address
from tallyio.model.words import WORD, address_word, require_words, unsigned, word
from tallyio_protocol_venus.settings import WHERE

# --- events, by what follows them ---------------------------------------------------------------
ACCRUED: Final = event_topic("AccrueInterest(uint256,uint256,uint256,uint256)")
MINTED: Final = event_topic("Mint(address,uint256,uint256,uint256)")
MINTED_OLD: Final = event_topic("Mint(address,uint256,uint256)")
MINTED_BEHALF: Final = event_topic("MintBehalf(address,address,uint256,uint256,uint256)")
REDEEMED: Final = event_topic("Redeem(address,uint256,uint256,uint256)")
REDEEMED_OLD: Final = event_topic("Redeem(address,uint256,uint256)")
REDEEM_FEE: Final = event_topic("RedeemFee(address,uint256,uint256)")
BORROWED: Final = event_topic("Borrow(address,uint256,uint256,uint256)")
REPAID: Final = event_topic("RepayBorrow(address,address,uint256,uint256,uint256)")
TRANSFER: Final = event_topic("Transfer(address,address,uint256)")
RESERVES_ADDED: Final = event_topic("ReservesAdded(address,uint256,uint256)")
RESERVES_REDUCED: Final = event_topic("ReservesReduced(address,uint256,uint256)")
NEW_RESERVE_FACTOR: Final = event_topic("NewReserveFactor(uint256,uint256)")

ENTERED: Final = event_topic("MarketEntered(address,address)")
EXITED: Final = event_topic("MarketExited(address,address)")
POOL_SELECTED: Final = event_topic("PoolSelected(address,uint96,uint96)")
FORCED_FOR_USER: Final = event_topic("IsForcedLiquidationEnabledForUserUpdated(address,address,bool)")
NEW_CLOSE_FACTOR: Final = event_topic("NewCloseFactor(uint256,uint256)")
PROTOCOL_PAUSED: Final = event_topic("ActionProtocolPaused(bool)")
ACTION_PAUSED: Final = event_topic("ActionPausedMarket(address,uint8,bool)")

VAI_MINTED: Final = event_topic("MintVAI(address,uint256)")
VAI_REPAID: Final = event_topic("RepayVAI(address,address,uint256)")
VAI_LIQUIDATED: Final = event_topic("LiquidateVAI(address,address,uint256,address,uint256)")

RESTRICTED: Final = event_topic("LiquidationRestricted(address)")
UNRESTRICTED: Final = event_topic("LiquidationRestrictionsDisabled(address)")

LIQUIDATED_VIA: Final = event_topic(
    "LiquidateBorrowedTokens(address,address,uint256,address,address,uint256,uint256)"
)
INCOME_SENT: Final = event_topic("ProtocolLiquidationIncentiveTransferred(address,address,uint256)")

RELOADS: Final = (
    event_topic("NewLiquidationTreasuryPercent(uint256,uint256)"),
    event_topic("NewMinLiquidatableVAI(uint256,uint256)"),
    event_topic("NewPendingRedeemChunkLength(uint256,uint256)"),
    event_topic("ForceVAILiquidationPaused(address)"),
    event_topic("ForceVAILiquidationResumed(address)"),
    event_topic("NewVAIBaseRate(uint256,uint256)"),
    event_topic("NewVAIFloatRate(uint256,uint256)"),
    event_topic("NewReduceReservesBlockDelta(uint256,uint256)"),
    event_topic("CashSynced(uint256,uint256)"),
    event_topic("TransferOutUnderlyingFlashLoan(address,address,uint256)"),
    event_topic("TransferInUnderlyingFlashLoan(address,address,uint256,uint256,uint256)"),
    event_topic("NewLiquidationThreshold(uint96,address,uint256,uint256)"),
    event_topic("NewLiquidationIncentive(uint96,address,uint256,uint256)"),
    event_topic("NewCollateralFactor(address,uint256,uint256)"),
    event_topic("NewLiquidationIncentive(uint256,uint256)"),
    event_topic("PoolActiveStatusUpdated(uint96,bool,bool)"),
    event_topic("PoolFallbackStatusUpdated(uint96,bool,bool)"),
    event_topic("PoolMarketInitialized(uint96,address)"),
    event_topic("PoolMarketRemoved(uint96,address)"),
    event_topic("MarketUnlisted(address)"),
    event_topic("IsForcedLiquidationEnabledUpdated(address,bool)"),
)
"""What is read again with the rows: the Liquidator's terms, odd cash, all that collateral counts for."""

REBUILDS: Final = (
    event_topic("MarketListed(address)"),
    event_topic("PoolCreated(uint96,string)"),
    event_topic("NewPriceOracle(address,address)"),
    event_topic("NewLiquidatorContract(address,address)"),
    event_topic("NewVAIController(address,address)"),
    event_topic("NewMarketInterestRateModel(address,address)"),
    event_topic("NewImplementation(address,address)"),
    event_topic("NewTreasuryPercent(uint256,uint256)"),
    event_topic("DiamondCut((address,uint8,bytes4[])[])"),
)
"""What a book's description depends on."""

FOLLOWED: Final = (
    *(ACCRUED, MINTED, MINTED_OLD, MINTED_BEHALF, REDEEMED, REDEEMED_OLD, REDEEM_FEE, BORROWED, REPAID),
    *(TRANSFER, RESERVES_ADDED, RESERVES_REDUCED, NEW_RESERVE_FACTOR),
    *(ENTERED, EXITED, POOL_SELECTED, FORCED_FOR_USER, NEW_CLOSE_FACTOR, PROTOCOL_PAUSED, ACTION_PAUSED),
    *(VAI_MINTED, VAI_REPAID, VAI_LIQUIDATED, RESTRICTED, UNRESTRICTED, LIQUIDATED_VIA, INCOME_SENT),
)
EVENTS: Final = (*FOLLOWED, *RELOADS, *REBUILDS)

# --- questions ----------------------------------------------------------------------------------
ALL_MARKETS: Final = selector("getAllMarkets()")
CLOSE_FACTOR: Final = selector("closeFactorMantissa()")
TREASURY_PERCENT: Final = selector("treasuryPercent()")
IS_PAUSED: Final = selector("protocolPaused()")
LIQUIDATOR: Final = selector("liquidatorContract()")
VAI_CONTROLLER: Final = selector("vaiController()")
ORACLE: Final = selector("oracle()")
LAST_POOL: Final = selector("lastPoolId()")
POOL: Final = selector("pools(uint96)")
OLD_INCENTIVE: Final = selector("liquidationIncentiveMantissa()")
MARKET: Final = selector("markets(address)")
POOL_MARKET: Final = selector("poolMarkets(uint96,address)")
IS_ACTION_PAUSED: Final = selector("actionPaused(address,uint8)")
IS_FORCED: Final = selector("isForcedLiquidationEnabled(address)")
IS_FORCED_FOR: Final = selector("isForcedLiquidationEnabledForUser(address,address)")
ASSETS_IN: Final = selector("getAssetsIn(address)")
USER_POOL: Final = selector("userPoolId(address)")
MINTED_VAI: Final = selector("mintedVAIs(address)")

SYMBOL: Final = selector("symbol()")
UNDERLYING: Final = selector("underlying()")
RATE_MODEL: Final = selector("interestRateModel()")
CASH: Final = selector("getCash()")
INTERNAL_CASH: Final = selector("internalCash()")
TOTAL_BORROWS: Final = selector("totalBorrows()")
TOTAL_RESERVES: Final = selector("totalReserves()")
TOTAL_SUPPLY: Final = selector("totalSupply()")
BORROW_INDEX: Final = selector("borrowIndex()")
BORROW_RATE: Final = selector("borrowRatePerBlock()")
RESERVE_FACTOR: Final = selector("reserveFactorMantissa()")
ACCRUED_AT: Final = selector("accrualBlockNumber()")
REDUCED_AT: Final = selector("reduceReservesBlockNumber()")
REDUCE_AFTER: Final = selector("reduceReservesBlockDelta()")
EXCHANGE_RATE: Final = selector("exchangeRateStored()")
IS_TIMED: Final = selector("isTimeBased()")
BALANCE_OF: Final = selector("balanceOf(address)")
PRICE: Final = selector("getUnderlyingPrice(address)")

VAI_TOKEN: Final = selector("getVAIAddress()")
VAI_INDEX: Final = selector("vaiMintIndex()")
VAI_RATE: Final = selector("getVAIRepayRatePerBlock()")
VAI_PAST: Final = selector("pastVAIInterest(address)")
VAI_USER_INDEX: Final = selector("getVAIMinterInterestIndex(address)")

LIQUIDATOR_SHARE: Final = selector("treasuryPercentMantissa()")
LEAST_VAI: Final = selector("minLiquidatableVAI()")
FORCE_VAI: Final = selector("forceVAILiquidate()")
IS_RESTRICTED: Final = selector("liquidationRestricted(address)")

TOKEN_CONFIG: Final = selector("getTokenConfig(address)")
FEED_CONFIG: Final = selector("tokenConfigs(address)")

REDEEM, REPAY, SEIZE, LIQUIDATE, MOVE = 1, 3, 4, 5, 6
"""Numbers of `Action`."""

# --- storage ------------------------------------------------------------------------------------
INDEX_SLOT: Final = 10
SUPPLY_SLOT: Final = 13
_TOKENS_SLOT: Final = 14
_DEBTS_SLOT: Final = 16
VAI_SLOTS: Final = word(15) + word(16)
"""The mint index, which has a getter too, and when it last grew, which has none."""
PENDING_SLOTS: Final = word(201) + word(206) + word(208)
"""The Liquidator's share, which has a getter too; how many vTokens wait for being redeemed; and how many of
them it redeems at a time."""
PENDING_SLOT: Final = int.from_bytes(keccak256(word(206)))
"""Where the first of them is."""
SLOTS: Final = 3
"""What an account has in a vToken: tokens, principal and index."""

READS_SLOTS: Final = bytes.fromhex("60005b3681101560155780355481526020016002565b366000f3")
"""Code that takes its call data as slots, and returns what they hold: the debts' indexes have no getter."""

_LIQUIDATE_VIA: Final = selector("liquidateBorrow(address,address,uint256,address)")
_LIQUIDATE_DIRECTLY: Final = selector("liquidateBorrow(address,uint256,address)")
_LIQUIDATE_VAI: Final = selector("liquidateVAI(address,uint256,address)")
_MAY_REPAY: Final = selector("repayBorrowAllowed(address,address,address,uint256)")
_MAY_SEIZE: Final = selector("seizeAllowed(address,address,address,address,uint256)")
_REDEEM_UNDERLYING: Final = selector("redeemUnderlying(uint256)")


def ask(contract: Address, which: bytes, *arguments: Address | int) -> Call:
    """Return a call with arguments of one word each."""
    words = (address_word(each) if isinstance(each, bytes) else word(each) for each in arguments)
    return Call(to=contract, data=which + b"".join(words))


def slots_of(account: Address) -> bytes:
    """Return the slots of what an account has in a vToken."""
    debt = int.from_bytes(keccak256(address_word(account) + word(_DEBTS_SLOT)))
    return keccak256(address_word(account) + word(_TOKENS_SLOT)) + word(debt) + word(debt + 1)


def liquidate_via(
    liquidator: Address, borrowed: Address, borrower: Address, repay: int, seized: Address
) -> Call:
    """Return the Liquidator's `liquidateBorrow`; `borrowed` and `seized` are vTokens."""
    return ask(liquidator, _LIQUIDATE_VIA, borrowed, borrower, repay, seized)


def liquidate_directly(
    borrowed: Address, borrower: Address, repay: int, seized: Address, *, in_vai: bool
) -> Call:
    """Return the liquidation at the vToken, or the VAI controller, itself."""
    return ask(borrowed, _LIQUIDATE_VAI if in_vai else _LIQUIDATE_DIRECTLY, borrower, repay, seized)


def may_repay(comptroller: Address, vtoken: Address, payer: Address, borrower: Address) -> Call:
    """Return the question whether a debt may be repaid."""
    return ask(comptroller, _MAY_REPAY, vtoken, payer, borrower, 0)


def may_seize(
    comptroller: Address, seized: Address, borrowed: Address, liquidator: Address, borrower: Address
) -> Call:
    """Return the question whether vTokens may be seized."""
    return ask(comptroller, _MAY_SEIZE, seized, borrowed, liquidator, borrower, 0)


def redeem_underlying(vtoken: Address, amount: int) -> Call:
    """Return the call that redeems as many vTokens as `amount` of the underlying takes."""
    return ask(vtoken, _REDEEM_UNDERLYING, amount)


def words(answer: bytes | None, count: int, contract: Address) -> bytes:
    """Return an answer of at least `count` words. Raises: ChainError: the contract is none of Venus."""
    return require_words(
        answer,
        count,
        contract=contract,
        kind="a contract of Venus",
        way_out=f"check the addresses in [{WHERE}]",
    )


def number(answer: bytes | None, contract: Address) -> int:
    """Return the number that `contract` answered. Raises: ChainError."""
    return unsigned(words(answer, 1, contract), 0)


def optional(answer: bytes | None, otherwise: int = 0) -> int:
    """Return the number that a contract answered, or another: earlier versions do not know the question."""
    return unsigned(answer, 0) if answer and len(answer) >= WORD else otherwise
