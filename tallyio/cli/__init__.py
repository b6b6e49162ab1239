"""The `tallyio` command. One file per command, imported only when it runs.

Layer: cli. Exit codes: 0 done, 1 a bug, 2 usage, 3 configuration, 4 environment, 5 refused as
unsafe, 130 interrupted, 141 nobody reads the output any more.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Buffer, Sequence
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import Final

USAGE: Final = 2
ENVIRONMENT: Final = 4
INTERRUPTED: Final = 130
UNREAD: Final = 141
"""What a shell says of a program that a closed pipe ended, as in `tallyio topology | head`."""

COMMANDS: Final = {
    "demo": "Run everything on a real chain of your own: node, contracts, trades.",
    "run": "Run a configuration: paper by default, live only with --live.",
    "init": "Write a configuration to start from.",
    "why": "Say what became of a run's opportunities, and what stopped them.",
    "positions": "Show who is near liquidation, at which price, and what it would bring.",
    "topology": "Draw this machine and where everything runs.",
    "executor": "Print what deploys the contract that trades for you.",
    "c2c": "Measure the latency between every two cores, and keep it for placement.",
    "doctor": "Grade the settings of this machine that cost speed.",
    "warm": "Compile what a configuration needs, before its first start.",
}
GROUPS: Final = {
    "new": "Begin a plugin of your own.",
    "config": "Explain and check a configuration.",
    "keys": "Make the key of a configuration's signer.",
    "plugins": "List and check installed plugins.",
    "bench": "Measure what the installed plugins promise.",
}
PURPOSE: Final = "TallyIO: on-chain opportunities, exact to the wei, on a machine that it knows."
QUESTIONS: Final = frozenset({"--help", "-h", "--version"})
"""Words that only ask; the environment does not matter to them."""
OVERVIEW: Final = frozenset({(), ("--help",), ("-h",)})
"""Command lines that ask what there is."""
COLLECTED_AFTER: Final = 20_000
"""Containers, instead of 700. Nearly all that start-up makes stays, and looking through it again and again
takes an eighth of the time; a block makes some hundred, and the engine collects between blocks."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Expected failures print one message, no traceback.

    Without `arguments` those of this process are taken, which SIGTERM interrupts from now on as Ctrl-C does.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        _settle_process()
    if sys.stdout is None:  # closed; the next file to be opened would take its place
        return _unwritable("it is closed")
    try:
        code = _run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return UNREAD
    except _Unwritable as error:
        _forget_output()
        return _unwritable(str(error))
    return code


class _Unwritable(Exception):
    """Standard output takes no more."""


class _Output(FileIO):
    """Standard output's file, whose failures are told from those of others."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _Unwritable(error.strerror) from error


def _settle_process() -> None:
    """Let SIGTERM interrupt as Ctrl-C does, and `?` stand for what standard output cannot encode.

    And be frugal: nothing here multiplies matrices, but numpy would start a thread for each core to do it.
    """
    gc.set_threshold(COLLECTED_AFTER)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    signal.signal(signal.SIGTERM, _interrupt)
    old = sys.stdout
    if isinstance(old, TextIOWrapper):
        file = BufferedWriter(_Output(old.fileno(), "w", closefd=False))
        sys.stdout = TextIOWrapper(file, old.encoding, "replace", line_buffering=old.line_buffering)


def _interrupt(*_: object) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it that starts us behind
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)  # which Trio knows how to take


def _forget_output() -> None:
    # What is still buffered would fail again, with words, when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unwritable(why: str) -> int:
    message = f"standard output cannot be written: {why}"
    return _fail((), ENVIRONMENT, "environment", message, "send it to a file or a pipe, or to /dev/null")


def _run(words: Sequence[str]) -> int:
    if tuple(words) in OVERVIEW:
        sys.stdout.write(overview())  # the first thing that anybody types waits for no library
        return 0
    from cyclopts import App, CycloptsError  # noqa: PLC0415 - nothing is imported before it is needed

    from tallyio import __version__  # noqa: PLC0415 - the same
    from tallyio.cli.output import console  # noqa: PLC0415 - the same

    asks = not QUESTIONS.isdisjoint(words)
    app = App(
        name="tallyio",
        help=PURPOSE,
        version=__version__,
        help_format="plaintext",
        result_action="return_value",
        console=console(wraps=True) if asks else None,
    )
    for name, summary in COMMANDS.items():
        app.command(f"tallyio.cli.{name}:{name}", name=name, help=summary)
    for name, summary in GROUPS.items():
        app.command(f"tallyio.cli.{name}:app", name=name, help=summary)
    try:
        if not asks:
            _check_environment()
        outcome = app(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _fail(words, USAGE, "usage", str(error), "tallyio --help lists the commands")
    except BaseException as error:  # noqa: BLE001 - a bug is raised again in `_report`
        return _report(words, error)
    return outcome if isinstance(outcome, int) else 0


def _check_environment() -> None:
    from tallyio.hooks.environment import check_environment  # noqa: PLC0415 - help needs none of it

    check_environment(os.environ)


def overview() -> str:
    """Return the help that lists all commands."""
    lines = [f"  {name:<10} {summary}" for name, summary in (COMMANDS | GROUPS).items()]
    more = "`tallyio COMMAND --help` says more of a command, `tallyio --version` prints the version."
    return "\n".join(["Usage: tallyio COMMAND", "", PURPOSE, "", *lines, "", more, ""])


def _report(words: Sequence[str], error: BaseException) -> int:
    """Print an expected failure; raise a bug again."""
    from tallyio.model.errors import TallyError, root_of  # noqa: PLC0415 - only failures need it

    known = root_of(error, TallyError)
    for unwritten in (BrokenPipeError, _Unwritable):
        if known is None and (found := root_of(error, unwritten)) is not None:
            raise unwritten(*found.args) from error
    if isinstance(error, BaseExceptionGroup) and error.split((TallyError, KeyboardInterrupt))[1] is not None:
        raise error  # a bug does not hide behind what it caused
    if known is None:
        if root_of(error, KeyboardInterrupt) is not None:
            return INTERRUPTED
        raise error
    if known.code == "service" and isinstance(known.__cause__, TallyError):
        known = known.__cause__  # the service's own failure knows the way out
    return _fail(words, known.exit_code, known.code, known.message, known.way_out)


def _fail(words: Sequence[str], code: int, kind: str, message: str, way_out: str) -> int:
    from tallyio.cli.output import print_json  # noqa: PLC0415 - only failures need it

    if "--json" in words:
        print_json({"error": {"code": kind, "message": message, "way_out": way_out, "exit_code": code}})
    else:
        sys.stderr.write(f"tallyio: {message}\n" + (f"  way out: {way_out}\n" if way_out else ""))
    return code
