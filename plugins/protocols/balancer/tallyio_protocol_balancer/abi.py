"""What the Vault and its pools are asked, and what they say in events.

Sources: `IVault`, `BasePool`, `BaseWeightedPool`, `StablePoolAmplification`, `MetaStablePool`,
`ComposableStablePoolRates` (balancer-v2-monorepo).
"""

from __future__ import annotations

from typing import Final

from tallyio.model.errors import ChainError
from tallyio.model.hashing import event_topic, selector
from tallyio.model.units import Address, checksum
from tallyio.model.words import WORD, address_at, require_words, unsigned

EVENTS: Final = tuple(
    event_topic(signature)
    for signature in (
        "Swap(bytes32,address,address,uint256,uint256)",
        "PoolBalanceChanged(bytes32,address,address[],int256[],uint256[])",
        "PoolBalanceManaged(bytes32,address,address,int256,int256)",
        "SwapFeePercentageChanged(uint256)",
        "AmpUpdateStarted(uint256,uint256,uint256,uint256)",
        "AmpUpdateStopped(uint256)",
        "TokenRateCacheUpdated(uint256,uint256)",
        "TokenRateCacheUpdated(address,uint256)",
        "PriceRateCacheUpdated(address,uint256)",
        "PausedStateChanged(bool)",
        "TokenRateProviderSet(uint256,address,uint256)",
        "TokenRateProviderSet(address,address,uint256)",
        "PriceRateProviderSet(address,address,uint256)",
    )
)
"""In the order of `apply_log`'s event numbers. The first three are the Vault's."""

AMP_UPDATE_STARTED: Final = EVENTS[4]
POOL_REGISTERED: Final = event_topic("PoolRegistered(bytes32,address,uint8)")

GET_POOL_TOKENS: Final = selector("getPoolTokens(bytes32)")
GET_POOL_TOKEN_INFO: Final = selector("getPoolTokenInfo(bytes32,address)")
SWAP: Final = selector(
    "swap((bytes32,uint8,address,address,uint256,bytes),(address,bool,address,bool),uint256,uint256)"
)
FLASH_LOAN: Final = selector("flashLoan(address,address[],uint256[],bytes)")
GET_PROTOCOL_FEES_COLLECTOR: Final = selector("getProtocolFeesCollector()")
GET_FLASH_LOAN_FEE: Final = selector("getFlashLoanFeePercentage()")

GET_WEIGHTS: Final = selector("getNormalizedWeights()")
GET_AMP: Final = selector("getAmplificationParameter()")
GET_FEE: Final = selector("getSwapFeePercentage()")
GET_PAUSED: Final = selector("getPausedState()")
GET_RATE_PROVIDERS: Final = selector("getRateProviders()")
IN_RECOVERY_MODE: Final = selector("inRecoveryMode()")
GET_SWAP_ENABLED: Final = selector("getSwapEnabled()")
GET_TOKEN_RATE_CACHE: Final = selector("getTokenRateCache(address)")
GET_PRICE_RATE_CACHE: Final = selector("getPriceRateCache(address)")
GET_RATE: Final = selector("getRate()")
DECIMALS: Final = selector("decimals()")


POOL_ID_BYTES: Final = 32


def checked(answer: bytes | None, count: int, contract: Address) -> bytes:
    """Return an answer of at least `count` words. Raises: ChainError: it is none."""
    return require_words(
        answer,
        count,
        contract=contract,
        kind="a contract of Balancer V2",
        way_out="check the vault and the pools in [protocols.balancer]",
    )


def array(answer: bytes, index: int, contract: Address) -> list[bytes]:
    """Return the words of the array that word `index` of `answer` points to. Raises: ChainError."""
    start = unsigned(answer, index) // WORD
    if start < len(answer) // WORD and start + unsigned(answer, start) < len(answer) // WORD:
        first = (start + 1) * WORD
        return [answer[first + k * WORD :][:WORD] for k in range(unsigned(answer, start))]
    raise ChainError(f"contract {checksum(contract)} answers with an array that has no end")


def addresses(answer: bytes, index: int, contract: Address) -> tuple[Address, ...]:
    """Return the addresses in the array that word `index` of `answer` points to. Raises: ChainError."""
    return tuple(address_at(item, 0) for item in array(answer, index, contract))
