"""`Arena`: memory that compiled code takes piece by piece, and gives back all at once.

Layer: native. To allocate is to move one address; nothing is freed by itself. It fits what lives as
long as one block or one search does: take from the arena meanwhile, and `arena_reset` it afterwards, or
`arena_rewind` to where it stood. One thread at a time may use an arena; the memory is zero only before
its first use.

For hot functions, by the arena's `address`:

    arena_allocate(arena, size, alignment)      an address, or 0 where there is no room
    arena_mark(arena), arena_rewind(arena, mark)    give back all that was taken after the mark
    arena_reset(arena)                          give back everything
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from types import TracebackType
from typing import Final, Self

import msgspec

from tallyio.native.atomics import load, store
from tallyio.native.jit import hot
from tallyio.native.memory import PAGE, Region

MAX_ALIGNMENT: Final = PAGE

_NEXT: Final = 0
_END: Final = 1
_START: Final = 2
_HIGHEST: Final = 3
_REFUSED: Final = 4
_HEADER_WORDS: Final = 8
_HEADER_BYTES: Final = 8 * _HEADER_WORDS


class ArenaStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """How much of an arena is and was in use, in bytes."""

    size: int
    used: int
    highest: int
    """The most that was ever used."""
    refused: int
    """Requests that found no room."""


class Arena:
    """At least `size` bytes for compiled code to allocate from, as a context or until `close`.

    Raises: ValueError: for a size below 1, and when used after `close`.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"an arena needs at least 1 byte, not {size}")
        self._region: Final = Region(_HEADER_BYTES + size)
        start, end = self.address + _HEADER_BYTES, self.address + self._region.size
        self._region.view("i8", _HEADER_WORDS)[:] = (start, end, start, start, 0, 0, 0, 0)

    @property
    def address(self) -> int:
        """What the `arena_` functions take."""
        return self._region.address

    def statistics(self) -> ArenaStatistics:
        """Return how much is in use; a thread that allocates meanwhile makes it out of date."""
        following, end, start, highest, refused = map(int, self._region.view("i8", _HEADER_WORDS)[:5])
        return ArenaStatistics(
            size=end - start, used=following - start, highest=max(highest, following) - start, refused=refused
        )

    def close(self) -> None:
        """Give the memory back. Closing twice is fine."""
        self._region.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@hot("int64(int64, int64, int64)", inline=True)
def arena_allocate(arena: int, size: int, alignment: int) -> int:
    """Return the address of `size` bytes; 0 where so many are not left, or `size` is negative.

    `alignment` is a power of two, at most `MAX_ALIGNMENT`: 8 for words and wide integers, 64 for a line.
    """
    # Addresses are far below 2**63: the sum cannot overflow. Past the end, the room is negative.
    start = (load(arena, _NEXT) + alignment - 1) & -alignment
    if size < 0 or size > load(arena, _END) - start:
        store(arena, _REFUSED, load(arena, _REFUSED) + 1)
        return 0
    store(arena, _NEXT, start + size)
    return start


@hot("int64(int64)", inline=True)
def arena_mark(arena: int) -> int:
    """Return where the arena stands, for `arena_rewind`."""
    return load(arena, _NEXT)


@hot("boolean(int64, int64)", inline=True)
def arena_rewind(arena: int, mark: int) -> bool:
    """Give back all that was taken since `arena_mark` returned `mark`.

    False, and nothing happens, where the arena stands before `mark` or `mark` is none of its addresses.
    """
    following = load(arena, _NEXT)
    if mark < load(arena, _START) or mark > following:
        return False
    if following > load(arena, _HIGHEST):
        store(arena, _HIGHEST, following)
    store(arena, _NEXT, mark)
    return True


@hot("void(int64)", inline=True)
def arena_reset(arena: int) -> None:
    """Give back everything."""
    arena_rewind(arena, load(arena, _START))
