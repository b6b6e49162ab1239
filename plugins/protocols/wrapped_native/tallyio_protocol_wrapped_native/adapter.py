"""The one pool, its row, and the calls that wrap and unwrap.

Source: `WETH9` (canonical-weth). Its rate is a fact of its code, so nothing is read but whether it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader, CompiledProtocol
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.settings import parse_settings
from tallyio.model.chain import Head
from tallyio.model.erc20 import balance_of
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.market import PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address, Wei, checksum
from tallyio.model.words import WORD, word
from tallyio_protocol_wrapped_native.layout import MOST, NATIVE, pack_row
from tallyio_protocol_wrapped_native.settings import WHERE, Settings, token_of

VENUE: Final = "wrapped native"

_DEPOSIT: Final = selector("deposit()")
_WITHDRAW: Final = selector("withdraw(uint256)")


class WrappedNative:
    """Native currency and the token that wraps it. See `tallyio.hooks.interfaces.ExchangeProtocol`."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.wrapped_native]` table. Raises: ConfigError."""
        self._settings = parse_settings(Settings, settings, where=WHERE)
        self._token = token_of(self._settings)

    @property
    def compiled(self) -> CompiledProtocol:
        """The module `hot` of this package."""
        return CompiledProtocol(module="tallyio_protocol_wrapped_native.hot")

    @property
    def topics(self) -> tuple[bytes, ...]:
        """None: no event changes the rate, and a pool that never changes marks no cycle for another look."""
        return ()

    async def discover(self, chain: ChainReader, *, block: Head) -> list[PoolSpec]:
        """Return the pool of native currency and the token.

        Raises: ChainError: the contract has no balances, or does not take and give nothing for nothing.
        """
        calls = [balance_of(self._token, self._token), wrap(self._token, 0), unwrap(self._token, 0)]
        balance, *others = await chain.call(calls, block=block.hash)
        if balance is None or len(balance) != WORD or others != [b"", b""]:
            raise ChainError(
                f"contract {checksum(self._token)} does not wrap native currency:"
                " its deposit() and withdraw(0) do not answer as WETH's do",
                way_out=f"correct token in [{WHERE}]",
            )
        return [
            PoolSpec(
                address=self._token,
                tokens=(ZERO_ADDRESS, self._token),
                venue=VENUE,
                fee_pips=0,
                can_flash=False,
            )
        ]

    async def load(self, chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:  # noqa: ARG002 - nothing is read
        """Return the rows, which depend on the settings alone."""
        return [pack_row(gas=(self._settings.gas_wrap, self._settings.gas_unwrap)) for _ in pools]

    def swap(  # noqa: PLR0913 - the interface's facts of one swap
        self,
        pool: PoolSpec,
        *,
        token_in: int,
        token_out: int,  # noqa: ARG002 - the other one
        amount_in: int,
        amount_out: int,
        recipient: Address,  # noqa: ARG002 - who calls is paid
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],  # noqa: ARG002 - for pools that can flash
    ) -> tuple[Call, ...]:
        """Return the one call that wraps or unwraps for its sender, the executor.

        Raises: ValueError: with `inner`, for both want to be paid first; or the amounts differ or are too
        large.
        """
        if inner:
            raise ValueError(f"wrapping at {checksum(pool.address)} cannot flash")
        if amount_in != amount_out or not 0 <= amount_in <= MOST:
            raise ValueError(f"wrapping does not turn {amount_in} into {amount_out}")
        call = wrap if token_in == NATIVE else unwrap
        return (call(pool.address, amount_in),)


def wrap(token: Address, amount: int) -> Call:
    """Return the call that turns `amount` of native currency, which it carries, into the token."""
    return Call(to=token, data=_DEPOSIT, value_wei=Wei(amount))


def unwrap(token: Address, amount: int) -> Call:
    """Return the call that turns `amount` of the token into native currency, paid without a call's data."""
    return Call(to=token, data=_WITHDRAW + word(amount))
