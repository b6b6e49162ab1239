"""Ctrl-C and SIGTERM stop a command in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import trio

from tallyio.cli.session import until_told

INTERRUPTED_BY_ITSELF = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.{at_first})
from tallyio import cli
cli._run = lambda words: os.kill(os.getpid(), signal.{name})
sys.exit(cli.main())
"""

signals = pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=lambda signum: signum.name)


@signals
async def test_a_signal_cancels_the_block_and_what_follows_goes_on(signum: signal.Signals) -> None:
    closed = False
    with trio.fail_after(5):
        async with until_told():
            try:
                os.kill(os.getpid(), signum)
                await trio.Event().wait()
            finally:
                closed = True
        await trio.lowlevel.checkpoint()
    assert closed


@signals
async def test_a_second_signal_does_not_disturb_the_end(signum: signal.Signals) -> None:
    with trio.fail_after(5):
        async with until_told():
            try:
                os.kill(os.getpid(), signum)
                await trio.Event().wait()
            finally:
                with trio.CancelScope(shield=True):
                    os.kill(os.getpid(), signum)
                    await trio.testing.wait_all_tasks_blocked()
        await trio.lowlevel.checkpoint()


async def test_what_the_block_raises_comes_out_of_it() -> None:
    with pytest.RaisesGroup(ZeroDivisionError):
        async with until_told():
            raise ZeroDivisionError


@pytest.mark.parametrize(
    ("name", "at_first"),
    [("SIGINT", "default_int_handler"), ("SIGTERM", "default_int_handler"), ("SIGTERM", "SIG_IGN")],
)
def test_a_command_that_has_not_begun_yet_is_interrupted_without_a_word(name: str, at_first: str) -> None:
    """A shell has a program that it starts behind ignore Ctrl-C."""
    program = INTERRUPTED_BY_ITSELF.format(name=name, at_first=at_first)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, b"", b"")
