"""Where memory lies and whether it may leave: the calls of the OS, each of which may be refused.

Layer: kernel. Linux. Every function raises OSError with the OS's reason; `tallyio.kernel.lane_wishes`
turns that into words.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from collections.abc import Iterable
from functools import cache
from typing import Final, Literal

MADV_HUGEPAGE: Final = 14
MADV_POPULATE_WRITE: Final = 23
_MPOL_PREFERRED, _MPOL_BIND, _MPOL_INTERLEAVE = 1, 2, 3
_MPOL_MF_MOVE: Final = 2
_MASK_BITS: Final = 1_024
_CALLS: Final = {
    "x86_64": {"mbind": 237, "set_mempolicy": 238},
    "aarch64": {"mbind": 235, "set_mempolicy": 237},
}
_POLICIES: Final = {"bind": _MPOL_BIND, "local": _MPOL_PREFERRED, "interleave": _MPOL_INTERLEAVE}

Policy = Literal["local", "bind", "interleave"]
"""Rather on a node; only on nodes; in turns over nodes."""


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def lock_memory(address: int, size: int) -> None:
    """Keep memory from being paged out, and fault it in. Raises: OSError: usually over RLIMIT_MEMLOCK."""
    _check(_libc().mlock(ctypes.c_void_p(address), ctypes.c_size_t(size)))


def want_huge_pages(address: int, size: int) -> None:
    """Allow huge pages behind memory. Raises: OSError: the OS was built without them."""
    _check(_libc().madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), MADV_HUGEPAGE))


def fault_in(address: int, size: int) -> None:
    """Give memory its pages now, by the thread's own policy. Raises: OSError: before Linux 5.14."""
    _check(_libc().madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), MADV_POPULATE_WRITE))


def bind_memory(address: int, size: int, *, nodes: Iterable[int], policy: Policy) -> None:
    """Put memory, and move what is there already, to NUMA nodes. Raises: OSError: no such node, no NUMA."""
    mask = _mask(nodes)
    _system_call(
        "mbind",
        ctypes.c_void_p(address),
        ctypes.c_ulong(size),
        ctypes.c_int(_POLICIES[policy]),
        mask,
        ctypes.c_ulong(_MASK_BITS + 1),
        ctypes.c_uint(_MPOL_MF_MOVE),
    )


def prefer_nodes(nodes: Iterable[int], policy: Policy) -> None:
    """Let what the calling thread touches first lie on NUMA nodes. Raises: OSError: as `bind_memory`."""
    mask = _mask(nodes)
    _system_call("set_mempolicy", ctypes.c_int(_POLICIES[policy]), mask, ctypes.c_ulong(_MASK_BITS + 1))


def _system_call(name: str, *arguments: object) -> None:
    # libnuma would have names for these, but may be absent.
    numbers = _CALLS.get(platform.machine())
    if numbers is None:
        raise OSError(errno.ENOSYS, f"{name} has no known number on {platform.machine()}")
    _check(_libc().syscall(ctypes.c_long(numbers[name]), *arguments))


def _mask(nodes: Iterable[int]) -> ctypes.Array[ctypes.c_ulong]:
    bits = 8 * ctypes.sizeof(ctypes.c_ulong)
    mask = (ctypes.c_ulong * (_MASK_BITS // bits))()
    for node in nodes:
        mask[node // bits] |= 1 << node % bits
    return mask


def huge_bytes(address: int, size: int) -> int:
    """Return how many bytes of the mappings that hold this memory are huge pages now."""
    total, inside = 0, False
    with open("/proc/self/smaps", encoding="ascii", errors="replace") as lines:  # noqa: PTH123 - a stream
        for line in lines:
            first, _, rest = line.partition(" ")
            if "-" in first and ":" not in first:
                start, end = (int(part, 16) for part in first.split("-"))
                inside = start < address + size and address < end
            elif inside and first == "AnonHugePages:":
                total += 1_024 * int(rest.split()[0])
    return total
