"""The lab: a real node with the whole world on it, and traders that move it block by block.

Layer: lab. Whoever trades against the lab reaches it as any node: by JSON-RPC and WebSocket at
`Lab.url`. What is here belongs to the lab's operator.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Literal

import msgspec

from tallyio.lab.anvil import BASE_FEE_WEI, HOST, Anvil, open_anvil
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import Progress, anvil_path, fetch, silent
from tallyio.lab.lending.moves import moves
from tallyio.lab.lending.world import build_lending_world
from tallyio.lab.node import NodeBackend
from tallyio.lab.recipe import build_world
from tallyio.lab.rpc import open_rpc
from tallyio.lab.steps import BLOCK_GAS_LIMIT, Recipe, Transaction, read
from tallyio.lab.traders import Swap, block_rng
from tallyio.lab.trading import choose, transactions
from tallyio.lab.world import OPERATOR, World
from tallyio.model.execution import Call
from tallyio.model.units import Address, Hash, block_hash

BURN_NOISE_GAS = 4_000_000
MAX_BURN_GAS = 20_000_000
"""A third of the block is always left to transactions that pay a tip."""

MIN_BURN_GAS = 21_000
"""The intrinsic gas of any transaction."""

EXPECTED_TRADES_GAS = 1_000_000


WorldKind = Literal["pools", "lending"]
"""What stands in a lab: pools alone, or what lends beside them."""


class LabBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A block that the lab mined, and the traders' swaps in it."""

    number: int
    hash: Hash
    swaps: tuple[Swap, ...]


class Mined(msgspec.Struct, frozen=True, kw_only=True):
    """A block that was mined and not looked at."""

    number: int
    swaps: tuple[Swap, ...]
    sent: dict[str, Transaction]
    """What it was to hold, by hash."""


