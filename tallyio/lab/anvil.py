"""Start anvil, a real Ethereum node for one machine, on a loopback port, and end it again.

Layer: lab. The node mines only when it is told to, and its clock is the chain's: two runs that
send the same transactions make the same blocks. It ends with this process, however that ends.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from typing import IO, Final

import trio

from tallyio.lab.steps import BLOCK_GAS_LIMIT, GENESIS_TIMESTAMP
from tallyio.lab.world import CHAIN_ID
from tallyio.model.errors import EnvironmentFault

HOST = "127.0.0.1"
LISTENING = f"Listening on {HOST}:"
START_SECONDS = 30
POLL_SECONDS = 0.005
BASE_FEE_WEI = 1_000_000_000
WATCH: Final = ("/bin/sh", "-c", "read -r _; kill -9 0")
"""Ends its process group when standard input closes. The OS kernel alone would do it at the end of the thread
that started the node, which is one of Trio's and goes long before the process does."""


class Anvil:
    """A running node. It was started by us, and only its own process is ever ended."""

    def __init__(self, process: trio.Process, port: int) -> None:
        self._process = process
        self.port = port

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def kill(self) -> None:
        """End the process at once, as a crash would, and wait until it is gone."""
        if self._process.poll() is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def open_anvil(
    program: Path, port: int = 0, *, largest_code: int | None = None
) -> AsyncIterator[Anvil]:
    """Run the node on `port`, or on a free one if it is 0, for as long as the context lasts.

    `largest_code` is how many bytes of code a contract may have where EIP-170 would not do.
    Raises: EnvironmentFault: the port is busy, or the program does not start.
    """
    with tempfile.TemporaryFile() as output:
        process = await _start(program, port, output, largest_code)
        try:
            async with _watched(process.pid):
                yield Anvil(process, await _wait_listening(process, port, output))
        finally:
            with trio.CancelScope(shield=True):
                await Anvil(process, port).kill()


async def _start(program: Path, port: int, output: IO[bytes], largest_code: int | None) -> trio.Process:
    flags: dict[str, object] = {
        "--host": HOST,
        "--port": port,
        "--chain-id": CHAIN_ID,
        "--hardfork": "cancun",
        "--gas-limit": BLOCK_GAS_LIMIT,
        "--block-base-fee-per-gas": BASE_FEE_WEI,
        "--timestamp": GENESIS_TIMESTAMP,
        "--accounts": 0,
        "--threads": 1,
    }
    if largest_code is not None:
        flags["--code-size-limit"] = largest_code
    words = [str(word) for flag in flags.items() for word in flag]
    command = [str(program), "--no-mining", "--auto-impersonate", *words]
    try:
        # A group of its own keeps the terminal's Ctrl-C away: we end the node after we used it last.
        return await trio.lowlevel.open_process(
            command, stdin=DEVNULL, stdout=output, stderr=STDOUT, process_group=0
        )
    except OSError as error:
        raise EnvironmentFault(f"the lab's node does not start: {error}") from None


@asynccontextmanager
async def _watched(node: int) -> AsyncIterator[None]:
    """End the node with the context, or with this process: either closes the input of who watches."""
    # Who watches joins the node's group: as long as it lives, the group's id is nobody else's.
    watch = await trio.lowlevel.open_process(
        WATCH, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, process_group=node
    )
    assert watch.stdin is not None  # noqa: S101 - it was opened with it
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            await watch.stdin.aclose()
            await watch.wait()


async def _wait_listening(process: trio.Process, port: int, output: IO[bytes]) -> int:
    with trio.move_on_after(START_SECONDS):
        while process.poll() is None:
            said = _read(output)
            if LISTENING in said:
                return int(said.split(LISTENING)[1].split()[0])
            await trio.sleep(POLL_SECONDS)
    said = _read(output)
    if "already in use" in said:
        raise EnvironmentFault(
            f"port {port} of {HOST} is busy", way_out="choose another, or 0 for a free one"
        )
    raise EnvironmentFault(f"the lab's node did not start:\n{said[-1000:]}")


def _read(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")
