"""The lab's world in this process, as a chain that adapters read and a market follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tallyio.lab.recipe import build_world
from tallyio.lab.revm import RevmBackend
from tallyio.lab.steps import Recipe, Reverted
from tallyio.lab.trading import choose, transactions
from tallyio.lab.world import CHAIN_ID, OPERATOR, World
from tallyio.model.chain import Block, Head, Log, LogFilter
from tallyio.model.execution import Call
from tallyio.model.hashing import keccak256
from tallyio.model.units import Address, Hash, Wei, checksum


class LabChain:
    """A `ChainReader` over an in-process EVM that remembers every log."""

    def __init__(self) -> None:
        self.backend = RevmBackend()
        self.history: list[Log] = []
        self.world: World = self.backend.run(self._recorded(build_world()))

    @property
    def chain_id(self) -> int:
        """The lab's."""
        return CHAIN_ID

    async def head(self) -> Head:
        """Return the latest head."""
        return self.current()

    async def call(
        self, calls: Sequence[Call], *, block: Hash | None = None, sender: Address | None = None
    ) -> list[bytes | None]:
        """Return data, or None for a revert, in order."""
        assert block == self.current().hash
        return [self._try(call, sender or OPERATOR) for call in calls]

    async def logs(self, query: LogFilter) -> list[Log]:
        """Return the remembered logs that `query` selects."""
        return [log for log in self.history if _matches(log, query)]

    def current(self) -> Head:
        """Return the latest head."""
        number = self.backend.number
        return Head(
            number=number,
            hash=_hash(number),
            parent_hash=_hash(number - 1),
            timestamp=number,
            base_fee_wei=Wei(0),
            gas_used=0,
            gas_limit=30_000_000,
            logs_bloom=b"",
        )

    def trade(self, seed: int) -> Block:
        """Let the lab's traders make a block."""
        swaps = self.backend.run(choose(self.world, seed=seed, number=self.backend.number + 1))
        self.backend.block(transactions(self.world, swaps))
        fresh = [self._log(index, raw) for index, raw in enumerate(self.backend.logs)]
        self.history += fresh
        return Block(head=self.current(), logs=tuple(fresh), bytes_in_ns=0, decoded_ns=0)

    def v2_settings(self) -> dict[str, object]:
        """Return a configuration of both V2 venues."""
        fee = {"fee_numerator": 997, "fee_denominator": 1000}
        venues = [
            {"name": name, "factory": checksum(v2.factory), **fee} for name, v2 in self.world.v2.items()
        ]
        return {"venues": venues}

    def v3_settings(self) -> dict[str, object]:
        """Return a configuration of the V3 venue."""
        return {"venues": [{"name": "lab", "factory": checksum(self.world.v3.factory)}]}

    def _try(self, call: Call, sender: Address) -> bytes | None:
        try:
            return self.backend.call(call, sender=sender)
        except Reverted:
            return None

    def _recorded(self, recipe: Recipe[World]) -> Recipe[World]:
        step = next(recipe)
        while True:
            number = self.backend.number
            result = yield step
            if self.backend.number != number:
                self.history += [self._log(index, raw) for index, raw in enumerate(self.backend.logs)]
            try:
                step = recipe.send(result)
            except StopIteration as end:
                world: World = end.value
                return world

    def _log(self, index: int, raw: Any) -> Log:
        _, data = raw.data
        return Log(
            address=Address(bytes.fromhex(raw.address[2:])),
            topics=tuple(bytes.fromhex(topic[2:]) for topic in raw.topics),
            data=bytes(data),
            block_hash=_hash(self.backend.number),
            block_number=self.backend.number,
            log_index=index,
            transaction_hash=_hash(self.backend.number),
        )


def _hash(number: int) -> Hash:
    return Hash(keccak256(b"block %d" % number))


def _matches(log: Log, query: LogFilter) -> bool:
    return (
        query.from_block <= log.block_number <= query.to_block
        and (not query.addresses or log.address in query.addresses)
        and all(
            not wanted or topic in wanted for wanted, topic in zip(query.topics, log.topics, strict=False)
        )
    )
