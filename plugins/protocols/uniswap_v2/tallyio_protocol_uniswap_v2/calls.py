"""What pairs are asked and told, as bytes. Source: `UniswapV2Pair` (v2-core)."""

from __future__ import annotations

from typing import Final

from tallyio.model.hashing import selector
from tallyio.model.units import Address
from tallyio.model.words import WORD, address_word, bytes_words, require_words, word
from tallyio_protocol_uniswap_v2.venues import WHERE

GET_RESERVES: Final = selector("getReserves()")
_SWAP: Final = selector("swap(uint256,uint256,address,bytes)")


def swap_data(outputs: tuple[int, int], recipient: Address, data: bytes) -> bytes:
    """Return the call data of `swap`."""
    # swap(uint256 amount0Out, uint256 amount1Out, address to, bytes data): four head words, then data.
    head = word(outputs[0]) + word(outputs[1]) + address_word(recipient) + word(4 * WORD)
    return _SWAP + head + bytes_words(data)


def checked(answer: bytes | None, count: int, contract: Address) -> bytes:
    """Return an answer of at least `count` words. Raises: ChainError: it is none."""
    return require_words(
        answer,
        count,
        contract=contract,
        kind="a Uniswap V2 contract",
        way_out=f"check the addresses in [{WHERE}]",
    )
