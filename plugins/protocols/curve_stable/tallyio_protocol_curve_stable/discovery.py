"""Find the pools of the configuration and what never changes about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.execution import Call
from tallyio.model.market import LogSource, PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address, checksum
from tallyio.model.words import WORD, address_at, address_word, require_words, unsigned, word
from tallyio_protocol_curve_stable import abi
from tallyio_protocol_curve_stable.layout import MAX_COINS, MIN_COINS
from tallyio_protocol_curve_stable.settings import WHERE, FactorySettings, Wanted
from tallyio_protocol_curve_stable.templates import TEMPLATES, DRule, Flag, Template

KINDS: Final = tuple(TEMPLATES)
"""A pool's `kind` parameter is its place here."""

MAX_DECIMALS: Final = 18
NATIVE: Final = Address(bytes.fromhex("ee" * 20))
"""What stands for native ether among the coins of some pools."""

FOLLOWED_VERSION: Final = 7
"""The first version of NG whose plain pools count what they pay; others read a balance, gifts included."""

_PLAIN: Final = 0


def template_of(pool: PoolSpec) -> Template:
    """Return the source template of `pool`."""
    return TEMPLATES[KINDS[dict(pool.parameters)["kind"]]]


async def factory_pools(
    chain: ChainReader, address: Address, settings: FactorySettings, block: Head
) -> list[Wanted]:
    """Return every pool of a StableSwap-NG factory. Raises: ChainError: it does not answer as one."""
    [count] = await chain.call([Call(to=address, data=abi.POOL_COUNT)], block=block.hash)
    numbers = range(unsigned(_words(count, 1, address), 0))
    answers = await chain.call(
        [Call(to=address, data=abi.POOL_LIST + word(number)) for number in numbers], block=block.hash
    )
    pools = [address_at(_words(answer, 1, address), 0) for answer in answers]
    calls = [
        Call(to=address, data=data + address_word(pool))
        for pool in pools
        for data in (abi.IS_META, abi.ASSET_TYPES)
    ]
    facts = await chain.call(calls, block=block.hash)
    return [
        Wanted(
            address=pool,
            kind="ng_meta" if unsigned(_words(is_meta, 1, address), 0) else "ng",
            moves=any(kind != _PLAIN for kind in _array(_words(types, 2, address))),
            gas=settings.gas,
        )
        for pool, is_meta, types in zip(pools, facts[::2], facts[1::2], strict=True)
    ]


async def pool_spec(chain: ChainReader, wanted: Wanted, block: Head) -> PoolSpec:
    """Return what never changes about a pool.

    Raises: ChainError: it does not answer as a StableSwap pool. ConfigError: it holds native ether, or
    a metapool's base is neither known to it nor configured.
    """
    template = TEMPLATES[wanted.kind]
    coins = await _coins(chain, wanted.address, template, block)
    decimals = await _decimals(chain, coins, block)
    singles = (abi.FEE, abi.TOTAL_SUPPLY, abi.LP_TOKEN, abi.BASE_POOL, abi.BASE_POOL_NG, abi.VERSION)
    answers = await chain.call([Call(to=wanted.address, data=data) for data in singles], block=block.hash)
    fee, supply, lp_token, base, base_ng, version = answers
    parameters = {
        "kind": KINDS.index(wanted.kind),
        "gas": wanted.gas,
        "moves": int(wanted.moves),
        "drifts": int(_drifts(template, wanted, version)),
        "lp_token": _number(wanted.lp_token or _said(lp_token) or (wanted.address if supply else None)),
        **{f"decimals{k}": value for k, value in enumerate(decimals)},
    }
    sources: tuple[LogSource, ...] = ()
    if Flag.BASE_RATE in template.flags:
        base_pool = wanted.base_pool or _said(base) or _said(base_ng)
        if base_pool is None:
            raise ConfigError(
                f"[{WHERE}.pools] pool {checksum(wanted.address)} does not say its base pool",
                way_out='add base_pool = "0x…"',
            )
        parameters["base_pool"] = _number(base_pool)
        sources = (LogSource(wanted.address), LogSource(base_pool))
    return PoolSpec(
        address=wanted.address,
        tokens=coins,
        venue=f"curve {wanted.kind}",
        fee_pips=unsigned(_words(fee, 1, wanted.address), 0) // 10_000,
        can_flash=False,
        parameters=tuple(sorted(parameters.items())),
        log_sources=sources,
        ages=True,
    )


def _drifts(template: Template, wanted: Wanted, version: bytes | None) -> bool:
    if Flag.DYNAMIC_ARRAYS not in template.flags or Flag.DRIFTS in template.flags:
        return Flag.DRIFTS in template.flags
    return wanted.moves or _major(version) < FOLLOWED_VERSION


def _major(version: bytes | None) -> int:
    # A string such as "v7.0.0", ABI-encoded: offset, length, text.
    text = (version or b"")[2 * WORD :].split(b".")[0]
    return int(text[1:]) if text[:1] == b"v" and text[1:].isdigit() else 0


async def _coins(chain: ChainReader, pool: Address, template: Template, block: Head) -> tuple[Address, ...]:
    getter = abi.COINS_INT128 if template.d_rule is DRule.PLUS_ONE else abi.COINS
    answers = await chain.call(
        [Call(to=pool, data=getter + word(k)) for k in range(MAX_COINS)], block=block.hash
    )
    # The getter reverts beyond the last coin.
    coins = [address_at(answer, 0) for answer in answers if answer is not None and len(answer) == WORD]
    if len(coins) < MIN_COINS or ZERO_ADDRESS in coins:
        raise ChainError(
            f"pool {checksum(pool)} does not answer coins() as a {template.kind!r} pool does",
            way_out=f"check address and kind in [{WHERE}.pools]",
        )
    if NATIVE in coins:
        raise ConfigError(
            f"[{WHERE}] pool {checksum(pool)} holds native ether, which this plugin does not trade",
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


def _array(answer: bytes) -> Iterable[int]:
    # One dynamic array of numbers: offset, length, words.
    return [unsigned(answer, 2 + k) for k in range(min(unsigned(answer, 1), MAX_COINS))]


def _said(answer: bytes | None) -> Address | None:
    if answer is None or len(answer) != WORD:
        return None
    said = address_at(answer, 0)
    return None if said == ZERO_ADDRESS else said


def _number(address: Address | None) -> int:
    return int.from_bytes(address or b"")


def _words(answer: bytes | None, count: int, contract: Address) -> bytes:
    return require_words(
        answer,
        count,
        contract=contract,
        kind="a Curve StableSwap contract",
        way_out=f"check the addresses in [{WHERE}]",
    )
