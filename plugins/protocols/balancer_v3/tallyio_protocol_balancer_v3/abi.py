"""The calls and events of the Vault, its Router and its pools, as bytes.

Source: `IVault`, `IVaultEvents`, `IRouter`, `IWeightedPool`, `IStablePool` (balancer-v3-monorepo).
"""

from __future__ import annotations

from typing import Final

from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic, selector
from tallyio.model.units import Address
from tallyio.model.words import WORD, address_word, bytes_words, require_words, unsigned, word
from tallyio_protocol_balancer_v3.settings import WHERE

EVENTS: Final = (
    event_topic("Swap(address,address,address,uint256,uint256,uint256,uint256)"),
    event_topic("LiquidityAdded(address,address,uint8,uint256,uint256[],uint256[])"),
    event_topic("LiquidityRemoved(address,address,uint8,uint256,uint256[],uint256[])"),
    event_topic("PoolPausedStateChanged(address,bool)"),
    event_topic("SwapFeePercentageChanged(address,uint256)"),
    event_topic("PoolRecoveryModeStateChanged(address,bool)"),
    event_topic("AggregateYieldFeePercentageChanged(address,uint256)"),
    event_topic("AmpUpdateStarted(uint256,uint256,uint256,uint256)"),
    event_topic("AmpUpdateStopped(uint256)"),
)
"""Whatever changes what a pool quotes; those of the amp come from the pool, the others from the Vault."""

POOL_DATA: Final = selector("getPoolData(address)")
POOL_CONFIG: Final = selector("getPoolConfig(address)")
HOOKS_CONFIG: Final = selector("getHooksConfig(address)")
LEAST_TRADE: Final = selector("getMinimumTradeAmount()")
WEIGHTS: Final = selector("getNormalizedWeights()")
LEAST_BALANCES: Final = selector("getMinTokenBalances()")
AMP: Final = selector("getAmplificationParameter()")

_QUERY: Final = selector("querySwapSingleTokenExactIn(address,address,address,uint256,address,bytes)")
_UNLOCK: Final = selector("unlock(bytes)")
_CALLBACK: Final = selector("unlockCallback(bytes)")
_SWAP: Final = selector("swap((uint8,address,address,address,uint256,uint256,bytes))")
_SEND_TO: Final = selector("sendTo(address,address,uint256)")
_SETTLE: Final = selector("settle(address,uint256)")
_EXACT_IN: Final = 0


def about(vault: Address, which: bytes, pool: Address) -> Call:
    """Return the call that asks the Vault about a pool."""
    return Call(to=vault, data=which + address_word(pool))


def query(router: Address, pool: Address, tokens: tuple[Address, Address], amount_in: int) -> Call:
    """Return the call, for the zero address to make, that answers what a swap would pay."""
    head = (address_word(pool), *map(address_word, tokens), word(amount_in), word(0), word(6 * WORD))
    return Call(to=router, data=_QUERY + b"".join(head) + bytes_words(b""))


def unlock(vault: Address, calls: bytes) -> Call:
    """Return the call that lets its sender act on the Vault, in its `unlockCallback` with packed `calls`."""
    callback = _CALLBACK + word(WORD) + bytes_words(calls)
    return Call(to=vault, data=_UNLOCK + word(WORD) + bytes_words(callback))


def swap(vault: Address, pool: Address, tokens: tuple[Address, Address], amounts: tuple[int, int]) -> Call:
    """Return the call of the Vault's `swap` with exact input: it pays the second amount, or more."""
    head = (word(_EXACT_IN), address_word(pool), *map(address_word, tokens), *map(word, amounts))
    return Call(to=vault, data=_SWAP + word(WORD) + b"".join(head) + word(7 * WORD) + bytes_words(b""))


def send_to(vault: Address, token: Address, to: Address, amount: int) -> Call:
    """Return the call by which the Vault pays out what it owes its sender."""
    return Call(to=vault, data=_SEND_TO + address_word(token) + address_word(to) + word(amount))


def settle(vault: Address, token: Address, amount: int) -> Call:
    """Return the call after a payment: what came is booked, up to `amount`."""
    return Call(to=vault, data=_SETTLE + address_word(token) + word(amount))


def words(answer: bytes | None, count: int, contract: Address) -> bytes:
    """Return an answer of at least `count` words. Raises: ChainError: the contract is none of Balancer V3."""
    return require_words(
        answer,
        count,
        contract=contract,
        kind="a contract of Balancer V3",
        way_out=f"check the addresses in [{WHERE}]",
    )


def array(data: bytes, start: int, index: int, contract: Address) -> list[int]:
    """Return the array of one-word values that word `index` after byte `start` points to, from there."""
    at = start + unsigned(data[start:], index)
    count = unsigned(words(data[at:], 1, contract), 0)
    values = words(data[at + WORD :], min(count, len(data)), contract)
    return [unsigned(values, k) for k in range(count)]
