"""The contract calls and events of V3 factories and pools, as bytes.

Source: `IUniswapV3Factory`, `IUniswapV3PoolState`, `IUniswapV3PoolEvents` (v3-core).
"""

from __future__ import annotations

from typing import Final

from tallyio.model.hashing import event_topic, selector
from tallyio.model.units import Address
from tallyio.model.words import WORD, address_word, bytes_words, require_words, word

POOL_CREATED: Final = event_topic("PoolCreated(address,address,uint24,int24,address)")
INITIALIZE: Final = event_topic("Initialize(uint160,int24)")
SWAP_EVENT: Final = event_topic("Swap(address,address,int256,int256,uint160,uint128,int24)")
MINT: Final = event_topic("Mint(address,address,int24,int24,uint128,uint256,uint256)")
BURN: Final = event_topic("Burn(address,int24,int24,uint128,uint256,uint256)")

GET_POOL: Final = selector("getPool(address,address,uint24)")
TICK_SPACING: Final = selector("tickSpacing()")
SLOT0: Final = selector("slot0()")
LIQUIDITY: Final = selector("liquidity()")
TICK_BITMAP: Final = selector("tickBitmap(int16)")
TICKS: Final = selector("ticks(int24)")
SWAP: Final = selector("swap(address,bool,int256,uint160,bytes)")


def checked(answer: bytes | None, words: int, contract: Address) -> bytes:
    """Return `answer` if it has at least so many words. Raises: ChainError."""
    return require_words(
        answer,
        words,
        contract=contract,
        kind="a Uniswap V3 contract",
        way_out="check the factory in [protocols.uniswap_v3]",
    )


def swap_data(
    recipient: Address, *, zero_for_one: bool, amount_in: int, limit_x96: int, data: bytes
) -> bytes:
    """Return the call data of `swap` with exact input."""
    head = (
        address_word(recipient) + word(int(zero_for_one)) + word(amount_in) + word(limit_x96) + word(5 * WORD)
    )
    return SWAP + head + bytes_words(data)
