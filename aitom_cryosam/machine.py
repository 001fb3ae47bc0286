"""Machine: the cores and the memory that this process may have of it."""

from __future__ import annotations

import math
import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

import psutil

_THREAD_BYTES = 72 << 20  # of addresses that a thread reserves, for its stack and what it allocates
_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
# By the version of control groups: the limit, what is in use, and what droppable pages begin with.
_MEMORY_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    2: ("memory.max", "memory.current", ""),
}


def usable_cores() -> int:
    """How many threads this process may keep busy, 1 at least.

    The fewest of: the cores it may run on, the time that its control groups allow it (in whole
    cores, rounded up), and what a batch system gave it (SLURM_CPUS_PER_TASK).
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        cores = os.cpu_count() or 1
    given = os.environ.get("SLURM_CPUS_PER_TASK", "")
    limits = [int(given)] if given.isdigit() else []
    for folder, version in _control_groups("cpu"):
        files = ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        try:
            text = " ".join((folder / name).read_text() for name in files)
            quota, period = map(int, text.split())
        except (OSError, ValueError):  # no such group, or no limit ("max")
            continue
        if quota > 0 and period > 0:  # -1 is no limit
            limits.append(math.ceil(quota / period))
    return max(1, min([cores, *limits]))


def held_ram() -> int:
    """Bytes that this process has in memory."""
    return int(psutil.Process().memory_info().rss)


def free_ram() -> int:
    """Bytes that this process could still have, by the narrowest of all limits.

    Free on the machine; in its control groups, through one of which batch systems and containers
    limit a job; below the limits of the process (`ulimit -v`, `ulimit -d`); and of what SLURM
    gave the job.
    """
    free = min([int(psutil.virtual_memory().available), *_below_own_limits(), *_left_of_slurm()])
    for folder, version in _control_groups("memory"):
        limit, used, prefix = _MEMORY_FILES[version]
        try:
            left = int((folder / limit).read_text()) - int((folder / used).read_text())
            stat = (folder / "memory.stat").read_text()
        except (OSError, ValueError):  # no such group, or no limit ("max")
            continue
        # Pages of files can be dropped at any time, those read twice ("active"), too: they count
        # as used there, but as free in what the machine has.
        pages = re.findall(rf"^{prefix}(?:in)?active_file (\d+)$", stat, re.M)
        free = min(free, left + sum(map(int, pages)))
    return max(free, 0)


def mapped_limit() -> float:
    """Bytes that the process may have mapped, files and all; endless without `ulimit -v`."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return math.inf if limit == resource.RLIM_INFINITY else limit


def _below_own_limits() -> Iterator[int]:
    """Bytes that the process may still map."""
    used = psutil.Process().memory_info()
    threads = usable_cores() * _THREAD_BYTES
    for name, size in (("RLIMIT_AS", used.vms), ("RLIMIT_DATA", getattr(used, "data", used.rss))):
        limit, _ = resource.getrlimit(getattr(resource, name))
        if limit != resource.RLIM_INFINITY:
            yield limit - size - threads


def _left_of_slurm() -> Iterator[int]:
    """Bytes of the job's memory, which SLURM states in units of 2^20, that are not held."""
    node, each = os.environ.get("SLURM_MEM_PER_NODE", ""), os.environ.get("SLURM_MEM_PER_CPU", "")
    cpus = os.environ.get("SLURM_CPUS_ON_NODE") or os.environ.get("SLURM_CPUS_PER_TASK", "1")
    if node.isdigit() and int(node):  # 0 is all of the node
        yield (int(node) << 20) - held_ram()
    elif each.isdigit() and int(each) and cpus.isdigit():
        yield (int(each) * int(cpus) << 20) - held_ram()


def _control_groups(controller: str) -> Iterator[tuple[Path, Literal[1, 2]]]:
    """The folder of each group that this process is in, and the version of its files.

    A container may show its own group as the root, so the root is always among them.
    """
    try:
        lines = _MEMBERSHIP.read_text().splitlines()
    except OSError:  # not on Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        version: Literal[1, 2]
        if controllers == "":
            root, version = _CGROUPS, 2
        elif controller in controllers.split(","):
            root, version = _CGROUPS / controller, 1
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        for inside in (group, *group.parents):
            yield root / inside, version
