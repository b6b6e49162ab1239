"""What a lab in a process of its own says and is told: one JSON object per line.

Layer: lab.
"""

from __future__ import annotations

import msgspec

from tallyio.lab.world import World
from tallyio.model.units import Address


class Progressed(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """Said while the lab comes up; see `fetch.Progress`."""

    what: str
    done: int
    total: int


class Up(msgspec.Struct, frozen=True, kw_only=True, tag="up"):
    """Said once the world stands."""

    world: World
    pid: int
    """The node's process."""


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The answer to a command."""

    number: int = 0
    """The block that was mined, if one was."""
    output: bytes = b""
    """What a call returned, or the address of what was deployed."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The answer to a command that failed, and the last word of a lab that cannot come up."""

    message: str
    way_out: str


class Step(msgspec.Struct, frozen=True, kw_only=True, tag="step"):
    """Let the traders make a block."""


class Mine(msgspec.Struct, frozen=True, kw_only=True, tag="mine"):
    """Make a block without the traders."""


class Fund(msgspec.Struct, frozen=True, kw_only=True, tag="fund"):
    """Set a balance."""

    account: Address
    wei: int


class Create(msgspec.Struct, frozen=True, kw_only=True, tag="create"):
    """Create a contract."""

    init_code: bytes


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag="ask"):
    """Call a contract without a transaction."""

    to: Address
    data: bytes


class Act(msgspec.Struct, frozen=True, kw_only=True, tag="act"):
    """Let any account call a contract, in a block of its own."""

    sender: Address
    to: Address
    data: bytes


Said = Progressed | Up | Done | Failed
Told = Step | Mine | Fund | Create | Ask | Act
