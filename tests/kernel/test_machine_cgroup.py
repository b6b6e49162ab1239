"""Limits of control groups, versions 1 and 2, inside and outside containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallyio.kernel.cgroup import CgroupLimits, read_limits

V1_MOUNTS = """\
32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 {root} /sys/fs/cgroup/cpuset rw,relatime shared:9 - cgroup cgroup rw,cpuset
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
"""
V2_MOUNT = "41 31 0:38 {root} /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"


def build(root: Path, files: dict[str, str]) -> None:
    """Write `files` under `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_version_2_gives_cpuset_and_the_smallest_quota_on_the_way_up(tmp_path: Path) -> None:
    build(
        tmp_path,
        {
            "proc/self/cgroup": "0::/bots/one\n",
            "proc/self/mountinfo": V2_MOUNT.format(root="/"),
            "sys/fs/cgroup/bots/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/bots/one/cpu.max": "max 100000\n",
            "sys/fs/cgroup/bots/one/cpuset.cpus.effective": "4-7\n",
        },
    )
    assert read_limits(tmp_path) == CgroupLimits(cpus=frozenset({4, 5, 6, 7}), quota_cpus=2.0)


def test_version_1_reads_each_controller_where_it_is_mounted(tmp_path: Path) -> None:
    build(
        tmp_path,
        {
            "proc/self/cgroup": "3:cpuset:/a\n2:cpu,cpuacct:/b\n1:name=systemd:/\n",
            "proc/self/mountinfo": V1_MOUNTS.format(root="/"),
            "sys/fs/cgroup/cpuset/a/cpuset.cpus": "0-1\n",
            "sys/fs/cgroup/cpu,cpuacct/b/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu,cpuacct/b/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        },
    )
    assert read_limits(tmp_path) == CgroupLimits(cpus=frozenset({0, 1}), quota_cpus=0.5)


def test_a_container_sees_its_group_as_the_top(tmp_path: Path) -> None:
    build(
        tmp_path,
        {
            "proc/self/cgroup": "0::/docker/abc\n",
            "proc/self/mountinfo": V2_MOUNT.format(root="/docker/abc"),
            "sys/fs/cgroup/cpu.max": "300000 100000\n",
        },
    )
    assert read_limits(tmp_path).quota_cpus == 3.0


@pytest.mark.parametrize("path", ["/gone", "/../outside"])
def test_a_group_that_is_not_there_falls_back_to_the_top(tmp_path: Path, path: str) -> None:
    build(
        tmp_path,
        {
            "proc/self/cgroup": f"0::{path}\n",
            "proc/self/mountinfo": V2_MOUNT.format(root="/"),
            "sys/fs/cgroup/cpuset.cpus.effective": "2\n",
        },
    )
    assert read_limits(tmp_path).cpus == frozenset({2})


def test_no_cgroups_mean_no_limits(tmp_path: Path) -> None:
    assert read_limits(tmp_path) == CgroupLimits()


def test_damaged_files_mean_no_limits(tmp_path: Path) -> None:
    build(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\nrubbish\n",
            "proc/self/mountinfo": V2_MOUNT.format(root="/") + "rubbish\n",
            "sys/fs/cgroup/cpu.max": "100000 0\n",
            "sys/fs/cgroup/cpuset.cpus.effective": "eight\n",
        },
    )
    assert read_limits(tmp_path) == CgroupLimits()
