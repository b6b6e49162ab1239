"""A chain with one Curve stable pool of our own, for the tests of its plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from tallyio_protocol_curve_stable import hot
from tallyio_protocol_curve_stable.adapter import CurveStable
from tallyio_protocol_curve_stable.events import TOPICS

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.world import OPERATOR
from tallyio.market.abi import LOG_RELOAD
from tallyio.model.chain import Block, Log
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.native.memory import Region
from tallyio.testing import RevmChain

NOBODY = Address(bytes(20))


DECIMALS = (18, 6, 8, 18)


ROOM = 8192


NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


CodeOf = Callable[[str, int], Artifact]


class Lab:
    """A chain with one pool of our own, and its row in native memory."""

    def __init__(
        self,
        code_of: CodeOf,
        kind: str,
        coins: int,
        *,
        base: Lab | None = None,
        chain: RevmChain | None = None,
        more: Mapping[str, object] = NOTHING,
    ) -> None:
        self.kind, self.base = kind, base
        self.chain: RevmChain = base.chain if base else chain or RevmChain()
        self.backend = self.chain.backend
        self.memory = Region(ROOM)
        self.row = self.memory.address
        self.tokens = [self._token(DECIMALS[k]) for k in range(coins)]
        if base:
            self.tokens[-1] = Contract(artifact("Token"), base.lp.address)
        self.pool = self._deploy(code_of(kind, coins), base)
        self._provide()
        self.settings = {"address": checksum(self.pool.address), "kind": kind, **more}
        self.adapter = CurveStable({"pools": [self.settings], "max_rate_age_seconds": 12})

    @property
    def lp(self) -> Contract:
        """A token that stands for the pool's shares: the pools of the tests keep theirs inside."""
        if not hasattr(self, "_lp"):
            self._lp = self._token(18)
        return self._lp

    def _token(self, decimals: int) -> Contract:
        code = artifact("Token")
        token = Contract(code, self.backend.deploy(code.encode_constructor("T", "T", decimals)))
        self.backend.transact(token.call("mint", OPERATOR, 10 ** (decimals + 15)))
        return token

    def _deploy(self, code: Artifact, base: Lab | None) -> Contract:
        places = [DECIMALS[k] for k in range(len(self.tokens))]
        if base:
            places[-1] = 18
        rates = [10 ** (36 - decimals) for decimals in places]
        amp = 200 * (1 if self.kind in {"susd", "three_pool"} else 100)
        base_address = base.pool.address if base else NOBODY
        coins = [token.address for token in self.tokens]
        fees = (4_000_000, 2 * 10**10) if self.kind.startswith("ng") else (4_000_000,)
        made = code.encode_constructor(coins, rates, amp, *fees, 5 * 10**9, base_address)
        return Contract(code, self.backend.deploy(made))

    def _provide(self) -> None:
        for token in self.tokens:
            self.backend.transact(token.call("approve", self.pool.address, 2**256 - 1))
        self.transact("add_liquidity", [self.units(k, 1_000_000) for k in range(len(self.tokens))], 0)

    def units(self, k: int, whole: float) -> int:
        """Return whole coins `k` in smallest units."""
        ((decimals,),) = (self.backend.read(self.tokens[k], "decimals"),)
        return int(whole * 10**decimals)

    def transact(self, function: str, *args: object) -> Block:
        """Call the pool in a block of its own."""
        self.backend.transact(self.pool.call(function, *args))
        return self.chain.block(self.backend.number)

    async def load(self) -> PoolSpec:
        """Discover the pool and put its row into memory."""
        [pool] = await self.adapter.discover(self.chain, block=self.chain.latest)
        self.put(*await self.adapter.load(self.chain, [pool], block=self.chain.latest))
        return pool

    def put(self, raw: bytes) -> None:
        """Put a row into memory."""
        self.memory.view("u1", len(raw))[:] = bytearray(raw)

    def raw(self, size: int) -> bytes:
        """Return the row in memory."""
        return self.memory.view("u1", size).tobytes()

    def follow(self, block: Block) -> list[int]:
        """Advance the row to the block and apply its logs, as the market does; return what each said."""
        assert hot.advance(self.row, block.head.timestamp) != LOG_RELOAD
        return [self.apply(log) for log in block.logs if log.topics[0] in TOPICS]

    def apply(self, log: Log) -> int:
        """Apply one log."""
        self.memory.view("u1", len(log.data), ROOM // 2)[:] = bytearray(log.data)
        event, data = TOPICS.index(log.topics[0]), self.row + ROOM // 2
        status: int = hot.apply_log(self.row, event, 0, data, len(log.data))
        return status

    async def check_fresh(self, pool: PoolSpec) -> None:
        """Compare the row in memory with one that is loaded now."""
        [fresh] = await self.adapter.load(self.chain, [pool], block=self.chain.latest)
        assert self.raw(len(fresh)) == fresh

    def swap(self, pool: PoolSpec, i: int, j: int, amount: int, out: int) -> tuple[Call, ...]:
        """Return the adapter's calls."""
        return self.adapter.swap(
            pool,
            token_in=i,
            token_out=j,
            amount_in=amount,
            amount_out=out,
            recipient=OPERATOR,
            inner=(),
            encode=lambda _: b"",
        )

    def balance(self, k: int) -> int:
        """Return what the operator has of coin `k`."""
        (held,) = self.backend.read(self.tokens[k], "balanceOf", OPERATOR)
        return int(held)
