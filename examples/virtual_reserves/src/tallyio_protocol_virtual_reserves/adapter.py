"""The adapter: which pools, what they hold, and how to swap in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tallyio.hooks.interfaces import ChainReader, CompiledProtocol, Settings
from tallyio.hooks.settings import parse_addresses, parse_settings
from tallyio.model.chain import Head
from tallyio.model.erc20 import transfer
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic, selector
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address
from tallyio_protocol_virtual_reserves import settings as own
from tallyio_protocol_virtual_reserves.hot import ROW_BYTES, WORD

RESERVES: Final = event_topic("Reserves(uint256,uint256)")
STATE: Final = selector("state()")
TOKENS: Final = selector("tokens(uint256)")
SWAP: Final = selector("swap(uint256,address)")
FEE_PIPS: Final = 3_000


class VirtualReserves:
    """The pools that a configuration names. See `tallyio.hooks.interfaces.ExchangeProtocol`."""

    def __init__(self, settings: Settings) -> None:
        """Read the table. Raises: ConfigError."""
        parsed = parse_settings(own.Settings, settings, where=own.WHERE)
        self._pools = parse_addresses(parsed.pools, where=f"{own.WHERE}.pools")

    @property
    def compiled(self) -> CompiledProtocol:
        """Where the compiled functions are."""
        return CompiledProtocol(module="tallyio_protocol_virtual_reserves.hot")

    @property
    def topics(self) -> tuple[bytes, ...]:
        """The one event."""
        return (RESERVES,)

    async def discover(self, chain: ChainReader, *, block: Head) -> list[PoolSpec]:
        """Ask each pool for its tokens. Raises: ChainError: an address is none of these pools."""
        calls = [Call(to=pool, data=TOKENS + _word(side)) for pool in self._pools for side in range(2)]
        tokens = [Address(answer[-20:]) for answer in await _ask(chain, calls, block)]
        return [
            PoolSpec(
                address=pool,
                tokens=(tokens[2 * number], tokens[2 * number + 1]),
                venue="virtual_reserves",
                fee_pips=FEE_PIPS,
                can_flash=False,
            )
            for number, pool in enumerate(self._pools)
        ]

    async def load(self, chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        """Return the rows: the words that `state` answers. Raises: ChainError."""
        answers = await _ask(chain, [Call(to=pool.address, data=STATE) for pool in pools], block)
        return [answer[:ROW_BYTES] for answer in answers]

    def swap(  # noqa: PLR0913 - one swap has this many facts
        self,
        pool: PoolSpec,
        *,
        token_in: int,
        token_out: int,  # noqa: ARG002 - it is the other one
        amount_in: int,
        amount_out: int,  # noqa: ARG002 - the pool computes what it pays, and lends nothing
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],  # noqa: ARG002 - the pool computes what it pays, and lends nothing
    ) -> tuple[Call, ...]:
        """Pay the pool, then let it swap what it was paid. Raises: ValueError: `inner`: it lends nothing."""
        if inner:
            raise ValueError(f"pool 0x{pool.address.hex()} cannot flash")
        pay = transfer(pool.tokens[token_in], pool.address, amount_in)
        return (pay, Call(to=pool.address, data=SWAP + _word(token_in) + recipient.rjust(WORD, b"\0")))


async def _ask(chain: ChainReader, calls: Sequence[Call], block: Head) -> list[bytes]:
    answers = await chain.call(calls, block=block.hash)
    for call, answer in zip(calls, answers, strict=True):
        if not answer:
            raise ChainError(f"0x{call.to.hex()} is no such pool", way_out=f"check pools of [{own.WHERE}]")
    return [answer or b"" for answer in answers]


def _word(value: int) -> bytes:
    return value.to_bytes(WORD)
