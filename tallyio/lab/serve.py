"""`python -m tallyio.lab.serve SEED PORT WORLD`: a lab in a process of its own.

Layer: lab. Commands come on standard input, answers go to standard output (`messages`). The lab ends,
and its node with it, when standard input closes: it does not outlive who started it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import cast

import msgspec
import trio

from tallyio.lab.lab import Lab, Mined, WorldKind, open_lab
from tallyio.lab.messages import Act, Ask, Create, Done, Failed, Fund, Mine, Progressed, Said, Step, Told, Up
from tallyio.model.errors import TallyError, root_of
from tallyio.model.execution import Call

Say = Callable[[Said], None]


class Desk:
    """Carries out commands. A step is looked at only when the next command comes (`Lab.begin`)."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._unconfirmed: Mined | None = None

    async def do(self, told: Told) -> Done:
        """Carry out one command."""
        mined, self._unconfirmed = self._unconfirmed, None
        if mined is not None:
            await self._lab.confirm(mined)
        match told:
            case Step():
                self._unconfirmed = await self._lab.begin()
                return Done(number=self._unconfirmed.number)
            case Mine():
                return Done(number=await self._lab.mine())
            case Fund(account=account, wei=wei):
                await self._lab.fund(account, wei)
                return Done()
            case Create(init_code=init_code):
                return Done(output=await self._lab.deploy(init_code))
            case Ask(to=to, data=data):
                return Done(output=await self._lab.call(Call(to=to, data=data)))
            case Act(sender=sender, to=to, data=data):
                await self._lab.send(Call(to=to, data=data), sender=sender)
                return Done()


async def serve(seed: int, port: int, kind: WorldKind, say: Say) -> None:
    """Serve until standard input closes."""

    def progress(what: str, done: int, total: int) -> None:
        say(Progressed(what=what, done=done, total=total))

    async with open_lab(seed=seed, port=port, kind=kind, progress=progress) as lab:
        say(Up(world=lab.world, pid=lab.pid))
        desk = Desk(lab)
        async for line in trio.wrap_file(sys.stdin.buffer):
            try:
                say(await desk.do(msgspec.json.decode(line, type=Told)))
            except TallyError as error:
                say(Failed(message=error.message, way_out=error.way_out))


def main() -> int:
    """Serve; return 0 at the end of the commands, and the error's exit code when the lab cannot come up.

    Answers that nobody reads any more are the end, too.
    """

    def say(message: Said) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
        sys.stdout.buffer.flush()

    seed, port, kind = sys.argv[1:]
    try:
        trio.run(serve, int(seed), int(port), cast("WorldKind", kind), say)
    except BaseException as error:
        if root_of(error, BrokenPipeError) is not None:
            # What is still buffered would fail again, with words, when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        known = root_of(error, TallyError)
        if known is None:
            raise
        say(Failed(message=known.message, way_out=known.way_out))
        return known.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
