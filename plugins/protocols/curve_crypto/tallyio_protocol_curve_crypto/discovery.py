"""Find the pools of the configuration and what never changes about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address, checksum
from tallyio.model.words import address_at, require_words, unsigned, word
from tallyio_protocol_curve_crypto import abi
from tallyio_protocol_curve_crypto.settings import WHERE, Wanted
from tallyio_protocol_curve_crypto.templates import TEMPLATES, Template

KINDS: Final = tuple(TEMPLATES)
"""A pool's `kind` parameter is its place here."""

MAX_DECIMALS: Final = 18
NATIVE: Final = Address(bytes.fromhex("ee" * 20))
"""What stands for native ether among the coins of some pools."""


def template_of(pool: PoolSpec) -> Template:
    """Return the source template of `pool`."""
    return TEMPLATES[KINDS[dict(pool.parameters)["kind"]]]


async def factory_pools(chain: ChainReader, factory: Wanted, block: Head) -> list[Wanted]:
    """Return every pool of a factory. Raises: ChainError: it does not answer as one."""
    address = factory.address
    [count] = await chain.call([Call(to=address, data=abi.POOL_COUNT)], block=block.hash)
    numbers = range(unsigned(_words(count, 1, address), 0))
    answers = await chain.call(
        [Call(to=address, data=abi.POOL_LIST + word(number)) for number in numbers], block=block.hash
    )
    pools = [address_at(_words(answer, 1, address), 0) for answer in answers]
    return [Wanted(address=pool, kind=factory.kind, gas=factory.gas) for pool in pools]


async def pool_spec(chain: ChainReader, wanted: Wanted, block: Head) -> PoolSpec:
    """Return what never changes about a pool.

    Raises: ChainError: it does not answer as a CryptoSwap pool. ConfigError: it holds native ether.
    """
    coins = await _coins(chain, wanted, block)
    decimals = await _decimals(chain, coins, block)
    [fee] = await chain.call([Call(to=wanted.address, data=abi.MID_FEE)], block=block.hash)
    parameters = {
        "kind": KINDS.index(wanted.kind),
        "gas": wanted.gas,
        **{f"decimals{k}": value for k, value in enumerate(decimals)},
    }
    return PoolSpec(
        address=wanted.address,
        tokens=coins,
        venue=f"curve {wanted.kind}",
        fee_pips=unsigned(_words(fee, 1, wanted.address), 0) // 10_000,
        can_flash=False,
        parameters=tuple(sorted(parameters.items())),
        ages=True,
    )


async def _coins(chain: ChainReader, wanted: Wanted, block: Head) -> tuple[Address, ...]:
    count = TEMPLATES[wanted.kind].coins
    answers = await chain.call(
        [Call(to=wanted.address, data=abi.COINS + word(k)) for k in range(count)], block=block.hash
    )
    coins = [address_at(_words(answer, 1, wanted.address), 0) for answer in answers]
    if ZERO_ADDRESS in coins:
        raise ChainError(
            f"pool {checksum(wanted.address)} does not answer coins() as a {wanted.kind!r} pool does",
            way_out=f"check address and kind in [{WHERE}.pools]",
        )
    if NATIVE in coins:
        raise ConfigError(
            f"[{WHERE}] pool {checksum(wanted.address)} names native ether, which this plugin does not trade",
            way_out="leave it out",
        )
    return tuple(coins)


async def _decimals(chain: ChainReader, coins: Sequence[Address], block: Head) -> list[int]:
    answers = await chain.call([Call(to=coin, data=abi.DECIMALS) for coin in coins], block=block.hash)
    decimals = [unsigned(_words(answer, 1, coin), 0) for answer, coin in zip(answers, coins, strict=True)]
    for value, coin in zip(decimals, coins, strict=True):
        if value > MAX_DECIMALS:
            raise ChainError(f"coin {checksum(coin)} has {value} decimals, more than {MAX_DECIMALS}")
    return decimals


def _words(answer: bytes | None, count: int, contract: Address) -> bytes:
    return require_words(
        answer,
        count,
        contract=contract,
        kind="a Curve CryptoSwap contract",
        way_out=f"check the addresses in [{WHERE}]",
    )
