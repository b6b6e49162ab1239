"""The doctor's checks of memory: huge pages, balancing between NUMA nodes, locking.

Layer: kernel.
"""

from __future__ import annotations

from tallyio.kernel.doctor import Facts, Finding, enough, graded, one_of, unknown

LOCKED_BYTES_WANTED = 64 << 20
"""Rings, tables and histograms of a run, with room: what locking in memory needs."""

CAP_IPC_LOCK = 14


def check_thp(facts: Facts) -> Finding:
    """Transparent huge pages."""
    path = "sys/kernel/mm/transparent_hugepage/enabled"
    return one_of(
        facts,
        "thp",
        path,
        good=("madvise", "never"),
        why="with 'always' the OS moves memory into huge pages while lanes use it",
        commands=(f"echo madvise > /{path}",),
    )


def check_huge_pages(facts: Facts) -> Finding:
    """Whether the huge pages that the profile counts on are set aside."""
    why = "tables in huge pages miss the TLB less; later they may no longer be found in one piece"
    lines = (line.partition(":") for line in (facts.read("proc/meminfo") or "").splitlines())
    values = {name: value.split()[0] for name, _, value in lines if value.split()}
    total, size_kib = values.get("HugePages_Total", ""), values.get("Hugepagesize", "")
    if not (total.isdecimal() and size_kib.isdecimal() and int(size_kib)):
        return unknown("huge_pages", "this system does not say", why)
    have, wanted = int(total) * int(size_kib) >> 10, facts.expects.huge_pages_mib
    pages = -(-(wanted << 10) // int(size_kib))
    return graded(
        "huge_pages",
        good=have >= wanted,
        what=f"{have} MiB set aside, {wanted} MiB wanted",
        why=why,
        commands=(f"sysctl -w vm.nr_hugepages={pages}",),
    )


def check_numa_balancing(facts: Facts) -> Finding:
    """Automatic NUMA balancing."""
    return one_of(
        facts,
        "numa_balancing",
        "proc/sys/kernel/numa_balancing",
        good=("0",),
        why="the OS unmaps pages to see who touches them: each costs a lane a page fault",
        commands=("sysctl -w kernel.numa_balancing=0",),
    )


def check_memlock(facts: Facts) -> Finding:
    """How much memory we may lock."""
    why = "locked tables are never paged out; without the right to lock them they can be"
    soft = facts.limit("Max locked memory")
    if soft is None:
        return unknown("memlock", "this system does not say", why)
    said = soft if not soft.isdecimal() else f"{int(soft) >> 20} MiB"
    free = facts.has_capability(CAP_IPC_LOCK)
    return graded(
        "memlock",
        good=free or enough(soft, LOCKED_BYTES_WANTED),
        what=f"{said}{', but CAP_IPC_LOCK lifts it' if free else ''}, {LOCKED_BYTES_WANTED >> 20} MiB wanted",
        why=why,
        remedy="ulimit -l unlimited (or LimitMEMLOCK=infinity in the unit)",
    )
