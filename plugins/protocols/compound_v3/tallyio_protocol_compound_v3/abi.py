"""The contract calls and events of a Comet, as bytes.

Sources: `CometMainInterface`, `CometExtInterface`, `CometStorage` (compound-finance/comet).
"""

from __future__ import annotations

from typing import Final

from tallyio.hooks.feeds import ANSWER_UPDATED
from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic, selector
from tallyio.model.units import Address
from tallyio.model.words import WORD, address_word, require_words, word

SUPPLY: Final = event_topic("Supply(address,address,uint256)")
WITHDRAW: Final = event_topic("Withdraw(address,address,uint256)")
TRANSFER: Final = event_topic("Transfer(address,address,uint256)")
SUPPLY_COLLATERAL: Final = event_topic("SupplyCollateral(address,address,address,uint256)")
TRANSFER_COLLATERAL: Final = event_topic("TransferCollateral(address,address,address,uint256)")
WITHDRAW_COLLATERAL: Final = event_topic("WithdrawCollateral(address,address,address,uint256)")
ABSORB_DEBT: Final = event_topic("AbsorbDebt(address,address,uint256,uint256)")
BUY_COLLATERAL: Final = event_topic("BuyCollateral(address,address,uint256,uint256)")
UPGRADED: Final = event_topic("Upgraded(address)")
"""Of the proxy in front of a Comet (EIP-1967): assets and factors are part of its code."""
TOPICS: Final = (
    SUPPLY,
    WITHDRAW,
    TRANSFER,
    SUPPLY_COLLATERAL,
    TRANSFER_COLLATERAL,
    WITHDRAW_COLLATERAL,
    ABSORB_DEBT,
    BUY_COLLATERAL,
    UPGRADED,
    ANSWER_UPDATED,
)

BASE_TOKEN: Final = selector("baseToken()")
BASE_FEED: Final = selector("baseTokenPriceFeed()")
NUM_ASSETS: Final = selector("numAssets()")
ASSET_INFO: Final = selector("getAssetInfo(uint8)")
ASSET_INFO_WORDS: Final = 8
TOTALS: Final = selector("totalsBasic()")
TOTALS_WORDS: Final = 8
CONFIGURATION: Final = tuple(
    selector(f"{name}()")
    for name in (
        "targetReserves",
        "storeFrontPriceFactor",
        "baseScale",
        *(
            f"{side}{part}"
            for side in ("supply", "borrow")
            for part in (
                "Kink",
                "PerSecondInterestRateSlopeLow",
                "PerSecondInterestRateSlopeHigh",
                "PerSecondInterestRateBase",
            )
        ),
    )
)
PRICE: Final = selector("getPrice(address)")
RESERVES: Final = selector("getCollateralReserves(address)")
USER: Final = selector("userBasic(address)")
USER_WORDS: Final = 5
COLLATERAL: Final = selector("userCollateral(address,address)")
_ABSORB: Final = selector("absorb(address,address[])")
_BUY: Final = selector("buyCollateral(address,uint256,uint256,address)")


def checked(answer: bytes | None, words: int, contract: Address) -> bytes:
    """Return `answer` if it has at least so many words. Raises: ChainError."""
    return require_words(
        answer,
        words,
        contract=contract,
        kind="a Comet",
        way_out="check preset and factory in [protocols.compound_v3]",
    )


def absorb(comet: Address, absorber: Address, account: Address) -> Call:
    """Return the call that moves an account's collateral and debt to the Comet."""
    words = address_word(absorber) + word(2 * WORD) + word(1) + address_word(account)
    return Call(to=comet, data=_ABSORB + words)


def buy(comet: Address, asset: Address, *, least: int, pay: int, recipient: Address) -> Call:
    """Return the call that buys collateral for `pay`, and reverts where that brings less than `least`."""
    words = address_word(asset) + word(least) + word(pay) + address_word(recipient)
    return Call(to=comet, data=_BUY + words)
