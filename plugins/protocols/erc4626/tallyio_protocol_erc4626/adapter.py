"""Find vaults, load their rows, and write the calls that trade with them.

Source: https://eips.ethereum.org/EIPS/eip-4626. Everything is read with calls at one block hash, so it is
exact as of that block whatever the node does meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader, CompiledProtocol
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.settings import parse_settings
from tallyio.model.chain import Head
from tallyio.model.erc20 import approve
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.model.words import address_at, unsigned
from tallyio_protocol_erc4626 import abi
from tallyio_protocol_erc4626.layout import ASSET
from tallyio_protocol_erc4626.loading import load_rows
from tallyio_protocol_erc4626.settings import VIRTUAL, WHERE, Settings, VaultChoice, resolve

VENUE: Final = "erc4626"
MAX_OFFSET: Final = 38
"""10 to this power is the largest below 2**128."""


class Erc4626:
    """The configured vaults. See `tallyio.hooks.interfaces.ExchangeProtocol`."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.erc4626]` table. Raises: ConfigError."""
        self._vaults = resolve(parse_settings(Settings, settings, where=WHERE))

    @property
    def compiled(self) -> CompiledProtocol:
        """The module `hot` of this package."""
        return CompiledProtocol(module="tallyio_protocol_erc4626.hot")

    @property
    def topics(self) -> tuple[bytes, ...]:
        """The events that change totals, in the order that `hot.apply_log` numbers them."""
        return (abi.DEPOSIT_EVENT, abi.WITHDRAW_EVENT)

    async def discover(self, chain: ChainReader, *, block: Head) -> list[PoolSpec]:
        """Return the configured vaults. Raises: ChainError: one does not answer as a vault."""
        asked = [
            Call(to=vault.address, data=data) for vault in self._vaults for data in (abi.ASSET, abi.DECIMALS)
        ]
        answers = await chain.call(asked, block=block.hash)
        said = [abi.require_word(answer, call.to) for answer, call in zip(answers, asked, strict=True)]
        assets = [address_at(answer, 0) for answer in said[::2]]
        decimals = await chain.call([Call(to=each, data=abi.DECIMALS) for each in assets], block=block.hash)
        return [
            _spec(vault, asset, _offset(vault, unsigned(own, 0), under))
            for vault, asset, own, under in zip(self._vaults, assets, said[1::2], decimals, strict=True)
        ]

    async def load(self, chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        """Return the rows at `block`.

        Raises: ChainError: a vault does not answer as one, or previews otherwise than its kind does.
        """
        return await load_rows(chain, pools, block=block)

    def swap(  # noqa: PLR0913 - the interface's facts of one swap
        self,
        pool: PoolSpec,
        *,
        token_in: int,
        token_out: int,  # noqa: ARG002 - the other one
        amount_in: int,
        amount_out: int,  # noqa: ARG002 - a vault takes no minimum; the plan's profit is checked at its end
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],  # noqa: ARG002 - for pools that can flash
    ) -> tuple[Call, ...]:
        """Return a redemption, or a deposit between an allowance of exactly the input and its end.

        `recipient` pays and is paid. Raises: ValueError: with `inner`, for a vault is paid in its call.
        """
        vault = pool.address
        if inner:
            raise ValueError(f"vault {checksum(vault)} cannot flash")
        if token_in != ASSET:
            return (abi.redeem(vault, amount_in, recipient),)
        asset = pool.tokens[ASSET]
        return (
            approve(asset, vault, amount_in),
            abi.deposit(vault, amount_in, recipient),
            approve(asset, vault, 0),
        )


def _spec(vault: VaultChoice, asset: Address, virtual_shares: int) -> PoolSpec:
    settings = vault.settings
    return PoolSpec(
        address=vault.address,
        tokens=(asset, vault.address),
        venue=VENUE,
        fee_pips=0,
        can_flash=False,
        ages=True,
        parameters=(
            ("gas_deposit", settings.gas_deposit),
            ("gas_redeem", settings.gas_redeem),
            ("holder", int.from_bytes(vault.holder)),
            ("idle", int(settings.idle)),
            ("max_age_seconds", settings.max_age_seconds),
            ("virtual_shares", virtual_shares),
        ),
    )


def _offset(vault: VaultChoice, own: int, under: bytes | None) -> int:
    """Return the virtual shares; 0 for a kind without."""
    if vault.settings.kind != VIRTUAL:
        return 0
    offset = vault.settings.decimals_offset
    if offset is None:
        offset = own - unsigned(abi.require_word(under, vault.address), 0)
    if not 0 <= offset <= MAX_OFFSET:
        raise ChainError(
            f"vault {checksum(vault.address)} would have 10**{offset} virtual shares",
            way_out=f"give its decimals_offset, from 0 to {MAX_OFFSET}, or another kind",
        )
    virtual_shares: int = 10**offset
    return virtual_shares
