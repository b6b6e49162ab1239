"""The contract calls and events that V3 and its forks share, as bytes; `dialects` has where they differ.

Sources: `IUniswapV3PoolState`, `IUniswapV3PoolEvents`, `IUniswapV3PoolActions` (v3-core); the pools of
PancakeSwap V3, Slipstream and Algebra keep these signatures.
"""

from __future__ import annotations

from typing import Final

from tallyio.model.hashing import event_topic, selector
from tallyio.model.units import Address
from tallyio.model.words import WORD, address_word, bytes_words, require_words, word

INITIALIZE: Final = event_topic("Initialize(uint160,int24)")
SWAP_EVENT: Final = event_topic("Swap(address,address,int256,int256,uint160,uint128,int24)")
MINT: Final = event_topic("Mint(address,address,int24,int24,uint128,uint256,uint256)")
BURN: Final = event_topic("Burn(address,int24,int24,uint128,uint256,uint256)")
SWAP_WITH_FEES: Final = event_topic(
    "Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)"
)
"""PancakeSwap's: the two further words are protocol fees, which change no quote."""
FEE_CHANGED: Final = event_topic("Fee(uint16)")
"""Algebra's."""
CUSTOM_FEE_SET: Final = event_topic("CustomFeeSet(address,uint24)")
SET_CUSTOM_FEE: Final = event_topic("SetCustomFee(address,uint24)")
"""Of Slipstream's fee module, whose topic 1 is the pool; the second is its older name."""

TICK_SPACING: Final = selector("tickSpacing()")
FEE: Final = selector("fee()")
SWAP_FEE_MODULE: Final = selector("swapFeeModule()")
LIQUIDITY: Final = selector("liquidity()")
TICKS: Final = selector("ticks(int24)")
SWAP: Final = selector("swap(address,bool,int256,uint160,bytes)")
FLASH: Final = selector("flash(address,uint256,uint256,bytes)")


def checked(answer: bytes | None, words: int, contract: Address) -> bytes:
    """Return `answer` if it has at least so many words. Raises: ChainError."""
    return require_words(
        answer,
        words,
        contract=contract,
        kind="a Uniswap V3 contract",
        way_out="check factory and dialect in [protocols.uniswap_v3]",
    )


def swap_data(
    recipient: Address, *, zero_for_one: bool, amount_in: int, limit_x96: int, data: bytes
) -> bytes:
    """Return the call data of `swap` with exact input."""
    head = (
        address_word(recipient) + word(int(zero_for_one)) + word(amount_in) + word(limit_x96) + word(5 * WORD)
    )
    return SWAP + head + bytes_words(data)


def flash_data(recipient: Address, amounts: tuple[int, int], data: bytes) -> bytes:
    """Return the call data of `flash`."""
    head = address_word(recipient) + word(amounts[0]) + word(amounts[1]) + word(4 * WORD)
    return FLASH + head + bytes_words(data)
