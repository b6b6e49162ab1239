"""What the control group of this process leaves it: a cpuset and a CPU quota, versions 1 and 2.

Layer: kernel. Reads proc and sys under a root that tests replace.
Source: the OS kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/cpusets.rst,
and proc(5) for the two tables in /proc/self.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from tallyio.kernel.cpuset import CpuSet, parse_cpuset
from tallyio.model.errors import ConfigError

_MOUNT_FIELDS = 5
"""A line of mountinfo has at least the fields up to the mount point."""


class CgroupLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the groups above this process allow together; None where nothing is limited."""

    cpus: CpuSet | None = None
    quota_cpus: float | None = None
    """CPU time per wall time, in CPUs: 1.5 means 150 ms in every 100 ms."""


class _Mount(msgspec.Struct, frozen=True, kw_only=True):
    point: Path
    root: PurePosixPath
    """The group that is mounted there: "/" outside containers."""
    unified: bool
    """Version 2: one hierarchy for all controllers."""
    controllers: frozenset[str]


def read_limits(root: Path = Path("/")) -> CgroupLimits:
    """Return the limits of the calling process; none where cgroups are absent or unreadable."""
    groups = [*_groups(root)]
    cpusets = [cpus for mount, folder in groups if (cpus := _cpuset(mount, folder)) is not None]
    quotas = [
        quota
        for mount, folder in groups
        for level in _upwards(folder, mount.point)
        if (quota := _quota(mount, level)) is not None
    ]
    return CgroupLimits(
        cpus=frozenset.intersection(*cpusets) if cpusets else None, quota_cpus=min(quotas, default=None)
    )


def _groups(root: Path) -> Iterator[tuple[_Mount, Path]]:
    """Yield each mounted hierarchy with the folder of our group in it."""
    paths: dict[str, str] = {}
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, _, group = line.partition(":")
        controllers, _, path = group.partition(":")
        if path.startswith("/"):
            paths.update(dict.fromkeys(controllers.split(","), path))
    for mount in _mounts(root):
        # Version 2 lists its one group under the empty name.
        for name in sorted(paths.keys() & ({""} if mount.unified else mount.controllers))[:1]:
            yield mount, _folder(mount, PurePosixPath(paths[name]))


def _mounts(root: Path) -> Iterator[_Mount]:
    # proc(5): id parent device ROOT POINT options [tags] - TYPE source SUPER-OPTIONS
    for line in _read(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) >= _MOUNT_FIELDS and kind and kind[0] in ("cgroup", "cgroup2"):
            yield _Mount(
                point=root / fields[4].lstrip("/"),
                root=PurePosixPath(fields[3]),
                unified=kind[0] == "cgroup2",
                controllers=frozenset(kind[-1].split(",")),
            )


def _folder(mount: _Mount, path: PurePosixPath) -> Path:
    # A container sees its own group mounted as the top: names above the mount are not there.
    inside = path.relative_to(mount.root) if path.is_relative_to(mount.root) else path.relative_to("/")
    folder = mount.point / inside
    return folder if ".." not in inside.parts and folder.is_dir() else mount.point


def _upwards(folder: Path, top: Path) -> Iterator[Path]:
    yield folder
    while folder != top:
        folder = folder.parent
        yield folder


def _cpuset(mount: _Mount, folder: Path) -> CpuSet | None:
    names = ("cpuset.cpus.effective",) if mount.unified else ("cpuset.effective_cpus", "cpuset.cpus")
    for name in names:
        try:
            if cpus := parse_cpuset(_read(folder / name)):
                return cpus
        except ConfigError:
            continue
    return None


def _quota(mount: _Mount, folder: Path) -> float | None:
    if mount.unified:
        quota, _, period = _read(folder / "cpu.max").strip().partition(" ")
    else:
        quota, period = (_read(folder / f"cpu.cfs_{part}_us").strip() for part in ("quota", "period"))
    if not (quota.isdecimal() and period.isdecimal() and int(period)):
        return None  # "max" and -1 are the two ways to say: no limit
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
