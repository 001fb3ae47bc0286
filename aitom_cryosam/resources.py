"""What a run may use of the machine: device, memory, cache folder, checkpoints."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any

from aitom_cryosam.errors import InputError
from aitom_cryosam.machine import free_ram, held_ram, mapped_limit, usable_cores

_PREFIXES = "KMGT"
_SHARE = 0.7  # of the free memory that is taken if the user names no limit


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
        return mapped_limit()

    @property
    def wanted(self) -> int:
        """Bytes of memory that the whole process should not exceed if it need not."""
        return held_ram() + int(_SHARE * free_ram()) if self.ram_bytes is None else self.most


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
