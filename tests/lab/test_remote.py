"""A lab in a process of its own does what a lab does, and ends with whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tallyio.lab import open_lab, open_remote_lab
from tallyio.model.errors import EnvironmentFault
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.units import Address

pytestmark = pytest.mark.node

DECIMALS = selector("decimals()")


def is_alive(pid: int) -> bool:
    """Return whether `pid` runs; one that waits to be reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def test_the_same_seed_makes_the_same_world_and_blocks_as_in_process() -> None:
    async with open_remote_lab(seed=3) as far, open_lab(seed=3) as near:
        assert far.world.pools == near.world.pools
        assert [await far.step() for _ in range(2)] == [(await near.step()).number for _ in range(2)]
        pool = near.world.pools[0].address
        reserves = Call(to=pool, data=selector("getReserves()"))
        assert await far.call(reserves) == await near.call(reserves)
        assert await far.mine() == (await near.step()).number


async def test_it_funds_deploys_and_answers_calls() -> None:
    async with open_remote_lab(seed=3) as lab:
        await lab.fund(Address(b"\x11" * 20), 10**18)
        made = await lab.deploy(bytes.fromhex("600a600c600039600a6000f3602a60005260206000f3"))
        assert int.from_bytes(await lab.call(Call(to=made, data=b""))) == 42
        usdc = lab.world.tokens["USDC"].address
        assert int.from_bytes(await lab.call(Call(to=usdc, data=DECIMALS))) == 6


async def test_a_failed_command_is_told_and_the_next_one_works() -> None:
    async with open_remote_lab(seed=3) as lab:
        with pytest.raises(EnvironmentFault, match="revert"):
            await lab.call(Call(to=lab.world.tokens["USDC"].address, data=b"\x00\x00\x00\x01"))
        assert await lab.mine() > 0


async def test_a_busy_port_is_told_before_anything_starts() -> None:
    async with open_remote_lab(seed=3) as lab:
        port = int(lab.url.rpartition(":")[2])
        with pytest.raises(EnvironmentFault, match=f"{port}"):
            async with open_remote_lab(seed=3, port=port):
                pass


async def test_the_node_ends_with_the_lab() -> None:
    async with open_remote_lab(seed=3) as lab:
        pid = lab.pid
        assert is_alive(pid)
    assert not is_alive(pid)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM], ids=lambda signum: signum.name)
@pytest.mark.parametrize("opens", ["open_lab", "open_remote_lab"])
async def test_the_node_ends_when_whoever_started_the_lab_is_ended(
    opens: str, signum: signal.Signals
) -> None:
    program = (
        f"import trio\nfrom tallyio.lab import {opens}\n"
        "async def main():\n"
        f"    async with {opens}(seed=3) as lab:\n"
        "        print(lab.pid, flush=True)\n"
        "        await trio.sleep_forever()\n"
        "trio.run(main)\n"
    )
    process = await trio.lowlevel.open_process([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    node = int(await process.stdout.receive_some(64))
    process.send_signal(signum)
    await process.wait()
    await process.stdout.aclose()
    with trio.fail_after(10):
        await until_dead(node)


async def test_the_lab_ends_without_a_word_when_nobody_reads_its_answers() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "tallyio.lab.serve", "3", "0", "pools"]
    with os.fdopen(writing, "wb") as unread:
        ran = await trio.run_process(command, stdout=unread, capture_stderr=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")


async def until_dead(pid: int) -> None:
    """Wait for a process that is not our child: nothing but asking tells."""
    while is_alive(pid):  # noqa: ASYNC110 - the kernel has no event for it
        await trio.sleep(0.05)
