"""A lab in a process of its own, as its operator sees it.

Layer: lab. Whoever measures what trades against the lab wants the traders elsewhere: here they share
neither thread nor memory with anybody.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import trio

from tallyio.lab.fetch import Progress, silent
from tallyio.lab.lab import WorldKind
from tallyio.lab.messages import Act, Ask, Create, Done, Failed, Fund, Mine, Progressed, Said, Step, Told, Up
from tallyio.lab.world import World
from tallyio.model.errors import EnvironmentFault
from tallyio.model.execution import Call
from tallyio.model.units import Address

LONGEST_LINE = 1 << 24
END_WITHIN_S = 5.0


class RemoteLab:
    """A running lab elsewhere. `world` says what stands where; `pid` is the node's process."""

    def __init__(self, talk: _Talk, up: Up) -> None:
        self._talk = talk
        self.world: World = up.world
        self.pid: int = up.pid

    @property
    def url(self) -> str:
        """Where the node answers WebSocket."""
        return self.world.url

    @property
    def chain_id(self) -> int:
        """The chain id of the node."""
        return self.world.chain_id

    async def step(self) -> int:
        """Let the traders make the next block; return its number.

        What they sent is checked when the next command comes. Raises: EnvironmentFault.
        """
        return (await self._talk.ask(Step())).number

    async def mine(self) -> int:
        """Mine a block without the traders; return its number."""
        return (await self._talk.ask(Mine())).number

    async def fund(self, account: Address, wei: int) -> None:
        """Set the native balance of `account`."""
        await self._talk.ask(Fund(account=account, wei=wei))

    async def deploy(self, init_code: bytes) -> Address:
        """Create a contract from `init_code` in a block of its own."""
        return Address((await self._talk.ask(Create(init_code=init_code))).output)

    async def call(self, call: Call) -> bytes:
        """Return what `call` returns on the head's state."""
        return (await self._talk.ask(Ask(to=call.to, data=call.data))).output

    async def act(self, call: Call, *, sender: Address) -> None:
        """Let any account make `call` in a block of its own. Raises: EnvironmentFault: it reverts."""
        await self._talk.ask(Act(sender=sender, to=call.to, data=call.data))


@asynccontextmanager
async def open_remote_lab(
    *, seed: int, port: int = 0, kind: WorldKind = "pools", progress: Progress = silent
) -> AsyncIterator[RemoteLab]:
    """Start a lab in a process of its own, on loopback `port` (0: a free one), and end it at the exit.

    Raises: EnvironmentFault: the node cannot be fetched or started, or the port is busy.
    """
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "tallyio.lab.serve", str(seed), str(port), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for whoever started it, who closes its input
    )
    talk = _Talk(process)
    try:
        yield RemoteLab(talk, await talk.come_up(progress))
    finally:
        with trio.CancelScope(shield=True):
            await talk.end()


class _Talk:
    """One command at a time."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None  # noqa: S101 - it was opened with both
        assert process.stdout is not None  # noqa: S101 - the same
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._waiting = bytearray()
        self._turn = trio.Lock()

    async def come_up(self, progress: Progress) -> Up:
        while True:
            match await self._said():
                case Progressed(what=what, done=done, total=total):
                    progress(what, done, total)
                case Up() as up:
                    return up
                case other:
                    raise _unexpected(other)

    async def ask(self, told: Told) -> Done:
        async with self._turn:
            try:
                await self._stdin.send_all(msgspec.json.encode(told) + b"\n")
            except trio.BrokenResourceError:
                raise _gone() from None
            answer = await self._said()
            if isinstance(answer, Done):
                return answer
            raise _unexpected(answer)

    async def end(self) -> None:
        await self._stdin.aclose()
        with trio.move_on_after(END_WITHIN_S):
            await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        await self._stdout.aclose()

    async def _said(self) -> Said:
        while b"\n" not in self._waiting:
            part = await self._stdout.receive_some(1 << 16)
            if not part or len(self._waiting) > LONGEST_LINE:
                raise _gone()
            self._waiting += part
        line, _, rest = bytes(self._waiting).partition(b"\n")
        self._waiting = bytearray(rest)
        said: Said = msgspec.json.decode(line, type=Said)
        return said


def _unexpected(said: Said) -> EnvironmentFault:
    if isinstance(said, Failed):
        return EnvironmentFault(said.message, way_out=said.way_out)
    return EnvironmentFault(f"the lab's process said {type(said).__name__} out of turn")


def _gone() -> EnvironmentFault:
    return EnvironmentFault("the lab's process has ended", way_out="its last words are on standard error")
