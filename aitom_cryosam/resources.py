"""What a run may use of the machine: device, memory, cache folder, checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from aitom_cryosam.errors import InputError

_UNITS = {"": 1, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000, "T": 1_000_000_000_000}
_SHARE = 0.7  # of the free memory that is taken if the user names no limit
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Where and with how much memory a run works; none of it changes the picks.

    Attributes:
        device: "auto", "cpu", "cuda", "cuda:N" or "mps"; for the networks.
        ram_bytes: memory for tokens and embeddings; None for 70 % of what is free.
        gpu_bytes: memory of the device for the networks and what they work on; None likewise.
        cache: folder that keeps features and embeddings for later runs; None for no cache.
        checkpoints: file of a model's weights, by the model's name; the usual places otherwise.
    """

    device: str = "auto"
    ram_bytes: int | None = None
    gpu_bytes: int | None = None
    cache: Path | None = None
    checkpoints: Mapping[str, Path] = field(default_factory=dict)

    @property
    def ram(self) -> int:
        """Bytes of memory that tokens and embeddings may fill."""
        return int(_SHARE * free_ram()) if self.ram_bytes is None else self.ram_bytes


def free_ram() -> int:
    """Bytes that this process could still have: free on the machine and in its control group."""
    free = int(psutil.virtual_memory().available)
    for limit, used in _CGROUPS:
        try:
            left = int(Path(limit).read_text()) - int(Path(used).read_text())
        except (OSError, ValueError):  # no such group, or no limit ("max")
            continue
        free = min(free, max(left, 0))
    return free


def parse_memory(text: str) -> tuple[int | None, int | None]:
    """(ram, gpu) in bytes from "8GB" (both), or "ram=16GB,gpu=8GB" (either may be missing).

    Raises:
        InputError: it is not an amount of memory.
    """
    amounts: dict[str, int] = {}
    for part in text.split(","):
        found = re.fullmatch(r"(?:(ram|gpu)=)?(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", part.strip(), re.I)
        value = float(found[2]) * _UNITS[found[3].upper()] if found else 0
        if found is None or value < 1 or (found[1] is None and "," in text):
            raise InputError(
                f"Expected an amount of memory, as 8GB or ram=16GB,gpu=8GB, got {text!r}."
            )
        for kind in (found[1].lower(),) if found[1] else ("ram", "gpu"):
            amounts[kind] = int(value)
    return amounts.get("ram"), amounts.get("gpu")
