"""`Region`: memory with a fixed address that native threads may use.

Layer: native. numpy arrays move to a new place when they grow and die with their last reference; a
lane needs neither. A region is mapped once, zeroed, page-aligned, and stays until it is closed.
"""

from __future__ import annotations

import mmap
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

PAGE: Final = 4096


class Region:
    """Zeroed memory of at least `size` bytes, aligned to 4096, as a context or until `close`.

    Raises: ValueError: for a size below 1, and when used after `close`.
    """

    # Guarantees
    # - `address` never changes while the region is open; the mapping is private and anonymous, so
    #   untouched pages cost nothing.
    # - `close` forgets the mapping; views of it keep the memory itself alive, so a forgotten view
    #   cannot crash the process. A lane's raw address does not: stop the lane before closing.

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"a region needs at least 1 byte, not {size}")
        self.size: Final = -(-size // PAGE) * PAGE
        self._memory: npt.NDArray[np.uint8] | None = np.frombuffer(
            mmap.mmap(-1, self.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), np.uint8
        )
        # Kept, because numpy takes a microsecond to say it.
        self._address: Final = int(self._memory.ctypes.data)

    @property
    def address(self) -> int:
        """Where the region starts."""
        self._bytes()
        return self._address

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._memory is None

    def view(self, dtype: npt.DTypeLike, count: int, offset: int = 0) -> npt.NDArray[Any]:
        """Return `count` elements of `dtype` that start `offset` bytes into the region, as an array over it.

        Raises: ValueError: if they do not lie inside.
        """
        memory, element = self._bytes(), np.dtype(dtype)
        end = offset + count * element.itemsize
        if offset < 0 or count < 0 or end > self.size:
            raise ValueError(
                f"a view of {count} x {element.itemsize} bytes at {offset} "
                f"does not lie in a region of {self.size} bytes"
            )
        return memory[offset:end].view(element)

    def close(self) -> None:
        """Give the memory back, once no view of it is left. Closing twice is fine."""
        self._memory = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _bytes(self) -> npt.NDArray[np.uint8]:
        if self._memory is None:
            raise ValueError("the region is closed; keep it open as long as its memory is in use")
        return self._memory
