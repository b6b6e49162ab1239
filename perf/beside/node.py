"""One call of a contract on the lab's node, beside web3.py."""

from __future__ import annotations

import statistics
import threading
import time
from queue import SimpleQueue
from typing import Final

import trio
from tallyio_chain_evm.chain import EvmChain

from perf.market.row import Case, require_equal, row
from perf.peers.session import WEB3, Peers
from tallyio.bench.rounds import PASSES
from tallyio.lab import open_lab
from tallyio.model.erc20 import balance_of
from tallyio.model.execution import Call
from tallyio.model.units import Address, checksum, hex_text

ASKED: Final = 30
OVER_HTTP: Final = f"{WEB3.name}, HTTP"
OVER_WEBSOCKET: Final = f"{WEB3.name}, WebSocket"


class Node:
    """A lab that runs on a thread of its own until `close`."""

    def __init__(self) -> None:
        self._ready: SimpleQueue[tuple[str, str, int, Address, Address]] = SimpleQueue()
        self._over = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._run,), daemon=True)
        self._thread.start()
        self.url, self.http_url, self.chain_id, self.token, self.holder = self._ready.get()

    async def _run(self) -> None:
        async with open_lab(seed=7) as lab:
            pool = lab.world.pools[0]
            token = lab.world.tokens[pool.tokens[0]].address
            self._ready.put((lab.url, lab.http_url, lab.chain_id, token, pool.address))
            await trio.to_thread.run_sync(self._over.wait, abandon_on_cancel=True)

    def close(self) -> None:
        """End the node."""
        self._over.set()
        self._thread.join()


@row("node.call")
def calls(peers: Peers) -> Case:
    """`balanceOf` at the latest block, one call after the other over one connection that stays open."""
    node = Node()
    call = balance_of(node.token, node.holder)
    answer, _ = trio.run(_asked, node, call, 1)

    def ours() -> float:
        return min(trio.run(_asked, node, call, ASKED)[1] for _ in range(PASSES))

    if (peer := peers.process(WEB3)) is None:
        return Case(ours=ours, absent={WEB3.name: peers.absent(WEB3)}, keeps=node)
    question = checksum(call.to), hex_text(call.data)
    require_equal(answer.hex(), peer.ask("ask", node.http_url, *question), OVER_HTTP)
    require_equal(answer.hex(), peer.ask("ask_over_websocket", node.url, *question), OVER_WEBSOCKET)
    return Case(
        ours=ours,
        peers={
            OVER_HTTP: lambda: float(peer.ask("ask_ns")),
            OVER_WEBSOCKET: lambda: float(peer.ask("ask_over_websocket_ns")),
        },
        keeps=node,
    )


async def _asked(node: Node, call: Call, count: int) -> tuple[bytes, float]:
    """Return the answer, and the median of the nanoseconds of so many calls after the first."""
    chain = EvmChain.from_settings({"url": node.url, "chain_id": node.chain_id})
    async with chain.open() as client:
        [answer] = await client.call([call])
        taken = []
        for _ in range(count):
            start = time.perf_counter_ns()
            await client.call([call])
            taken.append(time.perf_counter_ns() - start)
    if answer is None:
        raise SystemExit("the lab's token does not answer")
    return answer, statistics.median(taken)
