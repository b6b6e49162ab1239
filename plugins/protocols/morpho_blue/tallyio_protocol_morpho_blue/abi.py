"""The contract calls and events of Morpho and of what its markets stand on, as bytes.

Sources: `IMorpho`, `EventsLib` (@morpho-org/morpho-blue); `IAdaptiveCurveIrm` (morpho-blue-irm);
`IMorphoChainlinkOracleV2` (morpho-blue-oracles).
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.hooks.feeds import ANSWER_UPDATED
from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic, selector
from tallyio.model.units import Address
from tallyio.model.words import WORD, address_at, address_word, bytes_words, require_words, unsigned, word

_PARAMETERS: Final = "(address,address,address,address,uint256)"
_STATE: Final = "(uint128,uint128,uint128,uint128,uint128,uint128)"

CREATE_MARKET: Final = event_topic(f"CreateMarket(bytes32,{_PARAMETERS})")
SUPPLY: Final = event_topic("Supply(bytes32,address,address,uint256,uint256)")
WITHDRAW: Final = event_topic("Withdraw(bytes32,address,address,address,uint256,uint256)")
BORROW: Final = event_topic("Borrow(bytes32,address,address,address,uint256,uint256)")
REPAY: Final = event_topic("Repay(bytes32,address,address,uint256,uint256)")
SUPPLY_COLLATERAL: Final = event_topic("SupplyCollateral(bytes32,address,address,uint256)")
WITHDRAW_COLLATERAL: Final = event_topic("WithdrawCollateral(bytes32,address,address,address,uint256)")
LIQUIDATE: Final = event_topic("Liquidate(bytes32,address,address,uint256,uint256,uint256,uint256,uint256)")
ACCRUE_INTEREST: Final = event_topic("AccrueInterest(bytes32,uint256,uint256,uint256)")
RATE_UPDATE: Final = event_topic("BorrowRateUpdate(bytes32,uint256,uint256)")
TOPICS: Final = (
    CREATE_MARKET,
    SUPPLY,
    WITHDRAW,
    BORROW,
    REPAY,
    SUPPLY_COLLATERAL,
    WITHDRAW_COLLATERAL,
    LIQUIDATE,
    ACCRUE_INTEREST,
    RATE_UPDATE,
    ANSWER_UPDATED,
)

MARKET: Final = selector("market(bytes32)")
MARKET_PARAMS: Final = selector("idToMarketParams(bytes32)")
POSITION: Final = selector("position(bytes32,address)")
PRICE: Final = selector("price()")
RATE_AT_TARGET: Final = selector("rateAtTarget(bytes32)")
BORROW_RATE: Final = selector(f"borrowRateView({_PARAMETERS},{_STATE})")
SCALE_FACTOR: Final = selector("SCALE_FACTOR()")
VAULTS: Final = (selector("BASE_VAULT()"), selector("QUOTE_VAULT()"))
FEEDS: Final = tuple(selector(f"{side}_FEED_{number}()") for side in ("BASE", "QUOTE") for number in (1, 2))
_LIQUIDATE: Final = selector(f"liquidate({_PARAMETERS},address,uint256,uint256,bytes)")
_FLASH_LOAN: Final = selector("flashLoan(address,uint256,bytes)")


class MarketParams(msgspec.Struct, frozen=True, kw_only=True):
    """What a market is; its id is the hash of it."""

    loan: Address
    collateral: Address
    oracle: Address
    irm: Address
    lltv: int

    @classmethod
    def decode(cls, data: bytes) -> MarketParams:
        """Read the five words."""
        loan, collateral, oracle, irm = (address_at(data, k) for k in range(4))
        return cls(loan=loan, collateral=collateral, oracle=oracle, irm=irm, lltv=unsigned(data, 4))

    @property
    def words(self) -> bytes:
        """The five words."""
        addresses = (self.loan, self.collateral, self.oracle, self.irm)
        return b"".join(address_word(each) for each in addresses) + word(self.lltv)


def checked(answer: bytes | None, words: int, contract: Address) -> bytes:
    """Return `answer` if it has at least so many words. Raises: ChainError."""
    return require_words(
        answer,
        words,
        contract=contract,
        kind="Morpho",
        way_out="check preset, factory and markets in [protocols.morpho_blue]",
    )


def liquidate(morpho: Address, params: MarketParams, borrower: Address, *, seize: int, data: bytes) -> Call:
    """Return the call that seizes exactly `seize`; with `data` Morpho calls back before it is paid."""
    head = params.words + address_word(borrower) + word(seize) + word(0) + word(9 * WORD)
    return Call(to=morpho, data=_LIQUIDATE + head + bytes_words(data))


def flash_loan(morpho: Address, token: Address, amount: int, *, data: bytes) -> Call:
    """Return the call that borrows `amount` until the end of its callback."""
    head = address_word(token) + word(amount) + word(3 * WORD)
    return Call(to=morpho, data=_FLASH_LOAN + head + bytes_words(data))
