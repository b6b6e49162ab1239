"""Read vaults into rows, and hold what they say against what their kind says.

Three rounds of calls at one block hash, for all vaults together: what they are, their totals, and their
previews of several amounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head
from tallyio.model.erc20 import balance_of
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.hashing import keccak256
from tallyio.model.market import PoolSpec
from tallyio.model.units import ADDRESS_BYTES, ZERO_ADDRESS, Address, checksum
from tallyio.model.words import unsigned
from tallyio_protocol_erc4626 import abi
from tallyio_protocol_erc4626.layout import Upkeep, pack_row
from tallyio_protocol_erc4626.reference import MOST, Vault

ANYBODY: Final = Address(keccak256(b"anybody")[-ADDRESS_BYTES:])
"""An account without shares or a role, for limits on deposits: some vaults refuse the zero address."""

_FACTS: Final = 7
_PARTS: Final = (1_000_000, 1_000, 7, 2, 1)
"""The amounts compared are these parts of the vault's totals, and a few small ones."""
_SMALL: Final = (1, 2, 999_983)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a vault says of itself at one block."""

    total_assets: int
    supply: int
    held: int
    """Assets that the vault has in hand."""
    max_deposit: int
    max_mint: int
    max_redeem: int
    """Of the configured holder; 0 where there is none."""
    max_withdraw: int


async def load_rows(chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
    """Return the row of each vault at `block`.

    Raises: ChainError: a vault does not answer as one, previews otherwise than its kind does, or is said to
    be idle and is not.
    """
    readings = await _read(chain, pools, block)
    vaults = [_vault(pool, reading) for pool, reading in zip(pools, readings, strict=True)]
    await _compare(chain, pools, vaults, block)
    return [
        _row(pool, reading, vault, block)
        for pool, reading, vault in zip(pools, readings, vaults, strict=True)
    ]


async def _read(chain: ChainReader, pools: Sequence[PoolSpec], block: Head) -> list[Reading]:
    calls = [call for pool in pools for call in _questions(pool)]
    answers = await chain.call(calls, block=block.hash)
    groups = [answers[_FACTS * k : _FACTS * (k + 1)] for k in range(len(pools))]
    return [
        Reading(
            **dict(
                zip(
                    Reading.__struct_fields__,
                    (unsigned(abi.require_word(answer, pool.address), 0) for answer in group),
                    strict=True,
                )
            )
        )
        for pool, group in zip(pools, groups, strict=True)
    ]


def _questions(pool: PoolSpec) -> tuple[Call, ...]:
    vault, holder = pool.address, _holder(pool)
    return (
        Call(to=vault, data=abi.TOTAL_ASSETS),
        Call(to=vault, data=abi.TOTAL_SUPPLY),
        balance_of(pool.tokens[0], vault),
        abi.limit(vault, abi.MAX_DEPOSIT, ANYBODY),
        abi.limit(vault, abi.MAX_MINT, ANYBODY),
        abi.limit(vault, abi.MAX_REDEEM, holder),
        abi.limit(vault, abi.MAX_WITHDRAW, holder),
    )


def _vault(pool: PoolSpec, reading: Reading) -> Vault:
    has_holder = _holder(pool) != ZERO_ADDRESS
    return Vault(
        total_assets=reading.total_assets,
        supply=reading.supply,
        virtual_shares=dict(pool.parameters)["virtual_shares"],
        max_deposit=min(reading.max_deposit, MOST),
        max_mint=min(reading.max_mint, MOST),
        # Without a holder to ask for: nobody has more shares than there are, and what is in hand can be paid.
        max_redeem=min(reading.max_redeem if has_holder else reading.supply, MOST),
        max_withdraw=min(reading.max_withdraw if has_holder else reading.held, MOST),
    )


async def _compare(
    chain: ChainReader, pools: Sequence[PoolSpec], vaults: Sequence[Vault], block: Head
) -> None:
    trials = [
        (pool, name, amount, told)
        for pool, vault in zip(pools, vaults, strict=True)
        for name, amount, told in _predictions(vault)
    ]
    calls = [abi.preview(pool.address, name, amount) for pool, name, amount, _ in trials]
    answers = await chain.call(calls, block=block.hash) if calls else []
    for answer, (pool, name, amount, told) in zip(answers, trials, strict=True):
        # A preview reverts where nothing could be had; there the quote is 0.
        said = unsigned(answer, 0) if answer else 0
        if said != told:
            raise ChainError(
                f"vault {checksum(pool.address)} answers {said} to {name}({amount}), and its kind {told}:"
                " it takes fees, rounds otherwise, or has another decimals offset",
                way_out="correct its kind or decimals_offset, or leave it out",
            )


def _predictions(vault: Vault) -> list[tuple[str, int, int]]:
    assets = sorted({*_SMALL, *(vault.total_assets // part for part in _PARTS)} - {0})
    shares = sorted({*_SMALL, *(vault.supply // part for part in _PARTS)} - {0})
    return [
        *(("previewDeposit", amount, vault.preview_deposit(amount)) for amount in assets),
        *(("previewMint", amount, vault.preview_mint(amount)) for amount in shares),
        *(("previewWithdraw", amount, vault.preview_withdraw(amount)) for amount in assets),
        *(("previewRedeem", amount, vault.preview_redeem(amount)) for amount in shares),
    ]


def _row(pool: PoolSpec, reading: Reading, vault: Vault, block: Head) -> bytes:
    facts = dict(pool.parameters)
    if facts["idle"] and reading.held != reading.total_assets:
        raise ChainError(
            f"vault {checksum(pool.address)} has {reading.held} in hand of {reading.total_assets} assets",
            way_out="configure it with idle = false",
        )
    upkeep = Upkeep(
        gas=(facts["gas_deposit"], facts["gas_redeem"]),
        read_at=block.timestamp,
        max_age=facts["max_age_seconds"],
        # A limit of its own would have to follow too, in a way that only the vault knows.
        follows=bool(facts["idle"])
        and _holder(pool) == ZERO_ADDRESS
        and vault.max_deposit == vault.max_mint == MOST,
    )
    try:
        return pack_row(vault, upkeep)
    except ValueError as error:
        raise ChainError(f"vault {checksum(pool.address)} has an impossible state: {error}") from None


def _holder(pool: PoolSpec) -> Address:
    return Address(dict(pool.parameters)["holder"].to_bytes(ADDRESS_BYTES))
