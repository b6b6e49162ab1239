"""The adapter: finds the ponds of one factory, loads them, and says how to swap in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from tallyio.hooks.interfaces import ChainReader, CompiledProtocol, Settings
from tallyio.hooks.settings import parse_address, parse_settings
from tallyio.model.chain import Head
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic, selector
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address

from .hot import ROW_BYTES, WORD

SYNC: Final = event_topic("Sync(uint112,uint112)")
COUNT: Final = selector("allPairsLength()")
POND: Final = selector("allPairs(uint256)")
TOKENS: Final = (selector("token0()"), selector("token1()"))
RESERVES: Final = selector("getReserves()")
TRANSFER: Final = selector("transfer(address,uint256)")
SWAP: Final = selector("swap(uint256,uint256,address,bytes)")


class PondSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[protocols.pond]`."""

    factory: str


class Ponds:
    """The ponds of one factory."""

    def __init__(self, settings: Settings) -> None:
        parsed = parse_settings(PondSettings, settings, where="protocols.pond")
        self._factory = parse_address(parsed.factory, where="protocols.pond.factory")

    @property
    def compiled(self) -> CompiledProtocol:
        """Where the compiled functions are."""
        return CompiledProtocol(module="pond.hot")

    @property
    def topics(self) -> tuple[bytes, ...]:
        """The one event."""
        return (SYNC,)

    async def discover(self, chain: ChainReader, *, block: Head) -> list[PoolSpec]:
        """Return every pond of the factory."""
        (count,) = await _ask(chain, [Call(to=self._factory, data=COUNT)], block)
        calls = [Call(to=self._factory, data=POND + _word(k)) for k in range(int.from_bytes(count))]
        ponds = [Address(answer[-20:]) for answer in await _ask(chain, calls, block)]
        sides = await _ask(chain, [Call(to=pond, data=side) for pond in ponds for side in TOKENS], block)
        return [
            PoolSpec(
                address=pond,
                tokens=(Address(sides[2 * k][-20:]), Address(sides[2 * k + 1][-20:])),
                venue="pond",
                fee_pips=3_000,
                can_flash=True,
            )
            for k, pond in enumerate(ponds)
        ]

    async def load(self, chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        """Return the rows: the first two words that each pond answers."""
        answers = await _ask(chain, [Call(to=pool.address, data=RESERVES) for pool in pools], block)
        return [answer[:ROW_BYTES] for answer in answers]

    def swap(  # noqa: PLR0913 - one swap has this many facts
        self,
        pool: PoolSpec,
        *,
        token_in: int,
        token_out: int,
        amount_in: int,
        amount_out: int,
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """Pay, then swap; with `inner` the pond lends first and is paid inside its callback."""
        pay = Call(to=pool.tokens[token_in], data=TRANSFER + _address(pool.address) + _word(amount_in))
        data = encode((*inner, pay)) if inner else b""
        outputs = [0, 0]
        outputs[token_out] = amount_out
        body = b"".join(map(_word, outputs)) + _address(recipient) + _word(4 * WORD) + _word(len(data)) + data
        swap = Call(to=pool.address, data=SWAP + body + bytes(-len(data) % WORD))
        return (swap,) if inner else (pay, swap)


async def _ask(chain: ChainReader, calls: Sequence[Call], block: Head) -> list[bytes]:
    answers = await chain.call(calls, block=block.hash)
    for call, answer in zip(calls, answers, strict=True):
        if not answer:
            raise ChainError(f"0x{call.to.hex()} is no pond", way_out="check [protocols.pond] factory")
    return [answer or b"" for answer in answers]


def _word(value: int) -> bytes:
    return value.to_bytes(WORD)


def _address(value: Address) -> bytes:
    return value.rjust(WORD, b"\0")
