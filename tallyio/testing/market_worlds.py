"""Small generated markets in native tables, for the cards of strategies.

Layer: testing. Every market has the same tokens and pools; what is drawn are the reserves. In a quiet one
all pools agree about all prices, so that every cycle loses its fees. In a planted one a single pool is off.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

import numpy as np

from tallyio.hooks.interfaces import CompiledProtocol, Strategy
from tallyio.market.abi import FOUND
from tallyio.market.fusion import Fused, fuse
from tallyio.market.market import Head, Market
from tallyio.market.shape import Holding
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash
from tallyio.native.memory import Region
from tallyio.testing import pairs

Reserves = tuple[int, int]

WORTH: Final = (1.0, 1.0, 3_000e-12, 0.07e-10, 40.0)
"""Smallest units of each token for one wei of the first, the native one; 18, 18, 6, 8 and 18 decimals."""
TOKENS: Final = tuple(Address((number + 1).to_bytes(20)) for number in range(len(WORTH)))
PAIRS: Final = (*combinations(range(len(WORTH)), 2), (0, 1), (0, 2))
"""Token numbers of each pool: one between any two tokens, and a second one for two of the pairs."""
OFF: Final = 1.08
"""How far the planted pool is off."""
GAS_PRICE_WEI: Final = 1e9
DEPTH_WEI: Final = (1e21, 1e23)
"""What one side of a pool is worth."""
_START: Final = Head(Hash(bytes(31) + b"\7"), 1)
_FEE_PIPS: Final = 3_000


class Protocol(NamedTuple):
    """Compiled constant-product pairs."""

    name: str
    compiled: CompiledProtocol
    topic: bytes
    pack_row: Callable[[int, int], bytes]


KIT: Final = Protocol("pairs", CompiledProtocol(module=pairs.__name__), pairs.TOPIC, pairs.pack_row)


class Found(NamedTuple):
    """One record that a strategy wrote, in Python."""

    token: int
    gas: int
    net: float
    legs: tuple[tuple[int, int, int], ...]
    """Pool and its positions sold and bought."""
    amounts: tuple[int, ...]


def agreeing(draw: random.Random) -> list[Reserves]:
    """Return reserves with which all pools agree about all prices."""
    return [_reserves(draw, one, other) for one, other in PAIRS]


def with_gap(draw: random.Random, *, off: float = OFF) -> list[Reserves]:
    """Return reserves of which one pool's are off."""
    made = agreeing(draw)
    gap = draw.randrange(len(made))
    made[gap] = int(made[gap][0] * off), made[gap][1]
    return made


def _reserves(draw: random.Random, one: int, other: int) -> Reserves:
    depth = draw.uniform(*DEPTH_WEI)
    return int(depth * WORTH[one]), int(depth * WORTH[other])


class MarketWorld:
    """A market, its compiled functions fused with one strategy's, and reserves that can be changed."""

    def __init__(self, strategy: Strategy, name: str, protocol: Protocol = KIT) -> None:
        """Fuse. Raises: PluginError: the strategy's compiled function is not what it must be."""
        self.protocol = protocol
        self.fused: Fused = fuse([(protocol.name, protocol.compiled)], [(name, strategy.compiled)])
        holding = Holding(
            protocol=protocol.name,
            compiled=protocol.compiled,
            topics=(protocol.topic,),
            pools=tuple(pool_of_pair(number) for number in range(len(PAIRS))),
            rows=tuple(protocol.pack_row(*reserves) for reserves in agreeing(random.Random(0))),
        )
        self.market = Market(self.fused, [holding], _START, native=TOKENS[0])
        self._found = Region(FOUND.itemsize * (len(PAIRS) + 1) * 64)

    def set(self, reserves: Sequence[Reserves], *, gas_price_wei: float = GAS_PRICE_WEI) -> None:
        """Give every pool reserves; all are dirty then."""
        for number, each in enumerate(reserves):
            self.touch(number, each)
        self.market.refresh_prices()
        self.market.set_gas_price(gas_price_wei)

    def touch(self, pool: int, reserves: Reserves) -> None:
        """Give one pool reserves; it is dirty then."""
        self.market.reload(pool, self.protocol.pack_row(*reserves), block=self.market.head.hash)

    def detect(self, index: int, capacity: int) -> bytes:
        """Let the strategy look at what is dirty; return the bytes of its records and of one place more."""
        memory = self._found.view("u1", FOUND.itemsize * (capacity + 1))
        memory[:] = _UNTOUCHED
        detect = self.fused.function("detect")
        count: int = detect(0, self.market.address, index, self._found.address, capacity)
        self.market.settle()
        kept = max(0, min(count, capacity)) * FOUND.itemsize
        return memory[:kept].tobytes() + memory[capacity * FOUND.itemsize :].tobytes()

    def rows(self) -> list[bytes]:
        """Return a copy of every row."""
        return [self.market.row(pool) for pool in range(len(PAIRS))]

    def close(self) -> None:
        """Give the memory back."""
        self.market.close()
        self._found.close()


_UNTOUCHED: Final = 0xA5
UNTOUCHED: Final = bytes([_UNTOUCHED]) * FOUND.itemsize
"""What a record is that nobody wrote."""


def records(raw: bytes) -> Iterator[Found]:
    """Yield the records in bytes."""
    for record in np.frombuffer(raw, FOUND):
        yield _found(record)


def _found(record: Any) -> Found:
    count = int(record["leg_count"])
    legs = zip(*(record[name][:count].tolist() for name in ("pool", "token_in", "token_out")), strict=True)
    amounts = [int.from_bytes(amount.tobytes(), "little") for amount in record["amounts"][: count + 1]]
    fields = int(record["token"]), int(record["gas"]), float(record["net"])
    return Found(*fields, tuple(legs), tuple(amounts))


def pool_of_pair(number: int) -> PoolSpec:
    """Return pool `number` of `PAIRS`."""
    return PoolSpec(
        address=Address((1_000 + number).to_bytes(20)),
        tokens=(TOKENS[PAIRS[number][0]], TOKENS[PAIRS[number][1]]),
        venue="cards",
        fee_pips=_FEE_PIPS,
        can_flash=True,
    )