class Lab:
    """A running lab. `world` says what stands where."""

    def __init__(self, anvil: Anvil, backend: NodeBackend, world: World, seed: int) -> None:
        self._anvil = anvil
        self._backend = backend
        self.world = world
        self.seed = seed

    @property
    def url(self) -> str:
        """Where the node answers WebSocket."""
        return _url("ws", self._anvil)

    @property
    def http_url(self) -> str:
        """Where the node answers HTTP."""
        return _url("http", self._anvil)

    @property
    def chain_id(self) -> int:
        """The chain id of the node."""
        return self.world.chain_id

    @property
    def pid(self) -> int:
        """The process id of the node."""
        return self._anvil.pid

    async def step(self) -> LabBlock:
        """Let the traders send the swaps of the next block, and mine it.

        The swaps depend on the seed, the block's number and the pools' prices, on nothing else.
        Transactions of others that wait in the node are mined with them; whoever offers the higher
        `maxFeePerGas` comes first (so the node orders), and traders offer the base fee and a few wei.
        Raises: NodeGone: the node ended.
        """
        return await self.confirm(await self.begin())

    async def begin(self) -> Mined:
        """Do the first half of `step`: the block is mined, and nothing more was asked of the node.

        So whoever trades on the block has the node for himself; `confirm` before the next one.
        """
        head = await self.head()
        number = int(head["number"], 16) + 1
        swaps = await self._backend.run(choose(self.world, seed=self.seed, number=number))
        others = await self._backend.run(moves(self.world, seed=self.seed, number=number))
        burn = self._burn(block_rng(self.seed, -number), int(head["baseFeePerGas"], 16))
        sent = await self._backend.send((*transactions(self.world, swaps), *others, burn))
        return Mined(number=await self._backend.mine_quietly(), swaps=swaps, sent=sent)

    async def confirm(self, mined: Mined) -> LabBlock:
        """Do the second half of `step`: look whether the traders' transactions did what they should."""
        await self._backend.confirm(mined.sent, mined.number)
        header = await self.rpc("eth_getBlockByNumber", hex(mined.number), False)
        return LabBlock(number=mined.number, hash=block_hash(header["hash"]), swaps=mined.swaps)

    async def head(self) -> dict[str, Any]:
        """Return the header of the newest block, as the node gives it."""
        header: dict[str, Any] = await self.rpc("eth_getBlockByNumber", "latest", False)
        return header

    async def mine(self) -> int:
        """Mine a block of what waits in the node, without the traders; return its number."""
        return await self._backend.mine_quietly()

    async def reorg(self, depth: int) -> None:
        """Replace the newest `depth` blocks by empty ones; what was in them is gone."""
        await self.rpc("anvil_reorg", depth, [])

    async def fund(self, account: Address, wei: int) -> None:
        """Set the native balance of `account`."""
        await self._backend.fund(account, wei)

    async def deploy(self, init_code: bytes) -> Address:
        """Create a contract from `init_code` in a block of its own. Raises: Reverted."""
        return await self._backend.deploy(init_code)

    async def send(self, *calls: Call, sender: Address = OPERATOR) -> list[dict[str, Any]]:
        """Let any account make `calls` in one block; return the block's receipts. Raises: Reverted."""
        sent = tuple(Transaction(sender=sender, call=call) for call in calls)
        return await self._backend.block(sent)

    async def call(self, call: Call, *, sender: Address = OPERATOR) -> bytes:
        """Return what `call` returns on the head's state. Raises: EnvironmentFault: it reverts."""
        return await self._backend.call(call, sender=sender)

    async def read(self, contract: Contract, name: str, *args: object) -> tuple[Any, ...]:
        """Return the values that function `name` of `contract` returns. Raises: EnvironmentFault."""
        return await self._backend.run(read(contract, name, *args))

    async def rpc(self, method: str, *params: Any) -> Any:
        """Return the result of any JSON-RPC `method`. Raises: EnvironmentFault; NodeGone."""
        return await self._backend.rpc.call(method, *params)

    async def kill(self) -> None:
        """End the node at once, as a crash would."""
        await self._anvil.kill()

    def _burn(self, rng: Random, base_fee_wei: int) -> Transaction:
        # EIP-1559 moves the base fee by (used - target) / target / 8. Using 8 * (1 - fee / reference) of
        # the target more than the target would bring it back in one block; noise keeps it moving.
        target = BLOCK_GAS_LIMIT // 2
        surplus = 8 * target * (BASE_FEE_WEI - base_fee_wei) // BASE_FEE_WEI
        noise = rng.randint(-BURN_NOISE_GAS, BURN_NOISE_GAS)
        gas = target - EXPECTED_TRADES_GAS + surplus + noise
        return Transaction(
            sender=OPERATOR,
            call=Call(to=self.world.gas_burner, data=b""),
            gas_limit=max(MIN_BURN_GAS, min(gas, MAX_BURN_GAS)),
            may_fail=True,
        )


@asynccontextmanager
async def open_lab(
    *,
    seed: int,
    port: int = 0,
    kind: WorldKind = "pools",
    recipe: Recipe[World] | None = None,
    largest_code: int | None = None,
    progress: Progress = silent,
) -> AsyncIterator[Lab]:
    """Start a node on loopback `port` (0: a free one), build the world on it, and end it at the exit.

    The world is that of `recipe`, or else of its `kind`; `largest_code` is for a recipe whose contracts are
    larger than EIP-170 allows.

    Raises: EnvironmentFault: the node cannot be fetched or started, or the port is busy.
    """
    program = anvil_path(await fetch(progress))
    async with (
        open_anvil(program, port, largest_code=largest_code) as anvil,
        open_rpc(HOST, anvil.port) as rpc,
    ):
        backend = NodeBackend(rpc)
        await backend.prepare()
        world = await backend.run(recipe or _world(kind, seed))
        await backend.settle(BASE_FEE_WEI)
        yield Lab(anvil, backend, msgspec.structs.replace(world, url=_url("ws", anvil)), seed)


def _world(kind: WorldKind, seed: int) -> Recipe[World]:
    return build_world() if kind == "pools" else build_lending_world(seed)


def _url(scheme: str, anvil: Anvil) -> str:
    return f"{scheme}://{HOST}:{anvil.port}"
