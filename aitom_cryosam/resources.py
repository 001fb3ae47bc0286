"""What a run may use of the machine: device, memory, cache folder, checkpoints."""

from __future__ import annotations

import math
import os
import re
import resource
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import psutil

from aitom_cryosam.errors import InputError

_PREFIXES = "KMGT"
_SHARE = 0.7  # of the free memory that is taken if the user names no limit
_THREAD_BYTES = 72 << 20  # of addresses that a thread reserves, for its stack and what it allocates
_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
# By the version of control groups: the limit, what is in use, and what droppable pages begin with.
_MEMORY_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    2: ("memory.max", "memory.current", ""),
}


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Where and with how much memory a run works; none of it changes the picks.

    Attributes:
        device: "auto", "cpu", "cuda", "cuda:N" or "mps"; for the networks.
        ram_bytes: memory that the whole process may hold; None for 70 % of what is free. What
            the machine, its batch system and `ulimit` allow is the limit in any case.
        gpu_bytes: memory of the device for the networks and what they work on; None likewise.
        cache: folder that keeps features and embeddings for later runs; None for no cache.
        checkpoints: file of a model's weights, by the model's name; the usual places otherwise.
        compiled: whether SAM's image encoder is compiled for a CUDA device. That takes its time
            once, and is for many large tomograms.
    """

    device: str = "auto"
    ram_bytes: int | None = None
    gpu_bytes: int | None = None
    cache: Path | None = None
    checkpoints: Mapping[str, Path] = field(default_factory=dict)
    compiled: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", str(self.device)):
            raise InputError(
                f"Expected auto, cuda, cuda:N, mps or cpu as device, got {self.device!r}."
            )
        for name in ("ram_bytes", "gpu_bytes"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, Integral) and int(value) > 0):
                raise InputError(f"Expected a whole number of bytes as {name}, got {value!r}.")
        if not isinstance(self.checkpoints, Mapping):
            raise InputError(
                f"Expected checkpoints as files by the model's name, got {self.checkpoints!r}."
            )

    @property
    def threads(self) -> int:
        """That may work at once: those this process may use."""
        return usable_cores()

    def unused(self, models: Collection[str]) -> dict[str, str]:
        """What was asked for and has no effect where these networks run: values by attribute.

        Args:
            models: names of the networks; none where no network runs.
        """
        found = {"device": self.device} if self.device not in ("auto", "cpu") and not models else {}
        if self.compiled and not any(name.startswith("sam") for name in models):
            found["compiled"] = ""
        others = [name for name in self.checkpoints if name not in models]
        return found | ({"checkpoints": ", ".join(others)} if others else {})

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for `from_json`."""
        return {
            "device": self.device,
            "ram_bytes": self.ram_bytes,
            "gpu_bytes": self.gpu_bytes,
            "cache": None if self.cache is None else str(self.cache),
            "checkpoints": {name: str(path) for name, path in self.checkpoints.items()},
            "compiled": self.compiled,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Resources:
        """What `to_json` gave."""
        paths = {
            "cache": None if values["cache"] is None else Path(values["cache"]),
            "checkpoints": {name: Path(path) for name, path in values["checkpoints"].items()},
        }
        return cls(**{**values, **paths})

    @property
    def ram(self) -> int:
        """Bytes of memory that one large thing, such as a network, may take."""
        free = free_ram()
        return int(_SHARE * free) if self.ram_bytes is None else min(self.ram_bytes, free)

    @property
    def most(self) -> int:
        """Bytes of memory that the whole process can have at all."""
        most = held_ram() + free_ram()
        return most if self.ram_bytes is None else min(self.ram_bytes, most)

    @property
    def addresses(self) -> float:
        """Bytes that the process may have mapped, files and all; endless without `ulimit -v`."""
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        return math.inf if limit == resource.RLIM_INFINITY else limit

    @property
    def wanted(self) -> int:
        """Bytes of memory that the whole process should not exceed if it need not."""
        return held_ram() + int(_SHARE * free_ram()) if self.ram_bytes is None else self.most


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


def size_text(count: float) -> str:
    """Bytes for people: 4.1 GB."""
    power = min(int(math.log(max(count, 1), 1000)), 4)
    return f"{count / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"


def parse_memory(text: str) -> tuple[int | None, int | None]:
    """(ram, gpu) in bytes from "8GB" (both), or "ram=16GB,gpu=8GB" (either may be missing).

    Raises:
        InputError: it is not an amount of memory with its unit.
    """
    amounts: dict[str, int] = {}
    for part in text.split(","):
        found = re.fullmatch(r"(?:(ram|gpu)=)?(\d+(?:\.\d+)?) ?([KMGT])(i?)B?", part.strip(), re.I)
        if found is None or (found[1] is None and "," in text) or float(found[2]) == 0:
            raise InputError(
                f"Expected an amount of memory, such as 8GB or ram=16GB,gpu=8GB, got {text!r}."
            )
        power = _PREFIXES.index(found[3].upper()) + 1
        size = int(float(found[2]) * (1024 if found[4] else 1000) ** power)
        for kind in (found[1].lower(),) if found[1] else ("ram", "gpu"):
            amounts[kind] = size
    return amounts.get("ram"), amounts.get("gpu")
