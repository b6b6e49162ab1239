"""Memory for compiled code, and hashing of it."""

from __future__ import annotations

import random
from typing import Final

from perf.market.row import Case, require_equal, row
from perf.peers.session import Peers
from tallyio.bench.rounds import timed
from tallyio.model.hashing import keccak256 as keccak256_here
from tallyio.native.arena import Arena, arena_allocate, arena_reset
from tallyio.native.atomics import load, store
from tallyio.native.cells import Cells, cells_give, cells_take
from tallyio.native.jit import entry, hot
from tallyio.native.keccak import RATE, keccak256
from tallyio.native.memory import Region

_COUNT: Final = 256
_TIMES: Final = 64
_PIECE: Final = 64
_BLOCKS: Final = 8


@hot("int64(int64, int64, int64)")
def allocate_and_touch(arena: int, count: int, times: int) -> int:
    """Take `count` pieces, write to each, give all back; again and again."""
    last = 0
    for _ in range(times):
        for k in range(count):
            last = arena_allocate(arena, _PIECE, 8)
            store(last, 0, k)
        arena_reset(arena)
    return load(last, 0)


@hot("int64(int64, int64)")
def reset_often(arena: int, times: int) -> int:
    """Reset, with one piece taken each time so that there is something to give back."""
    last = 0
    for _ in range(times):
        last = arena_allocate(arena, _PIECE, 8)
        arena_reset(arena)
    return last


@hot("int64(int64, int64)")
def take_and_give(cells: int, times: int) -> int:
    """Take two cells and give them back in the order they came."""
    wrong = 0
    for _ in range(times):
        first, second = cells_take(cells), cells_take(cells)
        wrong += not cells_give(cells, first)
        wrong += not cells_give(cells, second)
    return wrong


@row("arena.allocate", goal_ns=1.0)
def allocate(_: Peers) -> Case:
    """A piece of 64 bytes, and a word written to it."""
    arena = Arena(_COUNT * _PIECE)
    require_equal(allocate_and_touch(arena.address, _COUNT, 1), _COUNT - 1, "the last piece")
    require_equal(arena.statistics().highest, _COUNT * _PIECE, "the statistics")
    compiled = entry(allocate_and_touch)
    return Case(
        ours=timed(compiled, arena.address, _COUNT, _TIMES, operations=_COUNT * _TIMES),
        bytes_each=_PIECE,
        keeps=arena,
    )


@row("arena.reset")
def reset(_: Peers) -> Case:
    """An allocation and a reset together."""
    arena = Arena(_COUNT * _PIECE)
    require_equal(reset_often(arena.address, 3), arena.address + 64, "the first piece")
    return Case(ours=timed(entry(reset_often), arena.address, 16_384, operations=16_384), keeps=arena)


@row("cells.take_give")
def cell(_: Peers) -> Case:
    """A cell of 288 bytes taken and given back."""
    cells = Cells(_COUNT, 288)
    require_equal(take_and_give(cells.address, 10), 0, "the count of refusals")
    require_equal(cells.statistics().taken, 0, "the statistics")
    return Case(
        ours=timed(entry(take_and_give), cells.address, 4_096, operations=2 * 4_096),
        bytes_each=cells.cell_bytes,
        keeps=cells,
    )


@row("keccak256.block", goal_ns=250.0)
def hash_block(_: Peers) -> Case:
    """One block of 136 bytes out of eight; the reference is the C library that Python calls."""
    message = random.Random(1).randbytes(RATE * _BLOCKS - 1)
    memory = Region(len(message) + 64)
    memory.view("u1", len(message))[:] = bytearray(message)
    digest = memory.address + RATE * _BLOCKS
    compiled = entry(keccak256)
    compiled(memory.address, len(message), digest)
    answer = memory.view("u1", 32, RATE * _BLOCKS).tobytes()
    require_equal(answer, keccak256_here(message), "safe-pysha3")
    return Case(
        ours=timed(compiled, memory.address, len(message), digest, operations=_BLOCKS),
        reference=timed(keccak256_here, message, operations=_BLOCKS),
        keeps=memory,
    )
