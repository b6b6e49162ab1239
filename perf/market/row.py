"""What a row of the table is, and how a module here declares one.

    @row("u256.add", goal_ns=1.0)
    def add() -> Case:
        ...
        return Case(ours=timed(compiled, address, count, operations=count), reference=timed(...))

The function prepares inputs from a seed, checks that all sides give the same answers (`require_equal`), and
returns timers of one operation each. What must stay alive meanwhile goes into `keeps`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from perf.peers.session import Peers
from tallyio.bench.rounds import Timer


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row, ready to be measured."""

    ours: Timer
    reference: Timer | None = None
    """The same in plain Python integers."""
    peers: Mapping[str, Timer] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    """Peers that cannot be had here, and why."""
    bytes_each: int | None = None
    """Memory of one pool, cell or whatever the row is about."""
    counted: Callable[[int], object] | None = None
    """Does so many of the operations, for a count of their instructions."""
    keeps: object = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row as declared. Goals are on calibrated nanoseconds, and on ours over a peer's time."""

    name: str
    make: Callable[[Peers], Case]
    goal_ns: float | None = None
    goal_ratios: Mapping[str, float] = field(default_factory=dict)


ROWS: Final[list[Row]] = []
"""Every row of the modules that are imported, in the order of their declaration."""


def row(
    name: str, *, goal_ns: float | None = None, **goal_ratios: float
) -> Callable[[Callable[[Peers], Case]], Callable[[Peers], Case]]:
    """Declare a row; `goal_ratios` say per peer what ours over its time may be at most."""

    def declare(make: Callable[[Peers], Case]) -> Callable[[Peers], Case]:
        ROWS.append(Row(name=name, make=make, goal_ns=goal_ns, goal_ratios=goal_ratios))
        return make

    return declare


class Differs(SystemExit):
    """Two sides of a row do not give the same answer: there is nothing to measure."""


def require_equal(ours: object, theirs: object, who: str) -> None:
    """Raises: Differs: they are not equal."""
    if ours != theirs:
        raise Differs(f"{who} answers {theirs!r}, ours {ours!r}")


def beside_degenbot(
    peers: Peers, answers: object, prepare: tuple[object, ...], measure: tuple[str, ...] = ()
) -> tuple[dict[str, Timer], dict[str, str]]:
    """Let degenbot prepare the same work and check its answers; return `peers` and `absent` of a `Case`.

    `prepare` is a method of its driver and arguments, the first of which names quotes; `measure` is the
    method to time, where it is not these quotes.
    """
    if (peer := peers.degenbot) is None:
        return {}, {"degenbot": peers.degenbot_absent}
    method, *arguments = prepare
    require_equal(answers, peer.ask(str(method), *arguments), "degenbot")
    question = measure or ("quotes_ns", str(arguments[0]))
    return {"degenbot": lambda: float(peer.ask(*question))}, {}
